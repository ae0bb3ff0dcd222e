"""What the machine itself can do: copying, and TCP over loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from measure import Results, out_path, timed
from payloads import MIB
from regions import copy_all

COPIED = 512 * MIB
SENT = 512 * MIB
TIMES = 5
PIECE = MIB


def main() -> None:
    out = out_path(__doc__)
    results = Results("limits")
    source, target = (np.full(COPIED, value, np.uint8) for value in (1, 2))
    for threads in (1, 2):
        work = partial(copy_all, [target], [source], threads)
        label = "1 thread" if threads == 1 else f"{threads} threads"
        add(results, f"copy, {label}", work, COPIED)
    for connections in (1, 4):
        label = "1 connection" if connections == 1 else f"{connections} connections"
        add(results, f"TCP over loopback, {label}", partial(send, connections), SENT)
    results.write(out)


def add(results: Results, name: str, work: Callable[[], object], size: int) -> None:
    work()
    results.add(name, [timed(work) for _ in range(TIMES)], size=size)


def send(connections: int) -> None:
    """Sends `SENT` bytes to a thread that reads them into memory that it uses again."""
    listener = socket.create_server(("127.0.0.1", 0))
    share = SENT // connections

    def read() -> None:
        connection, _ = listener.accept()
        with connection:
            into, left = memoryview(bytearray(PIECE)), share
            while left:
                left -= connection.recv_into(into)

    def write() -> None:
        with socket.create_connection(listener.getsockname()) as connection:
            piece = memoryview(bytearray(PIECE))
            for _ in range(share // PIECE):
                connection.sendall(piece)

    threads = [threading.Thread(target=work) for _ in range(connections) for work in (read, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listener.close()


if __name__ == "__main__":
    main()
