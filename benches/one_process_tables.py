"""Tables of the scripts that measure inside one process."""

from __future__ import annotations

import statistics
from typing import Any

from aims import AIMS, Aim, Rounds
from tables import ratio, short, spread, table, times

__all__ = ["aims", "measurements"]

TITLES = {
    "codec_large": "Codec: 400 image dicts of 1 to 4 MB",
    "codec_small": "Codec: 10,000 tensors of 1 KiB",
    "kv_single": "One sample of 1 KiB; import and init",
    "kv_batch": "Batches of 10,000 samples; a listing of 100,000 keys",
    "control": "Metadata of a batch, selections, waits",
    "kv_large": "512 MiB at once",
}


def aims(scripts: dict[str, Rounds]) -> str:
    """What the measurements are held to."""
    rows = []
    for aim in AIMS:
        ratios = aim.ratios(scripts[aim.scenario]) if aim.scenario in scripts else []
        if ratios:
            rows.append(_aim_row(aim, ratios))
    return table(("aim: times as fast", "at least", "found", "met"), rows)


def _aim_row(aim: Aim, ratios: list[float]) -> tuple[str, ...]:
    met = "yes" if statistics.median(ratios) >= aim.least else "**no**"
    return aim.text, short(aim.least), spread(ratios), met


def measurements(scripts: dict[str, Rounds]) -> list[str]:
    """A heading and a table per script."""
    parts = []
    for scenario, rounds in scripts.items():
        parts += [f"### {TITLES[scenario]}", _rows(rounds)]
    return parts


def _rows(rounds: Rounds) -> str:
    peer = rounds.get("pypi", [])
    rows = []
    for name, first in rounds["ours"][0].items():
        for statistic in ("median", "p99"):
            if statistic not in first:
                continue
            ours = [one[name][statistic] for one in rounds["ours"]]
            theirs = [one[name][statistic] for one in peer if name in one]
            ratios = [b / a for a, b in zip(ours, theirs, strict=False)]
            rows.append(
                (
                    name if statistic == "median" else f"{name} ({statistic})",
                    times(theirs),
                    times(ours),
                    ratio(statistics.median(ratios)) if ratios else "",
                    _rate(first, ours) if statistic == "median" else "",
                )
            )
    return table(("", "0.1.11", "ours", "ratio", "ours, rate"), rows)


def _rate(row: dict[str, Any], seconds: list[float]) -> str:
    middle = statistics.median(seconds)
    if "operations" in row:
        return f"{short(middle / row['operations'] * 1e9)} ns each"
    return f"{short(row['bytes'] / middle / 1e9)} GB/s" if "bytes" in row else ""
