"""What was returned is the caller's own, and what was put is the engine's own."""

import gc

import numpy as np
import pytest
import torch
from kv_builders import (
    KIB,
    batch,
    column,
    eventually,
    jagged,
    names,
    numbered,
    rows,
    same,
    stacked,
    usage,
)
from tensordict import NonTensorStack

COUNT = 16
# Rows below and above the size from which a result is a view of what is stored.
WIDTHS = pytest.mark.parametrize("width", [3, 16 * KIB], ids=["small", "large"])
SELECTIONS = pytest.mark.parametrize(
    "wanted",
    [range(COUNT), range(4, 12), [3], [9, 2, 5], range(COUNT - 1, -1, -1), [1, 1]],
    ids=["all", "run", "one", "scattered", "reversed", "twice"],
)


def put(tq, width, start=0):
    put_rows = numbered(COUNT, width, start)
    tq.kv_batch_put(names(COUNT), "p", batch(x=put_rows))
    return put_rows


def get(tq, wanted):
    return column(tq.kv_batch_get([f"k{number}" for number in wanted], "p"))


@WIDTHS
@SELECTIONS
def test_writing_into_a_result_alters_nothing_else(tq, width, wanted):
    stored = put(tq, width)
    wanted = list(wanted)
    one = get(tq, wanted)
    other = get(tq, wanted)
    one.values().zero_()
    assert same(stacked(other), stored[wanted])
    assert same(stacked(get(tq, wanted)), stored[wanted])
    assert torch.count_nonzero(one.values()) == 0
    del one
    assert same(stacked(get(tq, wanted)), stored[wanted])


@WIDTHS
def test_overlapping_results_are_independent(tq, width):
    stored = put(tq, width)
    parts = {0: get(tq, range(10)), 1: get(tq, range(5, 15)), 2: get(tq, range(COUNT))}
    for number, part in parts.items():
        part.values().fill_(-1 - number)
    for number, part in parts.items():
        assert (part.values() == -1 - number).all()
    assert same(stacked(get(tq, range(COUNT))), stored)


def test_fields_of_one_result_are_independent(tq):
    one = torch.rand(COUNT, 16 * KIB)
    tq.kv_batch_put(names(COUNT), "p", batch(x=one, y=one))
    got = tq.kv_batch_get(names(COUNT), "p")
    got.get("x").values().zero_()
    assert same(stacked(got.get("y")), one)


def test_repeated_rows_of_one_result_are_independent(tq):
    stored = put(tq, 5)
    got = get(tq, [2, 2])
    rows(got)[0].zero_()
    assert same(rows(got)[1], stored[2])
    tq.kv_batch_put(["o"], "q", batch(x=NonTensorStack({"a": [1]})))
    first, second = rows(column(tq.kv_batch_get(["o", "o"], "q")))
    first["a"].append(2)
    assert second == {"a": [1]}


def test_a_view_can_be_taken_again_after_it_was_written_and_dropped(tq):
    stored = put(tq, 16 * KIB)
    for number in range(5):
        got = get(tq, range(COUNT))
        assert same(stacked(got), stored)
        got.values()[number :: number + 1] = -number
        del got


@WIDTHS
def test_dense_columns_and_objects_are_writable(tq, width):
    arrays = [np.arange(width) for _ in range(2)]
    tq.kv_batch_put(
        ["a", "b"],
        "p",
        batch(x=torch.arange(2), o=NonTensorStack(*arrays), d=NonTensorStack({}, {})),
    )
    got = tq.kv_batch_get(["a", "b"], "p")
    got.get("x").fill_(7)
    for array in rows(got.get("o")):
        array.fill(7)
    rows(got.get("d"))[0]["new"] = 1
    again = tq.kv_batch_get(["a", "b"], "p")
    assert again.get("x").tolist() == [0, 1]
    assert same(rows(again.get("o")), arrays)
    assert rows(again.get("d")) == [{}, {}]


@WIDTHS
@SELECTIONS
def test_a_result_survives_overwriting_clearing_and_closing(tq, width, wanted):
    stored = put(tq, width)
    wanted = list(wanted)
    first = get(tq, wanted)
    put(tq, width, start=100)
    second = get(tq, wanted)
    assert same(stacked(first), stored[wanted])
    tq.kv_clear(names(COUNT), "p")
    put(tq, width, start=200)
    assert same(stacked(first), stored[wanted])
    assert same(stacked(second), numbered(COUNT, width, 100)[wanted])
    tq.close()
    tq.init()
    put(tq, width, start=300)
    gc.collect()
    assert same(stacked(first), stored[wanted])
    assert same(stacked(second), numbered(COUNT, width, 100)[wanted])
    second.values().zero_()
    assert same(stacked(first), stored[wanted])


def test_a_slice_of_a_result_keeps_its_memory(tq):
    stored = put(tq, 16 * KIB)
    middle = rows(get(tq, range(COUNT)))[5]
    gc.collect()
    tq.kv_clear(names(COUNT), "p")
    put(tq, 16 * KIB, start=100)
    assert same(middle, stored[5])


def test_memory_of_a_cleared_sample_is_free_once_its_last_result_is_gone(tq):
    put(tq, 16 * KIB)
    got = get(tq, range(COUNT))
    tq.kv_clear(names(COUNT), "p")
    assert usage(tq)["committed_bytes"] == 0
    assert usage(tq)["leased_bytes"] > 0
    del got
    assert eventually(lambda: usage(tq)["leased_bytes"] == usage(tq)["live_views"] == 0)


@WIDTHS
def test_the_callers_tensors_may_change_after_a_put(tq, width):
    dense, flat, ragged = numbered(4, width), torch.arange(4), jagged(*numbered(4, width))
    array, value = np.arange(4), {"a": [1]}
    tq.kv_batch_put(names(4), "p", batch(x=dense, f=flat, r=ragged))
    tq.kv_put("k0", "p", {"n": array, "v": value, "t": dense[1]})
    for tensor in (dense, flat, ragged.values()):
        tensor.fill_(-1)
    array.fill(-1)
    value["a"].append(2)
    got = tq.kv_batch_get(names(4), "p")
    assert same(stacked(got.get("x")), numbered(4, width))
    assert same(got.get("f"), torch.arange(4))
    assert same(stacked(got.get("r")), numbered(4, width))
    one = tq.kv_batch_get("k0", "p")
    assert same(rows(one.get("n")), [np.arange(4)])
    assert rows(one.get("v")) == [{"a": [1]}]
    assert same(rows(one.get("t")), [numbered(4, width)[1]])


def test_a_result_can_be_put_again(tq):
    stored = put(tq, 16 * KIB)
    got = tq.kv_batch_get(names(COUNT), "p")
    tq.kv_batch_put(names(COUNT), "q", got)
    tq.kv_batch_put(names(COUNT), "p", got)
    got.get("x").values().zero_()
    for partition in ("p", "q"):
        again = column(tq.kv_batch_get(names(COUNT), partition))
        assert same(stacked(again), stored)
