"""The replay buffer: `reset`, `step` and `buffer_size`."""

import pytest
from dataloader_streams import FakeStream, filled, indexes, take
from hypothesis import given
from hypothesis import strategies as st


def buffered(stream):
    return [indexes(batch) for batch in stream.buffer]


def test_reset_replays_all_batches_then_goes_on():
    controller = filled(6)
    stream = FakeStream(controller)
    assert take(stream, 2) == [[0, 1], [2, 3]]
    stream.reset()
    assert stream.batch_index == 0
    assert take(stream, 3) == [[0, 1], [2, 3], [4, 5]]
    assert controller.asked() == [0, 1, 2]


def test_reset_in_the_middle_of_an_iteration():
    stream = FakeStream(filled(4))
    items = iter(stream)
    assert indexes(next(items)) == [0, 1]
    assert indexes(next(items)) == [2, 3]
    stream.reset()
    assert indexes(next(items)) == [0, 1]


def test_a_finished_stream_replays_after_reset():
    stream = FakeStream(filled(4), should_check_consumption_status=True)
    first = [indexes(item) for item in stream]
    stream.reset()
    assert [indexes(item) for item in stream] == first == [[0, 1], [2, 3]]


def test_a_new_iterator_goes_on_where_the_last_one_stopped():
    stream = FakeStream(filled(6))
    assert [take(stream, 1) for _ in range(3)] == [[[0, 1]], [[2, 3]], [[4, 5]]]


def test_step_drops_the_buffer_and_switches():
    controller = filled(4)
    controller.add("q", 4)
    stream = FakeStream(controller)
    take(stream, 2)
    stream.step("q")
    assert (stream.partition_id, stream.batch_index, stream.buffer) == ("q", 0, [])
    assert take(stream, 2) == [[4, 5], [6, 7]]
    stream.reset()
    assert take(stream, 1) == [[4, 5]]


def test_step_leaves_a_buffer_that_was_handed_out():
    stream = FakeStream(filled(2))
    take(stream, 1)
    held = stream.buffer
    stream.step("q")
    assert [indexes(batch) for batch in held] == [[0, 1]]


def test_without_a_bound_all_batches_are_kept():
    stream = FakeStream(filled(20))
    take(stream, 10)
    assert len(stream.buffer) == 10


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_a_bound_keeps_the_last_batches(bound):
    controller = filled(12)
    stream = FakeStream(controller, buffer_size=bound)
    batches = [[index, index + 1] for index in range(0, 12, 2)]
    assert take(stream, 5) == batches[:5]
    assert buffered(stream) == batches[5 - bound : 5]
    stream.reset()
    assert stream.batch_index == 5 - bound
    assert take(stream, bound + 1) == batches[5 - bound :]
    assert controller.asked() == list(range(6))
    assert len(stream.buffer) == bound


def test_a_bound_of_zero_never_replays():
    controller = filled(8)
    stream = FakeStream(controller, buffer_size=0, should_check_consumption_status=True)
    assert take(stream, 2) == [[0, 1], [2, 3]]
    stream.reset()
    assert (stream.batch_index, stream.buffer) == (2, [])
    assert [indexes(item) for item in stream] == [[4, 5], [6, 7]]


def test_a_bound_counts_anew_after_step():
    controller = filled(8)
    controller.add("q", 8)
    stream = FakeStream(controller, buffer_size=1)
    take(stream, 3)
    stream.step("q")
    assert take(stream, 2) == [[8, 9], [10, 11]]
    stream.reset()
    assert stream.batch_index == 1
    assert controller.asked() == [0, 1, 2, 0, 1]


def test_an_index_set_back_by_hand_stays_within_the_buffer():
    stream = FakeStream(filled(8), buffer_size=2)
    take(stream, 3)
    stream.batch_index = 0
    assert take(stream, 2) == [[2, 3], [4, 5]]


def test_a_buffer_emptied_by_hand_does_not_stop_the_stream():
    controller = filled(8)
    stream = FakeStream(controller)
    take(stream, 2)
    stream.buffer.clear()
    assert take(stream, 1) == [[4, 5]]
    stream.reset()
    assert take(stream, 2) == [[4, 5], [6, 7]]
    assert controller.asked() == [0, 1, 2, 3]


def test_a_buffer_filled_by_hand_is_replayed_first():
    controller = filled(6)
    source = FakeStream(controller)
    take(source, 2)
    stream = FakeStream(controller)
    stream.buffer.extend(source.buffer)
    assert take(stream, 3) == [[0, 1], [2, 3], [4, 5]]
    assert controller.asked() == [0, 1, 2]


@given(
    bound=st.none() | st.integers(0, 3),
    steps=st.lists(st.sampled_from(["take", "take", "take", "reset", "step"]), max_size=30),
)
def test_any_order_of_calls_yields_what_a_list_of_batches_would(bound, steps):
    controller = filled(60, "a")
    controller.add("b", 60)
    stream = FakeStream(controller, partition_id="a", buffer_size=bound)
    unread = {
        name: [[i, i + 1] for i in range(60 * n, 60 * n + 60, 2)] for n, name in enumerate("ab")
    }
    partition, kept, replayed = "a", [], []
    for step in steps:
        if step == "take":
            if replayed:
                expected = replayed.pop(0)
            else:
                # A rank-aware controller has the old answers for indexes that are asked for again.
                expected = unread[partition][len(kept)]
                kept.append(expected)
            assert take(stream, 1) == [expected]
        elif step == "reset":
            stream.reset()
            replayed = kept[len(kept) - min(len(kept), len(kept) if bound is None else bound) :]
        else:
            partition = "b" if partition == "a" else "a"
            stream.step(partition)
            kept, replayed = [], []
