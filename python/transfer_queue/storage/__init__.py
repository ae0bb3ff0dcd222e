"""Where payload lies: managers, clients and bootstrap of storage backends.

- `managers`   put, get and clear of whole batches in a backend
- `clients`    the calls of one key-value system
- `bootstrap`  starting what a backend needs, and ending it
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from transfer_queue.errors import StorageKeyNotFoundError
from transfer_queue.storage.managers import (
    AsyncSimpleStorageManager,
    KVStorageManager,
    MooncakeStorageManager,
    RayStorageManager,
    StorageManager,
    StorageManagerFactory,
    YuanrongStorageManager,
)

__all__ = [
    "AsyncSimpleStorageManager",
    "KVStorageManager",
    "MooncakeStorageManager",
    "RayStorageManager",
    "StorageKeyNotFoundError",
    "StorageManager",
    "StorageManagerFactory",
    "YuanrongStorageManager",
]

#: These are Ray actors, and Ray is imported only where it is used.
_OF_RAY = ("SimpleStorageUnit", "StorageUnitData")


def __getattr__(name: str) -> Any:
    if name in _OF_RAY:
        return getattr(import_module("transfer_queue.storage.simple_storage"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
