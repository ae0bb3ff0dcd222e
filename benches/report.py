"""The page of a record: what was measured where, tables and charts."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from charts import draw
from findings import BESIDE, GROUPS, TITLES, Findings, Row
from one_process_tables import aims, measurements
from raw_table import beside_raw
from tables import rate, ratio, short, spread, table, times

__all__ = ["write_page"]

HERE = Path(__file__).resolve().parent

#: Scenario, heading, and what its table shows.
SECTIONS = (
    (
        "transfer",
        "One batch between two processes",
        "The batch is put by one process and got by another; a get counts until a byte of every "
        'page has been read. "copy" is a plain copy of as many bytes into touched memory.',
    ),
    (
        "raw",
        "A batch through Mooncake, beside Mooncake's own calls",
        "The raw calls move as many bytes, as objects of 1 MiB, between one registered region of "
        "each process; what is put has to be packed, too, and what is got checked.",
    ),
    ("fields", "The same bytes as more fields", "One batch of dense rows, cut into fields."),
    ("latency", "One sample of 1 KiB", "One process puts, another gets."),
    (
        "keys",
        "Many small samples",
        "Four fields of 256 bytes and a tag per sample. Times are per sample.",
    ),
    (
        "waiting",
        "Waiting for a put",
        "From the beginning of the put to the instant at which the other process has what it "
        "waited for. 0.1.11 looks every five seconds.",
    ),
    (
        "clients",
        "Many clients at once",
        "Threads of two worker processes; a turn is a put, a get with a look at the content, and a "
        "clear. Connections are those of `tq bench clients`.",
    ),
    (
        "memory",
        "Memory",
        "Proportional set size of all processes of the system, above what it was before the "
        "first put. Image dicts come second, where memory of the dense batch may be warm already; "
        "ours keeps what was cleared for the next put, up to `retain_bytes`.",
    ),
    (
        "growth",
        "A growing partition",
        "Batches of 1,000 samples of a small field. Times are per sample.",
    ),
)


def write_page(record: dict[str, Any], folder: Path) -> Path:
    """Writes `index.md` and its charts into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    findings = Findings(record)
    pictures = draw(findings, folder)
    parts = [(HERE / "introduction.txt").read_text().rstrip()]
    parts += ["## Where and when", where(record)]
    parts += ["## A training step", *rl_step(findings, pictures)]
    for scenario, heading, text in SECTIONS:
        rows = findings.rows(scenario)
        if not rows:
            continue
        parts += [f"## {heading}", text, *pictures.get(scenario, [])]
        if scenario == "raw":
            parts.append(beside_raw(findings))
            continue
        parts += [scenario_table(findings, scenario, rows, group) for group in GROUPS]
    if record["limits"]:
        parts += ["## What the machine can do", limits(record["limits"])]
    if record["starts"]:
        parts += ["## Importing the package", starts(record["starts"])]
    if record["scripts"]:
        parts += ["## Inside one process", (HERE / "one_process" / "introduction.txt").read_text()]
        parts += [aims(record["scripts"]), *measurements(record["scripts"])]
    parts += ["## What is missing", missing(findings)]
    page = folder / "index.md"
    page.write_text("\n\n".join(part.rstrip() for part in parts if part) + "\n")
    return page


def where(record: dict[str, Any]) -> str:
    environment = record["environment"]
    lines = [
        f"- {record['date']}, commit {record['commit']}, scale `{record['scale']}`, "
        f"{record['seconds']} s in all",
        f"- {environment['cpu']}, {environment['cores']} cores, {environment['memory_gib']} GiB, "
        f"Linux {environment['kernel']}, load before the run {environment['load_before']}",
    ]
    versions = next(iter(environment["versions"].values()), {})
    lines.append("- " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    return "\n".join(lines)


def rl_step(findings: Findings, pictures: dict[str, list[str]]) -> list[str]:
    """One row per system, one column per step; then one column per stage."""
    names = [name for name in findings.rows("rl_step") if name.endswith(": total")]
    if not names:
        return ["Not measured."]
    parts = [*pictures.get("rl_step", [])]
    for content in dict.fromkeys(name.partition(", step")[0] for name in names):
        totals = [name for name in names if name.startswith(f"{content}, step")]
        steps = [name.removeprefix(f"{content}, step ").removesuffix(": total") for name in totals]
        size = findings.row(findings.systems[0], "rl_step", totals[0])[0]["bytes"]
        parts.append(f"### {content.capitalize()}: {short(size / 1e6)} MB per step, ms")
        rows = []
        for system in findings.systems:
            found = [findings.median(system, "rl_step", name) for name in totals]
            seconds = [value for value in found if value is not None]
            if not seconds:
                continue
            own = BESIDE.get(system, system)
            beside = [findings.median(own, "rl_step", name) for name in totals]
            # Steps that a slow system had no time for are no part of its median and ratio.
            ratios = [a / b for a, b in zip(found, beside, strict=True) if a and b]
            shown = ratio(statistics.median(ratios)) if own != system and ratios else ""
            cells = ["–" if value is None else short(value * 1e3) for value in found]
            median = f"**{short(statistics.median(seconds) * 1e3)}**"
            rows.append((TITLES[system], *cells, median, shown))
        parts.append(table(("", *[f"step {step}" for step in steps], "median", "× ours"), rows))
        parts.append(stages(findings, content, steps))
    return parts


def stages(findings: Findings, content: str, steps: list[str]) -> str:
    found = [
        name.partition(": ")[2]
        for name in findings.rows("rl_step")
        if name.startswith(f"{content}, step {steps[0]}: ")
    ]
    rows = []
    for system in findings.systems:
        cells = []
        for stage in found:
            values = [
                value
                for step in steps
                for value in findings.values(system, "rl_step", f"{content}, step {step}: {stage}")
            ]
            cells.append(times(values))
        if any(cells):
            rows.append((TITLES[system], *cells))
    return table(("stage", *found), rows)


def scenario_table(
    findings: Findings, scenario: str, rows: list[str], group: tuple[str, ...]
) -> str:
    """A row per measurement, a column per system; beside each time how many times as long as ours
    on the same backend. Empty where none of the group was measured.
    """
    systems = [
        system for system in group if any(findings.row(system, scenario, name) for name in rows)
    ]
    if not systems:
        return ""
    lines = []
    for name in rows:
        statistics_ = ["median"]
        if any("p99" in row for system in systems for row in findings.row(system, scenario, name)):
            statistics_.append("p99")
        for what in statistics_:
            label = name if what == "median" else f"{name} (p99)"
            cells = [cell(findings, system, scenario, name, what) for system in systems]
            if any(cells):
                lines.append((label, *cells))
    return table(("", *[TITLES[system] for system in systems]), lines)


def cell(findings: Findings, system: str, scenario: str, name: str, what: str) -> str:
    found = findings.row(system, scenario, name)
    if not found:
        return "–" if findings.reason(system, scenario, name) else ""
    if "value" in found[0]:
        return spread([row["value"] for row in found], found[0]["unit"])
    seconds = findings.values(system, scenario, name, what)
    if not seconds:
        return ""
    middle = statistics.median(seconds)
    operations = found[0].get("operations", 1)
    bounds = [row[end] / operations for row in found for end in ("min", "max")]
    shown = times([value / operations for value in seconds], bounds if what == "median" else ())
    if what == "median" and "bytes" in found[0]:
        shown = rates(found, middle)
    own = BESIDE.get(system)
    compares = own is not None and not name.endswith(": copy")
    beside = findings.values(own, scenario, name, what) if own and compares else []
    if beside:
        shown += f"; {ratio(middle / statistics.median(beside))}"
    return shown


def rates(found: list[Row], middle: float) -> str:
    """Bytes a second, with the slowest and the fastest in brackets."""
    size = found[0]["bytes"]
    slow, fast = max(row["max"] for row in found), min(row["min"] for row in found)
    return f"{rate(size, middle)} [{short(size / slow / 1e9)}, {short(size / fast / 1e9)}]"


def limits(rounds: list[dict[str, Any]]) -> str:
    rows = []
    for name, first in rounds[0].items():
        if "failed" in first:
            rows.append((name, first["failed"], ""))
            continue
        seconds = [one[name]["median"] for one in rounds if name in one]
        rows.append((name, times(seconds), rate(first["bytes"], statistics.median(seconds))))
    return table(("", "median", ""), rows)


def starts(found: dict[str, list[float]]) -> str:
    rows = [(TITLES[package], times(seconds)) for package, seconds in found.items() if seconds]
    text = table(("beyond PyTorch and tensordict", "new interpreter"), rows)
    if len(found) == 2:
        ours, theirs = (statistics.median(found[name]) for name in ("ours", "pypi"))
        text += f"\n\n0.1.11 takes {ratio(theirs / ours)} as long."
    return text


def missing(findings: Findings) -> str:
    rows = [
        (TITLES[name], "not set up", reason) for name, reason in findings.record["missing"].items()
    ]
    problems: dict[tuple[str, str], list[str]] = defaultdict(list)
    for system, scenario, reason in findings.problems():
        problems[system, reason].append(scenario)
    rows += [
        (TITLES[system], "; ".join(scenarios), reason)
        for (system, reason), scenarios in problems.items()
    ]
    if not rows:
        return "Nothing: every system was set up and every scenario ran."
    return table(("system", "scenario", "reason"), rows)
