"""A program: the master is killed during a put, and started again. Tells what happened."""

import json
import os
import signal
import sys
import threading
import time

import torch
from omegaconf import OmegaConf
from tensordict import TensorDict

import transfer_queue as tq
from transfer_queue.storage.bootstrap.mooncake_bootstrap import start_mooncake
from transfer_queue.storage.clients import mooncake_calls

ROWS = 400


def main():
    section = {
        "auto_init": True,
        "metadata_server": "127.0.0.1:0",
        "master_server_address": "127.0.0.1:0",
        "local_hostname": "127.0.0.1",
        "global_segment_size": 1 << 30,
        "local_buffer_size": 1 << 20,
    }
    conf = OmegaConf.create({"backend": {"MooncakeStore": section}})
    first = start_mooncake(conf)
    section = {**OmegaConf.to_container(conf.backend.MooncakeStore), "auto_init": False}
    tq.init({"backend": {"storage_backend": "MooncakeStore", "MooncakeStore": section}})
    keys = [f"k{row}" for row in range(ROWS)]
    fields = TensorDict({"x": torch.rand(ROWS, 1 << 18)}, batch_size=ROWS)
    client = tq.get_client().storage_manager.storage_client

    # Killed when the first objects are stored and others are not.
    stored = threading.Event()
    upsert = client._batch_upsert_with_retry

    def noticed(*arguments, **named):
        upsert(*arguments, **named)
        stored.set()

    client._batch_upsert_with_retry = noticed

    def kill():
        stored.wait()
        os.kill(first.programs[0].process.pid, signal.SIGKILL)

    threading.Thread(target=kill).start()
    start = time.monotonic()
    try:
        tq.kv_batch_put(keys, "p", fields)
        report = {"error": None}
    except Exception as error:  # noqa: BLE001 - told to whoever started this
        report = {"error": type(error).__name__, "text": str(error)}
    report["in_time"] = time.monotonic() - start < mooncake_calls.DEADLINE_SECONDS
    report["keys"] = list(tq.kv_list("p").get("p", {}))
    first.end()
    conf.backend.MooncakeStore.auto_init = True
    second = start_mooncake(conf)
    tq.kv_batch_put(keys, "p", fields)
    got = tq.kv_batch_get(keys[:2], "p")["x"].unbind()
    report["works_again"] = torch.equal(torch.stack(got), fields["x"][:2])
    tq.close()
    second.end()
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
