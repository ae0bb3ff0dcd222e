"""Between keys and global indexes."""

from __future__ import annotations

import logging
from typing import Any

from transfer_queue._client.base import ClientBase
from transfer_queue._engine import allow_pickle
from transfer_queue._metas import batch_meta
from transfer_queue._operations import Operation
from transfer_queue.errors import InvalidArgumentError, StorageKeyNotFoundError
from transfer_queue.metadata import BatchMeta

__all__ = ["KeyOperations"]

logger = logging.getLogger(__name__)

_INDEXES = 1 << 64


class KeyOperations(ClientBase):
    """Samples by key."""

    def _kv_retrieve_meta(
        self, keys: list[str] | str, partition_id: str, create: bool = False
    ) -> Operation[BatchMeta]:
        """Metadata of the samples of keys, with the fields that all of them have.

        Args:
            keys: names in any order; a repeated one gives its sample repeatedly.
            partition_id: the partition.
            create: make keys that are unknown, and the partition; else they are left out.

        Raises:
            InvalidArgumentError: an empty list.
            TypeError: no list of strings.
        """
        yield from ()
        names = checked_list(keys, str, "keys")
        if create:
            self.engine.before_creation(partition_id)
        meta, missing = self.engine.core.meta_of_keys(partition_id, names, create, allow_pickle())
        if missing:
            logger.warning(
                "kv_retrieve_meta: %d of %d keys are not in partition %r and left out: %s",
                len(missing),
                len(names),
                partition_id,
                missing[:5],
            )
        return BatchMeta.empty() if meta is None else batch_meta(meta)

    def _kv_retrieve_keys(
        self, global_indexes: list[int] | int, partition_id: str
    ) -> Operation[list[str | None]]:
        """The key of each sample; None for one that has none or does not exist.

        Raises:
            InvalidArgumentError: an empty list.
            TypeError: no list of integers.
            StorageKeyNotFoundError: an unknown partition.
        """
        yield from ()
        indexes = checked_list(global_indexes, int, "global_indexes")
        # A number that is none of ours has no key; the engine takes only those that could be.
        known = [index for index in indexes if 0 <= index < _INDEXES]
        keys = self.engine.core.keys_of(partition_id, known)
        if keys is None:
            raise StorageKeyNotFoundError(
                f"{len(indexes)} global indexes have no corresponding keys: there is no partition "
                f"{partition_id!r}"
            )
        if len(known) == len(indexes):
            return keys
        found = iter(keys)
        return [next(found) if 0 <= index < _INDEXES else None for index in indexes]

    def _kv_list(self, partition_id: str | None = None) -> Operation[dict[str, dict[str, Any]]]:
        """Keys and tags of one partition, or of all; see `transfer_queue.kv_list`."""
        yield from ()
        return self.engine.list_samples(partition_id)


def checked_list(given: Any, kind: type, argument: str) -> list[Any]:
    """A list of one value or more; a single value stands for itself.

    Raises:
        InvalidArgumentError: an empty list.
        TypeError: no list, or of something else.
    """
    if isinstance(given, kind):
        return [given]
    if not isinstance(given, list):
        raise TypeError(
            f"{argument} must be a {kind.__name__} or a list of them, not a {type(given).__name__}"
        )
    if not given:
        raise InvalidArgumentError(f"Received an empty list as {argument}.")
    for position, value in enumerate(given):
        if not isinstance(value, kind):
            raise TypeError(
                f"{argument}[{position}] is a {type(value).__name__}; it must be a {kind.__name__}"
            )
    return given
