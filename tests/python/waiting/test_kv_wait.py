"""`kv_wait`: until samples are there."""

import asyncio
import threading

import pytest
import torch
from tensordict import TensorDict

from transfer_queue.errors import InvalidArgumentError, WaitTimeoutError


@pytest.fixture
def later():
    timers = []

    def call(function, *arguments, **more):
        timers.append(threading.Timer(0.05, function, arguments, more))
        timers[-1].start()

    yield call
    for timer in timers:
        timer.join()


@pytest.fixture
def stored(tq):
    """Ten samples: all have x, the even ones y; tag n counts them."""
    names = [f"k{number}" for number in range(10)]
    fields = TensorDict({"x": torch.ones(10)}, batch_size=10)
    tq.kv_batch_put(names, "p", fields, [{"n": number} for number in range(10)])
    tq.kv_batch_put(names[::2], "p", TensorDict({"y": torch.ones(5)}, batch_size=5))
    return tq


def give_up(tq, *arguments, **more):
    with pytest.raises(WaitTimeoutError) as caught:
        tq.kv_wait(*arguments, timeout=0.01, **more)
    return str(caught.value)


def test_any_sample(tq, later):
    assert "'p'" in give_up(tq, "p")
    later(tq.kv_put, "a", "p", tag={"t": 1})
    meta = tq.kv_wait("p")
    assert (meta.keys, meta.tags, meta.partition_id, meta.fields) == (["a"], [{"t": 1}], "p", [])


def test_all_keys_are_waited_for(tq, later):
    tq.kv_put("b", "p", {"x": 1})
    later(tq.kv_put, "a", "p", {"x": 1, "y": 2}, {"t": 1})
    meta = tq.kv_wait("p", ["a", "b"])
    assert (meta.keys, meta.tags, meta.fields) == (["a", "b"], [{"t": 1}, {}], ["x"])


def test_the_order_of_keys_is_kept(stored):
    assert stored.kv_wait("p", ["k3", "k1", "k2", "k1"]).keys == ["k3", "k1", "k2"]
    assert stored.kv_wait("p", "k3").keys == ["k3"]


def test_without_keys_the_order_is_that_of_creation(stored):
    assert stored.kv_wait("p", count=3).keys == [f"k{number}" for number in range(10)]


def test_fields_are_waited_for(stored, later):
    assert stored.kv_wait("p", ["k0", "k2"], ["x", "y"]).fields == ["x", "y"]
    give_up(stored, "p", ["k0", "k1"], "y")
    later(stored.kv_put, "k1", "p", {"y": torch.tensor(1.0)})
    assert stored.kv_wait("p", ["k0", "k1"], "y").keys == ["k0", "k1"]
    assert stored.kv_wait("p", fields="y", count=6).keys == ["k0", "k1", "k2", "k4", "k6", "k8"]


@pytest.mark.parametrize("tags", ["n >= 8", {"n": 8}, "n in (8, 9)", "not n < 8"])
@pytest.mark.parametrize("keys", [None, ["k9", "k8", "k7"]])
def test_tags_are_waited_for(stored, tags, keys):
    found = stored.kv_wait("p", keys, tags=tags, count=1)
    chosen = ["k8"] if isinstance(tags, dict) else ["k8", "k9"]
    assert found.keys == (chosen if keys is None else chosen[::-1])
    assert found.tags[found.keys.index("k8")] == {"n": 8}


def test_a_tag_that_is_set_satisfies(stored, later):
    later(stored.kv_put, "k1", "p", tag={"done": True})
    assert stored.kv_wait("p", ["k1"], tags="done == True").tags == [{"n": 1, "done": True}]


@pytest.mark.parametrize("count", range(1, 6))
def test_a_count_of_keys_with_fields(stored, count):
    names = [f"k{number}" for number in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
    found = stored.kv_wait("p", names, ["x", "y"], count=count)
    assert found.keys == ["k8", "k6", "k4", "k2", "k0"]
    assert found.fields == ["x", "y"]
    assert found.tags == [{"n": number} for number in (8, 6, 4, 2, 0)]
    assert stored.kv_wait("p", names, "y", "n > 2", count=2).keys == ["k8", "k6", "k4"]


def test_more_than_there_are_is_waited_for(stored, later):
    names = [f"k{number}" for number in range(10)]
    assert "lacked" in give_up(stored, "p", names, "y", count=6)
    assert "lacked 1 " in give_up(stored, "p", fields="y", count=6)
    later(stored.kv_put, "k9", "p", {"y": torch.tensor(1.0)})
    assert stored.kv_wait("p", names, "y", count=6).size == 6


def test_keys_that_come_one_by_one(tq, later):
    names = [f"k{number}" for number in range(30)]

    def put():
        for name in names:
            tq.kv_put(name, "p", {"x": 1})

    later(put)
    assert tq.kv_wait("p", names).keys == names


def test_cleared_samples_are_not_counted(stored):
    stored.kv_clear("k0", "p")
    assert stored.kv_wait("p", count=9).size == 9
    give_up(stored, "p", count=10)
    give_up(stored, "p", "k0")


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "1"])
def test_a_count_that_is_none_is_refused(tq, count):
    with pytest.raises(InvalidArgumentError, match="count"):
        tq.kv_wait("p", count=count)


def test_arguments_that_cannot_be_satisfied_are_refused(tq):
    with pytest.raises(InvalidArgumentError, match="2 keys"):
        tq.kv_wait("p", ["a", "b"], count=3)
    with pytest.raises(InvalidArgumentError, match="empty list"):
        tq.kv_wait("p", [])
    with pytest.raises(InvalidArgumentError, match="condition"):
        tq.kv_wait("p", tags="n +")
    with pytest.raises(InvalidArgumentError, match="timeout"):
        tq.kv_wait("p", timeout=-1)


def test_before_init_it_says_so(tq):
    tq.close()
    with pytest.raises(AssertionError, match="has not been initialized"):
        tq.kv_wait("p")


async def test_as_a_coroutine(tq):
    task = asyncio.create_task(tq.async_kv_wait("p", ["a"], ["x"]))
    await asyncio.sleep(0.01)
    assert not task.done()
    await tq.async_kv_put("a", "p", {"x": 1})
    assert (await task).keys == ["a"]
    with pytest.raises(WaitTimeoutError):
        await tq.async_kv_wait("p", ["b"], timeout=0.01)
