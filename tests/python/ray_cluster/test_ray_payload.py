"""Payload between actors, and the processes that actors start."""

import pytest
import ray
from ray_workers import (
    ROWS,
    SECONDS,
    Worker,
    batch,
    check,
    keys,
    partitions_in_child,
    stream,
)

#: Rows that travel with the answer, and rows that are read in shared memory.
WIDTHS = pytest.mark.parametrize("width", [4, 20_000])
CONTEXTS = pytest.mark.parametrize("context", ["fork", "spawn"])


@WIDTHS
def test_what_one_actor_puts_others_and_the_driver_read(tq, width):
    tq.init()
    one, other = Worker.remote(), Worker.remote()
    process = ray.get(one.put.remote(width))
    ray.get(other.check.remote(width))
    check(tq.kv_batch_get(keys(), "p"), width)
    tq.kv_batch_put(keys(ROWS), "p", batch(width, ROWS))
    ray.get([worker.check.remote(width, ROWS) for worker in (one, other)])
    assert tq.kv_list("p")["p"]["k0"] == {"by": process}
    tq.kv_clear(keys() + keys(ROWS), "p")
    assert tq.get_client().usage()["samples"] == 0


def test_an_actor_that_is_killed_gives_back_what_it_held(tq):
    tq.init()
    holder, other = Worker.remote(), Worker.remote()
    tq.kv_batch_put(keys(), "p", batch(20_000))
    ray.get(holder.hold.remote())
    tq.kv_clear(keys(), "p")
    usage = tq.get_client().usage
    assert usage()["leased_bytes"] > 0
    ray.kill(holder)
    # Each put of another process comes after the end of the killed one was seen, or soon will.
    for turn in range(SECONDS * 20):
        if usage()["leased_bytes"] == 0:
            break
        ray.get(other.put.remote(4, turn * ROWS))
    assert usage()["leased_bytes"] == 0
    ray.get(other.check.remote(4, 0))


@CONTEXTS
def test_processes_that_an_actor_starts_find_the_engine(tq, context):
    tq.init()
    tq.kv_put("a", "p", tag={"n": 1})
    worker = Worker.remote()
    ray.get(worker.init.remote())
    found = worker.call.remote(partitions_in_child, context)
    assert ray.get(found, timeout=SECONDS) == {"p": {"a": {"n": 1}}}


@CONTEXTS
def test_processes_that_the_driver_starts_find_the_engine(tq, context):
    tq.init()
    tq.kv_put("a", "p", tag={"n": 1})
    assert partitions_in_child(context) == {"p": {"a": {"n": 1}}}


@CONTEXTS
def test_loader_workers_of_an_actor_stream_each_sample_once(tq, context):
    tq.init()
    worker = Worker.remote()
    seen = ray.get(worker.call.remote(stream, context), timeout=SECONDS)
    assert seen == list(range(12))
