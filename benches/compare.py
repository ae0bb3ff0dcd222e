"""Whether a second run agrees with the first: ratios of one run against those of the other."""

from __future__ import annotations

import statistics
from typing import Any

from findings import BESIDE, TITLES, Findings
from tables import ratio, short, table

__all__ = ["compared"]

#: Two medians agree where neither is more than this times the other, beyond what the rounds of
#: either run differ among themselves.
FACTOR = 1.5


def compared(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Markdown: how many ratios agree, and those that do not."""
    first, second = Findings(before), Findings(after)
    agreed, apart = 0, []
    for system, own in BESIDE.items():
        for scenario in next(iter(second.sessions.get(system, [{"scenarios": {}}])))["scenarios"]:
            for name in second.rows(scenario):
                old = first.ratios(system, own, scenario, name)
                new = second.ratios(system, own, scenario, name)
                if not old or not new:
                    continue
                if agrees(old, new):
                    agreed += 1
                else:
                    medians = (ratio(statistics.median(values)) for values in (old, new))
                    apart.append((TITLES[system], f"{scenario}: {name}", *medians))
    text = f"{agreed} of {agreed + len(apart)} ratios agree within a factor of {short(FACTOR)} "
    text += "beyond the spread of either run."
    head = ("system", "row", "before", "after")
    return f"{text}\n\n{table(head, apart)}" if apart else text


def agrees(old: list[float], new: list[float]) -> bool:
    """Whether the ranges, each widened by the factor, overlap."""
    factor = FACTOR**0.5
    return min(old) / factor <= max(new) * factor and min(new) / factor <= max(old) * factor
