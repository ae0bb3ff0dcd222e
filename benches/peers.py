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
        command = [sys.executable, "-m", "scripts.mooncake_libraries", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise UnavailableError(f"Mooncake's libraries: {done.stderr.strip()[-300:]}")
    paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_LIBRARY_PATH": ":".join(path for path in paths if path)} | _programs()


def _yuanrong() -> dict[str, str]:
    if importlib.util.find_spec("yr") is None:
        raise UnavailableError("openyuanrong-datasystem is not installed")
    return _programs()


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
    command = ["apt-get", "install", "--yes", "--quiet", package]
    # The package would start a server of the system.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise UnavailableError(f"{package} cannot be installed: {done.stderr.strip()[-300:]}")


def _peer_python() -> Path:
    """A Python with the PyPI package, in a virtual environment that is made once."""
    python = PEER_VENV / "bin" / "python"
    ready = PEER_VENV / ".ready"
    if not ready.exists():
        print(f"Installing {PEER_REQUIREMENT} into {PEER_VENV.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER_VENV)], check=True)
        _pip(python, "--no-deps", PEER_REQUIREMENT)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = PEER_VENV / "lib" / version / "site-packages"
        # A line that is a path is added behind the environment's own packages, and the .pth files
        # there, of which one names our sources, are not read.
        (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        _pip(python, *PEER_NEEDS)
        ready.touch()
    return python


def _torchstore_python() -> Path:
    """A Python with torchstore and the Monarch and PyTorch that it asks for, 7 GB, made once."""
    python = TORCHSTORE_VENV / "bin" / "python"
    ready = TORCHSTORE_VENV / ".ready"
    if not ready.exists():
        print(f"Installing {TORCHSTORE_REQUIREMENT} into {TORCHSTORE_VENV.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(TORCHSTORE_VENV)], check=True)
        _pip(python, TORCHSTORE_REQUIREMENT, "tensordict", "numpy")
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
    paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {
        "LD_LIBRARY_PATH": ":".join(path for path in paths if path),
        # What torchstore sets by itself, with a warning in each process.
        "HYPERACTOR_CODEC_MAX_FRAME_LENGTH": "910737418240",
    }
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


def _try(what: str, *command: str, environment: dict[str, str] | None = None) -> None:
    """Runs a command of the set-up; where it fails or hangs, the system cannot be set up."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            timeout=IMPORT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{what}: {error}") from error
    if done.returncode:
        raise UnavailableError(f"{what}: {' '.join(done.stderr.split())[-300:]}")


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"pip install {' '.join(arguments)}: {done.stderr.strip()[-300:]}")
