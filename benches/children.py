"""Processes that measure: in a clean environment, bounded in time, and leaving nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from session_state import MARK, processes_of

__all__ = ["run_child"]

#: Seconds that what a session left behind gets to end by itself.
GRACE = 5.0


def run_child(
    command: list[str],
    environment: dict[str, str],
    seconds: float,
    *,
    show: bool,
    python_path: Path,
) -> tuple[dict[str, Any] | None, str]:
    """What the command wrote to its `--out`, and what went wrong.

    Settings of the caller's shell would make the systems differ from their defaults, so they are
    taken out; sockets are made in a folder of the child's own.
    """
    mark = uuid.uuid4().hex
    # Short: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="tq-", dir="/tmp"))
    out = folder / "found.json"
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TQ_", "RAY_", "PYTHON"))
    }
    clean |= {
        **environment,
        MARK: mark,
        "PYTHONPATH": str(python_path),
        # The environment of the PyPI package has nothing to write there.
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_RUNTIME_DIR": str(folder),
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    problem = ""
    log = folder / "log"
    try:
        with log.open("w") as errors:
            child = subprocess.Popen(
                [*command, "--out", str(out)],
                env=clean,
                cwd=folder,
                stdout=None if show else errors,
                stderr=errors,
                start_new_session=True,
            )
            try:
                status = child.wait(seconds)
                if status:
                    problem = f"exit status {status}: {log.read_text()[-2000:].strip()}"
            except subprocess.TimeoutExpired:
                problem = f"took more than {seconds:.0f} s: {log.read_text()[-1000:].strip()}"
            except KeyboardInterrupt:
                child.kill()
                raise
        found = json.loads(out.read_text()) if out.exists() else None
        return found, problem
    finally:
        end_all(mark)
        shutil.rmtree(folder, ignore_errors=True)


def end_all(mark: str) -> None:
    """Ends what carries the mark: servers that a package started and did not end."""
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    while left := processes_of(mark):
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        for process in left:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
        time.sleep(0.2)
        if time.monotonic() > deadline + GRACE:
            return
