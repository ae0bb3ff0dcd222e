"""Between keys and global indexes."""

import pytest
import torch
from client_builders import batch
from tensordict import TensorDict


@pytest.fixture
def stored(tq, client):
    tq.kv_batch_put(["a", "b"], "p", batch(2), [{"n": 1}, {}])
    tq.kv_put("c", "p", {"x": torch.ones(2, dtype=torch.int64), "y": 1})
    return client


def test_metadata_of_keys(stored):
    meta = stored.kv_retrieve_meta(["c", "a"], "p")
    assert meta.global_indexes == [2, 0]
    assert meta.field_names == ["x"]
    assert meta.is_ready
    assert meta.custom_meta == [{}, {"n": 1}]
    assert stored.kv_retrieve_meta("c", "p").field_names == ["x", "y"]


def test_unknown_keys_are_left_out(stored, caplog):
    assert stored.kv_retrieve_meta(["b", "nope", "a"], "p").global_indexes == [1, 0]
    assert "nope" in caplog.text
    assert stored.kv_retrieve_meta(["nope"], "p").size == 0
    assert stored.kv_retrieve_meta(["a"], "nope").size == 0
    assert stored.get_partition_list() == ["p"]


def test_keys_are_created_on_request(stored, tq):
    meta = stored.kv_retrieve_meta(["new", "a"], "p", create=True)
    assert meta.global_indexes == [3, 0]
    assert meta.field_names == []
    assert not meta.is_ready
    assert list(tq.kv_list("p")["p"]) == ["a", "b", "c", "new"]
    stored.kv_retrieve_meta("first", "q", create=True)
    assert stored.get_partition_list() == ["p", "q"]


def test_a_repeated_key_is_one_sample(stored, tq):
    meta = stored.kv_retrieve_meta(["new", "a", "new"], "p", create=True)
    assert meta.global_indexes == [3, 0, 3]
    assert list(tq.kv_list("p")["p"]) == ["a", "b", "c", "new"]


@pytest.mark.parametrize("wrong", [("a",), {"a"}, 7, None, ["a", 1]])
def test_keys_of_other_types(stored, wrong):
    with pytest.raises(TypeError, match="keys"):
        stored.kv_retrieve_meta(wrong, "p")


def test_empty_lists_are_refused(stored):
    with pytest.raises(ValueError, match="empty list"):
        stored.kv_retrieve_meta([], "p")
    with pytest.raises(ValueError, match="empty list"):
        stored.kv_retrieve_keys([], "p")


def test_keys_of_indexes(stored):
    keyless = stored.put(TensorDict({"x": torch.ones(1)}, 1), partition_id="p")
    assert stored.kv_retrieve_keys([2, 0, *keyless.global_indexes], "p") == ["c", "a", None]
    assert stored.kv_retrieve_keys(1, "p") == ["b"]


@pytest.mark.parametrize("unknown", [99, -1, 1 << 64, 1 << 70])
def test_an_unknown_index_has_no_key(stored, unknown):
    assert stored.kv_retrieve_keys([0, unknown, 1], "p") == ["a", None, "b"]


def test_indexes_of_an_unknown_partition(stored):
    with pytest.raises(RuntimeError, match="no corresponding keys"):
        stored.kv_retrieve_keys([0], "nope")


@pytest.mark.parametrize("wrong", [(0,), "0", 1.5, None, [0, "1"]])
def test_indexes_of_other_types(stored, wrong):
    with pytest.raises(TypeError, match="global_indexes"):
        stored.kv_retrieve_keys(wrong, "p")


async def test_the_coroutines_do_the_same(stored):
    meta = await stored.async_kv_retrieve_meta(["b"], "p")
    assert await stored.async_kv_retrieve_keys(meta.global_indexes, "p") == ["b"]
    assert await stored.async_kv_list("p") == {"p": {"a": {"n": 1}, "b": {}, "c": {}}}
