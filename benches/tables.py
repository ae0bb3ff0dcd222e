"""Numbers as people read them, and Markdown tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

__all__ = ["rate", "ratio", "short", "spread", "table", "times"]


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.1g}"


def times(seconds: Sequence[float], bounds: Sequence[float] = ()) -> str:
    """The median of the medians, with the smallest and largest of all, ``bounds`` among them, in
    brackets.
    """
    if not seconds:
        return ""
    middle = statistics.median(seconds)
    factor, unit = unit_of(middle)
    shown = f"{short(middle * factor)} {unit}"
    every = [*seconds, *bounds]
    if len(every) == 1:
        return shown
    return f"{shown} [{short(min(every) * factor)}, {short(max(every) * factor)}]"


def unit_of(seconds: float) -> tuple[float, str]:
    """The unit in which so many seconds are readable, and the factor to it."""
    return next(
        (factor, unit)
        for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (float("inf"), 1, "s"))
        if seconds < limit
    )


def spread(values: Sequence[float], unit: str = "") -> str:
    """The median, and where there are several values the smallest and the largest."""
    shown = short(statistics.median(values)) + (f" {unit}" if unit else "")
    if len(values) == 1:
        return shown
    return f"{shown} [{short(min(values))}, {short(max(values))}]"


def rate(size: float, seconds: float) -> str:
    """Bytes a second."""
    value = size / seconds
    if value >= 1e9:
        return f"{short(value / 1e9)} GB/s"
    return f"{short(value / 1e6)} MB/s"


def ratio(value: float) -> str:
    """How many times as long."""
    return f"{short(value)} ×"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
