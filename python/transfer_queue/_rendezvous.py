"""Where the processes of a host find each other's engines."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from transfer_queue._operations import Deadline
from transfer_queue.errors import DeadlineExceededError, SystemResourceError

__all__ = [
    "ADDRESS_VARIABLE",
    "address_inherited",
    "announce",
    "announced",
    "announcing",
    "forget",
    "hand_down",
    "remove_directory",
    "socket_directory",
    "take_back",
]

#: Address of the engine to use, as the user gives it.
ADDRESS_VARIABLE = "TQ_ADDRESS"
#: ``<process>:<address>`` of the engine that a process has started, for the processes it starts.
_PARENT_VARIABLE = "TQ_PARENT_ADDRESS"
#: What stood there when this process began to use an engine.
_inherited: str | None = None
#: No engine takes longer to start.
_STARTING_SECONDS = 60
#: The rendezvous file, with ``<process>:<address>`` of the announced engine, and its lock.
_FILE, _LOCK = "announced", "announced.lock"
#: Pause before looking again for a lock.
_PAUSE_SECONDS = 0.05


def socket_directory(name: str) -> Path:
    """The directory for an engine's sockets: this user's alone, and short, because the path of a
    socket has an end at 107 bytes.
    """
    base = _base() or Path(tempfile.mkdtemp(prefix="transferqueue-"))
    for entry in base.iterdir():
        if entry.is_dir():
            _remove_if_left(entry)
    return base / name.rpartition("_")[2]


def _base() -> Path | None:
    """The directory of all engines of this user on this host; None where a stranger has it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK) and len(runtime) < 40:
        base = Path(runtime) / "transferqueue"
    else:
        base = Path(tempfile.gettempdir()) / f"transferqueue-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return base if _is_ours(base) else None


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


def hand_down(address: str) -> None:
    """Lets processes that this one starts from now on find the engine that it uses."""
    global _inherited
    _inherited = os.environ.get(_PARENT_VARIABLE)
    os.environ[_PARENT_VARIABLE] = f"{os.getpid()}:{address}"


def take_back(address: str) -> None:
    """Undoes :func:`hand_down`, so that this process may join its parent's engine again."""
    if os.environ.get(_PARENT_VARIABLE) == f"{os.getpid()}:{address}":
        if _inherited is None:
            del os.environ[_PARENT_VARIABLE]
        else:
            os.environ[_PARENT_VARIABLE] = _inherited


def announced() -> str | None:
    """The address in the rendezvous file; None where there is none."""
    base = _base()
    text = ""
    if base is not None:
        with contextlib.suppress(OSError):
            text = (base / _FILE).read_text().strip()
    return text.partition(":")[2] or None


def forget(address: str) -> None:
    """Removes the rendezvous file where it names this engine, which has ended."""
    with contextlib.suppress(OSError, DeadlineExceededError), announcing(Deadline(1)):
        if announced() == address:
            _file().unlink()


def announce(address: str) -> None:
    """Writes the rendezvous file; to be called inside :func:`announcing`."""
    written = _file().with_suffix(f".{os.getpid()}")
    written.write_text(f"{os.getpid()}:{address}\n")
    written.chmod(0o600)
    written.replace(_file())


@contextlib.contextmanager
def announcing(deadline: Deadline) -> Iterator[None]:
    """Keeps others from announcing an engine: of two that start at once, one joins the other.

    Raises:
        DeadlineExceededError: another process starts one, and is not done in time.
        SystemResourceError: there is no directory that is this user's alone.
    """
    with _file().with_name(_LOCK).open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline.left == 0:
                    raise DeadlineExceededError(
                        f"another process holds {lock.name}, and has not announced its engine "
                        f"within {deadline.seconds} s"
                    ) from None
                time.sleep(_PAUSE_SECONDS)
        # Closing the file unlocks it; the file stays, because removing it would race with opening.
        yield


def _file() -> Path:
    base = _base()
    if base is None:
        raise SystemResourceError(
            "no engine can be announced: the directory for it belongs to somebody else, or others "
            "may read it; set XDG_RUNTIME_DIR to one that is yours alone"
        )
    return base / _FILE
