"""Backend meta: what a storage backend left beside fields comes back with the samples' metadata."""

import pytest
import torch
from client_builders import batch, everything, fetch
from tensordict import TensorDict

import transfer_queue
from transfer_queue.errors import InvalidArgumentError

RECEIPTS = [
    {"x": 128, "y": {"n_chunks": 3, "parts": [1, 2]}},
    {},
    {"x": "packed", "y": None},
]


def put(client, receipts):
    """Samples with the fields `x` and `y`, put by metadata that carries `receipts`."""
    meta = client.get_meta(["x", "y"], len(receipts), "p", mode="insert")
    meta._custom_backend_meta = receipts
    return client.put(batch(len(receipts), y=torch.ones(len(receipts))), meta)


def stored(client, fields=("x", "y")):
    return everything(client, fields)._custom_backend_meta


def test_it_is_empty_by_default(client):
    client.put(batch(2), partition_id="p")
    assert stored(client) == [{}, {}]
    assert fetch(client, 2)._custom_backend_meta == [{}, {}]


def test_what_metadata_carries_into_a_put_comes_back_with_get_meta(client):
    meta = put(client, RECEIPTS)
    assert meta._custom_backend_meta == RECEIPTS
    assert stored(client) == RECEIPTS
    assert fetch(client, 3, ["x", "y"])._custom_backend_meta == RECEIPTS


def test_it_comes_back_by_key_and_by_key_it_is_put(client):
    meta = client.kv_retrieve_meta(["a", "b"], "p", create=True)
    meta._custom_backend_meta = [{}, {"x": 7}]
    client.put(batch(2), meta)
    assert client.kv_retrieve_meta(["b", "a"], "p")._custom_backend_meta == [{"x": 7}, {}]


def test_only_that_of_the_fields_asked_for_comes_back(client):
    put(client, RECEIPTS)
    assert stored(client, ["x"]) == [{"x": 128}, {}, {"x": "packed"}]
    assert fetch(client, 3, ["x"])._custom_backend_meta == [{"x": 128}, {}, {"x": "packed"}]


def test_it_is_merged_field_by_field(client):
    meta = put(client, [{"x": 1, "y": 2}, {"x": 3}])
    later = meta.select_samples([1, 0])
    later._custom_backend_meta = [{"y": 4}, {"y": 5}]
    client.put(batch(2), later)
    assert stored(client) == [{"x": 1, "y": 5}, {"x": 3, "y": 4}]


def test_a_put_without_any_leaves_it_alone(client):
    meta = put(client, [{"x": 1}, {}])
    meta._custom_backend_meta = [{}, {}]
    client.put(TensorDict({"y": torch.zeros(2)}, 2), meta)
    assert stored(client) == [{"x": 1}, {}]


def test_each_partition_gets_its_own(client):
    rows = [client.put(batch(1), partition_id=name) for name in ("p", "q", "p")]
    meta = transfer_queue.BatchMeta.concat(rows)
    meta._custom_backend_meta = [{"x": 1}, {"x": 2}, {"x": 3}]
    client.put(batch(3), meta)
    assert stored(client) == [{"x": 1}, {"x": 3}]
    assert everything(client, partition="q")._custom_backend_meta == [{"x": 2}]


def test_a_clear_forgets_it(client):
    meta = put(client, [{"x": number} for number in range(64)])
    client.clear_samples(meta.select_samples(range(63)))
    assert stored(client) == [{"x": 63}]
    client.clear_samples(meta.select_samples([63]))
    client.put(batch(128), partition_id="p")
    assert stored(client) == [{}] * 128
    put(client, [{"x": 1}])
    client.clear_partition("p")
    client.put(batch(1), partition_id="p")
    assert stored(client) == [{}]


def test_metadata_that_came_back_selects_fields_by_its_own_rule(client):
    put(client, [{"x": 1, "y": 2, "_layout": "dense"}])
    meta = everything(client, ["x", "y", "_layout"])
    assert meta.select_fields(["y"])._custom_backend_meta == [{"y": 2, "_layout": "dense"}]
    assert meta._custom_backend_meta == [{"x": 1, "y": 2, "_layout": "dense"}]


def test_what_came_back_is_the_readers_own(client):
    put(client, [{"y": [1]}])
    stored(client)[0]["y"].append(2)
    assert stored(client) == [{"y": [1]}]


@pytest.mark.parametrize("row", [{1: "x"}, "x"])
def test_what_is_no_dict_by_field_name_is_refused(client, row):
    meta = client.get_meta(["x"], 1, "p", mode="insert")
    meta._custom_backend_meta = [row]
    with pytest.raises(InvalidArgumentError, match="backend meta"):
        client.put(batch(1), meta)
    assert stored(client, ["x"]) == [{}]
