"""What the machine itself can do: copying, TCP over loopback, and Mooncake's own calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from measure import Results, out_path, timed
from payloads import MIB
from regions import copy_all

COPIED = 512 * MIB
SENT = 512 * MIB
MOONCAKE_BYTES = 256 * MIB
OBJECT = MIB
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
    try:
        mooncake(results)
    except ImportError as error:
        results.failed("Mooncake raw", str(error))
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


def mooncake(results: Results) -> None:
    """Mooncake's own batch calls on one registered region, objects of 1 MiB, between two clients:
    one that has the memory, and one that puts and gets.
    """
    from mooncake.store import MooncakeDistributedStore, ReplicateConfig
    from omegaconf import OmegaConf

    from transfer_queue.storage.bootstrap.mooncake_bootstrap import start_mooncake

    section = {
        "auto_init": True,
        "metadata_server": "P2PHANDSHAKE",
        "master_server_address": "127.0.0.1:0",
        "local_hostname": "127.0.0.1",
        "global_segment_size": 2 * MOONCAKE_BYTES,
        "local_buffer_size": MIB,
    }
    conf = OmegaConf.create({"backend": {"MooncakeStore": section}})
    resources = start_mooncake(conf)
    master = conf.backend.MooncakeStore.master_server_address
    try:
        for where, own in (("own segment", 3), ("another's segment", 0)):
            clients = []
            for size in (own * MOONCAKE_BYTES, 0 if own else 3 * MOONCAKE_BYTES):
                client = MooncakeDistributedStore()
                code = client.setup("127.0.0.1", "P2PHANDSHAKE", size, MIB, "tcp", "", master)
                assert code == 0, f"Mooncake's setup answered {code}"
                clients.append(client)
            measure_mooncake(results, where, clients[0], ReplicateConfig())
            for client in clients:
                client.close()
    finally:
        resources.end()


def measure_mooncake(results: Results, where: str, store, config) -> None:  # noqa: ANN001
    region = np.random.default_rng(0).integers(0, 255, MOONCAKE_BYTES, np.uint8)
    into = np.zeros_like(region)
    for buffer in (region, into):
        assert store.register_buffer(buffer.ctypes.data, buffer.nbytes) == 0
    count = MOONCAKE_BYTES // OBJECT
    sizes = [OBJECT] * count
    puts, gets = [], []
    for turn in range(TIMES + 1):
        keys = [f"raw-{where}-{turn}-{number}" for number in range(count)]
        addresses = [region.ctypes.data + number * OBJECT for number in range(count)]
        targets = [into.ctypes.data + number * OBJECT for number in range(count)]
        started = time.perf_counter()
        codes = store.batch_upsert_from(keys, addresses, sizes, config)
        puts.append(time.perf_counter() - started)
        assert not any(codes), f"Mooncake answered {min(codes)}"
        started = time.perf_counter()
        read = store.batch_get_into(keys, targets, sizes)
        gets.append(time.perf_counter() - started)
        assert read == sizes, f"Mooncake read {min(read)} bytes of {OBJECT}"
        assert (into == region).all(), "Mooncake gave other bytes"
        into[:] = 0
        store.batch_remove(keys, True)
    results.add(f"Mooncake raw put, {where}", puts[1:], size=MOONCAKE_BYTES)
    results.add(f"Mooncake raw get, {where}", gets[1:], size=MOONCAKE_BYTES)
    for buffer in (region, into):
        store.unregister_buffer(buffer.ctypes.data)


if __name__ == "__main__":
    main()
