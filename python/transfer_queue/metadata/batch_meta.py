"""`BatchMeta`: which samples, which fields, in what state. It holds no tensor bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tensordict import TensorDict

from transfer_queue.metadata import merging, schema
from transfer_queue.metadata.rows import (
    Row,
    as_positions,
    concat_rows,
    deep_copy_dict,
    deep_copy_rows,
    lazy_rows,
    merge_rows,
    peek_rows,
    rows_from,
    store_rows,
    take,
)
from transfer_queue.metadata.sample_view import SampleViews
from transfer_queue.metadata.schema import PER_SAMPLE_SHAPES, Entry, Schema, copy_entry
from transfer_queue.metadata.splitting import chunk_slices
from transfer_queue.metadata.state import ROW_SLOTS, SLOTS, Parts, as_list, as_status
from transfer_queue.metadata.user_info import UserInfo

logger = logging.getLogger(__name__)

_T = TypeVar("_T", bound="BatchMeta")


@lazy_rows(*ROW_SLOTS)
class BatchMeta(UserInfo):
    """Metadata of B samples, addressed by global index.

    Attributes:
        global_indexes: number of each sample; length B.
        partition_ids: partition of each sample; length B.
        field_schema: field name to entry; see `transfer_queue.metadata.schema`.
        production_status: int8 array of length B; 1 where the sample's fields are produced.
        extra_info: free-form dict about the batch as a whole.
        custom_meta: one dict per sample, the user's own (also known as tags).
        size, field_names, is_ready: derived when the object is made; after changing `field_schema`
            or `production_status` by hand they stay as they were. `add_fields` renews them.

    Two objects are equal only if they are the same object. Not safe to change from two threads.

    """

    __slots__ = SLOTS

    def __init__(
        self,
        global_indexes: Iterable[int] | None = None,
        partition_ids: Iterable[str] | None = None,
        field_schema: Schema | None = None,
        production_status: npt.ArrayLike | None = None,
        extra_info: dict[str, Any] | None = None,
        custom_meta: Iterable[Row] | None = None,
        _custom_backend_meta: Iterable[Row] | None = None,
    ) -> None:
        """Describe samples. Lists and dicts are copied one level deep; no argument at all is empty.

        Args:
            global_indexes: number of each sample; its length is B.
            partition_ids: partition of each sample; length B.
            field_schema: field name to entry; default no fields.
            production_status: length B, converted to int8; default zeros.
            extra_info: default `{}`.
            custom_meta: B dicts; None or `[]` for B empty ones.
            _custom_backend_meta: what the backend wants back at the next get; like `custom_meta`.

        Raises:
            TypeError: only one of `global_indexes` and `partition_ids` is given.
            ValueError: an argument does not have B rows, or a field lists other than B shapes.

        """
        if (global_indexes is None) != (partition_ids is None):
            raise TypeError(
                "BatchMeta needs global_indexes and partition_ids together, found only one of "
                "them; give both, or neither for an empty batch"
            )
        indexes, partitions = as_list(global_indexes), as_list(partition_ids)
        size = len(indexes)
        if len(partitions) != size:
            raise ValueError(
                f"Length mismatch: global_indexes has {size}, partition_ids has "
                f"{len(partitions)}; give one partition id per sample"
            )
        self._fill(
            Parts(
                indexes,
                partitions,
                schema.adopt_schema(field_schema, size),
                as_status(production_status, size),
                dict(extra_info or {}),
                rows_from(custom_meta, size, "custom_meta"),
                rows_from(_custom_backend_meta, size, "_custom_backend_meta"),
            )
        )

    @classmethod
    def empty(cls: type[_T], extra_info: dict[str, Any] | None = None) -> _T:
        """A batch of no samples and no fields; not ready, and falsy."""
        return cls([], [], extra_info=extra_info)

    # ---- reading

    @property
    def size(self) -> int:
        """Number of samples B."""
        return self._size

    @property
    def field_names(self) -> list[str]:
        """Names of the fields, sorted."""
        return self._field_names

    @property
    def is_ready(self) -> bool:
        """Whether there are samples and all of them are produced."""
        return self._is_ready

    @property
    def samples(self) -> SampleViews:
        """The samples one by one, read-only."""
        return SampleViews(self)

    def __len__(self) -> int:
        return self._size

    def __iter__(self: _T) -> Iterator[_T]:
        """Each sample as a batch of one."""
        return (self._take(slice(row, row + 1)) for row in range(self._size))

    def __getitem__(self: _T, index: int | np.integer[Any] | slice) -> _T:
        """A batch of one sample for an integer (negative counts from the end), of rows for a slice.

        Raises:
            IndexError: no such sample.
            TypeError: the index is neither an integer nor a slice.

        """
        if isinstance(index, slice):
            return self._take(index)
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
            raise TypeError(
                f"Indexing with {type(index)} is not supported; "
                "use an int or a slice, or select_samples for a list of row numbers"
            )
        row = int(index) + self._size if index < 0 else int(index)
        if not 0 <= row < self._size:
            raise IndexError(
                f"BatchMeta index out of range: {index} asked of a batch of {self._size} samples"
            )
        return self._take(slice(row, row + 1))

    def get_dtypes(self, field_name: str) -> list[Any]:
        """Dtype of each sample in a field, length B; None for a field that holds no tensors.

        Raises:
            KeyError: no such field.

        """
        return [self._entry(field_name).get("dtype")] * self._size

    def get_shapes(self, field_name: str) -> list[Any]:
        """Shape of each sample in a field, length B; None for a field that holds no tensors.

        Raises:
            KeyError: no such field.

        """
        return schema.entry_shapes(self._entry(field_name), self._size)

    def _entry(self, field_name: str) -> Entry:
        try:
            return self.field_schema[field_name]
        except KeyError:
            raise KeyError(
                f"Field {field_name!r} not found in field_schema; it has {self.field_names}"
            ) from None

    # ---- choosing samples and fields

    def add_fields(self: _T, tensor_dict: TensorDict, set_all_ready: bool = True) -> _T:
        """Add the fields of a TensorDict, in place; fields of the same name are replaced.

        Args:
            tensor_dict: batch size `[B, ...]`; a batch of 0 changes nothing and warns.
            set_all_ready: mark all samples as produced.

        Returns:
            This object.

        Raises:
            ValueError: the TensorDict has other than B rows.

        """
        # Looked up in the package each time: users replace it there by assignment.
        from transfer_queue import metadata

        found = schema.batch_size_of(tensor_dict)
        if found == 0:
            logger.warning("Input TensorDict is empty with batch_size=0. No action is taken.")
            return self
        if found != self._size:
            raise ValueError(
                f"add_fields batch size mismatch: self.size={self._size} vs tensor_dict={found}; "
                "give one row per sample of this batch"
            )
        self.field_schema.update(metadata.extract_field_schema(tensor_dict))
        if set_all_ready:
            self.production_status[:] = 1
        self._refresh()
        return self

    def select_samples(self: _T, sample_indices: Iterable[int]) -> _T:
        """A new batch of the rows given, in that order; a row may be given more than once.

        extra_info is copied one level deep, everything else in full.

        Raises:
            TypeError: an entry is no integer.
            ValueError: an entry is a bool, negative, or not below B.

        """
        rows = as_positions(sample_indices)
        self._check_range(rows, "Sample indices")
        return self._take(rows)

    def select_fields(self: _T, field_names: Iterable[str]) -> _T:
        """A new batch of all samples and those of the named fields that exist.

        Production status stays as it is. Everything is copied in full; of the backend's metadata,
        the named keys and those beginning with an underscore.
        """
        names = [field_names] if isinstance(field_names, str) else list(field_names)
        kept = set(names)
        backend_meta = peek_rows(self, "_custom_backend_meta")
        if backend_meta is not None:
            backend_meta = [
                {key: value for key, value in row.items() if key in kept or key.startswith("_")}
                for row in backend_meta
            ]
        return self._from_parts(
            Parts(
                self.global_indexes.copy(),
                self.partition_ids.copy(),
                {n: copy_entry(self.field_schema[n]) for n in names if n in self.field_schema},
                self.production_status.copy(),
                deep_copy_dict(self.extra_info, {}),
                deep_copy_rows(peek_rows(self, "custom_meta")),
                deep_copy_rows(backend_meta),
            )
        )

    def _check_range(self, rows: list[int], what: str) -> None:
        if rows and not 0 <= min(rows) <= max(rows) < self._size:
            raise ValueError(
                f"{what} must be in range [0, {self._size}), "
                f"found {min(rows) if min(rows) < 0 else max(rows)}"
            )

    def _take(self: _T, rows: slice | list[int]) -> _T:
        """The rows given, none of them out of range; shares only the values of extra_info."""
        custom_meta = peek_rows(self, "custom_meta")
        backend_meta = peek_rows(self, "_custom_backend_meta")
        return self._from_parts(
            Parts(
                take(self.global_indexes, rows),
                take(self.partition_ids, rows),
                schema.take_schema(self.field_schema, rows),
                self.production_status[rows].copy(),
                dict(self.extra_info),
                None if custom_meta is None else deep_copy_rows(take(custom_meta, rows)),
                None if backend_meta is None else deep_copy_rows(take(backend_meta, rows)),
            )
        )

    # ---- cutting, joining, reordering

    def chunk(self: _T, chunks: int) -> list[_T]:
        """Cut into exactly `chunks` batches of consecutive rows, sizes differing by at most one.

        The first `B % chunks` are one larger. With more chunks than samples the last are empty,
        and a warning says so. extra_info is copied one level deep, everything else in full.

        Raises:
            ZeroDivisionError: `chunks` is 0.
            ValueError: `chunks` is negative.

        """
        slices = chunk_slices(self._size, chunks)
        if chunks > self._size:
            logger.warning(
                "Chunk size %d > number of samples in BatchMeta %d, "
                "this will return some empty BatchMeta chunks.",
                chunks,
                self._size,
            )
        return [self._take(rows) for rows in slices]

    def chunk_by_partition(self: _T) -> list[_T]:
        """One batch per partition, in order of first appearance; rows keep their order."""
        rows_of: dict[str, list[int]] = {}
        for row, partition_id in enumerate(self.partition_ids):
            rows_of.setdefault(partition_id, []).append(row)
        return [self._take(rows) for rows in rows_of.values()]

    def copy(self: _T) -> _T:
        """A copy that shares nothing mutable with this object."""
        copied = self._take(slice(None))
        copied.extra_info = deep_copy_dict(self.extra_info, {})
        return copied

    def union(self: _T, other: _T | None) -> _T:
        """Fields and metadata of two batches of the same samples; `other` wins where both speak.

        A sample is produced where both say so. An empty side counts for nothing: the result is a
        copy of the other one. Values of extra_info are shared with the sources.

        Raises:
            ValueError: global indexes or partition ids differ, or come in different order.

        """
        if not other:
            return self.copy()
        if not self:
            return other.copy()
        for name in ("global_indexes", "partition_ids"):
            merging.check_same_samples(name, getattr(self, name), getattr(other, name))
        return self._from_parts(
            Parts(
                self.global_indexes.copy(),
                self.partition_ids.copy(),
                schema.take_schema({**self.field_schema, **other.field_schema}, slice(None)),
                self.production_status & other.production_status,
                {**self.extra_info, **other.extra_info},
                merge_rows(peek_rows(self, "custom_meta"), peek_rows(other, "custom_meta")),
                merge_rows(
                    peek_rows(self, "_custom_backend_meta"),
                    peek_rows(other, "_custom_backend_meta"),
                ),
            )
        )

    @classmethod
    def concat(cls: type[_T], data: Iterable[_T | None], validate: bool = True) -> _T:
        """Lay batches end to end, skipping empty ones; the first names the fields.

        A field that is nested in any chunk is nested in the result: shape None, one shape per row.
        Values of extra_info and of the per-sample dicts are shared with the sources. With nothing
        to concatenate the result is empty, and a warning says so.

        Args:
            data: the chunks, in order.
            validate: check that fields and dtypes agree; without it the first chunk's are taken.

        Raises:
            ValueError: `validate`, and fields or dtypes differ; or, always, two chunks hold
                different values for one key of extra_info.

        """
        parts = [part for part in data if part]
        if not parts:
            logger.warning("No BatchMeta chunks with samples to concat. Returning empty BatchMeta.")
            return cls.empty()
        if validate:
            merging.check_fields([part.field_names for part in parts])
        return cls._from_parts(
            Parts(
                [index for part in parts for index in part.global_indexes],
                [partition_id for part in parts for partition_id in part.partition_ids],
                merging.concat_schemas(
                    [(part.field_schema, part.size) for part in parts], validate=validate
                ),
                np.concatenate([part.production_status for part in parts]),
                merging.merge_extra_info([part.extra_info for part in parts], "BatchMeta"),
                concat_rows([(peek_rows(part, "custom_meta"), part.size) for part in parts]),
                concat_rows(
                    [(peek_rows(part, "_custom_backend_meta"), part.size) for part in parts]
                ),
            )
        )

    def reorder(self, indices: Iterable[int]) -> None:
        """Permute the samples in place: row `i` becomes what row `indices[i]` was.

        Raises:
            TypeError: an entry is no integer.
            ValueError: `indices` is no permutation of the rows; nothing has changed then.

        """
        rows = as_positions(indices)
        if len(rows) != self._size:
            raise ValueError(
                f"Indices length {len(rows)} mismatch batch size {self._size}; name every row once"
            )
        self._check_range(rows, "Reorder indices")
        if len(set(rows)) != len(rows):
            raise ValueError("Indices contain duplicates; name every row once")
        self.global_indexes = take(self.global_indexes, rows)
        self.partition_ids = take(self.partition_ids, rows)
        self.production_status = self.production_status[rows]
        for entry in self.field_schema.values():
            if entry.get(PER_SAMPLE_SHAPES) is not None:
                entry[PER_SAMPLE_SHAPES] = take(entry[PER_SAMPLE_SHAPES], rows)
        for name in ROW_SLOTS:
            column = peek_rows(self, name)
            store_rows(self, name, None if column is None else take(column, rows))

    def __deepcopy__(self: _T, _memo: dict[int, Any]) -> _T:
        return self.copy()

    def __str__(self) -> str:
        return (
            f"BatchMeta(size={self.size}, field_names={self.field_names}, "
            f"is_ready={self.is_ready}, global_indexes={self.global_indexes}, "
            f"extra_info={self.extra_info})"
        )
