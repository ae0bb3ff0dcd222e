"""Read-only views of single samples of a `BatchMeta`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from transfer_queue.metadata.schema import PER_SAMPLE_SHAPES

if TYPE_CHECKING:
    from transfer_queue.metadata.batch_meta import BatchMeta


class SampleView:
    """One sample, read through its batch: what the batch says now is what the view says."""

    __slots__ = ("_batch", "_position")

    def __init__(self, batch: BatchMeta, position: int) -> None:
        self._batch = batch
        self._position = position

    @property
    def global_index(self) -> int:
        """Number of the sample, unique among all partitions."""
        return self._batch.global_indexes[self._position]

    @property
    def partition_id(self) -> str:
        """Partition the sample belongs to."""
        return self._batch.partition_ids[self._position]

    @property
    def production_status(self) -> int:
        """1 where all fields of the batch are produced for this sample, else 0."""
        return int(self._batch.production_status[self._position])

    @property
    def custom_meta(self) -> Mapping[str, Any]:
        """The user's metadata of this sample; assigning into it raises TypeError."""
        return MappingProxyType(self._batch.custom_meta[self._position])

    @property
    def fields(self) -> Mapping[str, Mapping[str, Any]]:
        """Field name to entry; `shape` is this row's. Assigning into either raises TypeError."""
        return MappingProxyType(
            {
                name: MappingProxyType(self._own_row(entry))
                for name, entry in self._batch.field_schema.items()
            }
        )

    def _own_row(self, entry: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in entry.items() if key != PER_SAMPLE_SHAPES}
        shapes = entry.get(PER_SAMPLE_SHAPES)
        if shapes is not None:
            own["shape"] = shapes[self._position]
        return own

    def __repr__(self) -> str:
        return (
            f"SampleView(global_index={self.global_index}, partition_id={self.partition_id!r}, "
            f"production_status={self.production_status}, fields={sorted(self.fields)})"
        )


class SampleViews(Sequence[SampleView]):
    """The samples of a batch as a read-only sequence; a view is made when it is asked for."""

    __slots__ = ("_batch",)

    def __init__(self, batch: BatchMeta) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, position: Any) -> Any:
        """A view for an int (negative counts from the end), a list of views for a slice.

        Raises:
            IndexError: no such row.

        """
        rows = range(len(self))
        if isinstance(position, slice):
            return [SampleView(self._batch, row) for row in rows[position]]
        try:
            row = rows[position]
        except IndexError:
            raise IndexError(f"Sample {position} asked of a batch of {len(self)} samples") from None
        return SampleView(self._batch, row)

    def __iter__(self) -> Iterator[SampleView]:
        return (SampleView(self._batch, row) for row in range(len(self)))
