"""Puts the system libraries that Mooncake's wheel needs, and this system lacks, into a folder.

    python -m scripts.mooncake_libraries <folder>

They are Debian packages, fetched with apt and unpacked, not installed: no root is needed. Programs
then run with the folder in LD_LIBRARY_PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

#: Library and the Debian package that has it, and what that needs in turn.
PACKAGES = {
    "libibverbs.so.1": ("libibverbs1", "libnl-3-200", "libnl-route-3-200"),
    "libnuma.so.1": ("libnuma1",),
    "libcurl.so.4": ("libcurl4",),
}


def missing(folder: Path) -> set[str]:
    """Libraries that Mooncake's extension module does not find, with ``folder`` searched too."""
    spec = find_spec("mooncake")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("mooncake is not installed; run `make build`")
    module = Path(next(iter(spec.submodule_search_locations))) / "store.so"
    listed = subprocess.run(
        ["ldd", str(module)],
        capture_output=True,
        text=True,
        check=True,
        env={"LD_LIBRARY_PATH": str(folder), "PATH": "/usr/bin:/bin"},
    )
    return {line.split()[0] for line in listed.stdout.splitlines() if "not found" in line}


def fetch(packages: list[str], folder: Path) -> None:
    """Unpacks the shared libraries of Debian packages into ``folder``."""
    with tempfile.TemporaryDirectory() as work:
        # Lists and cache of its own, so that apt needs no root and no earlier update.
        for name in ("state/lists/partial", "cache/archives/partial"):
            Path(work, name).mkdir(parents=True)
        own = [f"Dir::State={work}/state", f"Dir::Cache={work}/cache"]
        own += ["Dir::State::status=/var/lib/dpkg/status", "APT::Sandbox::User="]
        options = [part for option in own for part in ("-o", option)]
        subprocess.run(["apt-get", "-qq", *options, "update"], check=True)
        subprocess.run(["apt-get", "-qq", *options, "download", *packages], cwd=work, check=True)
        for package in Path(work).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package.name, "root"], cwd=work, check=True)
        for library in Path(work, "root").rglob("lib*.so*"):
            shutil.copy2(library, folder / library.name)


def main() -> None:
    """Fetches what is missing."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lacking = missing(folder)
    if not lacking:
        return
    unknown = lacking - PACKAGES.keys()
    if unknown:
        raise SystemExit(f"Mooncake needs {sorted(unknown)}; install them")
    names = sorted({name for library in lacking for name in PACKAGES[library]})
    try:
        fetch(names, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"Mooncake needs {sorted(lacking)}, and apt did not give {names}: {error}; install "
            "them, or leave Mooncake out with TQ_TEST_BACKENDS"
        ) from error
    still = missing(folder)
    if still:
        raise SystemExit(f"Mooncake still does not find {sorted(still)}; install them")


if __name__ == "__main__":
    main()
