"""Datasets in worker processes and other copies."""

import copy
import multiprocessing
import os
import pickle
import time

import pytest
from dataloader_controller import start_shared
from dataloader_streams import FakeStream, filled, indexes, take
from hypothesis import given
from hypothesis import strategies as st

from transfer_queue.dataloader import StreamingDataLoader
from transfer_queue.dataloader.numbering import Numbering
from transfer_queue.dataloader.waiting import Guardian

CONTEXTS = pytest.mark.parametrize("context", ["fork", "spawn"])


@pytest.fixture
def shared():
    manager = start_shared()
    yield manager.FakeController()
    manager.shutdown()


@given(workers=st.integers(1, 9), begin=st.integers(0, 100))
def test_workers_divide_the_numbers_from_any_start(workers, begin):
    shares = [Numbering(worker, workers) for worker in range(workers)]
    numbers = [share.number(share.position(begin) + step) for share in shares for step in range(5)]
    assert sorted(numbers) == list(range(begin, begin + 5 * workers))


@CONTEXTS
def test_workers_take_distinct_batches(shared, context):
    shared.add("p", 24)
    stream = FakeStream(shared, should_check_consumption_status=True, micro_batch_size=1)
    loader = StreamingDataLoader(stream, num_workers=2, multiprocessing_context=context)
    taken = [index for item in loader for index in indexes(item)]
    assert sorted(taken) == list(range(24))
    assert sorted(set(shared.asked())) == list(range(max(shared.asked()) + 1))
    assert stream.clients_made_in == []


def test_two_iterations_of_persistent_workers(shared):
    shared.add("p", 8)
    stream = FakeStream(shared, should_check_consumption_status=True)
    loader = StreamingDataLoader(
        stream, num_workers=2, multiprocessing_context="fork", persistent_workers=True
    )
    assert sorted(indexes(item)[0] for item in loader) == [0, 2, 4, 6]
    shared.add("p", 8)
    assert sorted(indexes(item)[0] for item in loader) == [8, 10, 12, 14]


def test_workers_go_on_where_this_process_stopped(shared):
    shared.add("p", 12)
    stream = FakeStream(shared, should_check_consumption_status=True)
    assert take(stream, 3) == [[0, 1], [2, 3], [4, 5]]
    loader = StreamingDataLoader(stream, num_workers=2, multiprocessing_context="fork")
    assert sorted(indexes(item) for item in loader) == [[6, 7], [8, 9], [10, 11]]
    assert min(shared.asked()[3:]) == 3


def test_workers_divide_what_this_process_had_buffered(shared):
    shared.add("p", 10)
    stream = FakeStream(shared, should_check_consumption_status=True)
    take(stream, 3)
    stream.reset()
    loader = StreamingDataLoader(stream, num_workers=2, multiprocessing_context="fork")
    assert sorted(indexes(item)[0] for item in loader) == [0, 2, 4, 6, 8]


def test_a_step_reaches_workers_of_the_next_iteration(shared):
    shared.add("p", 4)
    shared.add("q", 4)
    stream = FakeStream(shared, should_check_consumption_status=True)
    loader = StreamingDataLoader(stream, num_workers=2, multiprocessing_context="fork")
    assert sorted(indexes(item) for item in loader) == [[0, 1], [2, 3]]
    loader.step("q")
    assert sorted(indexes(item) for item in loader) == [[4, 5], [6, 7]]


def broken(td, meta, micro_batch_size):
    raise LookupError("no luck")


def test_an_error_of_a_worker_names_where_it_happened(shared):
    shared.add("p", 4)
    loader = StreamingDataLoader(
        FakeStream(shared, process_batch_fn=broken), num_workers=1, multiprocessing_context="fork"
    )
    with pytest.raises(LookupError, match=r"(?s)no luck.*broken, partition 'p', task 't'"):
        list(loader)


def iterate_in_fork(dataset, results):
    items = take(dataset, 1)
    results.put((items, dataset.clients_made_in, os.getpid()))


def test_a_client_is_made_once_a_process(shared):
    shared.add("p", 8)
    stream = FakeStream(shared)
    take(stream, 2)
    take(stream, 1)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=iterate_in_fork, args=(stream, results))
    child.start()
    items, made_in, pid = results.get()
    child.join(60)
    assert items == [[6, 7]]
    assert made_in == [os.getpid(), pid]
    assert stream.clients_made_in == [os.getpid()]


def test_a_client_is_not_made_before_it_is_needed():
    stream = FakeStream(filled(2))
    iter(stream)
    assert stream.clients_made_in == []


def test_a_copy_has_no_client_and_continues():
    stream = FakeStream(filled(4))
    take(stream, 1)
    twin = copy.copy(stream)
    assert twin._tq_client is None
    assert stream._tq_client is not None
    assert take(twin, 1) == [[2, 3]]


def test_a_pickle_carries_no_client():
    class Unpicklable:
        def __reduce__(self):
            raise TypeError("this must stay in its process")

    stream = FakeStream(None)
    stream._tq_client = Unpicklable()
    again = pickle.loads(pickle.dumps(stream))
    assert again._tq_client is None
    assert (again.partition_id, again.batch_index, again.buffer) == ("p", 0, [])


def tell_of_the_parents_end(told):
    """In a child of its own, waits for the end of this process and writes what guardians say."""
    if os.fork() == 0:
        guardian, unconcerned = Guardian(in_worker=True), Guardian(in_worker=False)
        os.write(told, b"alive " if guardian.alive() else b"dead ")
        while guardian.alive():
            time.sleep(0.01)
        os.write(told, b"dead" if unconcerned.alive() else b"no end")
        os._exit(0)


def test_a_worker_notices_that_its_trainer_died():
    hear, told = os.pipe()
    trainer = os.fork()
    if trainer == 0:
        tell_of_the_parents_end(told)
        os.write(told, os.read(hear, 6))  # lives until the worker has begun
        os._exit(0)
    os.waitpid(trainer, 0)
    os.close(told)
    with os.fdopen(hear, "rb") as heard:
        assert heard.read() == b"alive dead"


def test_a_worker_without_a_trainer_ends_its_stream():
    class Dead:
        def alive(self):
            return False

    for check in (False, True):
        stream = FakeStream(filled(4), should_check_consumption_status=check)
        assert stream._next(Dead()) is None
