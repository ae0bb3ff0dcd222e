"""Managers: whole batches in and out of a backend.

- `base`                    what every manager is, and the manager of key-value systems
- `parcels`                 batches as few large objects
- `simple_storage_manager`  storage units of ours
- `mooncake_manager`, `yuanrong_manager`, `ray_storage_manager`
"""

from transfer_queue.storage.managers.base import (
    KVStorageManager,
    StorageClientFactory,
    StorageManager,
    StorageManagerFactory,
)
from transfer_queue.storage.managers.mooncake_manager import MooncakeStorageManager
from transfer_queue.storage.managers.ray_storage_manager import RayStorageManager
from transfer_queue.storage.managers.simple_storage_manager import AsyncSimpleStorageManager
from transfer_queue.storage.managers.yuanrong_manager import YuanrongStorageManager

__all__ = [
    "AsyncSimpleStorageManager",
    "KVStorageManager",
    "MooncakeStorageManager",
    "RayStorageManager",
    "StorageClientFactory",
    "StorageManager",
    "StorageManagerFactory",
    "YuanrongStorageManager",
]
