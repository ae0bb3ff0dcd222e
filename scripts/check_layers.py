"""The floors: arrows between crates point down, and every fence stands where it should.

A crate without a floor, an edge upward, a fenced dependency on the wrong side, `unsafe` outside its
named module, an unsafe block without its SAFETY comment, and a `lib.rs` with logic fail the check.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.rust_source import code_only, line_of
from scripts.tree import ROOT, files, finish

FLOORS = {
    "tq-proto": 0,
    "tq-codec": 0,
    "tq-arena": 0,
    "tq-controller": 1,
    "tq-storage": 1,
    "tq-engine": 2,
    "tq-wire": 3,
    "tq-client": 4,
    "tq-server": 4,
    "tq-cli": 5,
    "tq-python": 6,
}
# The shared words lie under everything, their own floor included.
GROUND = "tq-proto"

# Dependencies behind a fence: name prefix -> the crates that may see it.
_SOCKETS = {name for name, floor in FLOORS.items() if floor >= 3}
FENCED = {
    "pyo3": {"tq-python"},
    "numpy": {"tq-python"},
    "tokio": _SOCKETS,
    "tonic": _SOCKETS,
    "prost": _SOCKETS,
    "hyper": _SOCKETS,
    "axum": _SOCKETS,
    "anyhow": {"tq-cli"},
    "clap": {"tq-cli"},
}

# The modules in which `unsafe` may be written, submodules included.
UNSAFE_MODULES = {
    "tq-arena": {"mapping"},
    "tq-python": {"fence"},
}

_UNSAFE = re.compile(r"\bunsafe\b(?:\s*(?P<what>\{|impl\b))?")
_LOGIC = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const\s+|async\s+|unsafe\s+)*(?:fn|impl|struct|enum|trait|static)\b"
)
_ATTRIBUTE = re.compile(r"^\s*#\[")


@dataclass(frozen=True)
class Crate:
    """A workspace member: where it lies and which crates its manifest names."""

    name: str
    folder: Path
    dependencies: frozenset[str]
    # Those of `dependencies` that nothing but its tests and examples see.
    for_tests: frozenset[str] = frozenset()


def _named(manifest: dict[str, Any], *kinds: str) -> frozenset[str]:
    owners = (manifest, *manifest.get("target", {}).values())
    return frozenset(
        spec.get("package", name) if isinstance(spec, dict) else name
        for owner in owners
        for kind in kinds
        for name, spec in owner.get(kind, {}).items()
    )


def read_crate(folder: Path) -> Crate:
    """Read the manifest in `folder`; a renamed dependency counts under its real name."""
    manifest = tomllib.loads((folder / "Cargo.toml").read_text())
    shipped = _named(manifest, "dependencies", "build-dependencies")
    tested = _named(manifest, "dev-dependencies")
    return Crate(manifest["package"]["name"], folder, shipped | tested, tested - shipped)


def members(root: Path) -> list[Crate]:
    """The crates of the workspace, in the order of its manifest."""
    workspace = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]
    return [
        read_crate(manifest.parent)
        for member in workspace["members"]
        for manifest in sorted(root.glob(f"{member}/Cargo.toml"))
    ]


def floor_problems(crate: Crate) -> Iterator[str]:
    """Edges of `crate` that do not point down, and a crate that has no floor."""
    if crate.name not in FLOORS:
        yield f"{crate.name} has no floor; add it to FLOORS here and to ARCHITECTURE.md"
        return
    floor = FLOORS[crate.name]
    for name in sorted(crate.dependencies & FLOORS.keys()):
        # Tests may run a crate against its neighbour: client against server.
        highest = floor if name in crate.for_tests else floor - 1
        if name != GROUND and FLOORS[name] > highest:
            yield (
                f"{crate.name} (floor {floor}) depends on {name} (floor {FLOORS[name]}); arrows "
                f"point down: move what is shared to a lower floor"
            )
        if crate.name == GROUND:
            yield f"{GROUND} depends on {name}; the shared words depend on no other crate of ours"


def fence_problems(crate: Crate) -> Iterator[str]:
    """Fenced dependencies that `crate` names but may not see."""
    for name in sorted(crate.dependencies):
        for prefix, allowed in FENCED.items():
            fenced = name == prefix or name.startswith(f"{prefix}-")
            if fenced and crate.name not in allowed:
                yield f"{crate.name} depends on {name}, which only {_listed(allowed)} may see"


def unsafe_problems(crate: str, path: str, source: str) -> Iterator[str]:
    """`unsafe` outside the fence, and inside it unsafe code that is not argued."""
    code = code_only(source)
    uses = list(_UNSAFE.finditer(code))
    fenced = UNSAFE_MODULES.get(crate, set())
    if path.removesuffix(".rs").split("/")[0] not in fenced:
        for use in uses:
            fence = _listed(fenced) or "no module"
            line = line_of(code, use.start())
            yield f"{crate} src/{path}:{line}: unsafe; in this crate it is allowed in: {fence}"
        return
    argued = len(re.findall(r"//\s*SAFETY\b", source))
    # `unsafe fn` states a contract for its callers (`# Safety`); blocks and impls make a claim.
    claims = sum(use["what"] is not None for use in uses)
    if argued < claims:
        yield (
            f"{crate} src/{path}: {claims} unsafe blocks and impls, {argued} SAFETY comments; "
            f"argue each one where it stands"
        )


def map_problems(crate: str, source: str) -> Iterator[str]:
    """Items in a `lib.rs` other than modules, re-exports and the pymodule registration."""
    attributes = ""
    found: list[str] = []
    for number, line in enumerate(code_only(source).splitlines(), start=1):
        if _ATTRIBUTE.match(line):
            attributes += line
        elif line.strip():
            if _LOGIC.match(line) and "pymodule" not in attributes:
                found.append(str(number))
            attributes = ""
    if found:
        where = ", ".join(found)
        yield f"{crate} src/lib.rs is a map; move the items of these lines into modules: {where}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def crate_problems(crate: Crate) -> Iterator[str]:
    """Everything that is wrong with one crate."""
    yield from floor_problems(crate)
    yield from fence_problems(crate)
    src = crate.folder / "src"
    for path in files(src, "*.rs"):
        yield from unsafe_problems(crate.name, path.relative_to(src).as_posix(), path.read_text())
    if (src / "lib.rs").exists():
        yield from map_problems(crate.name, (src / "lib.rs").read_text())


def main() -> int:
    """Check the workspace around this script."""
    crates = members(ROOT)
    problems = [problem for crate in crates for problem in crate_problems(crate)]
    return finish("layers", problems, f"{len(crates)} crates, every arrow points down")


if __name__ == "__main__":
    sys.exit(main())
