"""Turns the transfers of a run into tables: on the terminal, as Markdown and as CSV."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from meter import Direction, Transfer

DIRECTIONS: tuple[Direction, Direction] = ("put", "get")


@dataclass
class Moved:
    """Bytes moved and seconds waited for."""

    payload: int = 0
    seconds: float = 0.0

    @property
    def milliseconds(self) -> float:
        """The time waited for, in milliseconds."""
        return 1e3 * self.seconds


@dataclass(frozen=True)
class Table:
    """A caption, a heading row and rows of cells; all but the first column hold numbers."""

    caption: str
    heading: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        """Aligned columns for the terminal."""
        lines = [self.heading, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = ["-" * width for width in widths]
        laid_out = [self._line(line, widths) for line in (self.heading, rule, *self.rows)]
        return "\n".join([self.caption, "", *laid_out])

    @staticmethod
    def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
        first, *numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join([first.strip().ljust(widths[0]), *numbers]).rstrip()

    def markdown(self) -> str:
        """A GitHub table with the numbers to the right."""
        rule = [":--"] + ["--:"] * (len(self.heading) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (self.heading, rule, *self.rows)]
        return "\n".join([f"**{self.caption}**", "", *lines])


class Report:
    """Time and bytes by step, stage and direction."""

    def __init__(self, transfers: Iterable[Transfer], stages: Sequence[str]) -> None:
        self.stages = list(stages)
        self._moved: dict[tuple[int, str, Direction], Moved] = {}
        for transfer in transfers:
            place = (transfer.step, transfer.stage, transfer.direction)
            moved = self._moved.setdefault(place, Moved())
            moved.payload += transfer.payload
            moved.seconds += transfer.seconds
        self.steps = sorted({step for step, _, _ in self._moved})

    def moved(self, step: int, stage: str, direction: Direction) -> Moved:
        """What one stage of one step moved in one direction."""
        return self._moved.get((step, stage, direction), Moved())

    def milliseconds(self, step: int, stage: str) -> float:
        """The time one stage of one step spent in its transfer calls, both directions."""
        return sum(self.moved(step, stage, direction).milliseconds for direction in DIRECTIONS)

    def typical(self, stage: str, direction: Direction) -> Moved:
        """Medians over the steps, so that a cold first step does not distort them."""
        moved = [self.moved(step, stage, direction) for step in self.steps]
        return Moved(
            payload=round(median(each.payload for each in moved)),
            seconds=median(each.seconds for each in moved),
        )

    def gigabytes_per_second(self, stage: str, direction: Direction) -> float:
        """The rate of the median step; zero where the stage moves no payload this way."""
        moved = self.typical(stage, direction)
        return moved.payload / moved.seconds / 1e9 if moved.payload else 0.0

    def by_step(self) -> Table:
        """Steps x stages: milliseconds in transfer calls."""
        columns = [[self.milliseconds(step, stage) for step in self.steps] for stage in self.stages]
        columns.append([sum(spent) for spent in zip(*columns, strict=True)])
        names = [*(f"step {step}" for step in self.steps), "median"]
        lines = zip(*([*column, median(column)] for column in columns), strict=True)
        rows = [
            [name, *(f"{value:.1f}" for value in line)]
            for name, line in zip(names, lines, strict=True)
        ]
        heading = ["ms in put + get", *self.stages, "all stages"]
        return Table("Time in transfer calls, by step and stage", heading, rows)

    def by_stage(self) -> Table:
        """Payload, time and rate of each stage, put and get apart."""
        heading = ["stage"]
        for direction in DIRECTIONS:
            heading += [f"{direction} MB", f"{direction} ms", f"{direction} GB/s"]
        rows = []
        for stage in self.stages:
            row = [stage]
            for direction in DIRECTIONS:
                moved = self.typical(stage, direction)
                rate = self.gigabytes_per_second(stage, direction)
                row += [
                    f"{moved.payload / 1e6:.2f}" if moved.payload else "-",
                    f"{moved.milliseconds:.1f}" if moved.seconds else "-",
                    f"{rate:.3g}" if moved.payload else "-",
                ]
            rows.append(row)
        return Table("Rate by stage (median step; 1 GB = 10^9 bytes)", heading, rows)

    def write_markdown(self, path: Path) -> None:
        """Both tables."""
        path.write_text(f"{self.by_step().markdown()}\n\n{self.by_stage().markdown()}\n")

    def write_csv(self, path: Path) -> None:
        """One line per step, stage and direction."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "stage", "direction", "bytes", "milliseconds"])
            for (step, stage, direction), moved in self._moved.items():
                time = f"{moved.milliseconds:.3f}"
                writer.writerow([step, stage, direction, moved.payload, time])
