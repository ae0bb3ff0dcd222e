"""Links between pages lead somewhere: the file exists, and so does the heading."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.rust_source import line_of
from scripts.tree import ROOT, files, finish

_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)>\s]+)>?[^)]*\)|<img[^>]*\bsrc=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment under which a rendered page offers a heading."""
    plain = re.sub(r"[^\w\- ]", "", heading.lower())
    return plain.replace(" ", "-")


def _without_code(source: str) -> str:
    return _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code.group()), source)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Every fragment of a page."""
    fenced = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return frozenset(anchor(heading) for heading in _HEADING.findall(fenced))


def link_problems(page: Path, root: Path) -> Iterator[str]:
    """Links of `page` that lead nowhere inside `root`. Addresses of the web are not followed."""
    source = page.read_text()
    for link in _LINK.finditer(_without_code(source)):
        address = link[1] or link[2]
        if re.match(r"[a-z]+:", address):
            continue
        name, _, fragment = address.partition("#")
        target = (page.parent / name).resolve() if name else page
        where = f"{page.relative_to(root)}:{line_of(source, link.start())}"
        if not target.exists():
            yield f"{where}: {address} does not exist"
        elif not target.is_relative_to(root):
            yield f"{where}: {address} leads out of the project"
        elif fragment and target.suffix == ".md" and fragment not in anchors(target):
            yield f"{where}: {name or page.name} has no heading '{fragment}'"


def main() -> int:
    """Check the pages around this script."""
    pages = list(files(ROOT, "*.md"))
    problems = [problem for page in pages for problem in link_problems(page, ROOT)]
    return finish("links", problems, f"{len(pages)} pages")


if __name__ == "__main__":
    sys.exit(main())
