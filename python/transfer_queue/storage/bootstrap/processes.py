"""Programs that a provider starts: ready by a deadline, and ended by their process alone."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from transfer_queue.errors import UnavailableError

__all__ = ["Program", "free_port", "is_open", "program_path"]

logger = logging.getLogger(__name__)

#: Seconds between looks at a program that starts, and until one that was asked to end is killed.
_LOOK_SECONDS, _END_SECONDS = 0.05, 10.0


class Program:
    """A program that this process has started.

    Args:
        name: for messages, and of its log file.
        command: program and arguments.
        environment: what differs from this process's environment.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix=f"transferqueue-{name}-"))
        self.log = self.directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                # Ctrl-C in the terminal is for the user's program, which ends this one in order.
                start_new_session=True,
            )
        self._starter = os.getpid()

    def wait_until(self, ready: Callable[[], bool], deadline: float, what: str) -> None:
        """Waits until ``ready``.

        Raises:
            UnavailableError: the program ended, or ``deadline`` seconds passed; it is ended then.
        """
        end = time.monotonic() + deadline
        while not ready():
            code = self.process.poll()
            if code is not None or time.monotonic() > end:
                how = (
                    f"ended with {code}" if code is not None else f"was not {what} in {deadline} s"
                )
                text = self.tail()
                self.end()
                raise UnavailableError(f"{self.name} {how}; its last words: {text}")
            time.sleep(_LOOK_SECONDS)

    def tail(self, most: int = 2000) -> str:
        """The end of its log."""
        try:
            return self.log.read_text(errors="replace")[-most:].strip()
        except OSError:
            return ""

    def end(self) -> None:
        """Ends the program and removes its directory; never raises. A forked child ends nothing."""
        if os.getpid() != self._starter:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end in %s s and is killed", self.name, _END_SECONDS)
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def program_path(name: str) -> str:
    """The path of a program that a Python package has installed beside this interpreter.

    Raises:
        UnavailableError: it is not there.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise UnavailableError(f"the program {name} is not installed beside {sys.executable}")
    return found


def is_open(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout):
        return True
    return False


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
