"""One version: the workspace's, repeated where users and the API of 0.1.11 look for it."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.tree import ROOT, finish

# Read by users as package data, so it has to be a plain file and not only wheel metadata.
VERSION_FILE = "python/transfer_queue/version/version"


def workspace_version(root: Path) -> str:
    """The version in the workspace manifest."""
    manifest = tomllib.loads((root / "Cargo.toml").read_text())
    version: str = manifest["workspace"]["package"]["version"]
    return version


def version_problems(root: Path) -> Iterator[str]:
    """Places that say another version than the workspace manifest."""
    version = workspace_version(root)
    stated = (root / VERSION_FILE).read_text().strip()
    if stated != version:
        yield f"{VERSION_FILE} says {stated}, Cargo.toml says {version}"
    sections = re.findall(r"^## \[?([\w.]+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    if version not in sections:
        yield f"CHANGELOG.md has no section for {version}; it has: {', '.join(sections)}"


def main() -> int:
    """Check the files around this script."""
    return finish("version", list(version_problems(ROOT)), workspace_version(ROOT))


if __name__ == "__main__":
    sys.exit(main())
