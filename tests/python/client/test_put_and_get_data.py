"""`put` and `get_data` by metadata."""

import pytest
import torch
from client_builders import batch, everything, fetch, rows_of
from tensordict import NonTensorStack, TensorDict

import transfer_queue
from transfer_queue import BatchMeta, StorageKeyNotFoundError
from transfer_queue.errors import CapacityExceededError


def y(rows, value=1.0):
    return TensorDict({"y": torch.full((rows,), value)}, batch_size=rows)


def test_put_into_a_partition_adds_samples(client):
    first = client.put(batch(2), partition_id="p")
    second = client.put(batch(3, start=2), partition_id="p")
    assert (first.global_indexes, second.global_indexes) == ([0, 1], [2, 3, 4])
    meta = fetch(client, 5)
    assert rows_of(client.get_data(meta)) == [[2 * n, 2 * n + 1] for n in range(5)]


def test_put_returns_metadata_that_is_ready(client):
    meta = client.put(batch(2, s=["a", "b"]), partition_id="p")
    assert meta.is_ready
    assert meta.field_names == ["s", "x"]
    assert meta.production_status.tolist() == [1, 1]
    assert meta.field_schema["x"]["dtype"] == torch.int64
    assert meta.field_schema["s"]["is_non_tensor"]


def test_put_by_metadata_changes_and_returns_the_callers_object(client):
    meta = client.get_meta(["x"], 2, "p", mode="insert")
    assert client.put(batch(2), meta) is meta
    assert meta.is_ready
    assert client.put(y(2), meta) is meta
    assert meta.field_names == ["x", "y"]
    assert everything(client, ["x", "y"]).production_status.tolist() == [1, 1]


def test_the_partition_is_ignored_where_metadata_is_given(client):
    meta = client.get_meta(["x"], 1, "p", mode="insert")
    client.put(batch(1), meta, partition_id="q")
    assert client.get_partition_list() == ["p"]


def test_put_overwrites(client):
    meta = client.put(batch(2), partition_id="p")
    client.put(batch(1, start=9), meta.select_samples([1]))
    assert rows_of(client.get_data(meta)) == [[0, 1], [18, 19]]


def test_put_merges_the_custom_meta_of_metadata(client):
    meta = client.put(batch(2), partition_id="p")
    meta.update_custom_meta([{"a": 1}, {"a": 2}])
    client.put(y(2), meta)
    other = everything(client)
    other.clear_custom_meta()
    other.update_custom_meta([{"b": 1}, {}])
    client.put(y(2), other)
    assert everything(client).custom_meta == [{"a": 1, "b": 1}, {"a": 2}]


def test_put_of_several_partitions(client):
    first = client.get_meta(["x"], 2, "p", mode="insert")
    second = client.get_meta(["x"], 1, "q", mode="insert")
    both = BatchMeta.concat([first, second])
    both.reorder([2, 0, 1])
    client.put(batch(3), both)
    assert everything(client, partition="p").production_status.tolist() == [1, 1]
    assert everything(client, partition="q").production_status.tolist() == [1]
    assert rows_of(client.get_data(both)) == [[0, 1], [2, 3], [4, 5]]
    assert rows_of(client.get_data(everything(client, partition="q"))) == [[0, 1]]


def test_put_of_keys_that_were_retrieved(client, tq):
    meta = client.kv_retrieve_meta(["a", "b"], "p", create=True)
    client.put(batch(2), meta)
    assert rows_of(tq.kv_batch_get(["b", "a"], "p")) == [[2, 3], [0, 1]]


def test_put_needs_a_partition_or_metadata(client):
    with pytest.raises(ValueError, match="partition_id must be provided"):
        client.put(batch(1))


def test_put_of_nothing(client):
    message = "metadata cannot be none or empty"
    with pytest.raises(ValueError, match=message):
        client.put(batch(1), BatchMeta.empty())
    with pytest.raises(ValueError, match=message):
        client.put(TensorDict({"x": torch.ones(0, 2)}, 0), partition_id="p")
    assert client.get_partition_list() == []


def test_put_of_other_rows_than_samples_stores_nothing(client):
    meta = client.get_meta(["x"], 2, "p", mode="insert")
    with pytest.raises(ValueError, match="batch size mismatch"):
        client.put(batch(3), meta)
    assert everything(client).production_status.tolist() == [0, 0]
    assert meta.field_names == ["x"]


def test_a_put_that_fails_adds_no_samples():
    transfer_queue.close()
    transfer_queue.init({"backend": {"SimpleStorage": {"total_storage_size": 2}}})
    client = transfer_queue.get_client()
    client.put(batch(1), partition_id="p")
    with pytest.raises(CapacityExceededError):
        client.put(batch(2), partition_id="p")
    assert everything(client).global_indexes == [0]
    client.put(batch(1), partition_id="p")
    transfer_queue.close()


def test_a_parser_that_fails_stores_nothing(client):
    with pytest.raises(ValueError, match="must not change dict keys"):
        client.put(batch(1), partition_id="p", data_parser=lambda columns: {})
    assert client.get_partition_list() == []


def test_a_parser_sees_columns_before_they_are_stored(client):
    meta = client.put(
        batch(2), partition_id="p", data_parser=lambda columns: {"x": columns["x"] + 1}
    )
    assert rows_of(client.get_data(meta)) == [[1, 2], [3, 4]]


def test_put_of_a_sample_that_was_cleared_is_refused_whole(client):
    meta = client.put(batch(2), partition_id="p")
    client.clear_samples(meta.select_samples([0]))
    with pytest.raises(StorageKeyNotFoundError):
        client.put(y(2), meta)
    assert meta.field_names == ["x"]
    assert client.get_production_status(["y"], "p") == (None, None)


@pytest.mark.parametrize("wrong", [{"x": torch.ones(1)}, torch.ones(1), None])
def test_put_of_something_else_is_a_type_error(client, wrong):
    with pytest.raises(TypeError, match="TensorDict"):
        client.put(wrong, partition_id="p")
    with pytest.raises(TypeError, match="BatchMeta"):
        client.put(batch(1), {"global_indexes": [0]})


def test_get_data_follows_the_rows_of_metadata(client):
    meta = client.put(batch(4), partition_id="p")
    chosen = meta.select_samples([3, 1, 1, 0])
    assert rows_of(client.get_data(chosen)) == [[6, 7], [2, 3], [2, 3], [0, 1]]


def test_get_data_reads_the_fields_of_metadata(client):
    meta = client.put(batch(2, s=["a", "b"], n=torch.arange(2)), partition_id="p")
    data = client.get_data(meta.select_fields(["s", "n"]))
    assert sorted(data.keys()) == ["n", "s"]
    assert data.batch_size == torch.Size([2])
    assert isinstance(data.get("s"), NonTensorStack)
    assert data.get("n").shape == (2,)
    assert client.get_data(meta).get("x").is_nested


def test_what_is_read_is_independent_of_what_is_stored(client):
    meta = client.put(batch(2), partition_id="p")
    client.get_data(meta).get("x").values().zero_()
    assert rows_of(client.get_data(meta)) == [[0, 1], [2, 3]]


def test_get_data_of_nothing_is_empty(client, caplog):
    meta = client.put(batch(2), partition_id="p")
    for nothing in (BatchMeta.empty(), meta.select_fields([])):
        data = client.get_data(nothing)
        assert data.batch_size == torch.Size([0])
        assert list(data.keys()) == []
    assert len(caplog.records) == 2


def test_get_data_of_a_cleared_sample(client):
    meta = client.put(batch(2), partition_id="p")
    client.clear_samples(meta.select_samples([1]))
    with pytest.raises(StorageKeyNotFoundError):
        client.get_data(meta)
    assert issubclass(StorageKeyNotFoundError, KeyError)


def test_get_data_of_a_field_nobody_put(client):
    client.put(batch(1), partition_id="p")
    inserted = client.get_meta(["nobody"], 1, "p", mode="insert")
    with pytest.raises(RuntimeError, match="field 'nobody' not found"):
        client.get_data(inserted)


async def test_the_coroutines_do_the_same(client):
    big = TensorDict({"x": torch.ones(4, 1 << 19)}, batch_size=4)
    meta = await client.async_put(big, partition_id="p")
    fetched = await client.async_get_meta(["x"], 4, "p", task_name="t")
    assert fetched.global_indexes == meta.global_indexes
    data = await client.async_get_data(fetched)
    assert bool((data.get("x").values() == 1).all())
    await client.async_clear_samples(fetched)
    assert everything(client).size == 0
