"""Tags: small metadata of a sample, merged name by name."""

import asyncio
import datetime
import threading

import pytest
import torch
from kv_builders import batch, names, same


def test_tags_are_merged_name_by_name(tq):
    tq.kv_put("a", "p", tag={"x": 1, "y": {"deep": 1}})
    assert tq.kv_put("a", "p", tag={"y": {"other": 2}, "z": 3}).tags == [
        {"x": 1, "y": {"other": 2}, "z": 3}
    ]
    tq.kv_put("a", "p", {"f": torch.tensor(0)})
    tq.kv_put("a", "p", {"f": torch.tensor(0)}, {})
    assert tq.kv_list("p") == {"p": {"a": {"x": 1, "y": {"other": 2}, "z": 3}}}


def test_a_batch_has_a_tag_per_key(tq):
    tq.kv_batch_put(names(3), "p", tags=[{"n": 0}, {}, {"n": 2, "m": None}])
    tq.kv_batch_put(["k2", "k1"], "p", batch(x=torch.arange(2)), [{"n": 20}, {"n": 10}])
    assert tq.kv_list("p")["p"] == {"k0": {"n": 0}, "k1": {"n": 10}, "k2": {"n": 20, "m": None}}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -(1 << 63),
        1 << 200,
        0.1,
        float("inf"),
        "",
        "ünïcode",
        b"\0\xff",
        [1, "a", None],
        (1, (2,)),
        {"a": {"b": [1]}},
        {1, 2},
        datetime.date(2020, 1, 2),
        torch.Size([1, 2]),
        torch.arange(3),
    ],
    ids=repr,
)
def test_a_tag_comes_back_as_it_was(tq, value):
    assert same(tq.kv_put("a", "p", tag={"t": value}).tags[0]["t"], value)
    assert same(tq.kv_list("p")["p"]["a"]["t"], value)


def test_a_tag_is_stored_as_it_was_at_the_put(tq):
    tag = {"t": [1]}
    tq.kv_put("a", "p", tag=tag)
    tag["t"].append(2)
    tag["u"] = 3
    assert tq.kv_list() == {"p": {"a": {"t": [1]}}}


@pytest.mark.parametrize("tag", [[("a", 1)], "text", 7], ids=repr)
def test_a_tag_is_a_dict(tq, tag):
    with pytest.raises((ValueError, TypeError), match="dict"):
        tq.kv_put("a", "p", tag=tag)
    assert tq.kv_list() == {}


def test_the_names_in_a_tag_are_text(tq):
    with pytest.raises(ValueError, match="tag names are strings"):
        tq.kv_put("a", "p", tag={1: 2})
    assert tq.kv_list() == {}


def test_concurrent_updates_of_one_key_all_survive(tq):
    tq.kv_put("a", "p", {"x": torch.tensor(0)})
    together = threading.Barrier(20)

    def update(number):
        together.wait()
        for step in range(5):
            tq.kv_put("a", "p", tag={f"t{number}": step})

    threads = [threading.Thread(target=update, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tq.kv_list("p") == {"p": {"a": {f"t{number}": 4 for number in range(20)}}}


async def test_concurrent_coroutines_of_one_key_all_survive(tq):
    await asyncio.gather(
        *(tq.async_kv_put("a", "p", {f"f{n}": n}, {f"t{n}": n}) for n in range(20))
    )
    assert tq.kv_list("p") == {"p": {"a": {f"t{n}": n for n in range(20)}}}
    assert set(tq.kv_batch_get("a", "p").keys()) == {f"f{n}" for n in range(20)}
