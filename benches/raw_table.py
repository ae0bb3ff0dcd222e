"""The table of what goes through a backend beside the backend's own calls."""

from __future__ import annotations

from findings import TITLES, Findings
from tables import rate, short, table

__all__ = ["beside_raw"]

SCENARIO = "raw"


def beside_raw(findings: Findings) -> str:
    """A row per system, batch and direction: both rates, and the one as a share of the other."""
    lines = []
    for system in findings.systems:
        for name in findings.rows(SCENARIO):
            batch, _, what = name.rpartition(": ")
            if what.startswith("raw"):
                continue
            raw, through = (
                bytes_a_second(findings, system, row) for row in (f"{batch}: raw {what}", name)
            )
            if raw and through:
                line = (TITLES[system], name, rate(raw, 1), rate(through, 1))
                lines.append((*line, short(through / raw)))
    return table(("", "", "the backend's own calls", "through the gateway", "share"), lines)


def bytes_a_second(findings: Findings, system: str, name: str) -> float:
    """By the median over the rounds; 0 where it was not measured."""
    seconds = findings.median(system, SCENARIO, name)
    if seconds is None:
        return 0.0
    return float(findings.row(system, SCENARIO, name)[0]["bytes"]) / seconds
