"""`KVBatchMeta`: samples addressed by the user's own keys."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transfer_queue.metadata.merging import merge_extra_info
from transfer_queue.metadata.rows import take
from transfer_queue.metadata.splitting import chunk_slices

logger = logging.getLogger(__name__)

_SHOWN = 8
"""How many keys or indexes a message lists before it only counts."""


@dataclass
class KVBatchMeta:
    """Keys of samples of one partition, with a tag for each. Compares by value.

    Attributes may be reassigned freely; nothing is checked again then.

    Attributes:
        keys: the samples, each once. Held, not copied.
        tags: one dict per key. Deep-copied when the object is made.
        partition_id: partition of all samples; None where unknown.
        fields: names of the fields meant, each once; None where unknown. Held, not copied.
        extra_info: free-form dict about the batch as a whole. Deep-copied when the object is made.

    Raises:
        ValueError: keys and tags differ in length, or a key or a field is named twice.

    """

    keys: list[str] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    partition_id: str | None = None
    fields: list[str] | None = None
    extra_info: dict[str, Any] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.tags):
            raise ValueError(
                f"keys and tags must have same length, but got {len(self.keys)} and "
                f"{len(self.tags)}; give {{}} for a key without a tag"
            )
        if len(set(self.keys)) != len(self.keys):
            raise ValueError(f"Got duplicated keys. {_repeated(self.keys)}; name each sample once")
        if self.fields is not None and len(set(self.fields)) != len(self.fields):
            raise ValueError(
                f"Got duplicated fields. {_repeated(self.fields)}; name each field once"
            )
        self.tags = copy.deepcopy(self.tags)
        self.extra_info = copy.deepcopy(self.extra_info)
        self._size = len(self.keys)

    @property
    def size(self) -> int:
        """Number of keys when the object was made; `len()` counts those there are now."""
        return self._size

    def __len__(self) -> int:
        return len(self.keys)

    def __str__(self) -> str:
        return (
            f"KVBatchMeta(size={self.size}, field_names={self.fields}, "
            f"extra_info={self.extra_info})"
        )

    def select_keys(self, keys_to_select: Sequence[str]) -> KVBatchMeta:
        """A new object for the keys given, in that order, sharing nothing mutable.

        Raises:
            ValueError: a key is given twice.
            RuntimeError: a key is not in this batch.

        """
        wanted = list(keys_to_select)
        if len(set(wanted)) != len(wanted):
            raise ValueError(f"Contain duplicate keys. {_repeated(wanted)}; name each once")
        row_of = {key: row for row, key in enumerate(self.keys)}
        unknown = [key for key in wanted if key not in row_of]
        if unknown:
            raise RuntimeError(
                f"Keys {_some(unknown)} not found in current batch. It has {len(self.keys)} keys "
                f"of partition {self.partition_id!r}; select from `keys`"
            )
        return self._take([row_of[key] for key in wanted])

    def reorder(self, indexes: Sequence[int]) -> None:
        """Permute keys and tags in place: row `i` becomes what row `indexes[i]` was.

        Negative indexes count from the end.

        Raises:
            ValueError: other than one index per key, or a row named twice; nothing has changed.
            IndexError: no such row; nothing has changed.

        """
        size = len(self.keys)
        if len(indexes) != size:
            raise ValueError(
                f"Attempted to reorder with indexes length {len(indexes)} that does not match "
                f"the batch size {size}; name every row once"
            )
        try:
            rows = take(range(size), list(indexes))
        except IndexError:
            raise IndexError(
                f"Attempted to reorder {size} keys with indexes from {min(indexes)} to "
                f"{max(indexes)}; they must be in range [-{size}, {size})"
            ) from None
        if len(set(rows)) != size:
            raise ValueError(f"Contain duplicate indexes. {_repeated(rows)}; name every row once")
        self.keys, self.tags = take(self.keys, rows), take(self.tags, rows)

    def chunk(self, chunks: int) -> list[KVBatchMeta]:
        """Cut into exactly `chunks` objects of consecutive keys, sizes differing by at most one.

        The first `len % chunks` are one larger. With more chunks than keys the last are empty, and
        a warning says so. partition_id, fields and extra_info are copied to every chunk.

        Raises:
            ZeroDivisionError: `chunks` is 0.
            ValueError: `chunks` is negative.

        """
        slices = chunk_slices(len(self.keys), chunks)
        if chunks > len(self.keys):
            logger.warning(
                "Chunk size %d > number of samples in this batch %d, "
                "this will return some empty KVBatchMeta chunks.",
                chunks,
                len(self.keys),
            )
        return [self._take(rows) for rows in slices]

    @classmethod
    def concat(cls, data: Iterable[KVBatchMeta | None]) -> KVBatchMeta:
        """Lay objects end to end, skipping empty ones; the first is the reference.

        With nothing to concatenate the result is `KVBatchMeta()`, and a warning says so. Its
        extra_info is None where no chunk has any.

        Raises:
            ValueError: fields (where a chunk names them) or partition differ from the first's, two
                chunks hold different values for one key of extra_info, or a key comes twice.

        """
        parts = [part for part in data if part]
        if not parts:
            logger.warning("No KVBatchMeta chunks with keys to concat. Returning empty.")
            return cls()
        first = parts[0]
        for number, part in enumerate(parts):
            if part.fields is not None and set(part.fields) != set(first.fields or ()):
                raise ValueError(
                    f"Field names do not match for concatenation. chunk[0]={first.fields}, "
                    f"chunk[{number}]={part.fields}; give all chunks the same fields"
                )
            if part.partition_id != first.partition_id:
                raise ValueError(
                    f"Partition do not match for concatenation. chunk[0]={first.partition_id!r}, "
                    f"chunk[{number}]={part.partition_id!r}; concat each partition by itself"
                )
        merged = merge_extra_info([part.extra_info or {} for part in parts], "KVBatchMeta")
        return cls(
            keys=[key for part in parts for key in part.keys],
            tags=[tag for part in parts for tag in part.tags],
            partition_id=first.partition_id,
            fields=_copied(first.fields),
            extra_info=merged or None,
        )

    def _take(self, rows: slice | list[int]) -> KVBatchMeta:
        return KVBatchMeta(
            keys=take(self.keys, rows),
            tags=take(self.tags, rows),
            partition_id=self.partition_id,
            fields=_copied(self.fields),
            extra_info=self.extra_info,
        )


def _copied(names: list[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _repeated(names: Iterable[Any]) -> str:
    return "Repeated: " + _some([name for name, times in Counter(names).items() if times > 1])


def _some(names: list[Any]) -> str:
    """The names for a message, the first few of many."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
