"""Where the processes of a host find each other's engines."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path

__all__ = [
    "ADDRESS_VARIABLE",
    "address_inherited",
    "announce",
    "remove_directory",
    "socket_directory",
    "withdraw",
]

#: Address of the engine to use, as the user gives it.
ADDRESS_VARIABLE = "TQ_ADDRESS"
#: ``<process>:<address>`` of the engine that a process has started, for the processes it starts.
_PARENT_VARIABLE = "TQ_PARENT_ADDRESS"
#: No engine takes longer to start.
_STARTING_SECONDS = 60


def socket_directory(name: str) -> Path:
    """The directory for an engine's sockets: this user's alone, and short, because the path of a
    socket has an end at 107 bytes.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK) and len(runtime) < 40:
        base = Path(runtime) / "transferqueue"
    else:
        base = Path(tempfile.gettempdir()) / f"transferqueue-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_ours(base):
        base = Path(tempfile.mkdtemp(prefix="transferqueue-"))
    for directory in base.iterdir():
        _remove_if_left(directory)
    return base / name.removeprefix("TQ_CONTROLLER_")


def remove_directory(address: str) -> None:
    """Removes the directory of an engine that has ended."""
    shutil.rmtree(address.removeprefix("unix:"), ignore_errors=True)


def _is_ours(directory: Path) -> bool:
    """Whether nobody else can have put anything into it."""
    found = directory.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return is_private and found.st_uid == os.getuid()


def _remove_if_left(directory: Path) -> None:
    """Removes the directory of an engine whose process was killed: nobody listens there, and not
    because he is just about to.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        if time.time() - directory.stat().st_mtime < _STARTING_SECONDS:
            return
        probe.settimeout(1)
        try:
            probe.connect(str(directory / "calls.sock"))
        except (ConnectionRefusedError, FileNotFoundError):
            shutil.rmtree(directory)


def address_inherited() -> str | None:
    """The address of the engine of the process that started this one, directly or not; None where
    it had none.
    """
    process, _, address = os.environ.get(_PARENT_VARIABLE, "").partition(":")
    return address if address and process != str(os.getpid()) else None


def announce(address: str) -> None:
    """Lets processes that this one starts from now on find its engine."""
    os.environ[_PARENT_VARIABLE] = f"{os.getpid()}:{address}"


def withdraw(address: str) -> None:
    """Takes :func:`announce` back."""
    if os.environ.get(_PARENT_VARIABLE) == f"{os.getpid()}:{address}":
        del os.environ[_PARENT_VARIABLE]
