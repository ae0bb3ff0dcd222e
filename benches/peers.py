"""The environments in which the systems run, each made once.

The PyPI package has the same import name as ours, so it gets a virtual environment of its own. What
both need besides (PyTorch, tensordict, Ray, the clients of the backends) it takes from ours, in the
same versions: installed a second time it would be the same 5 GB, and other versions would be
measured along.
"""

from __future__ import annotations

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
    needs: dict[str, Callable[[], dict[str, str]]] = {
        "mooncake": _mooncake,
        "yuanrong": _yuanrong,
        "redis": _redis,
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


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"pip install {' '.join(arguments)}: {done.stderr.strip()[-300:]}")
