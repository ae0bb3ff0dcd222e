"""What all operations of a client share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transfer_queue._engine import Engine
from transfer_queue._payload import Payload
from transfer_queue.errors import TransferQueueError
from transfer_queue.metadata import BatchMeta

__all__ = ["ClientBase", "checked_fields", "checked_metadata"]


class ClientBase:
    """A client's engine, and what moves payload where that is not the engine itself."""

    engine: Engine
    payload: Payload | None
    _storage_ready: bool

    def _storage(self) -> Engine:
        """The engine as storage.

        Raises:
            TransferQueueError: `initialize_storage_manager` has not been called.
        """
        if not self._storage_ready:
            raise TransferQueueError(
                "Storage manager not initialized; call initialize_storage_manager() first"
            )
        return self.engine


def checked_fields(data_fields: Iterable[str] | str, argument: str = "data_fields") -> list[str]:
    """Field names as a list; a single name stands for itself.

    Raises:
        TypeError: a name is no string.
    """
    names: list[Any] = [data_fields] if isinstance(data_fields, str) else list(data_fields)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{argument} must be field names, found {name!r}")
    return names


def checked_metadata(metadata: Any) -> BatchMeta:
    """The argument, where it is a BatchMeta.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(metadata, BatchMeta):
        raise TypeError(f"metadata must be a BatchMeta, not a {type(metadata).__name__}")
    return metadata
