"""What a sampler written in Python may answer."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any

from transfer_queue.errors import SamplerError

__all__ = ["checked"]

#: So many indexes of a wrong answer are named.
_NAMED = 5


def checked(sampler: str, answer: Any, ready: set[int] | None) -> tuple[list[int], list[int]]:
    """The answer as lists of distinct indexes, all of ``ready`` unless that is None.

    Raises:
        SamplerError: it is something else; the message names the sampler.
    """
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise SamplerError(
            f"{sampler} returned {_shown(answer)}; it must return two lists of global indexes, "
            "(sampled, consumed)"
        )
    sampled, consumed = answer
    return (
        _indexes(sampler, "sampled", sampled, ready),
        _indexes(sampler, "consumed", consumed, ready),
    )


def _indexes(sampler: str, name: str, part: Any, ready: set[int] | None) -> list[int]:
    try:
        # Of arrays and tensors, Python's own numbers.
        values = list(part.tolist() if hasattr(part, "tolist") else part)
    except TypeError:
        raise SamplerError(
            f"{sampler} returned {_shown(part)} as {name}; it must be a list of global indexes"
        ) from None
    indexes = [_index(value) for value in values]
    wrong = [value for value, index in zip(values, indexes, strict=True) if index is None]
    if wrong:
        raise SamplerError(
            f"{sampler} returned {_some(wrong)} in {name}; global indexes are integers"
        )
    found = [index for index in indexes if index is not None]
    if len(set(found)) < len(found):
        counts = Counter(found)
        raise SamplerError(
            f"{sampler} returned {_some([i for i, n in counts.items() if n > 1])} more than once "
            f"in {name}; a batch has each sample once"
        )
    if ready is not None and not ready.issuperset(found):
        raise SamplerError(
            f"{sampler} returned {_some([i for i in found if i not in ready])} in {name}, which it "
            "was not given; choose from ready_indexes, or answer has_cached_result with True for "
            "a batch that was chosen before"
        )
    return found


def _index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _some(values: Sequence[Any]) -> str:
    named = ", ".join(repr(value) for value in values[:_NAMED])
    rest = len(values) - _NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"a {type(value).__name__}"
