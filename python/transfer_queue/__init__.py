"""TransferQueue: the data gateway of LLM reinforcement-learning post-training.

Workers put and get *samples x fields* through it; a controller knows which field of which sample
is produced, and which task has consumed it. :func:`init` starts the engine in this process;
nothing else needs to run. Importing this package starts nothing and imports neither Ray nor any
storage backend.

    import transfer_queue as tq

    tq.init()
    tq.kv_batch_put(keys=["a", "b"], partition_id="train", fields=TensorDict(...))
    data = tq.kv_batch_get(keys=["b", "a"], partition_id="train")
    tq.close()
"""

from __future__ import annotations

from importlib import import_module, resources
from typing import TYPE_CHECKING, Any

from transfer_queue import interface as interface
from transfer_queue.client import AsyncTransferQueueClient, TransferQueueClient
from transfer_queue.errors import StorageKeyNotFoundError
from transfer_queue.interface import (
    async_kv_batch_get,
    async_kv_batch_get_by_meta,
    async_kv_batch_put,
    async_kv_clear,
    async_kv_evict,
    async_kv_list,
    async_kv_put,
    async_kv_select,
    async_kv_wait,
    async_kv_watch,
    close,
    get_client,
    init,
    kv_batch_get,
    kv_batch_get_by_meta,
    kv_batch_put,
    kv_clear,
    kv_evict,
    kv_list,
    kv_put,
    kv_select,
    kv_wait,
    kv_watch,
)
from transfer_queue.metadata import BatchMeta, KVBatchMeta
from transfer_queue.selection import KVChange, KVEviction, KVSelection, SelectionCounts

if TYPE_CHECKING:
    from transfer_queue.dataloader import StreamingDataLoader, StreamingDataset
    from transfer_queue.sampler import (
        BaseSampler,
        GRPOGroupNSampler,
        RankAwareSampler,
        SeqlenBalancedSampler,
        SequentialSampler,
        StreamingTokenBudgetSampler,
    )

__version__ = (resources.files(__name__) / "version" / "version").read_text().strip()

__all__ = [
    "AsyncTransferQueueClient",
    "BaseSampler",
    "BatchMeta",
    "GRPOGroupNSampler",
    "KVBatchMeta",
    "KVChange",
    "KVEviction",
    "KVSelection",
    "RankAwareSampler",
    "SelectionCounts",
    "SeqlenBalancedSampler",
    "SequentialSampler",
    "StorageKeyNotFoundError",
    "StreamingDataLoader",
    "StreamingDataset",
    "StreamingTokenBudgetSampler",
    "TransferQueueClient",
    "async_kv_batch_get",
    "async_kv_batch_get_by_meta",
    "async_kv_batch_put",
    "async_kv_clear",
    "async_kv_evict",
    "async_kv_list",
    "async_kv_put",
    "async_kv_select",
    "async_kv_wait",
    "async_kv_watch",
    "close",
    "get_client",
    "init",
    "kv_batch_get",
    "kv_batch_get_by_meta",
    "kv_batch_put",
    "kv_clear",
    "kv_evict",
    "kv_list",
    "kv_put",
    "kv_select",
    "kv_wait",
    "kv_watch",
]

#: Where names are that are imported only once they are used.
_LAZY = {
    "BaseSampler": "sampler",
    "GRPOGroupNSampler": "sampler",
    "RankAwareSampler": "sampler",
    "SeqlenBalancedSampler": "sampler",
    "SequentialSampler": "sampler",
    "StreamingDataLoader": "dataloader",
    "StreamingDataset": "dataloader",
    "StreamingTokenBudgetSampler": "sampler",
}


def __getattr__(name: str) -> Any:
    try:
        module = import_module(f"{__name__}.{_LAZY[name]}")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(module, name)
    return value
