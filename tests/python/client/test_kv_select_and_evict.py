"""`kv_select` and `kv_evict` through the public API."""

import pytest
import torch
from tensordict import TensorDict

from transfer_queue import KVEviction, KVSelection
from transfer_queue.errors import InvalidArgumentError


@pytest.fixture
def stored(tq):
    """Six samples in three groups; y is missing in the last one."""
    names = list("abcdef")
    tags = [
        {"r": reward, "g": group}
        for reward, group in zip((3, 1, 2, 9, 8, 0), "uuvvww", strict=True)
    ]
    tq.kv_batch_put(names, "p", TensorDict({"x": torch.arange(6)}, 6), tags)
    tq.kv_batch_put(names[:5], "p", TensorDict({"y": torch.arange(5)}, 5))
    return tq


def test_samples_are_selected_by_their_tags(stored):
    selection = stored.kv_select("p", "r >= 2 and g != 'w'")
    assert isinstance(selection, KVSelection)
    assert selection.meta.keys == ["a", "c", "d"]
    assert selection.meta.tags[0] == {"r": 3, "g": "u"}
    assert selection.meta.fields == ["x", "y"]
    assert (selection.counts.samples, selection.counts.selected) == (6, 3)
    assert selection.counts.not_matching == 3
    data = stored.kv_batch_get_by_meta(selection.meta)
    assert data["x"].tolist() == [0, 2, 3]


def test_everything_is_selected_without_a_condition(stored):
    selection = stored.kv_select("p")
    assert selection.meta.keys == list("abcdef")
    assert selection.meta.fields == ["x"]


@pytest.mark.parametrize("fields", ["y", ["y"], ["x", "y"]])
def test_samples_must_have_the_fields(stored, fields):
    selection = stored.kv_select("p", fields=fields)
    assert selection.meta.keys == list("abcde")
    assert selection.counts.not_ready == 1


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ("r", "fbcaed"),
        ("-r", "deacbf"),
        (("r", True), "deacbf"),
        (["-g", "r"], "fecdba"),
        ([("g", True), ("r", False)], "fecdba"),
        ("unknown", "abcdef"),
        ([], "abcdef"),
    ],
)
def test_samples_are_ordered(stored, order, keys):
    assert stored.kv_select("p", order_by=order).meta.keys == list(keys)


def test_the_best_are_selected(stored):
    selection = stored.kv_select("p", order_by="-r", limit=2)
    assert selection.meta.keys == ["d", "e"]
    assert selection.counts.over_limit == 4


def test_groups_are_taken_whole(stored):
    selection = stored.kv_select("p", "r > 0", group_by="g")
    assert selection.meta.keys == list("abcd")
    assert (selection.counts.not_matching, selection.counts.incomplete_group) == (1, 1)
    assert stored.kv_select("p", group_by="g", group_size=3).meta.keys == []
    assert stored.kv_select("p", group_by="g", group_size=2, limit=3).meta.keys == ["a", "b"]


def test_claimed_samples_are_not_selected_again(stored):
    def claim():
        selection = stored.kv_select("p", limit=4, claim_for="t")
        return selection.meta.keys, selection.counts.already_claimed

    assert [claim(), claim(), claim()] == [(list("abcd"), 0), (list("ef"), 4), ([], 6)]
    status = stored.get_client().get_consumption_status("t", "p")
    assert status[1].tolist() == [1] * 6


def test_an_unknown_partition_has_no_samples(tq):
    selection = tq.kv_select("nope", "r > 0")
    assert (selection.meta.keys, selection.counts.samples) == ([], 0)
    assert tq.kv_evict("nope", "r > 0").keys == []
    assert tq.kv_list() == {}


def test_evicted_samples_are_gone(stored):
    eviction = stored.kv_evict("p", "r < 3", limit=2, order_by="r")
    assert isinstance(eviction, KVEviction)
    assert eviction.keys == ["f", "b"]
    assert (eviction.counts.selected, eviction.counts.over_limit) == (2, 1)
    assert list(stored.kv_list("p")["p"]) == list("acde")
    assert stored.get_client().usage()["samples"] == 4


def test_an_eviction_of_everything_has_to_be_said(stored):
    for nothing in (None, ""):
        with pytest.raises(InvalidArgumentError):
            stored.kv_evict("p", nothing)
    assert len(stored.kv_list("p")["p"]) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": "r +"},
        {"where": 7},
        {"limit": -1},
        {"limit": 1.5},
        {"limit": True},
        {"group_by": "g", "group_size": 0},
        {"group_size": 2},
        {"order_by": 7},
        {"order_by": [7]},
        {"order_by": [("r", 1)]},
    ],
    ids=str,
)
def test_arguments_are_refused(stored, wrong):
    with pytest.raises((InvalidArgumentError, TypeError)):
        stored.kv_select("p", **wrong)


async def test_the_coroutines_do_the_same(stored):
    selection = await stored.async_kv_select("p", "r > 2", order_by="-r")
    assert selection.meta.keys == ["d", "e", "a"]
    assert (await stored.async_kv_evict("p", "r > 2")).keys == ["a", "d", "e"]
