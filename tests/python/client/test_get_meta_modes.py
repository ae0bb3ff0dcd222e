"""`get_meta`: fetch, force_fetch, insert, and what is no mode."""

import pytest
import torch
from client_builders import batch, everything, fetch
from tensordict import TensorDict

import transfer_queue
from transfer_queue.errors import InvalidArgumentError


def test_insert_appends_samples_that_are_not_produced(client):
    meta = client.get_meta(["x", "y"], 3, "p", mode="insert")
    more = client.get_meta(["x"], 2, "p", mode="insert")
    assert meta.global_indexes + more.global_indexes == [0, 1, 2, 3, 4]
    assert meta.partition_ids == ["p"] * 3
    assert meta.production_status.tolist() == [0, 0, 0]
    assert not meta.is_ready
    assert client.get_partition_list() == ["p"]


def test_insert_has_placeholders_for_unknown_fields(client):
    client.put(batch(1), partition_id="p")
    meta = client.get_meta(["x", "new"], 1, "p", mode="insert")
    assert meta.field_names == ["new", "x"]
    assert meta.field_schema["new"] == {
        "dtype": None,
        "shape": None,
        "is_nested": False,
        "is_non_tensor": False,
    }


def test_insert_of_nothing_is_an_empty_batch(client):
    assert client.get_meta(["x"], 0, "p", mode="insert").size == 0


def test_fetch_takes_ready_samples_in_order_and_consumes_them(client):
    client.put(batch(5), partition_id="p")
    first, second = fetch(client, 2), fetch(client, 3)
    assert (first.global_indexes, second.global_indexes) == ([0, 1], [2, 3, 4])
    assert first.is_ready
    assert first.field_names == ["x"]


def test_each_task_consumes_on_its_own(client):
    client.put(batch(2), partition_id="p")
    for task in ("a", "b"):
        assert fetch(client, 2, task=task).global_indexes == [0, 1]


def test_fetch_needs_every_field(polling):
    meta = polling.put(batch(2), partition_id="p")
    assert fetch(polling, 1, ["x", "y"]).size == 0
    polling.put(TensorDict({"y": torch.ones(1)}, 1), meta.select_samples([1]))
    assert fetch(polling, 1, ["x", "y"]).global_indexes == [1]


def test_a_name_alone_is_one_field(polling):
    polling.put(batch(1), partition_id="p")
    assert polling.get_meta("x", 1, "p", task_name="t").field_names == ["x"]


def test_fetch_carries_custom_meta(client):
    meta = client.put(batch(2), partition_id="p")
    meta.update_custom_meta([{"n": 1}, {}])
    client.set_custom_meta(meta)
    assert fetch(client, 2).custom_meta == [{"n": 1}, {}]


def test_a_polling_fetch_that_lacks_data_is_empty(polling):
    assert fetch(polling, 1).size == 0
    polling.put(batch(2), partition_id="p")
    short = fetch(polling, 3)
    assert (short.size, short.field_names, bool(short)) == (0, [], False)
    assert fetch(polling, 2).size == 2
    assert fetch(polling, 1).size == 0


def test_a_fetch_of_an_unknown_partition_makes_none(polling):
    fetch(polling, 1, partition="nope")
    assert polling.get_partition_list() == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_fetch_of_no_samples(client, size):
    client.put(batch(1), partition_id="p")
    with pytest.raises(RuntimeError, match="batch_size"):
        fetch(client, size)


@pytest.mark.parametrize("size", [0, -1])
def test_a_polling_fetch_of_no_samples_is_empty(polling, size):
    polling.put(batch(1), partition_id="p")
    assert fetch(polling, size).size == 0
    assert fetch(polling, 1).size == 1


def test_fetch_without_task_is_refused(client):
    with pytest.raises(RuntimeError, match="task_name"):
        client.get_meta(["x"], 1, "p")


@pytest.mark.parametrize("mode", ["", "FETCH", "forcefetch", None])
def test_another_mode_is_refused(client, mode):
    with pytest.raises(RuntimeError, match="force_fetch"):
        client.get_meta(["x"], 1, "p", mode=mode, task_name="t")


@pytest.mark.parametrize("wrong", [{"batch_size": 1.5}, {"data_fields": [1]}])
def test_arguments_of_other_types_are_refused(client, wrong):
    arguments = {"data_fields": ["x"], "batch_size": 1, "partition_id": "p", "task_name": "t"}
    with pytest.raises((TypeError, ValueError)):
        client.get_meta(**arguments | wrong)


def test_force_fetch_gives_all_samples_and_consumes_none(client):
    client.put(batch(3), partition_id="p")
    fetch(client, 1)
    assert everything(client).global_indexes == [0, 1, 2]
    assert fetch(client, 2).global_indexes == [1, 2]


def test_force_fetch_marks_what_is_produced_of_the_known_fields(client):
    meta = client.put(batch(2), partition_id="p")
    client.put(TensorDict({"y": torch.ones(1)}, 1), meta.select_samples([0]))
    client.get_meta(["x"], 1, "p", mode="insert")
    assert everything(client, ["x"]).production_status.tolist() == [1, 1, 0]
    assert everything(client, ["x", "y"]).production_status.tolist() == [1, 0, 0]
    assert everything(client, ["x", "nobody"]).production_status.tolist() == [1, 1, 0]
    assert everything(client, ["x", "nobody"]).field_names == ["x"]
    assert everything(client, ["nobody"]).production_status.tolist() == [0, 0, 0]


def test_force_fetch_of_an_unknown_partition_is_refused(client):
    with pytest.raises(RuntimeError, match=r"not found|no partition|unknown partition"):
        everything(client, partition="nope")


def test_indexes_are_never_used_again(client):
    meta = client.put(batch(3), partition_id="p")
    client.clear_samples(meta)
    assert client.put(batch(2), partition_id="q").global_indexes == [3, 4]


@pytest.mark.parametrize("value", ["4", "2"])
def test_samples_in_advance_count_before_they_are_put(monkeypatch, polling, value):
    monkeypatch.setenv("TQ_PRE_ALLOC_SAMPLE_NUM", value)
    count = int(value)
    polling.put(batch(1), partition_id="p")
    indexes, consumed = polling.get_consumption_status("t", "p")
    assert indexes.tolist() == list(range(count))
    assert consumed.tolist() == [0] * count
    assert everything(polling).production_status.tolist() == [1] + [0] * (count - 1)
    assert polling.put(batch(count), partition_id="p").global_indexes == list(range(1, count + 1))


@pytest.mark.parametrize("value", ["0", "1", None])
def test_one_sample_in_advance_is_none(monkeypatch, client, value):
    if value is not None:
        monkeypatch.setenv("TQ_PRE_ALLOC_SAMPLE_NUM", value)
    client.get_meta(["x"], 2, "p", mode="insert")
    assert everything(client).global_indexes == [0, 1]


def test_a_number_in_advance_that_is_none_is_refused(monkeypatch, tq):
    monkeypatch.setenv("TQ_PRE_ALLOC_SAMPLE_NUM", "many")
    with pytest.raises(InvalidArgumentError, match="TQ_PRE_ALLOC_SAMPLE_NUM"):
        tq.kv_put("k", "p", {"x": 1})


@pytest.mark.parametrize("name", ["get_meta_timeout", "sampler_timeout", "polling_mode"])
@pytest.mark.parametrize("value", [-1, "many", [1]], ids=repr)
def test_settings_out_of_range_are_refused(name, value):
    transfer_queue.close()
    with pytest.raises(InvalidArgumentError, match=name):
        transfer_queue.init({"controller": {name: value}})


def test_a_timeout_in_the_environment_out_of_range_is_refused(monkeypatch):
    transfer_queue.close()
    monkeypatch.setenv("TQ_CONTROLLER_GET_METADATA_TIMEOUT", "soon")
    with pytest.raises(InvalidArgumentError, match="TQ_CONTROLLER_GET_METADATA_TIMEOUT"):
        transfer_queue.init()
