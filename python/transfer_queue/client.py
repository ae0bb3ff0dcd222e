"""The client of this process."""

from __future__ import annotations

import os
from typing import Any

from transfer_queue._embedded import EmbeddedEngine

__all__ = ["TransferQueueClient"]


class TransferQueueClient:
    """What :func:`transfer_queue.get_client` returns: a handle on the engine of this process.

    Attributes:
        client_id: ``TransferQueueClient_<pid>``.
        engine: the embedded engine.
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._pid = os.getpid()
        self.client_id = f"TransferQueueClient_{self._pid}"
        self.engine = engine

    @property
    def forked(self) -> bool:
        """Whether this is the copy of a parent's client in a forked child."""
        return os.getpid() != self._pid

    def kv_list(self, partition_id: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """Keys and tags of one partition, or of all; see :func:`transfer_queue.kv_list`."""
        return self.engine.list_samples(partition_id)

    async def async_kv_list(
        self, partition_id: str | None = None
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """:meth:`kv_list` as a coroutine."""
        return self.engine.list_samples(partition_id)

    def get_partition_list(self) -> list[str]:
        """Names of all partitions, oldest first."""
        return self.engine.partitions()

    async def async_get_partition_list(self) -> list[str]:
        """:meth:`get_partition_list` as a coroutine."""
        return self.engine.partitions()

    def clear_partition(self, partition_id: str) -> None:
        """Clears a partition with all its samples; an unknown one is ignored."""
        self.engine.clear_partition(partition_id)

    async def async_clear_partition(self, partition_id: str) -> None:
        """:meth:`clear_partition` as a coroutine."""
        self.engine.clear_partition(partition_id)

    def usage(self) -> dict[str, int]:
        """Samples stored, and bytes of payload by state."""
        return self.engine.usage()

    def close(self) -> None:
        """Ends the engine; never raises."""
        self.engine.close()
