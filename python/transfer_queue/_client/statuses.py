"""Which fields are produced, and which samples a task has consumed."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from transfer_queue._client.base import ClientBase, checked_fields
from transfer_queue._operations import Deadline, Lacking, Operation, immediate, until

__all__ = ["StatusOperations"]

_LOST = ("partition_id", "unit", "field", "global_indexes")
Status = tuple[Tensor, Tensor] | tuple[None, None]


class StatusOperations(ClientBase):
    """Questions about a partition, and starting over."""

    def _get_consumption_status(self, task_name: str, partition_id: str) -> Operation[Status]:
        """Which samples of a partition a task has consumed.

        Returns:
            Global indexes, ascending, int64 ``[N]``, and 1 where consumed, else 0, int8 ``[N]``;
            ``(None, None)`` for an unknown partition.
        """
        yield from ()
        return self.engine.core.consumption_status(partition_id, task_name) or (None, None)

    def _get_production_status(
        self, data_fields: list[str] | None, partition_id: str
    ) -> Operation[Status]:
        """Which fields of the samples of a partition are produced.

        Returns:
            Global indexes, ascending, int64 ``[N]``, and 1 where produced, else 0, int8 ``[N, F]``,
            one column per field in the order the partition first saw them; ``(None, None)`` for an
            unknown partition, no fields, or where the partition does not know all of them.
        """
        yield from ()
        fields = checked_fields(data_fields or [])
        return self.engine.core.production_status(partition_id, fields) or (None, None)

    def _check_consumption_status(self, task_name: str, partition_id: str) -> Operation[bool]:
        """Whether the partition has samples and the task has consumed all of them."""
        yield from ()
        return self.engine.core.is_consumed(partition_id, task_name)

    def _check_production_status(
        self, data_fields: list[str], partition_id: str
    ) -> Operation[bool]:
        """Whether the partition has samples and the fields of all of them are produced."""
        yield from ()
        return self.engine.core.is_produced(partition_id, checked_fields(data_fields))

    def _reset_consumption(
        self,
        partition_id: str,
        task_name: str | None = None,
        global_indexes: list[int] | None = None,
    ) -> Operation[bool]:
        """Makes consumed samples ready again.

        Args:
            partition_id: the partition; an unknown one is ignored.
            task_name: the task, None for all tasks.
            global_indexes: the samples, None for all; unknown ones are ignored.

        Returns:
            True.
        """
        yield from ()
        indexes = None if global_indexes is None else list(global_indexes)
        self.engine.core.reset_consumption(partition_id, task_name, indexes)
        return True

    def _get_storage_units(self) -> Operation[list[dict[str, Any]]]:
        """The storage units of the cluster, that of the controller's own process first.

        Returns:
            For each ``id``, ``name``, ``host`` (machine), ``addresses``, ``capacity_bytes``,
            ``used_bytes``, ``samples`` and ``is_lost``; what a unit uses is told about once a
            second.
        """
        yield from ()
        return self.engine.core.units()

    def _get_lost_samples(self, partition_id: str | None = None) -> Operation[list[dict[str, Any]]]:
        """Rows that cannot be read because their storage unit is lost.

        Args:
            partition_id: of one partition; None for all.

        Returns:
            ``{"partition_id", "unit", "field", "global_indexes"}`` for each field and unit.
        """
        yield from ()
        return _lost(self.engine.core.lost_rows(partition_id, False))

    def _reset_lost_samples(
        self, partition_id: str | None = None
    ) -> Operation[list[dict[str, Any]]]:
        """Gives up rows whose storage unit is lost: their fields are not produced any more, so that
        they can be put again, and fetches wait for them.

        Returns:
            What was given up, as :meth:`get_lost_samples`.
        """
        yield from ()
        return _lost(self.engine.core.lost_rows(partition_id, True))

    def _get_partition_list(self) -> Operation[list[str]]:
        """Names of all partitions, oldest first."""
        yield from ()
        return self.engine.core.partitions()

    def _activity(self, partition_id: str) -> Operation[int]:
        """A number that every change to a partition raises: puts, tags, clears, consumption."""
        yield from ()
        return self.engine.core.activity(partition_id)

    def _wait_for_change(
        self, partition_id: str, since: int, timeout: float | None = None
    ) -> Operation[int]:
        """Waits until the `activity` of a partition differs from ``since``.

        Args:
            partition_id: the partition; it need not exist yet.
            since: what `activity` answered before.
            timeout: seconds to wait; None to wait on.

        Returns:
            The activity now, which is ``since`` where the timeout passed first.
        """
        core = self.engine.core

        def look() -> int | Lacking:
            now = core.activity(partition_id)
            return Lacking() if now == since else now

        subscribe = partial(core.subscribe, partition_id)
        found = yield from until(partial(immediate, look), subscribe, Deadline(timeout))
        return since if isinstance(found, Lacking) else found


def _lost(rows: list[tuple[str, int, str, list[int]]]) -> list[dict[str, Any]]:
    return [dict(zip(_LOST, row, strict=True)) for row in rows]
