"""Files small enough to read in one sitting.

Counted are the lines of a file without its test modules. Per language the median, the share below
the soft cap, and the longest file are held; test files are held to the hard cap only.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.rust_source import without_tests
from scripts.tree import ROOT, files, finish

MEDIAN = 150
SOFT_CAP = 450
# One file in this many may reach the soft cap.
SOFT_ONE_IN = 10
HARD_CAP = 800

# Where production code lives, per language; everything else is tests, tools or examples.
PRODUCTION = {
    "Rust": [("crates", "*.rs"), ("bindings", "*.rs")],
    "Python": [("python", "*.py"), ("scripts", "*.py"), ("benches", "*.py"), ("examples", "*.py")],
}


def is_test(path: Path) -> bool:
    """Whether a file holds nothing but tests."""
    parts = set(path.parts)
    return (
        bool(parts & {"tests", "fuzz"})
        or path.stem in {"tests", "test"}
        or path.stem.startswith("test_")
    )


def count(path: Path, source: str) -> int:
    """Lines of `source`, without its test modules where it is Rust."""
    if path.suffix == ".rs" and not is_test(path):
        source = without_tests(source)
    return len(source.splitlines())


def length_problems(language: str, lengths: dict[str, int]) -> Iterator[str]:
    """Where the files of one language break the norm. `lengths` maps a path to its lines."""
    for path, lines in sorted(lengths.items()):
        if lines > HARD_CAP:
            yield f"{path}: {lines} lines, over {HARD_CAP}; split it by what its parts do"
    if not lengths:
        return
    median = statistics.median(lengths.values())
    if median > MEDIAN:
        yield f"{language}: median file has {median:.0f} lines, the norm is {MEDIAN}"
    long = sorted((lines, path) for path, lines in lengths.items() if lines >= SOFT_CAP)
    if len(long) * SOFT_ONE_IN > len(lengths):
        named = ", ".join(f"{path} ({lines})" for lines, path in reversed(long))
        yield f"{language}: over one file in {SOFT_ONE_IN} has {SOFT_CAP} lines or more: {named}"


def main() -> int:
    """Check the sources around this script."""
    problems: list[str] = []
    summary: list[str] = []
    for language, places in PRODUCTION.items():
        paths = [path for folder, pattern in places for path in files(ROOT / folder, pattern)]
        counted = {path.relative_to(ROOT): count(path, path.read_text()) for path in paths}
        production = {str(path): lines for path, lines in counted.items() if not is_test(path)}
        problems += length_problems(language, production)
        problems += (
            f"{path}: {lines} lines of tests, over {HARD_CAP}; split it by behaviour"
            for path, lines in counted.items()
            if is_test(path) and lines > HARD_CAP
        )
        if production:
            median = statistics.median(production.values())
            longest = max(production.values())
            summary.append(
                f"{language} {len(production)} files, median {median:.0f}, longest {longest}"
            )
    return finish("lengths", problems, "; ".join(summary))


if __name__ == "__main__":
    sys.exit(main())
