"""Just enough of Rust's surface to tell code from comments, strings and tests."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\bb?c?r(?P<hashes>\#*)".*?"(?P=hashes))
    | (?P<string>\b[bc]?"(?:\\.|[^"\\])*" | "(?:\\.|[^"\\])*")
    | (?P<char>\bb?'(?:\\[^\n]+?|[^'\\\n])' | '(?:\\[^\n]+?|[^'\\\n])')
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_TEST_MODULE = re.compile(
    r"#\[cfg\((?:all\()?\s*(?:test|loom)\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*mod\s+\w+\s*\{"
)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _block_end(source: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(source, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(source)


def code_only(source: str) -> str:
    """`source` with comments and literals blanked; every character keeps its line and column."""
    parts: list[str] = []
    position = 0
    while found := _TOKEN.search(source, position):
        end = _block_end(source, found.start()) if found["block"] else found.end()
        parts += [source[position : found.start()], _blank(source[found.start() : end])]
        position = end
    return "".join([*parts, source[position:]])


def _closing_brace(code: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(code)):
        if code[position] == "{":
            depth += 1
        elif code[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1


def without_tests(source: str) -> str:
    """`source` without its `#[cfg(test)]` modules."""
    code = code_only(source)
    kept: list[str] = []
    position = 0
    while found := _TEST_MODULE.search(code, position):
        kept.append(source[position : found.start()])
        position = _closing_brace(code, found.end() - 1) + 1
    return "".join([*kept, source[position:]])


def line_of(source: str, position: int) -> int:
    """The 1-based line of a character position."""
    return source.count("\n", 0, position) + 1
