"""`kv_watch`: the changes of a partition, as they come."""

import asyncio
import itertools
import threading

import pytest
import torch
from tensordict import TensorDict

from transfer_queue import KVChange
from transfer_queue.errors import ClosedError, InvalidArgumentError, WaitTimeoutError, WatchGapError


def taken(watch, count):
    return list(itertools.islice(watch, count))


def plain(changes):
    return [(change.key, change.fields, change.tag, change.cleared) for change in changes]


def test_it_begins_with_what_is_there(tq):
    tq.kv_put("a", "p", {"x": 1}, {"t": 1})
    tq.kv_put("b", "p", tag={"t": 2})
    tq.kv_put("a", "p", {"y": 1})
    tq.kv_put("gone", "p", tag={})
    tq.kv_clear("gone", "p")
    changes = taken(tq.kv_watch("p"), 2)
    assert plain(changes) == [("b", [], {"t": 2}, False), ("a", ["x", "y"], {"t": 1}, False)]
    assert all(isinstance(change, KVChange) for change in changes)


def test_changes_come_in_their_order(tq):
    watch = tq.kv_watch("p", timeout=10)
    tq.kv_put("a", "p", {"x": 1})
    tq.kv_put("b", "p", {"x": 1})
    assert [change.key for change in taken(watch, 2)] == ["a", "b"]
    tq.kv_put("a", "p", tag={"t": 1})
    tq.kv_clear("b", "p")
    changes = taken(watch, 2)
    assert plain(changes) == [("a", ["x"], {"t": 1}, False), ("b", [], {}, True)]
    assert changes[0].sequence < changes[1].sequence


def test_several_changes_of_a_sample_are_one(tq):
    watch = tq.kv_watch("p", timeout=0.01)
    for number in range(50):
        tq.kv_put("a", "p", tag={"t": number})
    assert plain(taken(watch, 1)) == [("a", [], {"t": 49}, False)]
    with pytest.raises(WaitTimeoutError):
        next(watch)


def test_it_goes_on_from_a_change(tq):
    tq.kv_put("a", "p", tag={})
    (known,) = taken(tq.kv_watch("p"), 1)
    tq.kv_put("b", "p", tag={})
    assert [change.key for change in taken(tq.kv_watch("p", known.sequence, timeout=1), 1)] == ["b"]


def test_a_put_wakes_a_watch(tq):
    timer = threading.Timer(0.05, tq.kv_put, ("a", "p", {"x": 1}))
    timer.start()
    assert taken(tq.kv_watch("p"), 1)[0].key == "a"
    timer.join()


def test_every_change_reaches_a_slow_watch(tq):
    names = [f"k{number}" for number in range(3000)]
    tq.kv_batch_put(names, "p", tags=[{}] * len(names))
    watch = tq.kv_watch("p", timeout=10)
    assert {change.key for change in taken(watch, 10)} <= set(names)
    tq.kv_batch_put(names, "p", tags=[{"t": 1}] * len(names))
    # What was fetched before the second put may come twice, but nothing is left out.
    latest = {}
    for change in watch:
        latest[change.key] = change.tag
        if len(latest) == len(names) and all(tag == {"t": 1} for tag in latest.values()):
            break
    assert list(latest.values()) == [{"t": 1}] * len(names)


def test_nothing_for_too_long_ends_it(tq):
    tq.kv_put("a", "p", tag={})
    watch = tq.kv_watch("p", timeout=0.01)
    assert next(watch).key == "a"
    with pytest.raises(WaitTimeoutError, match="since="):
        next(watch)
    with pytest.raises(StopIteration):
        next(watch)


def test_samples_without_a_key_are_left_out(tq):
    tq.get_client().put(TensorDict({"x": torch.ones(2)}, 2), partition_id="p")
    tq.kv_put("a", "p", tag={})
    assert [change.key for change in taken(tq.kv_watch("p", timeout=1), 1)] == ["a"]


def test_a_cleared_partition_clears_its_samples(tq):
    tq.kv_put("a", "p", tag={})
    watch = tq.kv_watch("p", timeout=10)
    assert not next(watch).cleared
    tq.get_client().clear_partition("p")
    change = next(watch)
    assert (change.key, change.cleared) == ("a", True)


def test_a_gap_is_told(tq, monkeypatch):
    """The engine forgets clears after so many; here it says at once that it did."""
    core = tq.get_client().engine.core

    class Forgetful:
        subscribe = core.subscribe

        def changes(self, partition_id, since, limit, allow_pickle):
            changes, following, _ = core.changes(partition_id, since, limit, allow_pickle)
            return changes, following, since == 0

    monkeypatch.setattr(tq.get_client().engine, "core", Forgetful())
    with pytest.raises(WatchGapError, match="since=None"):
        next(tq.kv_watch("p", since=1))
    # Who knows nothing yet has missed nothing.
    with pytest.raises(WaitTimeoutError):
        next(tq.kv_watch("p", timeout=0.01))


@pytest.mark.parametrize("arguments", [{"since": -1}, {"since": "a"}, {"timeout": -1}])
def test_arguments_are_checked_at_once(tq, arguments):
    with pytest.raises(InvalidArgumentError):
        tq.kv_watch("p", **arguments)
    with pytest.raises(InvalidArgumentError):
        tq.async_kv_watch("p", **arguments)


def test_before_init_it_says_so(tq):
    tq.close()
    with pytest.raises(AssertionError, match="has not been initialized"):
        tq.kv_watch("p")


def test_a_watch_is_told_that_the_engine_ended(tq):
    watch = tq.kv_watch("p")
    timer = threading.Timer(0.05, tq.close)
    timer.start()
    with pytest.raises(ClosedError):
        next(watch)
    timer.join()


async def test_as_an_async_iterator(tq):
    await tq.async_kv_put("a", "p", tag={})
    seen = []

    async def read():
        async for change in tq.async_kv_watch("p"):
            seen.append(change.key)  # noqa: PERF401 - seen while it grows

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    await tq.async_kv_put("b", "p", tag={})
    while len(seen) < 2:
        await asyncio.sleep(0.001)
    assert seen == ["a", "b"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_async_iterator_ends_at_its_timeout(tq):
    watch = tq.async_kv_watch("p", timeout=0.01)
    with pytest.raises(WaitTimeoutError):
        await anext(watch)
    await watch.aclose()
