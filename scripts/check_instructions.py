"""Instructions of fixed work stay within 5 % of the record: slower code is found without a clock.

Runs the example `instruction_counts` of tq-engine under callgrind and compares with
`benches/record/instructions.json`. Counted are our own code, and with the libraries it calls; the
latter is compared only where C library, processor and valgrind are those of the record, because the
C library has another memcpy for each.

Without valgrind, or on another architecture, nothing is checked, and that is what it says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.callgrind import count
from scripts.tree import ROOT, finish

RECORD = ROOT / "benches" / "record" / "instructions.json"
# In per cent of the record.
TOLERANCE = 5
# A hash's random seed alone makes some; of a small count they may be much.
SLACK = 2_000

# What of the machine has to be the same for the libraries' instructions to be compared.
_OF_LIBRARIES = ("libc", "processor", "valgrind")

Counts = dict[str, dict[str, int]]
Machine = dict[str, str]


def _first_line(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return run.stdout.splitlines()[0]


def processor(cpuinfo: str) -> str:
    """Vendor, family, model and whether it has AVX2, up to which valgrind 3.19 follows it."""

    def entry(name: str) -> str:
        found = re.search(rf"^{name}\s*: (.*)$", cpuinfo, re.MULTILINE)
        return found[1] if found else "unknown"

    avx2 = "with" if "avx2" in entry("flags").split() else "without"
    return f"{entry('vendor_id')} {entry('cpu family')}/{entry('model')} {avx2} AVX2"


def machine(valgrind: str) -> Machine:
    """What the counts depend on, beside the code."""
    return {
        "architecture": platform.machine(),
        "rustc": _first_line("rustc", "--version"),
        "libc": " ".join(platform.libc_ver()),
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "valgrind": _first_line(valgrind, "--version"),
    }


def measured(valgrind: str) -> Counts:
    """Builds the program and counts each of its operations."""
    build = ["cargo", "build", "--quiet", "--release", "--locked"]
    subprocess.run(
        [*build, "-p", "tq-engine", "--example", "instruction_counts"], cwd=ROOT, check=True
    )
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    program = target / "release" / "examples" / "instruction_counts"
    named = subprocess.run([program], capture_output=True, text=True, check=True)
    counts: Counts = {}
    for operation in named.stdout.splitlines():
        objects = count(valgrind, program, operation)
        own = sum(found for path, found in objects.items() if Path(path).name == program.name)
        if own == 0:
            raise RuntimeError(f"{operation}: nothing was counted; is `counted` still its name?")
        counts[operation] = {"own": own, "with_libraries": sum(objects.values())}
    return counts


def differences(then: Machine, now: Machine) -> list[str]:
    """What differs between the machine of the record and this one, in words."""
    return [f"{name} was {then[name]}, is {now[name]}" for name in then if then[name] != now[name]]


def compared(then: Machine, now: Machine) -> list[str]:
    """Which of the counts can be compared between two machines."""
    same = all(then[name] == now[name] for name in _OF_LIBRARIES)
    return ["own", "with_libraries"] if same else ["own"]


def count_problems(recorded: Counts, found: Counts, kinds: list[str]) -> Iterator[str]:
    """Operations that need more instructions than the record allows, and those it lacks."""
    for operation in sorted(recorded.keys() ^ found.keys()):
        where = "program" if operation in recorded else "record"
        yield f"{operation}: not in the {where}; make check-instructions ARGS=--record"
    for operation, kind, before, after in _pairs(recorded, found, kinds):
        if after - before > max(before * TOLERANCE / 100, SLACK):
            yield f"{operation}, {_words(kind)}: {_change(before, after)}"


def gains(recorded: Counts, found: Counts, kinds: list[str]) -> Iterator[str]:
    """Operations that need so much less that the record no longer guards them."""
    for operation, kind, before, after in _pairs(recorded, found, kinds):
        if before - after > max(before * TOLERANCE / 100, SLACK):
            yield f"{operation}, {_words(kind)}: {_change(before, after)}"


def _pairs(
    recorded: Counts, found: Counts, kinds: list[str]
) -> Iterator[tuple[str, str, int, int]]:
    for operation in recorded.keys() & found.keys():
        for kind in kinds:
            yield operation, kind, recorded[operation][kind], found[operation][kind]


def _words(kind: str) -> str:
    return {"own": "our own code", "with_libraries": "libraries included"}[kind]


def _change(before: int, after: int) -> str:
    return f"{before:,} instructions are recorded, {after:,} found ({after / before - 1:+.1%})"


def not_checked(reason: str, listed_in: Path | None) -> int:
    """Says so, loudly, and in a list for whoever runs many checks."""
    line = "!" * 88
    print(f"{line}\ninstructions: NOT CHECKED: {reason}\n{line}", file=sys.stderr)
    if listed_in:
        with listed_in.open("a") as listed:
            print(f"instructions: {reason}", file=listed)
    return 0


def check(valgrind: str, record: Path, listed_in: Path | None) -> int:
    """Compare with the record."""
    recorded = json.loads(record.read_text())
    then, now = recorded["machine"], machine(valgrind)
    if then["architecture"] != now["architecture"]:
        reason = f"the record is of {then['architecture']}, this is {now['architecture']}"
        return not_checked(reason, listed_in)
    found = measured(valgrind)
    kinds = compared(then, now)
    problems = sorted(count_problems(recorded["counts"], found, kinds))
    better = sorted(gains(recorded["counts"], found, kinds))
    differs = differences(then, now)
    if differs and (problems or better):
        print(f"instructions: not the machine of the record: {'; '.join(differs)}")
    for gain in better:
        print(f"instructions: better, record it: {gain}")
    if better:
        print("instructions: make check-instructions ARGS=--record")
    what = " and ".join(_words(kind) for kind in kinds)
    return finish("instructions", problems, f"{len(found)} operations within {TOLERANCE} %, {what}")


def main() -> int:
    """Check or record, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--record", action="store_true", help="write what is counted to the record")
    parser.add_argument("--unchecked", type=Path, help="a file to add to where nothing is checked")
    arguments = parser.parse_args()
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        if arguments.record:
            return finish("instructions", ["valgrind is not installed; nothing recorded"], "")
        return not_checked("valgrind is not installed", arguments.unchecked)
    if not arguments.record:
        return check(valgrind, RECORD, arguments.unchecked)
    counts = measured(valgrind)
    record = {"machine": machine(valgrind), "counts": counts}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    return finish("instructions", [], f"{len(counts)} operations recorded")


if __name__ == "__main__":
    sys.exit(main())
