"""What selections, evictions and watches return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from transfer_queue.metadata import KVBatchMeta

__all__ = ["KVChange", "KVEviction", "KVSelection", "SelectionCounts"]


@dataclass(frozen=True, slots=True)
class SelectionCounts:
    """What became of every sample with a key that the partition held.

    Each sample counts in the first of the reasons below that applies to it, so that all but
    ``samples`` add up to ``samples``.

    Attributes:
        samples: samples with a key in the partition.
        selected: samples that were selected.
        not_matching: the condition is false for them.
        not_ready: a field that was asked for is not produced yet.
        already_claimed: the task that claims has consumed them before.
        incomplete_group: they lack the tag to group by, or another sample of their group was not
            taken for one of the reasons above, or the group has another size than asked for.
        over_limit: the limit was reached before them.
    """

    samples: int
    selected: int
    not_matching: int
    not_ready: int
    already_claimed: int
    incomplete_group: int
    over_limit: int


class KVSelection(NamedTuple):
    """Samples that were selected."""

    meta: KVBatchMeta
    """Their keys and tags, in the order asked for, and the fields that all of them have."""
    counts: SelectionCounts
    """Why the other samples of the partition were not."""


class KVEviction(NamedTuple):
    """Samples that were selected and cleared."""

    keys: list[str]
    """Their keys, in the order asked for."""
    counts: SelectionCounts
    """Why the other samples of the partition were kept."""


@dataclass(frozen=True, slots=True)
class KVChange:
    """The latest change to one sample.

    Attributes:
        sequence: what to give as ``since`` to go on behind this change. It never falls from one
            change to the next. Samples that were changed by one call share a number, and who goes
            on from the midst of them may be told some of them again.
        key: the sample.
        fields: names of the fields produced for it now.
        tag: its tags now.
        cleared: whether it was cleared; it has neither fields nor tags then.
    """

    sequence: int
    key: str
    fields: list[str]
    tag: dict[str, Any]
    cleared: bool
