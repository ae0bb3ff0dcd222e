"""Clients: the calls of one key-value system each.

- `base`     what every client is, and what one that stores large objects is
- `mooncake_client`, `yuanrong_client`, `ray_storage_client`

The systems' own packages are imported when a client is constructed.
"""

from transfer_queue.storage.clients.base import ObjectClient, StorageClientFactory, StorageKVClient
from transfer_queue.storage.clients.mooncake_client import MooncakeStoreClient
from transfer_queue.storage.clients.ray_storage_client import RayStorageClient
from transfer_queue.storage.clients.yuanrong_client import YuanrongStorageClient

__all__ = [
    "MooncakeStoreClient",
    "ObjectClient",
    "RayStorageClient",
    "StorageClientFactory",
    "StorageKVClient",
    "YuanrongStorageClient",
]
