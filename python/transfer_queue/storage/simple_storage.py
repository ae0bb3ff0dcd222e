"""A storage unit as an actor of Ray, and one as a plain object of this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transfer_queue.errors import (
    CapacityExceededError,
    InvalidArgumentError,
    StorageKeyNotFoundError,
)

if TYPE_CHECKING:
    SimpleStorageUnit: Any

__all__ = [
    "KEY_NOT_FOUND_MARKER",
    "SimpleStorageUnit",
    "StorageKeyNotFoundError",
    "StorageUnitData",
]

#: What 0.1.11 writes into messages about missing samples.
KEY_NOT_FOUND_MARKER = "TQKeyNotFound"


def __getattr__(name: str) -> Any:
    if name != "SimpleStorageUnit":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only who asks for the actor's class needs Ray.
    from transfer_queue._ray.classes import actor_class
    from transfer_queue._ray.unit import SimpleStorageUnit as Body

    value = globals()[name] = actor_class(Body)
    return value


class StorageUnitData:
    """Values by field and global index, for tests and programs that keep some of their own. The
    engine keeps payload elsewhere: in shared memory. Not for several threads.

    Args:
        storage_size: the most samples; None: no limit.

    Attributes:
        field_data: the values, by field and global index. A field outlives its values.
        storage_size: the most samples.
    """

    def __init__(self, storage_size: int | None = None) -> None:
        self.field_data: dict[str, dict[int, Any]] = {}
        self.storage_size = storage_size
        self._active_keys: set[int] = set()

    @property
    def active_key_count(self) -> int:
        """How many samples there are."""
        return len(self._active_keys)

    def put_data(
        self, field_data: Mapping[str, Sequence[Any]], global_indexes: Sequence[int]
    ) -> None:
        """Stores a value of each field for each sample, over what was there.

        Raises:
            CapacityExceededError: there would be more samples than ``storage_size``.
            InvalidArgumentError: a field has another number of values than there are samples. In
                either case nothing is stored.
        """
        for field, values in field_data.items():
            if len(values) != len(global_indexes):
                raise InvalidArgumentError(
                    f"length mismatch: field {field!r} has {len(values)} values for "
                    f"{len(global_indexes)} global indexes"
                )
        new = set(global_indexes) - self._active_keys
        if self.storage_size is not None and len(self._active_keys) + len(new) > self.storage_size:
            raise CapacityExceededError(
                f"Storage capacity exceeded: {len(new)} new samples beside "
                f"{len(self._active_keys)}, of at most {self.storage_size}"
            )
        for field, values in field_data.items():
            stored = self.field_data.setdefault(field, {})
            stored.update(zip(global_indexes, values, strict=True))
        self._active_keys |= new

    def get_data(
        self, fields: Iterable[str], global_indexes: Sequence[int]
    ) -> dict[str, list[Any]]:
        """The values of fields, in the order of the samples.

        Raises:
            InvalidArgumentError: nothing was ever stored under a field.
            StorageKeyNotFoundError: a sample has no value in a field.
        """
        return {field: self._values(field, global_indexes) for field in fields}

    def clear(self, keys: Iterable[int]) -> None:
        """Forgets samples; those that do not exist are ignored."""
        gone = set(keys)
        for stored in self.field_data.values():
            for key in gone & stored.keys():
                del stored[key]
        self._active_keys -= gone

    def _values(self, field: str, global_indexes: Sequence[int]) -> list[Any]:
        stored = self.field_data.get(field)
        if stored is None:
            raise InvalidArgumentError(
                f"field {field!r} not found; there are {sorted(self.field_data)}"
            )
        missing = [index for index in global_indexes if index not in stored]
        if missing:
            raise StorageKeyNotFoundError(
                f"{KEY_NOT_FOUND_MARKER}: field {field!r} has no value of the samples {missing}"
            )
        return [stored[index] for index in global_indexes]
