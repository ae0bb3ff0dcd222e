"""Each direct dependency has its reason written down in ARCHITECTURE.md.

Licences, banned crates and sources are cargo-deny's part (deny.toml).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.check_layers import FLOORS, members
from scripts.tree import ROOT, finish

_ROW = re.compile(r"^\|.*$", re.MULTILINE)
_NAME = re.compile(r"`([\w.-]+)`")
_REQUIREMENT = re.compile(r"[\w.-]+")


def rust_dependencies(root: Path) -> set[str]:
    """Crates from outside that the workspace or one of its members names."""
    workspace = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]
    named = set(workspace.get("dependencies", {})).union(
        *(crate.dependencies for crate in members(root))
    )
    return {name for name in named if name not in FLOORS}


def python_dependencies(root: Path) -> set[str]:
    """Packages that pyproject.toml names, extras and build system included."""
    manifest = tomllib.loads((root / "pyproject.toml").read_text())
    project = manifest["project"]
    groups = [
        manifest["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
    ]
    names = (_REQUIREMENT.match(requirement) for group in groups for requirement in group)
    return {name.group() for name in names if name}


def unexplained(names: set[str], page: str) -> Iterator[str]:
    """Names of dependencies that appear in no table row of `page`."""
    explained = set(_NAME.findall("\n".join(_ROW.findall(page))))
    for name in sorted(names - explained):
        yield f"{name} has no row in the dependency table of ARCHITECTURE.md; say why it is needed"


def main() -> int:
    """Check the manifests around this script."""
    names = rust_dependencies(ROOT) | python_dependencies(ROOT)
    problems = list(unexplained(names, (ROOT / "ARCHITECTURE.md").read_text()))
    return finish("dependencies", problems, f"{len(names)} direct ones, each with its reason")


if __name__ == "__main__":
    sys.exit(main())
