"""Draws a report: where the time of each step went, and the rate of each stage."""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meter import Direction
from report import DIRECTIONS, Report

STAGE_COLOURS = ("#4C72B0", "#55A868", "#CCB974", "#C44E52")
DIRECTION_COLOURS = {"put": "#DD8452", "get": "#8172B3"}
BAR = 0.38
MOST_LABELS = 12


def draw(report: Report, path: Path, subtitle: str) -> None:
    """Writes the PNG."""
    # A figure made without pyplot is drawn by Agg: no display is needed.
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    figure.suptitle(f"One GRPO step through TransferQueue\n{subtitle}", fontsize=13)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    _time_by_step(left, report)
    _rate_by_stage(right, report)
    figure.savefig(path, dpi=130)


def _time_by_step(axes: Axes, report: Report) -> None:
    floor = [0.0] * len(report.steps)
    for stage, colour in zip(report.stages, STAGE_COLOURS, strict=True):
        spent = [report.milliseconds(step, stage) for step in report.steps]
        axes.bar(report.steps, spent, bottom=floor, width=0.65, color=colour, label=stage)
        floor = [below + more for below, more in zip(floor, spent, strict=True)]
    if len(report.steps) <= MOST_LABELS:
        for step, total in zip(report.steps, floor, strict=True):
            _label(axes, step, total)
    axes.set_title("Time in transfer calls, put + get")
    axes.set_xlabel("step")
    axes.set_ylabel("milliseconds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.1)
    _finish(axes, grid="y")


def _label(axes: Axes, step: int, total: float) -> None:
    axes.annotate(
        f"{total:.0f} ms",
        (step, total),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )


def _rate_by_stage(axes: Axes, report: Report) -> None:
    offsets = (-BAR / 2, BAR / 2)
    for direction, offset in zip(DIRECTIONS, offsets, strict=True):
        places = [place + offset for place in range(len(report.stages))]
        rates = [report.gigabytes_per_second(stage, direction) for stage in report.stages]
        bars = axes.barh(places, rates, BAR, color=DIRECTION_COLOURS[direction], label=direction)
        axes.bar_label(bars, [_rate_label(report, s, direction) for s in report.stages], padding=4)
    axes.set_title("Rate by stage, median step")
    axes.set_xlabel("GB/s (1 GB = 10⁹ bytes)")
    axes.set_yticks(range(len(report.stages)), report.stages)
    axes.invert_yaxis()
    axes.set_xlim(right=1.6 * axes.dataLim.xmax)
    _finish(axes, grid="x")


def _rate_label(report: Report, stage: str, direction: Direction) -> str:
    payload = report.typical(stage, direction).payload
    if not payload:
        return "tags only"
    return f"{report.gigabytes_per_second(stage, direction):.3g} GB/s  ({payload / 1e6:.1f} MB)"


def _finish(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    # Below the plot, where no bar and no label can run into it.
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)
