"""Clearing samples and partitions."""

import pytest
from client_builders import batch, everything, fetch

from transfer_queue import BatchMeta


def test_clear_partition_forgets_it(client):
    client.put(batch(2), partition_id="p")
    fetch(client, 2)
    client.clear_partition("p")
    assert client.get_partition_list() == []
    assert client.get_consumption_status("t", "p") == (None, None)
    assert client.usage()["committed_bytes"] == 0
    client.put(batch(1), partition_id="p")
    assert fetch(client, 1).global_indexes == [2]


def test_clear_of_an_unknown_partition_is_ignored(client, caplog):
    client.clear_partition("nope")
    assert "nope" in caplog.text


def test_clear_samples_leaves_the_others_and_the_partition(client):
    meta = client.put(batch(3), partition_id="p")
    client.clear_samples(meta.select_samples([1]))
    assert everything(client).global_indexes == [0, 2]
    client.clear_samples(meta)
    assert everything(client).size == 0
    assert client.get_partition_list() == ["p"]
    assert client.usage()["samples"] == 0


def test_clear_samples_may_be_repeated(client):
    meta = client.put(batch(2), partition_id="p")
    for _ in range(3):
        client.clear_samples(meta)
    client.clear_partition("p")
    client.clear_samples(meta)


def test_clear_of_no_samples_is_ignored(client, caplog):
    client.clear_samples(BatchMeta.empty())
    assert "no samples" in caplog.text


def test_a_late_clear_hits_no_stranger(client):
    meta = client.put(batch(2), partition_id="p")
    client.clear_samples(meta)
    client.put(batch(2), partition_id="p")
    client.clear_samples(meta)
    assert everything(client).global_indexes == [2, 3]


def test_clear_of_samples_of_several_partitions(client):
    parts = [client.put(batch(2), partition_id=name) for name in ("p", "q")]
    client.clear_samples(BatchMeta.concat(parts).select_samples([0, 3]))
    assert everything(client, partition="p").global_indexes == [1]
    assert everything(client, partition="q").global_indexes == [2]


def test_cleared_samples_are_not_fetched(polling):
    meta = polling.put(batch(3), partition_id="p")
    polling.clear_samples(meta.select_samples([0]))
    assert fetch(polling, 3).size == 0
    assert fetch(polling, 2).global_indexes == [1, 2]


@pytest.mark.parametrize("wrong", [[0], None, "p"])
def test_clear_of_something_else_is_a_type_error(client, wrong):
    with pytest.raises(TypeError, match="BatchMeta"):
        client.clear_samples(wrong)
