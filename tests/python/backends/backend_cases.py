"""What every storage backend does. Each case is a function of a `Kit`, run in a process of its own
with one engine, and asserts what holds.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import traceback

import numpy as np
import pytest
import torch
from backend_systems import ATOMIC, BACKENDS, EVICTS, FORKS, GUESTS, OUTLIVES
from tensordict import NonTensorStack, TensorDict

import transfer_queue as tq

CASES = {}
SECONDS = 60


def case(*needs):
    """Makes a function a case, for backends that can do what it needs."""

    def known(function):
        CASES[function.__name__] = (function, frozenset(needs))
        return function

    return known


class Kit:
    """What cases work with."""

    def __init__(self, backend, config):
        self.backend = backend
        self.config = config

    def guest(self, work, *arguments):
        """What ``work(*arguments)`` returns in another process that has joined."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        names = (self.backend.name, work.__name__, arguments)
        process = context.Process(target=_guest, args=(there, self.config, *names), daemon=True)
        process.start()
        assert here.poll(SECONDS), "the guest did not answer"
        answer, failure = here.recv()
        process.join(SECONDS)
        assert failure is None, failure
        return answer


def _guest(pipe, config, backend, work, arguments):
    try:
        BACKENDS[backend].prepare(config)
        tq.init()
        answer = (globals()[work](*arguments), None)
        tq.close()
    except BaseException:  # noqa: BLE001 - shown by whoever asked
        answer = (None, traceback.format_exc())
    pipe.send(answer)


def jagged(rows):
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def rows_of(column):
    if isinstance(column, torch.Tensor):
        return list(column.unbind())
    return column.tolist()


def everything(rows=6, seed=0):
    """A batch of every kind of column; row ``i`` of it tells ``i``."""
    g = torch.Generator().manual_seed(seed)
    return TensorDict(
        {
            "dense": torch.rand(rows, 3, 5, generator=g),
            "scalar": torch.arange(rows) + seed,
            "half": torch.rand(rows, 7, generator=g).to(torch.bfloat16),
            "flags": torch.rand(rows, 2, generator=g) > 0.5,
            "jagged": jagged([torch.full((row + 1,), float(row + seed)) for row in range(rows)]),
            "text": NonTensorStack(*[f"row {row} of {seed} ä" for row in range(rows)]),
            "nested": NonTensorStack(
                *[
                    {"pixels": torch.full((row + 1, 4), row + seed), "size": (row, [seed])}
                    for row in range(rows)
                ]
            ),
            "mixed": NonTensorStack(*[row if row % 2 else None for row in range(rows)]),
        },
        batch_size=rows,
    )


def same_value(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and one == other


def check(got, put, rows):
    """Row ``i`` of ``got`` is row ``rows[i]`` of ``put``, in every field of ``got``."""
    assert got.batch_size[0] == len(rows)
    for name in got.keys():
        found, wanted = rows_of(got.get(name)), rows_of(put.get(name))
        assert len(found) == len(rows), (name, len(found))
        for row, value in zip(rows, found, strict=True):
            assert same_value(value, wanted[row]), (name, row, value, wanted[row])


def keys(rows, prefix="k"):
    return [f"{prefix}{row}" for row in range(rows)]


@case()
def every_kind_of_column_comes_back(kit):
    put = everything()
    meta = tq.kv_batch_put(keys(6), "p", put, tags=[{"row": row} for row in range(6)])
    assert meta.fields == sorted(put.keys())
    assert meta.tags == [{"row": row} for row in range(6)]
    got = tq.kv_batch_get(keys(6), "p")
    assert set(got.keys()) == set(put.keys())
    check(got, put, range(6))
    assert got["scalar"].shape == (6,)
    assert got["dense"].is_nested
    assert got["jagged"].is_nested


@case()
def any_selection_in_any_order_comes_back(kit):
    put = everything(20)
    tq.kv_batch_put(keys(20), "p", put)
    for rows in ([7], [19, 0, 3, 3, 18], list(range(19, -1, -1)), list(range(5, 15))):
        check(tq.kv_batch_get([f"k{row}" for row in rows], "p"), put, rows)
    got = tq.kv_batch_get(["k2", "k9"], "p", select_fields=["text", "scalar", "unknown"])
    assert set(got.keys()) == {"text", "scalar"}
    check(got, put, [2, 9])
    assert tq.kv_batch_get(["k2"], "p", select_fields=["unknown"]).batch_size[0] == 0


@case()
def rows_of_several_puts_come_back_together(kit):
    first, second = everything(4, 0), everything(4, 100)
    tq.kv_batch_put(keys(4, "a"), "p", first)
    tq.kv_batch_put(keys(4, "b"), "p", second)
    got = tq.kv_batch_get(["b3", "a0", "b1", "a2"], "p")
    check(got[[0, 2]], second, [3, 1])
    check(got[[1, 3]], first, [0, 2])


@case()
def fields_are_added_and_overwritten(kit):
    tq.kv_batch_put(keys(3), "p", TensorDict({"x": torch.zeros(3, 2)}, batch_size=3))
    more = TensorDict({"x": torch.ones(2, 4), "y": torch.arange(2)}, batch_size=2)
    meta = tq.kv_batch_put(["k0", "k2"], "p", more, tags=[{"a": 1}, {"b": 2}])
    assert meta.fields == ["x", "y"]
    got = tq.kv_batch_get(keys(3), "p")
    assert list(got.keys()) == ["x"]
    assert [row.tolist() for row in got["x"].unbind()] == [[1] * 4, [0] * 2, [1] * 4]
    assert tq.kv_batch_get(["k2", "k0"], "p")["y"].tolist() == [1, 0]
    assert tq.kv_list("p") == {"p": {"k0": {"a": 1}, "k1": {}, "k2": {"b": 2}}}


@case()
def single_samples_and_tags_alone(kit):
    meta = tq.kv_put("a", "p", {"x": torch.tensor([1, 2]), "s": "text", "n": None}, {"t": 1})
    assert (meta.fields, meta.tags) == (["n", "s", "x"], [{"t": 1}])
    tq.kv_put("a", "p", tag={"u": 2})
    tq.kv_put("b", "p", tag={"u": 3})
    assert tq.kv_list("p")["p"] == {"a": {"t": 1, "u": 2}, "b": {"u": 3}}
    got = tq.kv_batch_get("a", "p")
    assert got["x"].unbind()[0].tolist() == [1, 2]
    assert got.get("s").tolist() == ["text"]
    tq.kv_clear("b", "p")
    assert list(tq.kv_list("p")["p"]) == ["a"]


@case()
def what_was_read_may_be_written_to(kit):
    put = everything()
    tq.kv_batch_put(keys(6), "p", put)
    got = tq.kv_batch_get(keys(6), "p")
    for name in ("dense", "jagged", "scalar"):
        values = got[name].values() if got[name].is_nested else got[name]
        values.zero_()
    got.get("nested").tolist()[0]["pixels"].zero_()
    check(tq.kv_batch_get(keys(6), "p"), put, range(6))


@case()
def what_was_read_outlives_its_clear(kit):
    rows = torch.rand(4, 64 << 10)
    tq.kv_batch_put(keys(4), "p", TensorDict({"x": rows}, batch_size=4))
    got = tq.kv_batch_get(keys(4), "p")["x"]
    tq.kv_clear(keys(4), "p")
    tq.kv_batch_put(keys(4), "p", TensorDict({"x": torch.zeros(4, 64 << 10)}, batch_size=4))
    gc.collect()
    other = tq.kv_batch_get(keys(4), "p")["x"]
    assert torch.equal(torch.stack(got.unbind()), rows)
    assert not other.values().any()


def images(rows, value=0):
    """Packed buffers of 2 MiB; row ``i`` tells ``i`` and ``value``."""
    pixels = [torch.full((1 << 19,), float(100 * value + row)) for row in range(rows)]
    values = [{"pixels": image, "row": row} for row, image in enumerate(pixels)]
    return TensorDict({"image": NonTensorStack(*values)}, batch_size=rows)


@case()
def large_values_are_their_readers_own(kit):
    tq.kv_batch_put(keys(20), "p", images(20))
    first = tq.kv_batch_get(keys(20), "p")
    second = tq.kv_batch_get(keys(20), "p")
    for image in first["image"].tolist():
        image["pixels"][::5000] = -1
    check(second, images(20), range(20))
    check(tq.kv_batch_get(["k7", "k3"], "p"), images(20), [7, 3])
    tq.kv_clear(keys(20), "p")
    tq.kv_batch_put(keys(20), "p", images(20, 1))
    check(tq.kv_batch_get(keys(20), "p"), images(20, 1), range(20))
    check(second, images(20), range(20))
    assert first["image"].tolist()[4]["pixels"][5000] == -1
    # What was written to is put again as it is now.
    tq.kv_batch_put(keys(20, "w"), "p", first)
    again = tq.kv_batch_get(["w4"], "p")["image"].tolist()[0]["pixels"]
    assert again[5000] == -1
    assert again[5001] == 4


@case()
def memory_of_large_values_is_used_again(kit):
    # Together 20 times 40 MiB, which is more than any of the systems is given here.
    for value in range(20):
        tq.kv_batch_put(keys(20), "p", images(20, value))
        got = tq.kv_batch_get(keys(20), "p")
        got["image"].tolist()[3]["pixels"][:] = -1
        check(tq.kv_batch_get(keys(20), "p"), images(20, value), range(20))
        tq.kv_clear(keys(20), "p")


def _sum_of_images(partition, names):
    return float(sum(image["pixels"].sum() for image in tq.kv_batch_get(names, partition)["image"]))


@case(GUESTS)
def other_processes_read_large_values(kit):
    tq.kv_batch_put(keys(20), "p", images(20))
    kept = tq.kv_batch_get(keys(20), "p")["image"].tolist()
    for image in kept:
        image["pixels"].zero_()
    assert kit.guest(_sum_of_images, "p", keys(20)) == sum(range(20)) * (1 << 19)


@case()
def cleared_samples_are_gone(kit):
    put = everything()
    tq.kv_batch_put(keys(6), "p", put)
    tq.kv_clear(["k1", "k4", "unknown"], "p")
    assert list(tq.kv_list("p")["p"]) == ["k0", "k2", "k3", "k5"]
    check(tq.kv_batch_get(keys(6), "p"), put, [0, 2, 3, 5])
    tq.kv_clear(keys(6), "p")
    with pytest.raises(ValueError, match="not found"):
        tq.kv_batch_get(["k0"], "p")
    tq.kv_batch_put(["k1"], "p", put[1:2])
    check(tq.kv_batch_get(["k1"], "p"), put, [1])


@case()
def keys_without_fields_are_not_ready(kit):
    tq.kv_put("a", "p", tag={"t": 1})
    with pytest.raises(ValueError, match="not ready"):
        tq.kv_batch_get("a", "p")


@case()
def the_metadata_client_puts_and_gets(kit):
    client = tq.get_client()
    put = everything()
    meta = client.put(put, partition_id="p")
    assert meta.is_ready
    fetched = client.get_meta(sorted(put.keys()), 4, "p", task_name="t")
    check(client.get_data(fetched), put, range(4))
    rows = client.get_data(meta.select_samples([5, 1]).select_fields(["text", "dense"]))
    check(rows, put, [5, 1])
    extra = TensorDict({"extra": torch.arange(2)}, batch_size=2)
    client.put(extra, meta.select_samples([4, 0]))
    got = client.get_data(client.get_meta(["extra"], 2, "p", task_name="u"))
    assert sorted(got["extra"].tolist()) == [0, 1]
    client.clear_samples(meta.select_samples([0]))
    assert client.get_meta([], 0, "p", mode="force_fetch").size == 5
    client.clear_partition("p")
    assert client.get_partition_list() == []


@case()
def a_put_for_samples_that_were_cleared_is_refused(kit):
    client = tq.get_client()
    meta = client.put(TensorDict({"x": torch.zeros(2)}, batch_size=2), partition_id="p")
    client.clear_samples(meta.select_samples([0]))
    with pytest.raises(KeyError):
        client.put(TensorDict({"y": torch.zeros(2)}, batch_size=2), meta)
    left = client.get_meta(["x"], 1, "p", task_name="t")
    assert left.size == 1
    assert not client.check_production_status(["y"], "p")


@case()
def coroutines_do_the_same(kit):
    async def work():
        put = everything()
        await tq.async_kv_batch_put(keys(6), "p", put)
        check(await tq.async_kv_batch_get(keys(6), "p"), put, range(6))
        await tq.async_kv_clear(keys(6), "p")
        assert await tq.async_kv_list("p") == {"p": {}}

    asyncio.run(work())


@case()
def threads_put_and_get_at_once(kit):
    failures = []

    def work(number):
        try:
            for turn in range(3):
                put = everything(5, 100 * number + turn)
                tq.kv_batch_put(keys(5, f"t{number}-"), "p", put)
                check(tq.kv_batch_get(keys(5, f"t{number}-"), "p"), put, range(5))
        except BaseException:  # noqa: BLE001 - raised below
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not failures, failures[0]


@case()
def large_columns_come_back_whole(kit):
    rows = 40
    g = torch.Generator().manual_seed(1)
    put = TensorDict(
        {
            "dense": torch.rand(rows, 256, 1024 // 4, generator=g),
            "jagged": jagged(
                [torch.rand(1000 + 997 * row % 3 + 2**15, generator=g) for row in range(rows)]
            ),
            "images": NonTensorStack(
                *[{"pixels": torch.rand(200 + row, 1176, generator=g)} for row in range(rows)]
            ),
        },
        batch_size=rows,
    )
    tq.kv_batch_put(keys(rows), "p", put)
    check(tq.kv_batch_get(keys(rows), "p"), put, range(rows))
    chosen = [39, 3, 4, 5, 17, 0]
    check(tq.kv_batch_get([f"k{row}" for row in chosen], "p"), put, chosen)


@case()
def rows_without_bytes_come_back(kit):
    put = TensorDict({"none": torch.zeros(3, 0), "some": torch.arange(3)}, batch_size=3)
    tq.kv_batch_put(keys(3), "p", put)
    got = tq.kv_batch_get(keys(3), "p")
    assert [tuple(row.shape) for row in got["none"].unbind()] == [(0,)] * 3
    assert got["some"].tolist() == [0, 1, 2]
    tq.kv_batch_put(["e"], "p", put[:1].select("none"))
    assert tuple(tq.kv_batch_get("e", "p")["none"].unbind()[0].shape) == (0,)


@case(EVICTS)
def evicted_samples_are_gone(kit):
    tags = [{"step": row} for row in range(6)]
    tq.kv_batch_put(keys(6), "p", everything(), tags=tags)
    assert tq.kv_evict("p", "step < 3").keys == keys(3)
    assert list(tq.kv_list("p")["p"]) == ["k3", "k4", "k5"]


@case(ATOMIC)
def a_put_that_is_refused_leaves_nothing(kit):
    put = TensorDict({"x": torch.zeros(2)}, batch_size=2)
    for wrong in (["a", "a"], ["a"]):
        with pytest.raises(ValueError, match="key"):
            tq.kv_batch_put(wrong, "p", put)
    assert tq.kv_list() == {}


def _sum_and_put(partition, names):
    got = tq.kv_batch_get(names, partition)
    total = float(sum(row.double().sum() for row in got["dense"].unbind()))
    tq.kv_batch_put(["guest"], partition, everything(1, 50))
    check(tq.kv_batch_get(["guest"], partition), everything(1, 50), [0])
    texts = got.get("text").tolist()
    del got
    return total, texts


@case(GUESTS)
def other_processes_read_and_write(kit):
    put = everything(6)
    tq.kv_batch_put(keys(6), "p", put)
    total, texts = kit.guest(_sum_and_put, "p", ["k4", "k1"])
    assert np.isclose(total, float(put["dense"][[4, 1]].double().sum()))
    assert texts == ["row 4 of 0 ä", "row 1 of 0 ä"]
    check(tq.kv_batch_get(keys(6), "p"), put, range(6))
    tq.kv_clear([*keys(6), "guest"], "p")
    assert tq.kv_list("p") == {"p": {}}


@case(GUESTS, OUTLIVES)
def what_a_process_has_put_outlives_it(kit):
    put = everything(6)
    tq.kv_batch_put(keys(6), "p", put)
    kit.guest(_sum_and_put, "p", ["k4", "k1"])
    got = tq.kv_batch_get(["guest", "k0"], "p")
    check(got[:1], everything(1, 50), [0])
    check(got[1:], put, [0])


@case()
def a_forked_child_works_or_is_told_that_it_cannot(kit):
    tq.kv_batch_put(keys(2), "p", everything(2))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        signal.alarm(SECONDS)
        try:
            got = tq.kv_batch_get(["k1"], "p", select_fields="text").get("text").tolist()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            got = f"{type(error).__name__}: {error}"
        os.write(writing, repr(got).encode())
        os._exit(0)
    os.close(writing)
    answer = os.read(reading, 4096).decode()
    assert os.waitpid(child, 0)[1] == 0
    if FORKS in kit.backend.capabilities:
        assert answer == "['row 1 of 0 ä']", answer
    else:
        assert "ForkedProcessError" in answer, answer
        assert "spawn" in answer
    check(tq.kv_batch_get(keys(2), "p"), everything(2), range(2))
