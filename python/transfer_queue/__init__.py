"""TransferQueue: the data gateway of LLM reinforcement-learning post-training.

Workers put and get *samples x fields* through it; a controller knows which field of which sample
is produced. :func:`init` starts the engine in this process; nothing else needs to run. Importing
this package starts nothing and imports neither Ray nor any storage backend.

    import transfer_queue as tq

    tq.init()
    tq.kv_batch_put(keys=["a", "b"], partition_id="train", fields=TensorDict(...))
    data = tq.kv_batch_get(keys=["b", "a"], partition_id="train")
    tq.close()
"""

from __future__ import annotations

from importlib import resources

from transfer_queue import interface as interface
from transfer_queue.client import TransferQueueClient
from transfer_queue.errors import StorageKeyNotFoundError
from transfer_queue.interface import (
    async_kv_batch_get,
    async_kv_batch_get_by_meta,
    async_kv_batch_put,
    async_kv_clear,
    async_kv_list,
    async_kv_put,
    close,
    get_client,
    init,
    kv_batch_get,
    kv_batch_get_by_meta,
    kv_batch_put,
    kv_clear,
    kv_list,
    kv_put,
)
from transfer_queue.metadata import BatchMeta, KVBatchMeta

__version__ = (resources.files(__name__) / "version" / "version").read_text().strip()

__all__ = [
    "BatchMeta",
    "KVBatchMeta",
    "StorageKeyNotFoundError",
    "TransferQueueClient",
    "async_kv_batch_get",
    "async_kv_batch_get_by_meta",
    "async_kv_batch_put",
    "async_kv_clear",
    "async_kv_list",
    "async_kv_put",
    "close",
    "get_client",
    "init",
    "kv_batch_get",
    "kv_batch_get_by_meta",
    "kv_batch_put",
    "kv_clear",
    "kv_list",
    "kv_put",
]
