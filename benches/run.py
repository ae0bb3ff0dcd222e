"""Measures this package beside the systems that a user would take instead, and keeps what it found.

See docs/benchmarks/index.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import run_child
from compare import compared
from environment import environment_of, machine_name, settle
from one_process.scripts import SCRIPTS
from peers import PEER_REQUIREMENT, Place, places_of
from report import write_page
from scale import SCALES
from scenarios import SCENARIOS
from systems import SYSTEMS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: Beyond this many seconds a session hangs.
SESSION_SECONDS = {"smoke": 300, "quick": 900, "full": 7200}
SCRIPT_SECONDS = 900
#: The packages that have scripts of their own.
PACKAGES = ("pypi", "ours")
STARTS = 5


def main() -> None:
    options = parse()
    started = time.monotonic()
    places = places_of(options.systems, options.peer)
    ready = [system for system in options.systems if not places[system].reason]
    for system in options.systems:
        if places[system].reason:
            print(f"{system}: not set up: {places[system].reason}", flush=True)
    if options.scale != "smoke":
        print(f"{settle():.0%} of the cores are busy before the run", flush=True)
    record: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "scale": options.scale,
        "peer": PEER_REQUIREMENT if any(system.startswith("pypi") for system in ready) else None,
        "environment": environment_of({system: places[system].python for system in ready}),
        "missing": {name: place.reason for name, place in places.items() if place.reason},
        "sessions": defaultdict(list),
        "limits": [],
        "scripts": {},
        "starts": defaultdict(list),
    }
    shared = [name for name in options.only if name in SCENARIOS]
    scripts = [name for name in options.only if name in SCRIPTS]
    for number in range(options.rounds):
        # Another one begins each round, so that no system always follows the same one.
        for system in [*ready[number % 2 :], *ready[: number % 2]] if shared else []:
            found = session(system, places[system], shared, options.scale)
            record["sessions"][system].append(found)
            write(record, options)
        if "limits" in options.only:
            record["limits"].append(script("limits.py", "limits", Place())["rows"])
    for name in scripts:
        record["scripts"][name] = alternate(name, places, options)
    if "startup" in options.only:
        for _ in range(STARTS):
            for package in [one for one in PACKAGES if one in ready]:
                found = script("startup.py", f"startup of {package}", places[package])
                record["starts"][package].append(found["import"])
    record["seconds"] = round(time.monotonic() - started)
    keep(record, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*SCENARIOS, *SCRIPTS, "limits", "startup"]
    parser.add_argument("--scale", choices=SCALES, default="quick", help="how much is measured")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--only", nargs="+", choices=every, default=every, help="what to measure")
    parser.add_argument("--rounds", type=int, help="sessions of each system")
    parser.add_argument("--peer", type=Path, help="a Python that has the PyPI package")
    parser.add_argument("--out", type=Path, help="the JSON file; in benches/record by default")
    parser.add_argument("--page", action="store_true", help="rewrite the pages in docs/benchmarks")
    parser.add_argument("--compare", type=Path, help="a record to compare the ratios with")
    options = parser.parse_args()
    options.rounds = options.rounds or SCALES[options.scale].rounds
    return options


def session(system: str, place: Place, scenarios: list[str], scale: str) -> dict[str, Any]:
    """What one session of a system found; where it failed, why."""
    started = time.monotonic()
    command = [str(place.python), str(HERE / "session.py"), "--system", system, "--scale", scale]
    command += ["--scenarios", *scenarios]
    print(f"{system}:", flush=True)
    found, problem = run_child(
        command, place.environment, SESSION_SECONDS[scale], show=True, python_path=HERE
    )
    found = found or {"scenarios": {}, "left_out": {}}
    if problem:
        print(f"{system} failed: {problem}", flush=True)
        found["failed"] = problem
    found["seconds"] = round(time.monotonic() - started, 1)
    print(f"{system}: {found['seconds']:.0f} s", flush=True)
    return found


def script(path: str, name: str, place: Place) -> dict[str, Any]:
    """What a script wrote. A script that fails ends the run: it has no others beside it."""
    command = [str(place.python), str(HERE / path)]
    found, problem = run_child(
        command, place.environment, SCRIPT_SECONDS, show=False, python_path=HERE
    )
    if problem or found is None:
        raise SystemExit(f"{name} failed: {problem}")
    return found


def alternate(name: str, places: dict[str, Place], options: argparse.Namespace) -> dict[str, Any]:
    """Runs a script in new processes, the two packages in turns."""
    found: dict[str, list[Any]] = defaultdict(list)
    for number in range(min(options.rounds, SCRIPTS[name])):
        for package in PACKAGES:
            if package not in places or places[package].reason:
                continue
            started = time.monotonic()
            rows = script(f"one_process/{name}.py", f"{name} of {package}", places[package])
            found[package].append(rows["rows"])
            print(f"{name} {number + 1}, {package}: {time.monotonic() - started:.0f} s", flush=True)
    return dict(found)


def keep(record: dict[str, Any], options: argparse.Namespace) -> None:
    """Writes the record, and the page where it is asked for."""
    path = write(record, options)
    print(f"{record['seconds']} s in all; kept in {path}")
    folder = ROOT / "docs" / "benchmarks" if options.page else path.parent / path.stem
    print(f"Tables and charts: {write_page(record, folder)}")
    if options.compare:
        print(compared(json.loads(options.compare.read_text()), record))


def write(record: dict[str, Any], options: argparse.Namespace) -> Path:
    """Writes what has been measured so far; a run that is stopped has not been for nothing."""
    name = f"{record['date'][:10]}-{machine_name()}.json"
    path: Path = options.out or HERE / "record" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    command: Sequence[str] = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
