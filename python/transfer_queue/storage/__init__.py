"""Storage units, and what keeps payload in other stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer_queue.errors import StorageKeyNotFoundError
from transfer_queue.storage import simple_storage
from transfer_queue.storage.simple_storage import StorageUnitData

if TYPE_CHECKING:
    SimpleStorageUnit: Any

__all__ = ["SimpleStorageUnit", "StorageKeyNotFoundError", "StorageUnitData"]


def __getattr__(name: str) -> Any:
    if name != "SimpleStorageUnit":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return simple_storage.SimpleStorageUnit
