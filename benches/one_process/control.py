"""The control plane: metadata of a batch, selections by tag, and how fast who waits is woken."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import torch
from gateway import gateway
from measure import Results, is_ours, out_path, repeated, timed
from tensordict import TensorDict

BATCH = 1024
SAMPLES = 100_000
#: The cost must follow the batch and not this.
MANY_SAMPLES = 1_000_000
FIELDS = [f"field_{number}" for number in range(4)]
TURNS = 60
WAKES = 200
IDLE_SECONDS = 2.0


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    results = Results("control")
    with gateway() as tq:
        measure_get_meta(tq, results, "get_meta, 1,024 of 100,000", SAMPLES)
        if is_ours():
            measure_get_meta(tq, results, "get_meta, 1,024 of 1,000,000", MANY_SAMPLES)
            measure_selection(tq, results)
            measure_wakes(tq, results)
    results.write(out)


def measure_get_meta(tq: Any, results: Results, name: str, samples: int) -> None:
    """Fetches batches of a partition that is complete, as many as it has."""
    client = tq.get_client()
    rows = torch.arange(samples)
    data = TensorDict(dict.fromkeys(FIELDS, rows), batch_size=samples)
    client.put(data, partition_id=name)
    fetch = partial(
        client.get_meta,
        data_fields=FIELDS,
        batch_size=BATCH,
        partition_id=name,
        task_name="train",
    )
    first = fetch()
    assert len(first) == BATCH, f"{len(first)} samples were fetched"
    assert sorted(first.field_names) == FIELDS, first.field_names
    results.add(name, repeated(fetch, TURNS))
    client.clear_partition(name)


def measure_selection(tq: Any, results: Results) -> None:
    """Selects among 100,000 tagged keys; and asks what has changed where little has."""
    keys = [f"key_{row}" for row in range(SAMPLES)]
    tags = [
        {"version": row % 50, "reward": row / SAMPLES, "status": "done"} for row in range(SAMPLES)
    ]
    tq.kv_batch_put(keys=keys, partition_id="tagged", tags=tags)
    where = "version >= 25 and status == 'done' and reward < 0.9"
    select = partial(
        tq.kv_select, "tagged", where=where, order_by=["-version", "reward"], limit=BATCH
    )
    assert len(select().meta.keys) == BATCH
    results.add("kv_select, 1,024 of 100,000 keys", repeated(select, TURNS), operations=SAMPLES)

    watch = tq.kv_watch("tagged")
    for _ in range(SAMPLES):
        next(watch)
    seconds = []
    for turn in range(TURNS):
        tq.kv_put(keys[turn], "tagged", tag={"reward": 2.0})
        seconds.append(timed(partial(next, watch)))
    results.add("kv_watch, 1 change of 100,000 keys", seconds)
    listed = repeated(partial(tq.kv_list, "tagged"), 7)
    results.add("kv_list of the same", listed)


def measure_wakes(tq: Any, results: Results) -> None:
    """From the put that completes a batch to the waiting thread that has its metadata; and the CPU
    that this process uses while nothing but a wait goes on.
    """
    client = tq.get_client()
    ready = threading.Barrier(2)
    seen: list[float] = []

    def wait() -> None:
        for turn in range(WAKES):
            ready.wait()
            client.get_meta(["f"], 2, f"wake_{turn}", task_name="train", timeout=60)
            seen.append(time.perf_counter())

    waiter = threading.Thread(target=wait)
    waiter.start()
    put = []
    for turn in range(WAKES):
        where = f"wake_{turn}"
        tq.kv_put("a", where, {"f": torch.zeros(8)})
        ready.wait()
        # Until the other one is asleep.
        time.sleep(0.005)
        tq.kv_put("b", where, {"f": torch.zeros(8)})
        put.append(time.perf_counter())
    waiter.join()
    # Before the clock of the put has stopped, the waiter may have woken already.
    delays = [max(woken - done, 1e-7) for done, woken in zip(put, seen, strict=True)]
    results.add("put to woken get_meta", delays)

    idle = threading.Thread(target=partial(time_out, client))
    before = time.process_time()
    idle.start()
    idle.join()
    results.add("CPU of a wait of 2 s", [max(time.process_time() - before, 1e-7)])


def time_out(client: Any) -> None:
    """Waits for what never comes."""
    try:
        client.get_meta(["f"], 1, "never", task_name="train", timeout=IDLE_SECONDS)
    except TimeoutError:
        return
    raise AssertionError("a batch came out of nothing")


if __name__ == "__main__":
    main()
