"""What a forked child may do with an engine that nobody can join, and that it cannot harm its
parent. Joining is tested in `processes`.
"""

import asyncio
import multiprocessing
import os

import pytest
import torch
from kv_builders import KIB, batch, column, names, numbered, rows, same, stacked, usage
from kv_processes import Child, forked

import transfer_queue
from transfer_queue.errors import ForkedProcessError

COUNT = 8
WIDTH = 16 * KIB

ALONE = {"controller": {"serve": False}}

CALLS = {
    "kv_put": lambda tq: tq.kv_put("a", "p", {"x": 1}),
    "kv_put_tag": lambda tq: tq.kv_put("a", "p", tag={"t": 1}),
    "kv_batch_put": lambda tq: tq.kv_batch_put(["a"], "p", batch(x=torch.arange(1))),
    "kv_batch_get": lambda tq: tq.kv_batch_get("k0", "p"),
    "kv_list": lambda tq: tq.kv_list(),
    "kv_clear": lambda tq: tq.kv_clear("k0", "p"),
    "async_kv_put": lambda tq: asyncio.run(tq.async_kv_put("a", "p", {"x": 1})),
    "async_kv_batch_get": lambda tq: asyncio.run(tq.async_kv_batch_get("k0", "p")),
    "usage": lambda tq: tq.get_client().usage(),
    "clear_partition": lambda tq: tq.get_client().clear_partition("p"),
}


@pytest.fixture
def tq():
    """The package, with an engine that other processes cannot join."""
    transfer_queue.close()
    transfer_queue.init(ALONE)
    yield transfer_queue
    transfer_queue.close()


@pytest.fixture
def stored(tq):
    put = numbered(COUNT, WIDTH)
    tq.kv_batch_put(names(COUNT), "p", batch(x=put))
    return put


def unharmed(tq, stored):
    assert tq.kv_list() == {"p": {name: {} for name in names(COUNT)}}
    assert same(stacked(column(tq.kv_batch_get(names(COUNT), "p"))), stored)
    tq.kv_put("after", "p", {"x": torch.arange(WIDTH)})
    tq.kv_clear("after", "p")
    return True


def test_every_call_of_a_child_is_refused(tq, stored):
    def child():
        told = {}
        for name, call in CALLS.items():
            try:
                call(tq)
            except ForkedProcessError as error:
                told[name] = str(error)
        return told

    told = forked(child)
    assert told.keys() == CALLS.keys()
    for message in told.values():
        assert str(os.getpid()) in message
        assert "init()" in message
    assert unharmed(tq, stored)


def test_a_child_may_start_an_engine_of_its_own(tq, stored):
    def child():
        merged = tq.init()
        tq.kv_batch_put(["mine"], "own", batch(x=numbered(1, WIDTH, 70)))
        listed = tq.kv_list()
        got = stacked(column(tq.kv_batch_get("mine", "own")))
        tq.close()
        return merged is not None, listed, same(got, numbered(1, WIDTH, 70))

    assert forked(child) == (True, {"own": {"mine": {}}}, True)
    assert unharmed(tq, stored)


def test_a_child_may_close_what_it_cannot_use(tq, stored):
    def child():
        tq.close()
        tq.close()
        with pytest.raises(AssertionError, match="has not been initialized"):
            tq.kv_list()
        return "closed"

    assert forked(child) == "closed"
    assert unharmed(tq, stored)


def test_a_child_of_a_child(tq, stored):
    def child():
        tq.init(ALONE)
        tq.kv_put("mine", "own", {"x": torch.arange(WIDTH)})

        def grandchild():
            with pytest.raises(ForkedProcessError):
                tq.kv_list()
            tq.init()
            return tq.kv_list()

        listed = forked(grandchild)
        return listed, tq.kv_list()

    assert forked(child) == ({}, {"own": {"mine": {}}})
    assert unharmed(tq, stored)


def test_tensors_read_before_the_fork_are_the_childs_own(tq, stored):
    small = tq.kv_put("s", "q", {"x": torch.arange(5)}) and tq.kv_batch_get("s", "q").get("x")
    large = tq.kv_batch_get(names(COUNT), "p").get("x")

    def child():
        readable = same(stacked(large), stored) and same(rows(small), [torch.arange(5)])
        large.values().fill_(-1)
        small.values().fill_(-1)
        written = bool((large.values() == -1).all() and (small.values() == -1).all())
        return readable, written

    assert forked(child) == (True, True)
    assert same(stacked(large), stored)
    assert same(rows(small), [torch.arange(5)])
    tq.kv_clear("s", "q")
    assert tq.kv_list("q") == {"q": {}}
    tq.get_client().clear_partition("q")
    assert unharmed(tq, stored)


def test_a_child_that_drops_tensors_of_its_parent_frees_nothing(tq, stored):
    held = [tq.kv_batch_get(names(COUNT), "p").get("x")]
    before = usage(tq)

    def child():
        held.clear()
        return True

    assert forked(child)
    assert usage(tq) == before
    assert same(stacked(held[0]), stored)


def test_the_parent_goes_on_while_a_child_lives(tq, stored):
    release, wait = os.pipe()

    def child():
        os.read(release, 1)
        return True

    running = Child(child)
    held = tq.kv_batch_get(names(COUNT), "p").get("x")
    held.values().zero_()
    del held
    assert unharmed(tq, stored)
    os.write(wait, b"!")
    assert running.result()
    os.close(release)
    os.close(wait)
    assert unharmed(tq, stored)


def refused_in_child(results):
    import transfer_queue

    try:
        transfer_queue.kv_list()
    except ForkedProcessError:
        results.put("refused")


def test_a_fork_of_multiprocessing(tq, stored):
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=refused_in_child, args=(results,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert results.get() == "refused"
    assert unharmed(tq, stored)


def engine_of_its_own(results):
    import transfer_queue

    with pytest.raises(AssertionError, match="has not been initialized"):
        transfer_queue.kv_list()
    transfer_queue.init()
    transfer_queue.kv_put("mine", "own", {"x": torch.arange(3)})
    got = transfer_queue.kv_batch_get("mine", "own")
    transfer_queue.close()
    results.put(got.get("x").values().tolist())


def test_a_spawned_process_starts_its_own_engine(tq, stored):
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=engine_of_its_own, args=(results,))
    process.start()
    process.join(100)
    assert process.exitcode == 0
    assert results.get() == [0, 1, 2]
    assert unharmed(tq, stored)


class Rows(torch.utils.data.Dataset):
    """Rows of a tensor that was read through the engine, without another call to it."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, number):
        return self.tensor[number].clone()


def test_workers_of_a_data_loader_that_never_call_the_engine(tq, stored):
    held = tq.kv_batch_get(names(COUNT), "p").get("x").values().view(COUNT, WIDTH)
    loader = torch.utils.data.DataLoader(
        Rows(held), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    for _ in range(2):
        assert torch.equal(torch.cat(list(loader)), stored)
    assert unharmed(tq, stored)
