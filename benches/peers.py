"""The environments in which the systems run, each made once.

The PyPI package has the same import name as ours, so it gets a virtual environment of its own. What
both need besides (PyTorch, tensordict, Ray, the clients of the backends) it takes from ours, in the
same versions: installed a second time it would be the same 5 GB, and other versions would be
measured along. Only torchstore has a PyTorch of its own: it asks for one version and no other.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PEER_REQUIREMENT", "Place", "places_of"]

ROOT = Path(__file__).resolve().parents[1]
PEER_REQUIREMENT = "TransferQueue==0.1.11"
PEER_VENV = ROOT / ".venv-peer"
#: What the PyPI package needs that ours does not, without versions: it names none either.
PEER_NEEDS = ("pyzmq", "hydra-core", "msgspec", "psutil", "prometheus_client")
REDIS_CLIENT = "redis>=5"
TORCHSTORE_REQUIREMENT = "torchstore==0.1.2"
TORCHSTORE_VENV = ROOT / ".venv-torchstore"
#: Libraries that Monarch's wheel links, and the Debian packages that have them.
RDMA_LIBRARIES = ("libibverbs.so.1", "libmlx5.so.1")
RDMA_PACKAGES = ("libibverbs1", "ibverbs-providers", "libnl-3-200", "libnl-route-3-200")
#: The wheel also links the driver of a GPU. Without a GPU it never gets to calling it, so these
#: answer that there is no device.
NO_DRIVER = "".join(
    f"int {name}(void) {{ return 100; }}\n"
    for name in (
        "cuDeviceGet",
        "cuDeviceGetAttribute",
        "cuMemGetHandleForAddressRange",
        "cuPointerGetAttribute",
    )
)
#: Beyond this many seconds an import hangs.
IMPORT_SECONDS = 120


@dataclass
class Place:
    """Where a system's sessions run; or why they cannot."""

    python: Path = Path(sys.executable)
    environment: dict[str, str] = field(default_factory=dict)
    reason: str = ""


class UnavailableError(Exception):
    """Why a system cannot be set up here."""


def places_of(systems: list[str], peer: Path | None) -> dict[str, Place]:
    """Sets up what these systems need; ``peer`` is an interpreter that has the PyPI package."""
    found: dict[str, Place] = {}
    for system in systems:
        try:
            found[system] = _place_of(system, peer)
        except UnavailableError as reason:
            found[system] = Place(reason=str(reason))
    return found


def _place_of(system: str, peer: Path | None) -> Place:
    python = Path(sys.executable)
    if system.startswith("pypi"):
        python = peer if peer is not None else _peer_python()
    if system == "torchstore":
        python = _torchstore_python()
    needs: dict[str, Callable[[], dict[str, str]]] = {
        "mooncake": _mooncake,
        "yuanrong": _yuanrong,
        "redis": _redis,
        "torchstore": _torchstore,
        "ray": lambda: _module("ray"),
        "one_driver": lambda: _module("ray"),
    }
    environment: dict[str, str] = {}
    for name, prepare in needs.items():
        if system.endswith(name):
            environment |= prepare()
    return Place(python, environment)


def _module(name: str) -> dict[str, str]:
    if importlib.util.find_spec(name) is None:
        raise UnavailableError(f"the Python package {name} is not installed; `make build` does")
    return {}


def _mooncake() -> dict[str, str]:
    _module("mooncake")
    # The wheel lacks libraries that a Debian may not have; `make test` unpacks them here, too.
    folder = ROOT / ".venv" / "lib" / "mooncake"
    if not folder.exists():
        command = (sys.executable, "-m", "scripts.mooncake_libraries", str(folder))
        _try("Mooncake's libraries", *command, bounded=False)
    return _libraries(folder) | _programs()


def _yuanrong() -> dict[str, str]:
    if importlib.util.find_spec("yr") is None:
        raise UnavailableError("openyuanrong-datasystem is not installed")
    return _programs()


def _libraries(folder: Path) -> dict[str, str]:
    paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_LIBRARY_PATH": ":".join(path for path in paths if path)}


def _programs() -> dict[str, str]:
    """The programs of both backends are started by name."""
    scripts = str(Path(sys.executable).parent)
    return {"PATH": f"{scripts}:{os.environ['PATH']}"}


def _redis() -> dict[str, str]:
    if shutil.which("redis-server") is None:
        _install_debian("redis-server")
    if importlib.util.find_spec("redis") is None:
        _pip(Path(sys.executable), REDIS_CLIENT)
    return {}


def _install_debian(package: str) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise UnavailableError(f"{package} is not installed: apt-get install {package}")
    command = ("apt-get", "install", "--yes", "--quiet", package)
    # The package would start a server of the system.
    environment = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    _try(f"{package} cannot be installed", *command, environment=environment, bounded=False)


def _peer_python() -> Path:
    """A Python with the PyPI package."""

    def fill(python: Path) -> None:
        _pip(python, "--no-deps", PEER_REQUIREMENT)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = PEER_VENV / "lib" / version / "site-packages"
        # A line that is a path is added behind the environment's own packages, and the .pth files
        # there, of which one names our sources, are not read.
        (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        _pip(python, *PEER_NEEDS)

    return _made_once(PEER_VENV, PEER_REQUIREMENT, fill)


def _torchstore_python() -> Path:
    """A Python with torchstore and the Monarch and PyTorch that it asks for, 7 GB."""

    def fill(python: Path) -> None:
        _pip(python, TORCHSTORE_REQUIREMENT, "tensordict", "numpy")

    return _made_once(TORCHSTORE_VENV, TORCHSTORE_REQUIREMENT, fill)


def _made_once(folder: Path, requirement: str, fill: Callable[[Path], None]) -> Path:
    """The Python of a virtual environment, which ``fill`` installs into where it is new."""
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"Installing {requirement} into {folder.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        fill(python)
        ready.touch()
    return python


def _torchstore() -> dict[str, str]:
    folder = TORCHSTORE_VENV / "lib" / "system"
    folder.mkdir(exist_ok=True)
    if not all(_loads(name, folder) for name in RDMA_LIBRARIES):
        code = "import pathlib, sys; from scripts.mooncake_libraries import fetch; "
        code += "fetch(sys.argv[2:], pathlib.Path(sys.argv[1]))"
        _try("Monarch's libraries", sys.executable, "-c", code, str(folder), *RDMA_PACKAGES)
    driver = "libcuda.so.1"
    if not _loads(driver, folder):
        source = folder / "no_driver.c"
        source.write_text(NO_DRIVER)
        flags = ("-shared", "-fPIC", f"-Wl,-soname,{driver}", "-o", str(folder / driver))
        _try(f"a {driver} for a machine without a GPU", "cc", *flags, str(source))
    # The length is what torchstore sets by itself, with a warning in each process.
    environment = _libraries(folder) | {"HYPERACTOR_CODEC_MAX_FRAME_LENGTH": "910737418240"}
    python = str(TORCHSTORE_VENV / "bin" / "python")
    _try("torchstore", python, "-c", "import torchstore", environment=environment)
    return environment


def _loads(library: str, folder: Path) -> bool:
    """Whether the library is in the folder or on this system."""
    if (folder / library).exists():
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _try(
    what: str,
    *command: str,
    environment: dict[str, str] | None = None,
    bounded: bool = True,
) -> None:
    """Runs a command of the set-up; where it fails or hangs, the system cannot be set up."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            timeout=IMPORT_SECONDS if bounded else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{what}: {error}") from error
    if done.returncode:
        raise UnavailableError(f"{what}: {' '.join(done.stderr.split())[-300:]}")


def _pip(python: Path, *arguments: str) -> None:
    command = (str(python), "-m", "pip", "install", "--quiet", *arguments)
    _try(f"pip install {' '.join(arguments)}", *command, bounded=False)


if __name__ == "__main__":
    # Ahead of a run, because it is large.
    _torchstore_python()
