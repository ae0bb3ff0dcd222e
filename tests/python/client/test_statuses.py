"""Production and consumption: asking, checking, resetting."""

import pytest
import torch
from client_builders import batch, everything, fetch
from tensordict import TensorDict


def lists(status):
    return tuple(part.tolist() for part in status)


def test_production_status_is_one_row_per_sample_and_one_column_per_field(client):
    meta = client.put(batch(2), partition_id="p")
    client.put(TensorDict({"a": torch.ones(1)}, 1), meta.select_samples([1]))
    indexes, status = client.get_production_status(["a", "x", "a"], "p")
    assert (indexes.dtype, status.dtype) == (torch.int64, torch.int8)
    # In the order in which the partition first saw the fields.
    assert (indexes.tolist(), status.tolist()) == ([0, 1], [[1, 0], [1, 1]])
    assert not client.check_production_status(["a", "x"], "p")
    assert client.check_production_status(["x"], "p")


def test_samples_without_a_put_are_not_produced(client):
    client.put(batch(1), partition_id="p")
    client.get_meta(["x"], 2, "p", mode="insert")
    assert lists(client.get_production_status(["x"], "p")) == ([0, 1, 2], [[1], [0], [0]])
    assert not client.check_production_status(["x"], "p")


@pytest.mark.parametrize("fields", [[], ["nobody"], ["x", "nobody"]])
def test_production_status_of_unknown_fields(client, fields):
    client.put(batch(1), partition_id="p")
    assert client.get_production_status(fields, "p") == (None, None)
    assert client.check_production_status(fields, "p") is False


def test_statuses_of_an_unknown_partition(client):
    assert client.get_production_status(["x"], "nope") == (None, None)
    assert client.get_consumption_status("t", "nope") == (None, None)
    assert client.check_production_status(["x"], "nope") is False
    assert client.check_consumption_status("t", "nope") is False


def test_consumption_status_is_per_task(client):
    client.put(batch(3), partition_id="p")
    fetch(client, 2, task="a")
    indexes, status = client.get_consumption_status("a", "p")
    assert (indexes.dtype, status.dtype) == (torch.int64, torch.int8)
    assert (indexes.tolist(), status.tolist()) == ([0, 1, 2], [1, 1, 0])
    assert lists(client.get_consumption_status("b", "p")) == ([0, 1, 2], [0, 0, 0])
    assert client.check_consumption_status("a", "p") is False
    fetch(client, 1, task="a")
    assert client.check_consumption_status("a", "p") is True
    assert client.check_consumption_status("b", "p") is False


def test_an_empty_partition_is_neither_consumed_nor_produced(client):
    client.clear_samples(client.put(batch(1), partition_id="p"))
    assert lists(client.get_consumption_status("t", "p")) == ([], [])
    assert client.check_consumption_status("t", "p") is False
    assert client.check_production_status(["x"], "p") is False


def test_reset_makes_samples_ready_again(client):
    client.put(batch(3), partition_id="p")
    fetch(client, 3, task="a")
    fetch(client, 3, task="b")
    assert client.reset_consumption("p", "a") is True
    assert fetch(client, 3, task="a").global_indexes == [0, 1, 2]
    assert client.check_consumption_status("b", "p")
    assert client.reset_consumption("p") is True
    for task in ("a", "b"):
        assert lists(client.get_consumption_status(task, "p"))[1] == [0, 0, 0]


def test_reset_of_some_samples(client):
    client.put(batch(4), partition_id="p")
    fetch(client, 4)
    client.reset_consumption("p", "t", [1, 3, 99])
    assert lists(client.get_consumption_status("t", "p"))[1] == [1, 0, 1, 0]
    client.reset_consumption("p", global_indexes=[0])
    assert fetch(client, 3).global_indexes == [0, 1, 3]


def test_reset_of_what_nobody_knows_is_true(client):
    assert client.reset_consumption("nope") is True
    client.put(batch(1), partition_id="p")
    assert client.reset_consumption("p", "nobody") is True


def test_set_custom_meta_replaces_per_sample(client):
    meta = client.put(batch(2), partition_id="p")
    meta.update_custom_meta([{"a": 1}, {"a": 2}])
    client.set_custom_meta(meta)
    only = meta.select_samples([1])
    only.clear_custom_meta()
    only.update_custom_meta([{"b": 3}])
    client.set_custom_meta(only)
    assert everything(client).custom_meta == [{"a": 1}, {"b": 3}]


def test_set_custom_meta_of_several_partitions_and_of_none(client, tq):
    first = client.put(batch(1), partition_id="p")
    second = client.put(batch(1), partition_id="q")
    both = tq.BatchMeta.concat([first, second])
    both.update_custom_meta([{"at": "p"}, {"at": "q"}])
    client.set_custom_meta(both)
    assert everything(client, partition="q").custom_meta == [{"at": "q"}]
    client.set_custom_meta(tq.BatchMeta.empty())
    client.clear_partition("q")
    client.set_custom_meta(both)
    assert client.get_partition_list() == ["p"]


async def test_the_coroutines_do_the_same(client):
    client.put(batch(2), partition_id="p")
    await client.async_get_meta(["x"], 2, "p", task_name="t")
    assert lists(await client.async_get_consumption_status("t", "p")) == ([0, 1], [1, 1])
    assert lists(await client.async_get_production_status(["x"], "p"))[1] == [[1], [1]]
    assert await client.async_check_consumption_status("t", "p") is True
    assert await client.async_check_production_status(["x"], "p") is True
    assert await client.async_reset_consumption("p", "t") is True
    assert await client.async_check_consumption_status("t", "p") is False
    meta = everything(client)
    meta.update_custom_meta([{"n": 1}, {}])
    await client.async_set_custom_meta(meta)
    assert everything(client).custom_meta == [{"n": 1}, {}]
