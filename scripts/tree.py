"""Where the sources are, and how a check reports what it found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Folders that builds and tools fill; nothing in them was written by hand.
_GENERATED = {
    "target",
    ".venv",
    ".venv-peer",
    ".venv-torchstore",
    ".git",
    "node_modules",
    "__pycache__",
    "out",
}


def files(root: Path, pattern: str) -> Iterator[Path]:
    """Every hand-written file under `root` that matches `pattern`, in a stable order."""
    for path in sorted(root.rglob(pattern)):
        inside = path.relative_to(root).parts
        if path.is_file() and not _GENERATED.intersection(inside):
            yield path


def finish(check: str, problems: list[str], summary: str) -> int:
    """Print the outcome of a check; the return value is the exit status of the program."""
    for problem in problems:
        print(f"{check}: {problem}", file=sys.stderr)
    if problems:
        print(f"{check}: {len(problems)} to mend", file=sys.stderr)
        return 1
    print(f"{check}: {summary}")
    return 0
