"""`kv_wait`: until samples are there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

from transfer_queue import _core
from transfer_queue._engine import allow_pickle
from transfer_queue._kv.arguments import checked_keys, field_list
from transfer_queue._kv.process import engine
from transfer_queue._metas import kv_batch_meta
from transfer_queue._operations import (
    Deadline,
    Lacking,
    Operation,
    asynchronous,
    immediate,
    synchronous,
    until,
)
from transfer_queue._predicate import Predicate, predicate_of
from transfer_queue.errors import InvalidArgumentError, WaitTimeoutError
from transfer_queue.metadata import KVBatchMeta

Found: TypeAlias = KVBatchMeta | Lacking


def _kv_wait(
    partition_id: str,
    keys: list[str] | str | None = None,
    fields: list[str] | str | None = None,
    tags: str | Mapping[str, Any] | None = None,
    count: int | None = None,
    timeout: float | None = None,
) -> Operation[KVBatchMeta]:
    """Waits until samples are there: the put that completes them wakes the caller.

    Args:
        partition_id: the partition; it need not exist yet.
        keys: the samples in question; None for any.
        fields: fields that a sample must have.
        tags: tags that a sample must have: a condition such as ``"reward > 0.5"``, or equal values
            by name.
        count: how many samples; all of ``keys`` where None, 1 where no keys are given.
        timeout: seconds to wait; None to wait on.

    Returns:
        All samples that satisfy, at least ``count``, with the fields that all of them have: in the
        order of ``keys``, or of their creation.

    Raises:
        WaitTimeoutError: there were too few until the timeout.
        InvalidArgumentError: no key, a condition that cannot be used, or a ``count`` that can never
            be reached.
    """
    names = None if keys is None else list(dict.fromkeys(checked_keys(keys)))
    needed = _checked_count(count, None if names is None else len(names))
    wanted, condition = field_list(fields) or [], predicate_of(tags)
    core = engine().core
    look = partial(_look, core, partition_id, names, wanted, condition, needed)
    deadline = Deadline(timeout)
    subscribe = partial(core.subscribe, partition_id, consumption=False)
    found = yield from until(partial(immediate, look), subscribe, deadline)
    if isinstance(found, Lacking):
        raise WaitTimeoutError(
            f"partition {partition_id!r} lacked {found.rows} or more of {needed} samples "
            f"{'of any key' if names is None else f'of {len(names)} keys'} with fields {wanted} "
            f"and tags {tags!r} after {deadline.seconds} s; check their producers, or wait longer"
        )
    return found


kv_wait, async_kv_wait = synchronous(_kv_wait), asynchronous(_kv_wait)


def _checked_count(count: Any, keys: int | None) -> int:
    if count is None:
        return 1 if keys is None else keys
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidArgumentError(f"count is {count!r}; it must be an integer of 1 or more")
    if keys is not None and count > keys:
        raise InvalidArgumentError(f"count is {count}, but only {keys} keys are given")
    return count


def _look(
    core: _core.Engine,
    partition_id: str,
    keys: list[str] | None,
    fields: list[str],
    condition: Predicate,
    needed: int,
) -> Found:
    # Most looks find too little; those need not describe more samples than are asked for.
    for limit in (needed, None):
        found, tags, common, counts = core.select(
            partition_id,
            (condition, fields, [], limit, None, None),
            None,
            allow_pickle(),
            keys,
        )
        if len(found) < needed:
            return Lacking(needed - len(found))
        if not counts["over_limit"]:
            break
    return kv_batch_meta(found, partition_id, tags, common)
