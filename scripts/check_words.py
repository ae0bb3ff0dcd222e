"""Words: one name for one thing, no word twice in a row, no promises left in the code.

The glossary decides between synonyms. Rust sources are held to it; the Python package also speaks
the names of the API it is a drop-in for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.rust_source import line_of
from scripts.tree import ROOT, files, finish

# What not to write -> what GLOSSARY.md calls it.
SYNONYMS = {
    "global_indices": "global_indexes",
    "global_idx": "global_index",
    "data_fields": "fields",
    "keys_mapping": "kv_index",
    "KeysMapping": "KvIndex",
    "nested_field": "jagged",
    "ragged": "jagged",
}
_SYNONYM = re.compile(r"\b(" + "|".join(SYNONYMS) + r")\b")
_PROMISE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# The same word on both sides of white space; a line break may come with its comment marker.
_TWICE = re.compile(
    r"\b([a-z]{2,})(?:[ \t]+|[ \t]*\n[ \t]*(?://[/!]?|#)?[ \t]*)\1\b(?![-_/.(:])",
    re.IGNORECASE,
)
# Twice in a row is right for these.
_FINE_TWICE = {"that", "had"}
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_PROSE_LINE = {
    ".rs": re.compile(r"//[/!]?.*"),
    ".py": re.compile(r"#.*"),
}


def prose(path: Path, source: str) -> str:
    """`source` with everything that is not prose blanked: comments of code, text of pages."""
    if path.suffix == ".md":
        return _FENCE.sub(lambda block: "\n" * block.group().count("\n"), source)
    comment = _PROSE_LINE[path.suffix]
    lines = []
    for line in source.split("\n"):
        found = comment.search(line)
        lines.append(" " * found.start() + found.group() if found else "")
    return "\n".join(lines)


def word_problems(path: Path, source: str) -> Iterator[str]:
    """What is wrong with the words of one file."""
    for twice in _TWICE.finditer(prose(path, source)):
        if twice[1].lower() not in _FINE_TWICE:
            yield f"{path}:{line_of(source, twice.start())}: '{twice[1]}' stands twice in a row"
    if path.suffix == ".md":
        return
    for promise in _PROMISE.finditer(source):
        line = line_of(source, promise.start())
        yield f"{path}:{line}: {promise[1]}; do it now or write it into an issue"
    if path.suffix == ".rs":
        for synonym in _SYNONYM.finditer(source):
            line = line_of(source, synonym.start())
            yield f"{path}:{line}: '{synonym[1]}'; the glossary says '{SYNONYMS[synonym[1]]}'"


def main() -> int:
    """Check the sources and pages around this script."""
    # This file and its tests spell out what they look for.
    own = {"check_words.py", "test_words.py"}
    paths = [
        path
        for pattern in ("*.rs", "*.py", "*.md")
        for path in files(ROOT, pattern)
        if path.name not in own
    ]
    problems = [
        problem
        for path in paths
        for problem in word_problems(path.relative_to(ROOT), path.read_text())
    ]
    return finish("words", problems, f"{len(paths)} files")


if __name__ == "__main__":
    sys.exit(main())
