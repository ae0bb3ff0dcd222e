"""A listing is the caller's own, however much of it was kept from the one before."""

from __future__ import annotations

import random
from typing import Any

import pytest


def put(tq, keys: list[str], tags: list[dict[str, Any]], partition: str = "p"):
    tq.kv_batch_put(keys=keys, partition_id=partition, tags=tags)


@pytest.mark.parametrize("held", [False, True])
def test_what_is_done_to_a_listing_does_not_show_in_the_next(tq, held: bool):
    put(tq, ["a", "b"], [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}])
    expected = {"a": {"n": 1, "s": "x"}, "b": {"n": 2, "s": "y"}}
    kept = []
    for spoil in (
        lambda listed: listed["a"].update(n=5),
        lambda listed: listed["a"].update(more=5),
        lambda listed: listed["a"].pop("n"),
        lambda listed: listed["a"].clear(),
        lambda listed: listed.pop("a"),
        lambda listed: listed.update(c={}),
        lambda listed: listed["b"].update(s=listed["b"].pop("s")),
        lambda listed: (listed["b"].pop("n"), listed["b"].update(n=2)),
    ):
        listed = tq.kv_list("p")["p"]
        spoil(listed)
        if held:
            kept.append(listed)
        del listed
        again = tq.kv_list("p")["p"]
        assert again == expected
        assert [list(tag) for tag in again.values()] == [["n", "s"], ["n", "s"]]
        del again


def test_a_listing_that_is_held_never_changes(tq):
    put(tq, ["a", "b"], [{"n": 1}, {"n": 2}])
    held = [tq.kv_list("p") for _ in range(4)]
    put(tq, ["a"], [{"n": 7}])
    put(tq, ["c"], [{"n": 3}])
    assert all(listed == {"p": {"a": {"n": 1}, "b": {"n": 2}}} for listed in held)
    assert tq.kv_list("p") == {"p": {"a": {"n": 7}, "b": {"n": 2}, "c": {"n": 3}}}


def test_a_tag_dict_that_is_held_alone_is_not_handed_out_again(tq):
    put(tq, ["a", "b"], [{"n": 1}, {"n": 2}])
    mine = tq.kv_list("p")["p"]["b"]
    listed = tq.kv_list("p")["p"]
    assert listed["b"] is not mine
    mine["n"] = 9
    assert listed["b"] == {"n": 2}
    assert tq.kv_list("p")["p"]["b"] == {"n": 2}


@pytest.mark.parametrize("value", [True, 1, 1.0, None, "1", [1], {"k": [1]}, float("inf"), -0.0])
def test_values_keep_their_types_from_listing_to_listing(tq, value: Any):
    put(tq, ["a"], [{"v": value}])
    for _ in range(4):
        found = tq.kv_list("p")["p"]["a"]["v"]
        assert type(found) is type(value)
        assert repr(found) == repr(value)


def test_equal_values_of_other_types_are_not_taken_for_the_same(tq):
    put(tq, ["a"], [{"v": 1}])
    listed = tq.kv_list("p")["p"]
    listed["a"]["v"] = True
    del listed
    assert tq.kv_list("p")["p"]["a"]["v"] is not True


def test_a_mutable_value_is_new_in_every_listing(tq):
    put(tq, ["a"], [{"v": [1]}])
    tq.kv_list("p")["p"]["a"]["v"].append(2)
    assert tq.kv_list("p")["p"]["a"]["v"] == [1]


def test_listings_agree_with_a_model_through_puts_clears_and_what_callers_keep(tq):
    choose = random.Random(11)
    model: dict[str, dict[str, dict[str, Any]]] = {}
    held: list[Any] = []
    for step in range(600):
        partition = choose.choice(["p", "q"])
        names = [f"k{i}" for i in range(8)]
        match choose.randrange(5):
            case 0 | 1:
                key, tag = choose.choice(names), {choose.choice("xyz"): choose.randrange(4)}
                put(tq, [key], [tag], partition)
                model.setdefault(partition, {}).setdefault(key, {}).update(tag)
            case 2:
                gone = choose.choice(names)
                tq.kv_clear(gone, partition)
                model.get(partition, {}).pop(gone, None)
            case 3:
                held = [*held, (tq.kv_list(partition), step)][-choose.randrange(4) :]
            case 4 if choose.random() < 0.1:
                tq.get_client().clear_partition(partition)
                model.pop(partition, None)
        listed = tq.kv_list(choose.choice([None, partition]))
        for name, samples in listed.items():
            assert list(samples.items()) == list(model[name].items())
            if samples and choose.random() < 0.2:
                next(iter(samples.values()))["spoilt"] = 1


def test_a_listing_too_large_to_be_kept_is_the_callers_own_too(tq):
    keys = [f"k{number}" for number in range((1 << 18) + 1)]
    put(tq, keys, [{"n": number} for number in range(len(keys))])
    put(tq, ["x"], [{"n": 1}], "small")
    for _ in range(2):
        listed = tq.kv_list()
        assert list(listed["p"]) == keys
        assert (listed["p"]["k7"], listed["small"]) == ({"n": 7}, {"x": {"n": 1}})
        listed["p"]["k7"]["n"] = 8
        listed["p"].pop("k9")
        listed["small"]["x"].clear()
