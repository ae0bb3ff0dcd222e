"""Whether a second run agrees with the first: ratios of one run against those of the other."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from findings import BESIDE, TITLES, Findings
from tables import ratio, short, table

__all__ = ["compared"]

#: Two medians agree where neither is more than this times the other.
FACTOR = 1.5


@dataclass(frozen=True)
class Ratio:
    """How many times as long one system takes as another, and how far its measurements reach: the
    shortest and longest of one system beside the median of the other.
    """

    median: float
    low: float
    high: float

    def agrees(self, other: Ratio) -> bool:
        """Whether the medians do."""
        return self.distance(other) <= FACTOR

    def distance(self, other: Ratio) -> float:
        """How many times the smaller median the larger one is."""
        return max(self.median / other.median, other.median / self.median)

    def overlaps(self, other: Ratio) -> bool:
        """Whether the spreads do."""
        return self.low <= other.high and other.low <= self.high


def compared(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Markdown: how many ratios agree, and those that do not."""
    first, second = Findings(before), Findings(after)
    agreed = overlapped = 0
    apart = []
    distances = []
    for system, own in BESIDE.items():
        for scenario, name in measurements(second, system):
            old = ratio_of(first, system, own, scenario, name)
            new = ratio_of(second, system, own, scenario, name)
            if old is None or new is None:
                continue
            distances.append(old.distance(new))
            if old.agrees(new):
                agreed += 1
            elif old.overlaps(new):
                overlapped += 1
            else:
                medians = (ratio(value.median) for value in (old, new))
                apart.append((TITLES[system], f"{scenario}: {name}", *medians))
    text = f"Of {agreed + overlapped + len(apart)} ratios {agreed} agree within a factor of "
    text += f"{short(FACTOR)}, {overlapped} more within the spread of their measurements, "
    text += f"{len(apart)} do not."
    if len(distances) > 1:
        cuts = statistics.quantiles(distances, n=20, method="inclusive")
        text += f" Half of them differ by less than {short(cuts[9])}, 95 % by less than "
        text += f"{short(cuts[18])}, all by no more than {short(max(distances))}."
    head = ("system", "row", "before", "after")
    return f"{text}\n\n{table(head, apart)}" if apart else text


def measurements(findings: Findings, system: str) -> list[tuple[str, str]]:
    """Scenario and row of all that was measured; the steps of a training step are measurements of
    one row, which is named without their numbers.
    """
    found: dict[tuple[str, str], None] = {}
    for session in findings.sessions.get(system, []):
        for scenario, rows in session["scenarios"].items():
            # Plain copies are no work of the systems.
            own = (name for name in rows if not name.endswith(": copy"))
            found |= dict.fromkeys((scenario, without_step(name)) for name in own)
    return list(found)


def without_step(name: str) -> str:
    content, is_step, rest = name.partition(", step ")
    return f"{content}: {rest.partition(': ')[2]}" if is_step and ": " in rest else name


def ratio_of(findings: Findings, system: str, own: str, scenario: str, name: str) -> Ratio | None:
    """The ratio of a row; None where either system has no times for it."""
    theirs = times_of(findings, system, scenario, name)
    ours = times_of(findings, own, scenario, name)
    if theirs is None or ours is None:
        return None
    low = min(theirs[1] / ours[0], theirs[0] / ours[2])
    high = max(theirs[2] / ours[0], theirs[0] / ours[1])
    return Ratio(theirs[0] / ours[0], low, high)


def times_of(
    findings: Findings, system: str, scenario: str, name: str
) -> tuple[float, float, float] | None:
    """Median, shortest and longest of a row, over rounds and steps."""
    rows = [
        row
        for session in findings.sessions.get(system, [])
        for own, row in session["scenarios"].get(scenario, {}).items()
        if without_step(own) == name and row.get("median", 0) > 0
    ]
    if not rows:
        return None
    middle = statistics.median(row["median"] for row in rows)
    shortest = min(row.get("min", row["median"]) for row in rows)
    longest = max(row.get("max", row["median"]) for row in rows)
    return middle, max(shortest, 1e-9), longest
