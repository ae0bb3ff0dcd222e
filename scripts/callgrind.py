"""What a callgrind profile says: instructions per object file."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

# Only what happens inside this function of the counted program is collected.
COUNTED = "instruction_counts::counted*"

# `ob=(3) /lib/libc.so.6` names object 3; `ob=(3)` goes back to it.
_OBJECT = re.compile(r"c?ob=\((\d+)\)(?: (.+))?")
# A position, absolute or relative, and the instructions there.
_COST = re.compile(r"[+\-*\d]\S* (\d+)$")


def instructions(profile: str) -> dict[str, int]:
    """Instructions executed in each object file of a profile, by path."""
    paths: dict[str, str] = {}
    found: Counter[str] = Counter()
    current = ""
    is_of_callee = False
    for line in profile.splitlines():
        if entry := _OBJECT.match(line):
            number, path = entry.groups()
            if path:
                paths[number] = path
            if not line.startswith("c"):
                current = paths[number]
        elif line.startswith("calls="):
            # The next cost is that of everything the callee did, which is listed under itself.
            is_of_callee = True
        elif cost := _COST.match(line):
            if not is_of_callee:
                found[current] += int(cost[1])
            is_of_callee = False
    return dict(found)


def count(valgrind: str, program: Path, operation: str) -> dict[str, int]:
    """Instructions of one operation in each object file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "profile"
        command = [
            valgrind,
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            f"--toggle-collect={COUNTED}",
            str(program),
            operation,
        ]
        # An environment of the same size every time: it moves the stack.
        run = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{operation}: valgrind failed with {run.returncode}:\n{run.stderr}")
        return instructions(out.read_text())
