"""`kv_select` and `kv_evict`: samples chosen by their tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from transfer_queue import _core
from transfer_queue._engine import allow_pickle
from transfer_queue._kv.arguments import field_list
from transfer_queue._kv.process import engine, process
from transfer_queue._metas import kv_batch_meta
from transfer_queue._operations import Operation, asynchronous, synchronous
from transfer_queue._predicate import parse
from transfer_queue.errors import InvalidArgumentError, UnsupportedValueError
from transfer_queue.selection import KVEviction, KVSelection, SelectionCounts

#: A tag name, ``-name`` for descending order, or ``(name, descending)``; or several of these.
OrderBy: TypeAlias = str | tuple[str, bool] | Sequence[str | tuple[str, bool]]


def _kv_select(
    partition_id: str,
    where: str | None = None,
    *,
    fields: list[str] | str | None = None,
    order_by: OrderBy | None = None,
    limit: int | None = None,
    group_by: str | None = None,
    group_size: int | None = None,
    claim_for: str | None = None,
) -> Operation[KVSelection]:
    """Chooses samples by their tags, all at one instant.

        best = tq.kv_select("train", "reward > 0 and step == 7", order_by="-reward", limit=64)
        batch = tq.kv_batch_get_by_meta(best.meta)

    Args:
        partition_id: the partition; an unknown one has no samples.
        where: a Python expression over tags; None for all samples. Names are tags, ``tag('a b')``
            one whose name is no identifier, ``has(name)`` asks whether a sample has it. Tags are
            compared with constants, also chained and by ``in`` and ``not in``, joined with ``and``,
            ``or``, ``not``. A comparison with a tag that a sample lacks is false.
        fields: fields that a sample must have.
        order_by: tags to order by, ``-name`` for descending order, or pairs of name and whether
            descending; samples without the tag come last, equal ones in order of creation.
        limit: the most samples.
        group_by: take all samples with the same value of this tag, or none of them; groups come in
            the order of their first samples.
        group_size: how many samples a group must have.
        claim_for: a task for which the samples are consumed, atomically; those it has consumed
            before are not taken.

    Returns:
        The samples, and why others were not taken.

    Raises:
        InvalidArgumentError: ``where`` is no such expression, or the arguments contradict another.
    """
    yield from ()
    keys, tags, common, counts = engine().core.select(
        partition_id,
        _asked(where, fields, order_by, limit, group_by, group_size),
        claim_for,
        allow_pickle(),
    )
    return KVSelection(kv_batch_meta(keys, partition_id, tags, common), SelectionCounts(**counts))


def _kv_evict(
    partition_id: str,
    where: str,
    *,
    fields: list[str] | str | None = None,
    order_by: OrderBy | None = None,
    limit: int | None = None,
    group_by: str | None = None,
    group_size: int | None = None,
) -> Operation[KVEviction]:
    """Clears samples chosen by their tags, all at one instant.

        tq.kv_evict("train", "step < 5")

    The arguments are those of :func:`kv_select`; ``where`` may not be left out.

    Returns:
        The keys of the samples that were cleared, and why others were kept.

    Raises:
        InvalidArgumentError: ``where`` is no condition, or the arguments contradict another.
    """
    yield from ()
    if not isinstance(where, str):
        raise InvalidArgumentError(
            f"where is {where!r}; say which samples to evict, or clear the partition"
        )
    client = process()
    if client.payload is not None and not client.payload.is_evictable:
        raise UnsupportedValueError(
            "the storage backend keeps a value per sample and field, which kv_evict cannot name; "
            "choose with kv_select, and clear with kv_clear"
        )
    keys, counts = client.engine.core.evict(
        partition_id, _asked(where, fields, order_by, limit, group_by, group_size)
    )
    if client.payload is not None:
        yield from client.payload.evicted()
    return KVEviction(keys, SelectionCounts(**counts))


kv_select, async_kv_select = synchronous(_kv_select), asynchronous(_kv_select)
kv_evict, async_kv_evict = synchronous(_kv_evict), asynchronous(_kv_evict)


def _asked(
    where: str | None,
    fields: list[str] | str | None,
    order_by: OrderBy | None,
    limit: int | None,
    group_by: str | None,
    group_size: int | None,
) -> _core._Asked:
    return (
        parse(where),
        field_list(fields) or [],
        _orders(order_by),
        _checked_number("limit", limit, 0),
        group_by,
        _checked_number("group_size", group_size, 1),
    )


def _orders(order_by: OrderBy | None) -> list[tuple[str, bool]]:
    if order_by is None:
        return []
    alone = isinstance(order_by, str) or (
        isinstance(order_by, tuple) and len(order_by) == 2 and isinstance(order_by[1], bool)
    )
    given: list[Any] = [order_by] if alone else list(order_by)
    return [_order(one) for one in given]


def _order(order: Any) -> tuple[str, bool]:
    if isinstance(order, str):
        return order.removeprefix("-"), order.startswith("-")
    match order:
        case (str() as name, bool() as descending):
            return name, descending
    raise InvalidArgumentError(
        f"order_by holds {order!r}; give tag names, '-name' for descending order, or pairs of name "
        "and whether descending"
    )


def _checked_number(name: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be an integer of {least} or more")
    return value
