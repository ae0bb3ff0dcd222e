"""Where payload lies: managers, clients and bootstrap of storage backends.

- `managers`   put, get and clear of whole batches in a backend
- `clients`    the calls of one key-value system
- `bootstrap`  starting what a backend needs, and ending it
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transfer_queue.errors import StorageKeyNotFoundError

if TYPE_CHECKING:
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
    # Where the engine keeps its payload itself, managers and their clients are not imported either.
    if name in _OF_RAY:
        module = "simple_storage"
    elif name in __all__:
        module = "managers"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
