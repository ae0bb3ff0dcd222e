"""What calls of guests cost the process of the controller, a storage unit, and the network."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaling_guest import cpu_seconds

HERE = Path(__file__).resolve().parent
ROWS = (1, 8, 64, 512, 2048)
#: Sizes that the fit does not see.
HELD_OUT = (24, 1024)
SECONDS = 0.6
#: Batches of at most 64 KiB stay with the controller; these do not.
PAYLOAD_LEAST = 160 << 10


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A `tq serve`, and what it says once it is ready."""
    program = Path(sys.executable).with_name("tq")
    command = [program, "serve", "--announce=false", "--log-level=error", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield server, json.loads(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


class Guest:
    """A guest in a process of its own."""

    def __init__(self, address: str, pids: list[int], secret: Path | None = None) -> None:
        environment = {"TQ_SECRET_FILE": str(secret)} if secret else {}
        command = [sys.executable, str(HERE / "scaling_guest.py"), address, *map(str, pids)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={"PATH": "/usr/bin:/bin", **environment},
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def start(self, case: dict[str, Any]) -> None:
        assert self.process.stdin
        print(json.dumps(case), file=self.process.stdin, flush=True)

    def result(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


@contextmanager
def cluster() -> Iterator[tuple[list[int], str, Path]]:
    """A controller that stores small batches only, and a unit: process ids, address, secret."""
    with tempfile.TemporaryDirectory(prefix="tq-") as folder:
        secret = Path(folder) / "secret"
        directories = [f"--directory={folder}/{name}" for name in ("controller", "unit")]
        tcp = ["--bind=127.0.0.1:0", f"--secret-file={secret}"]
        with served("--role=controller", directories[0], *tcp) as (controller, ready):
            unit = ["--role=storage", f"--controller={ready['address']}", "--memory=2G"]
            with served(*unit, directories[1]) as (storage, _):
                yield [controller.pid, storage.pid], ready["tcp_address"], secret


def cases(row_bytes_at_least: int) -> Iterator[dict[str, Any]]:
    yield {"kind": "ask", "rows": 1, "row_bytes": 16, "seconds": SECONDS}
    for rows in sorted({*ROWS, *HELD_OUT}):
        row_bytes = max(row_bytes_at_least // rows, 64)
        for kind in ("put", "get", "claim"):
            yield {"kind": kind, "rows": rows, "row_bytes": row_bytes, "seconds": SECONDS}


def control() -> list[dict[str, Any]]:
    """Calls whose payload goes to a storage unit, so that the controller has the control alone."""
    with cluster() as (pids, address, secret):
        guest = Guest(address, pids, secret)
        found = []
        for case in cases(PAYLOAD_LEAST):
            guest.start(case)
            found.append(guest.result())
        guest.close()
        return found


def crowd() -> list[dict[str, Any]]:
    """Several guests at once: the calls each made, and what all of them cost the controller."""
    kinds = [("put", 64), ("put", 512), ("get", 64), ("get", 512), ("ask", 1), ("ask", 1)]
    with cluster() as (pids, address, secret):
        guests = [Guest(address, pids, secret) for _ in kinds]
        before = cpu_seconds(pids[0])
        for guest, (kind, rows) in zip(guests, kinds, strict=True):
            row_bytes = max(PAYLOAD_LEAST // rows, 64)
            guest.start({"kind": kind, "rows": rows, "row_bytes": row_bytes, "seconds": 5})
        results = [guest.result() for guest in guests]
        spent = cpu_seconds(pids[0]) - before
        for guest in guests:
            guest.close()
        calls = [{key: result[key] for key in ("kind", "rows", "calls")} for result in results]
        return [*calls, {"host_s": spent}]


def payload() -> list[dict[str, Any]]:
    """Large batches over TCP to a storage unit and back."""
    with tempfile.TemporaryDirectory(prefix="tq-") as folder:
        secret = Path(folder) / "secret"
        tcp = ["--bind=127.0.0.1:0", f"--secret-file={secret}", "--memory=4G"]
        with served(f"--directory={folder}/host", *tcp) as (host, ready):
            guest = Guest(ready["tcp_address"], [host.pid], secret)
            found = []
            for kind in ("put", "get"):
                guest.start({"kind": kind, "rows": 256, "row_bytes": 1 << 20, "seconds": 4})
                found.append(guest.result())
            guest.close()
            return found


if __name__ == "__main__":
    for measured in (control, crowd, payload):
        for line in measured():
            print(json.dumps(line), flush=True)
