"""The manager of Mooncake Store."""

from __future__ import annotations

from typing import Any

from transfer_queue.storage.managers.base import KVStorageManager, StorageManagerFactory
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = ["MooncakeStorageManager"]


@StorageManagerFactory.register("MooncakeStore")
class MooncakeStorageManager(KVStorageManager):
    """Payload in Mooncake Store; see ``docs/backends/mooncake.md``."""

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        config["client_name"] = "MooncakeStoreClient"
        super().__init__(controller_info, config, zmq_context)
