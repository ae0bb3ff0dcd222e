"""Charts of a record, as PNG."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from findings import TITLES, Findings

__all__ = ["draw"]

STAGES = ("gen", "old_log_prob", "adv", "update_actor", "clear")
#: Colours that people with any colour vision tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#999999", "#D55E00", "#56B4E9", "#F0E442")


def draw(findings: Findings, folder: Path) -> dict[str, list[str]]:
    """Writes the charts; the Markdown that shows them, per scenario. None without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return {"rl_step": ["(No charts: matplotlib is not installed.)"]}
    mpl.use("agg")
    found: dict[str, list[str]] = {}
    for scenario, picture in (
        ("rl_step", steps),
        ("transfer", transfers),
        ("fields", fields),
        ("clients", clients),
        ("growth", growth),
    ):
        if findings.rows(scenario):
            name = f"{scenario}.png"
            text = picture(findings, folder / name)
            found[scenario] = [f"![{text}]({name})"]
    return found


def figure(columns: int, height: float) -> Any:
    import matplotlib.pyplot as plt

    made, axes = plt.subplots(1, columns, figsize=(5.5 * columns, height), squeeze=False)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return made, axes[0]


def save(made: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    # Below the axes, the legend of all.
    made.tight_layout(rect=(0, 0.08, 1, 1))
    # Without the date, so that the same figures give the same file.
    made.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(made)


def legend(made: Any, axis: Any) -> None:
    """One legend under all axes."""
    handles, labels = axis.get_legend_handles_labels()
    made.legend(handles, labels, loc="lower center", ncols=5, fontsize=7, frameon=False)


def steps(findings: Findings, path: Path) -> str:
    """A bar per system, a colour per stage."""
    contents = list(dict.fromkeys(row.partition(", step")[0] for row in findings.rows("rl_step")))
    systems = findings.systems
    made, axes = figure(len(contents), 0.45 * len(systems) + 1.2)
    for axis, content in zip(axes, contents, strict=True):
        lefts = [0.0] * len(systems)
        for colour, stage in zip(COLOURS, STAGES, strict=False):
            widths = [stage_median(findings, system, content, stage) for system in systems]
            axis.barh(range(len(systems)), widths, left=lefts, color=colour, label=stage)
            lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
        end = end_of(lefts)
        for row, total in enumerate(lefts):
            goes_on = "…" if total > end else ""
            label = axis.text(min(total, end), row, f"{goes_on} {total:,.0f}", va="center")
            label.set(fontsize=8, backgroundcolor="white" if goes_on else "none")
        axis.set_yticks(range(len(systems)), [TITLES[system] for system in systems], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlabel("ms per step, medians")
        axis.set_title(content)
        axis.set_xlim(0, 1.15 * end)
    legend(made, axes[0])
    save(made, path)
    return "Time per step and stage, one bar per system"


def end_of(totals: Sequence[float]) -> float:
    """Where an axis ends: bars more than three times as long as the one before are cut off,
    or the others could not be told apart.
    """
    ordered = sorted(totals)
    upper_half = ordered[len(ordered) // 2 :]
    for shorter, longer in pairwise(upper_half):
        if longer > 3 * shorter > 0:
            return shorter
    return max(ordered[-1], 1e-9)


def stage_median(findings: Findings, system: str, content: str, stage: str) -> float:
    names = [
        name
        for name in findings.rows("rl_step")
        if name.startswith(f"{content}, step") and name.endswith(f": {stage}")
    ]
    values = [value for name in names for value in findings.values(system, "rl_step", name)]
    return statistics.median(values) * 1e3 if values else 0.0


def transfers(findings: Findings, path: Path) -> str:
    """Bytes a second of puts and gets, a group per kind and size."""
    names = [name.removesuffix(": put") for name in findings.rows("transfer") if ": put" in name]
    systems = findings.systems
    made, axes = figure(2, 0.28 * len(names) * max(1, len(systems) // 3) + 1.5)
    for axis, what in zip(axes, ("put", "get"), strict=True):
        height = 0.8 / len(systems)
        for number, system in enumerate(systems):
            rates = []
            for name in names:
                rows = findings.row(system, "transfer", f"{name}: {what}")
                middle = findings.median(system, "transfer", f"{name}: {what}")
                rates.append(rows[0]["bytes"] / middle / 1e9 if rows and middle else 0)
            places = [place + number * height for place in range(len(names))]
            colour = COLOURS[number % len(COLOURS)]
            hatch = "//" if number >= len(COLOURS) else None
            axis.barh(places, rates, height, label=TITLES[system], color=colour, hatch=hatch)
        axis.set_yticks([place + 0.4 for place in range(len(names))], names, fontsize=8)
        axis.set_xscale("log")
        axis.invert_yaxis()
        axis.set_xlabel("GB/s, logarithmic")
        axis.set_title(what)
        axis.grid(axis="x", alpha=0.3)
    legend(made, axes[0])
    save(made, path)
    return "GB/s of puts and gets by kind and size"


def fields(findings: Findings, path: Path) -> str:
    """GB/s over the number of fields."""
    return lines(findings, path, "fields", ("put", "get"), "fields", "GB/s", speed)


def clients(findings: Findings, path: Path) -> str:
    """Turns a second over the number of threads."""
    what = ("turns a second",)
    return lines(findings, path, "clients", what, "clients", "turns a second", value)


def growth(findings: Findings, path: Path) -> str:
    """Microseconds per sample over the size of the partition."""
    what = ("put", "get", "list")
    return lines(findings, path, "growth", what, "samples", "µs per sample", per_sample)


def lines(
    findings: Findings,
    path: Path,
    scenario: str,
    kinds: tuple[str, ...],
    x_label: str,
    y_label: str,
    height: Any,
) -> str:
    made, axes = figure(len(kinds), 3.6)
    word = x_label.rstrip("s")
    for axis, kind in zip(axes, kinds, strict=True):
        names = [
            name
            for name in findings.rows(scenario)
            if name.endswith(f": {kind}") and name.split()[1].rstrip("s:") == word
        ]
        for number, system in enumerate(findings.systems):
            points = [
                (float(name.split()[0].replace(",", "")), height(findings, system, scenario, name))
                for name in names
            ]
            known = [(x, y) for x, y in points if y is not None]
            if known:
                style = "--" if number >= len(COLOURS) else "-"
                colour = COLOURS[number % len(COLOURS)]
                xs, ys = zip(*known, strict=True)
                axis.plot(xs, ys, style, marker="o", label=TITLES[system], color=colour)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_title(kind)
        axis.grid(alpha=0.3)
    legend(made, axes[0])
    save(made, path)
    return f"{y_label} over {x_label}"


def speed(findings: Findings, system: str, scenario: str, name: str) -> float | None:
    rows = findings.row(system, scenario, name)
    middle = findings.median(system, scenario, name)
    return rows[0]["bytes"] / middle / 1e9 if rows and middle else None


def value(findings: Findings, system: str, scenario: str, name: str) -> float | None:
    values = findings.values(system, scenario, name, "value")
    return statistics.median(values) if values else None


def per_sample(findings: Findings, system: str, scenario: str, name: str) -> float | None:
    rows = findings.row(system, scenario, name)
    middle = findings.median(system, scenario, name)
    return middle / rows[0].get("operations", 1) * 1e6 if rows and middle else None
