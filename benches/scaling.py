"""Measures what docs/scaling.md builds on, fits its model, checks it, and writes the page's tables.

`python benches/scaling.py` measures (about eight minutes) and writes `benches/record/scaling.json`;
`python benches/scaling.py --page` fits what is recorded, and writes the tables of the page.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import scaling_host
from environment import environment_of
from scaling_tables import tables

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benches" / "record" / "scaling.json"
PAGE = ROOT / "docs" / "scaling.md"
ROUNDS = 3
SAMPLES = (1_000, 10_000, 100_000, 1_000_000)

Lines = list[dict[str, Any]]


def load(*arguments: str) -> Lines:
    """Runs the example `load` of tq-controller."""
    build = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "tq-controller"]
    run = subprocess.run(
        [*build, "--example", "load", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def medians(rounds: list[Lines]) -> Lines:
    """The median of each number over rounds that have the same lines, but for names and sizes."""
    found = []
    for same in zip(*rounds, strict=True):
        line = dict(same[0])
        for name, value in line.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                line[name] = statistics.median(other[name] for other in same)
        found.append(line)
    return found


def measured() -> dict[str, Any]:
    """Everything, the kinds of measurement in turns so that a slow minute falls on all alike."""
    environment = environment_of({})
    rounds: dict[str, list[Lines]] = defaultdict(list)
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        rounds["warm"].append(load("points", "warm"))
        rounds["cold"].append(load("points", "cold"))
        rounds["samples"].append([line for held in SAMPLES for line in load("samples", str(held))])
        rounds["clients"].append(load("clients"))
        rounds["payload"].append(scaling_host.payload())
    found: dict[str, Any] = {name: medians(lines) for name, lines in rounds.items()}
    print("host", flush=True)
    found["control"] = scaling_host.control()
    found["crowd"] = scaling_host.crowd()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    when = datetime.datetime.now(datetime.UTC)
    return {
        "date": f"{when:%Y-%m-%d %H:%M} UTC",
        "commit": commit.stdout.strip(),
        "environment": {**environment, "load_after": environment_of({})["load_before"]},
        **found,
    }


def with_tables(page: str, made: dict[str, str]) -> str:
    """The page with each table between its marks made anew."""
    for name, table in made.items():
        mark = f"<!-- {name} -->"
        before, found, rest = page.partition(mark)
        if not found:
            raise ValueError(f"docs/scaling.md has no place for {name}")
        after = re.split(r"<!-- end -->", rest, maxsplit=1)[1]
        page = f"{before}{mark}\n\n{table.strip()}\n\n<!-- end -->{after}"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="only fit what is recorded")
    if not parser.parse_args().page:
        RECORD.write_text(json.dumps(measured(), indent=1) + "\n")
    made = tables(json.loads(RECORD.read_text()))
    PAGE.write_text(with_tables(PAGE.read_text(), made))


if __name__ == "__main__":
    main()
