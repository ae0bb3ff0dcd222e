"""Exceptions of a stream: they pass as they are, with a note about where they happened."""

import logging

import pytest
from dataloader_streams import FakeClient, FakeStream, filled, take

from transfer_queue.dataloader.streaming_dataset import default_fetch_batch_fn


class BrokenError(Exception):
    pass


def broken_fetch(**arguments):
    if arguments["batch_index"] == 1:
        raise BrokenError("no luck")
    return default_fetch_batch_fn(**arguments)


def broken_process(td, meta, micro_batch_size):
    raise BrokenError("no luck")


def process_broken_at_second_item(td, meta, micro_batch_size):
    yield "first"
    raise BrokenError("no luck")


def fetch_of_wrong_form(**arguments):
    return None


def note_of(raised):
    (note,) = raised.value.__notes__
    return note


def test_a_fetch_function_that_fails(caplog):
    stream = iter(FakeStream(filled(4), fetch_batch_fn=broken_fetch))
    next(stream)
    with pytest.raises(BrokenError, match="no luck") as raised, caplog.at_level(logging.ERROR):
        next(stream)
    for part in ("broken_fetch", "partition 'p'", "task 't'", "batch index 1"):
        assert part in note_of(raised)
    (record,) = caplog.records
    assert "broken_fetch" in record.getMessage()
    assert "no luck" in record.getMessage()


@pytest.mark.parametrize("process", [broken_process, process_broken_at_second_item])
def test_a_process_function_that_fails(process):
    stream = iter(FakeStream(filled(4), process_batch_fn=process))
    with pytest.raises(BrokenError, match="no luck") as raised:
        list(stream)
    assert process.__name__ in note_of(raised)
    assert "batch index 0" in note_of(raised)


def test_a_fetch_function_of_the_wrong_form():
    with pytest.raises(TypeError) as raised:
        take(FakeStream(filled(4), fetch_batch_fn=fetch_of_wrong_form), 1)
    assert "fetch_of_wrong_form" in note_of(raised)


def test_a_client_that_fails(monkeypatch):
    def get_data(self, metadata):
        raise BrokenError("cleared meanwhile")

    monkeypatch.setattr(FakeClient, "get_data", get_data)
    with pytest.raises(BrokenError, match="cleared meanwhile") as raised:
        take(FakeStream(filled(4)), 1)
    assert "default_fetch_batch_fn" in note_of(raised)


def test_a_stop_iteration_of_a_user_does_not_end_the_stream():
    def fetch(**arguments):
        return next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration"):
        take(FakeStream(filled(4), fetch_batch_fn=fetch), 1)


def test_an_exception_of_the_loop_body_is_not_the_streams():
    stream = iter(FakeStream(filled(4)))
    next(stream)
    with pytest.raises(BrokenError) as raised:
        stream.throw(BrokenError("body"))
    assert not hasattr(raised.value, "__notes__")


def test_a_stream_goes_on_after_a_failure():
    failures = iter([True, False, False])

    def fetch(**arguments):
        if next(failures):
            raise BrokenError
        return default_fetch_batch_fn(**arguments)

    dataset = FakeStream(filled(4), fetch_batch_fn=fetch)
    with pytest.raises(BrokenError):
        take(dataset, 1)
    assert take(dataset, 2) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("check", [False, True])
def test_an_interrupt_ends_the_wait(check, monkeypatch, caplog):
    def interrupted(*_):
        raise KeyboardInterrupt

    controller = filled(1)
    monkeypatch.setattr(controller, "wait" if check else "claim", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        take(FakeStream(controller, should_check_consumption_status=check), 1)
    assert not hasattr(raised.value, "__notes__")
    assert not caplog.records
