"""Limits in samples and bytes, and memory that comes back."""

import pytest
import torch
from kv_builders import KIB, MIB, batch, column, eventually, names, numbered, same, stacked, usage
from tensordict import NonTensorStack

from transfer_queue.errors import CapacityExceededError

LIMIT = 4
ROW = 64 * KIB


def of_bytes(count, start=0):
    """Rows of 64 KiB each."""
    return batch(x=numbered(count, ROW // 8, start))


def held(tq, keys):
    return stacked(column(tq.kv_batch_get(keys, "p")))


def test_more_samples_than_allowed_are_refused(tq_limited):
    tq = tq_limited(total_storage_size=LIMIT)
    tq.kv_batch_put(names(3), "p", batch(x=torch.arange(3)))
    before = usage(tq)
    with pytest.raises(CapacityExceededError):
        tq.kv_batch_put(["a", "b"], "p", batch(x=torch.arange(2)))
    with pytest.raises(ValueError):  # noqa: PT011 - what a caller without our classes writes
        tq.kv_batch_put(names(5, "z"), "q", batch(x=torch.arange(5)))
    assert usage(tq) == before
    assert tq.kv_list() == {"p": {"k0": {}, "k1": {}, "k2": {}}}
    assert column(tq.kv_batch_get(names(3), "p")).tolist() == [0, 1, 2]


def test_a_full_engine_takes_other_fields_and_values_of_its_samples(tq_limited):
    tq = tq_limited(total_storage_size=LIMIT)
    tq.kv_batch_put(names(LIMIT), "p", batch(x=torch.arange(LIMIT)))
    tq.kv_batch_put(names(LIMIT), "p", batch(x=torch.arange(LIMIT) * 2, y=torch.arange(LIMIT)))
    got = tq.kv_batch_get(names(LIMIT), "p")
    assert got.get("x").tolist() == [0, 2, 4, 6]
    assert got.get("y").tolist() == [0, 1, 2, 3]
    with pytest.raises(CapacityExceededError):
        tq.kv_put("one more", "p", {"x": torch.tensor(1)})
    assert list(tq.kv_list("p")["p"]) == names(LIMIT)


def test_cleared_samples_make_room(tq_limited):
    tq = tq_limited(total_storage_size=LIMIT)
    for start in range(0, 40, LIMIT):
        keys = [f"k{number}" for number in range(start, start + LIMIT)]
        tq.kv_batch_put(keys, "p", batch(x=torch.arange(LIMIT)))
        with pytest.raises(CapacityExceededError):
            tq.kv_put("more", "p", {"x": 1})
        tq.kv_clear(keys, "p")
    assert tq.kv_list() == {"p": {}}
    assert usage(tq)["samples"] == 0


def test_more_bytes_than_allowed_are_refused(tq_limited):
    tq = tq_limited(total_storage_bytes=MIB)
    tq.kv_batch_put(names(12), "p", of_bytes(12))
    before = usage(tq)
    with pytest.raises(CapacityExceededError):
        tq.kv_batch_put(names(8, "z"), "p", of_bytes(8))
    with pytest.raises(CapacityExceededError):
        tq.kv_batch_put(names(2, "z"), "q", batch(x=NonTensorStack("s", bytes(MIB))))
    assert usage(tq) == before
    assert list(tq.kv_list()["p"]) == names(12)
    assert "q" not in tq.kv_list()
    assert same(held(tq, names(12)), numbered(12, ROW // 8))
    tq.kv_batch_put(names(4, "z"), "p", of_bytes(4))
    tq.kv_clear(names(12), "p")
    assert eventually(lambda: usage(tq)["leased_bytes"] == 0)  # of the result compared above
    tq.kv_batch_put(names(12), "p", of_bytes(12, 50))
    assert same(held(tq, names(12)), numbered(12, ROW // 8, 50))


def test_a_failed_overwrite_keeps_the_old_value(tq_limited):
    tq = tq_limited(total_storage_bytes=MIB)
    tq.kv_batch_put(names(12), "p", of_bytes(12), [{"t": 1}] * 12)
    with pytest.raises(CapacityExceededError):
        tq.kv_batch_put(names(12), "p", of_bytes(12, 50), [{"t": 2}] * 12)
    assert same(held(tq, names(12)), numbered(12, ROW // 8))
    assert tq.kv_list("p")["p"]["k0"] == {"t": 1}
    tq.kv_batch_put(names(4), "p", of_bytes(4, 50))
    assert same(held(tq, names(4)), numbered(4, ROW // 8, 50))


def test_memory_of_a_result_that_is_held_stays_taken(tq_limited):
    tq = tq_limited(total_storage_bytes=MIB)
    tq.kv_batch_put(names(12), "p", of_bytes(12))
    result = column(tq.kv_batch_get(names(12), "p"))
    tq.kv_clear(names(12), "p")
    with pytest.raises(CapacityExceededError):
        tq.kv_batch_put(names(12), "p", of_bytes(12, 50))
    assert same(stacked(result), numbered(12, ROW // 8))
    del result
    assert eventually(lambda: usage(tq)["leased_bytes"] == 0)
    tq.kv_batch_put(names(12), "p", of_bytes(12, 50))


def test_memory_of_a_result_that_was_dropped_is_there_for_the_next_put(tq_limited):
    tq = tq_limited(total_storage_bytes=64 * MIB)
    put = of_bytes(768)
    for _ in range(8):
        tq.kv_batch_put(names(768), "p", put)
        tq.kv_batch_get(names(768), "p").get("x").values().zero_()
        tq.kv_clear(names(768), "p")


@pytest.mark.parametrize("held_results", [False, True], ids=["dropped", "held"])
def test_cycles_of_put_get_clear_take_no_more_memory(tq, held_results):
    keys, segments, results = names(64), set(), []
    for cycle in range(50):
        put = numbered(64, 2048, cycle)
        tq.kv_batch_put(keys, f"step{cycle}", batch(x=put, n=torch.arange(64), s=[str(cycle)] * 64))
        result = column(tq.kv_batch_get(keys, f"step{cycle}", "x"))
        assert same(stacked(result), put)
        result.values()[::512] = -1
        results = [*results[-2:], result] if held_results else []
        del result
        tq.kv_clear(keys, f"step{cycle}")
        tq.get_client().clear_partition(f"step{cycle}")
        used = usage(tq)
        assert used["committed_bytes"] == used["loaned_bytes"] == used["samples"] == 0
        segments.add(used["segments"])
    assert segments == {1}
    assert tq.kv_list() == {}


@pytest.mark.parametrize("survivor", [0, 31, 63])
def test_clearing_most_of_a_batch_gives_memory_back(tq, survivor):
    keys = names(64)
    put = numbered(64, ROW // 8)
    tq.kv_batch_put(keys, "p", batch(x=put))
    assert usage(tq)["committed_bytes"] >= 64 * ROW
    tq.kv_clear([key for key in keys if key != f"k{survivor}"], "p")
    assert usage(tq)["committed_bytes"] <= 4 * ROW
    assert same(held(tq, [f"k{survivor}"])[0], put[survivor])
    tq.kv_clear(f"k{survivor}", "p")
    assert usage(tq)["committed_bytes"] == 0


def test_overwriting_frees_what_was_there(tq):
    for cycle in range(20):
        tq.kv_batch_put(names(8), "p", of_bytes(8, cycle))
        assert usage(tq)["committed_bytes"] == 8 * ROW
    assert same(held(tq, names(8)), numbered(8, ROW // 8, 19))


def test_segments_are_added_where_one_is_full(tq_limited):
    tq = tq_limited(segment_bytes=MIB, retain_bytes=0)
    tq.kv_batch_put(names(8), "p", of_bytes(8))
    tq.kv_batch_put(names(40, "z"), "p", of_bytes(40, 100))  # larger than a segment
    assert usage(tq)["segments"] >= 2
    assert same(held(tq, names(8)), numbered(8, ROW // 8))
    assert same(held(tq, names(40, "z")), numbered(40, ROW // 8, 100))
    tq.kv_clear([*names(8), *names(40, "z")], "p")
    assert eventually(lambda: usage(tq)["free_resident_bytes"] == 0)


def test_the_client_tells_how_full_it_is(tq_limited):
    tq = tq_limited(total_storage_bytes=MIB, total_storage_size=10)
    assert usage(tq)["capacity_bytes"] == MIB
    tq.kv_batch_put(names(3), "p", of_bytes(3))
    used = usage(tq)
    assert used["samples"] == 3
    assert used["committed_bytes"] == 3 * ROW
