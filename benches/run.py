"""Runs the benchmarks, ours beside the PyPI package, and keeps what they found.

See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from aims import Rounds
from environment import environment_of, machine_name
from report import page, tables

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEER_REQUIREMENT = "TransferQueue==0.1.11"
PEER_VENV = ROOT / ".venv-peer"

#: Rounds per scenario: more where a process is quick.
SCENARIOS = {
    "codec_large": 3,
    "codec_small": 5,
    "kv_single": 3,
    "kv_batch": 3,
    "control": 3,
    "kv_large": 2,
}
#: Beyond this many seconds a scenario hangs.
LIMIT = 900


def main() -> None:
    options = parse()
    interpreters = {"ours": Path(sys.executable)}
    if options.peer is not None:
        interpreters = {"peer": options.peer, **interpreters}
    elif not options.no_peer:
        interpreters = {"peer": installed_peer(), **interpreters}
    else:
        print("Without the PyPI package: ours alone, and no ratio to it.", flush=True)

    started = time.monotonic()
    record: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "peer": PEER_REQUIREMENT if "peer" in interpreters else None,
        "environment": environment_of(interpreters),
        "scenarios": {},
    }
    for scenario in options.only or SCENARIOS:
        rounds = options.rounds or SCENARIOS[scenario]
        record["scenarios"][scenario] = alternate(scenario, rounds, interpreters)
    print(f"{time.monotonic() - started:.0f} s in all\n", flush=True)

    path = options.out or HERE / "record" / f"{record['date'][:10]}-{machine_name()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(tables(record))
    print(f"Kept in {path}")
    if options.page:
        (ROOT / "docs" / "benchmarks.md").write_text(page(record))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    peer = parser.add_mutually_exclusive_group()
    peer.add_argument("--peer", type=Path, help="a Python that has the PyPI package")
    peer.add_argument("--no-peer", action="store_true", help="measure ours alone")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, help="scenarios to run")
    parser.add_argument("--rounds", type=int, help="rounds of each scenario")
    parser.add_argument("--out", type=Path, help="the JSON file; in benches/record by default")
    parser.add_argument("--page", action="store_true", help="rewrite docs/benchmarks.md")
    return parser.parse_args()


def installed_peer() -> Path:
    """A Python with the PyPI package, in a virtual environment of its own that is made once."""
    python = PEER_VENV / "bin" / "python"
    ready = PEER_VENV / ".ready"
    if not ready.exists():
        print(f"Installing {PEER_REQUIREMENT} into {PEER_VENV.name}: some minutes.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER_VENV)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", PEER_REQUIREMENT]
        if subprocess.run(install, check=False).returncode != 0:
            raise SystemExit(f"{PEER_REQUIREMENT} cannot be installed; use --peer or --no-peer")
        ready.touch()
    return python


def alternate(scenario: str, rounds: int, interpreters: dict[str, Path]) -> Rounds:
    """Runs a scenario in new processes, the packages in turns."""
    found: Rounds = defaultdict(list)
    for number in range(rounds):
        for package, python in interpreters.items():
            started = time.monotonic()
            found[package].append(run(scenario, package, python))
            seconds = time.monotonic() - started
            print(f"{scenario} {number + 1}/{rounds} {package}: {seconds:.0f} s", flush=True)
    return dict(found)


def run(scenario: str, package: str, python: Path) -> dict[str, dict[str, Any]]:
    """The rows that one process of a scenario measured."""
    # Settings of the caller's shell would make the packages differ from their defaults.
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "RAY_ADDRESS"} and not name.startswith("TQ_")
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [str(python), str(HERE / f"{scenario}.py"), "--out", str(out)]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, env=clean, timeout=LIMIT
            )
        except subprocess.TimeoutExpired as late:
            raise SystemExit(f"{scenario} of {package} took more than {LIMIT} s") from late
        if done.returncode != 0:
            raise SystemExit(f"{scenario} of {package} failed:\n{done.stdout}{done.stderr}")
        content = json.loads(out.read_text())
    expected = "transferqueue-rs" if package == "ours" else "TransferQueue"
    if content["package"] != expected:
        raise SystemExit(f"{python} has {content['package']}; {expected} was expected")
    rows: dict[str, dict[str, Any]] = content["rows"]
    return rows


def commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
