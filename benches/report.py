"""The Markdown of a record: a table of the aims, and one of the measurements per scenario."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from aims import AIMS, Aim, Rounds

__all__ = ["page", "tables"]

_INTRODUCTION = """\
# Benchmarks

`make bench` measures this package beside the PyPI package `TransferQueue` 0.1.11, with the same
scripts, the same seeded data and the public API only. Every script checks the content that came
back before it writes a figure.

```console
$ make bench                                        # installs the PyPI package into .venv-peer
$ make bench ARGS='--peer /path/to/python'          # an interpreter that has it already
$ make bench ARGS='--no-peer'                       # ours alone
$ make bench ARGS='--only codec_small --rounds 9'   # one scenario, more rounds
$ make bench ARGS='--page'                          # also rewrites this page
```

The packages take turns, a new process for each (PyPI, ours, PyPI, ours, ...). A figure is the
median over the rounds of each process's median, with the smallest and the largest in brackets; a
ratio is taken within each round, and its median stands here. Ours runs embedded, without Ray. The
PyPI package runs as it does by default: its controller and two storage units are Ray actors on
the same host. "Copy" is `numpy.copyto` into memory whose pages have been touched, in turns with
what stands beside it.

**Only ratios of one run mean something.** The times are of one machine on one day; another machine,
or the same one under load, gives others. Each run is kept as JSON in `benches/record/`.
"""

_TITLES = {
    "codec_large": "Codec: 400 image dicts of 1 to 4 MB",
    "codec_small": "Codec: 10,000 tensors of 1 KiB",
    "kv_single": "One sample of 1 KiB; import and init",
    "kv_batch": "Batches of 10,000 samples; a listing of 100,000 keys",
    "control": "Metadata of a batch, selections, waits",
    "kv_large": "1 GiB at once",
}


def page(record: dict[str, Any] | None) -> str:
    """The whole page; without tables where nothing has been recorded."""
    return _INTRODUCTION if record is None else f"{_INTRODUCTION}\n{tables(record)}"


def tables(record: dict[str, Any]) -> str:
    """The tables of a record."""
    scenarios: dict[str, Rounds] = record["scenarios"]
    parts = ["## Where and when", _where(record), "## Aims", _aims(scenarios)]
    if not record["peer"]:
        parts.insert(2, "The PyPI package did not run, so nothing is compared with it.")
    for scenario, rounds in scenarios.items():
        parts += [f"## {_TITLES[scenario]}", _measurements(rounds)]
    return "\n\n".join(parts) + "\n"


def _where(record: dict[str, Any]) -> str:
    environment = record["environment"]
    lines = [
        f"- {record['date']}, commit {record['commit']}",
        f"- {environment['cpu']}, {environment['cores']} cores, {environment['memory_gib']} GiB, "
        f"Linux {environment['kernel']}, load before the run {environment['load_before']}",
    ]
    for package, versions in environment["versions"].items():
        found = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"- {package}: {found}")
    return "\n".join(lines)


def _aims(scenarios: dict[str, Rounds]) -> str:
    rows = []
    for aim in AIMS:
        ratios = aim.ratios(scenarios[aim.scenario]) if aim.scenario in scenarios else []
        if ratios:
            rows.append(_aim_row(aim, ratios))
    return _table(("aim: times as fast", "at least", "found", "met"), rows)


def _aim_row(aim: Aim, ratios: Sequence[float]) -> tuple[str, ...]:
    found = statistics.median(ratios)
    spread = f"{_short(found)} [{_short(min(ratios))}, {_short(max(ratios))}]"
    return aim.text, _short(aim.least), spread, "yes" if found >= aim.least else "**no**"


def _measurements(rounds: Rounds) -> str:
    peer = rounds.get("peer", [])
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
                    _times(theirs),
                    _times(ours),
                    f"{_short(statistics.median(ratios))} x" if ratios else "",
                    _rate(first, ours) if statistic == "median" else "",
                )
            )
    return _table(("", "PyPI", "ours", "ratio", "ours, rate"), rows)


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    middle = statistics.median(seconds)
    factor, unit = next(
        (factor, unit)
        for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (float("inf"), 1, "s"))
        if middle < limit
    )
    shown = [_short(value * factor) for value in (middle, min(seconds), max(seconds))]
    return f"{shown[0]} {unit} [{shown[1]}, {shown[2]}]"


def _rate(row: dict[str, Any], seconds: Sequence[float]) -> str:
    middle = statistics.median(seconds)
    if "operations" in row:
        return f"{_short(middle / row['operations'] * 1e9)} ns each"
    return f"{_short(row['bytes'] / middle / 2**30)} GiB/s" if "bytes" in row else ""


def _short(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
