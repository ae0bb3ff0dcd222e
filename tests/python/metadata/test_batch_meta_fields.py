"""Adding and choosing fields of a `BatchMeta`."""

import logging

import pytest
import torch
from metadata_builders import batch, dense
from tensordict import TensorDict

from transfer_queue import metadata
from transfer_queue.metadata import BatchMeta


def data(size=4, **fields):
    fields = fields or {"x": torch.zeros(size, 2)}
    return TensorDict(fields, batch_size=[size])


def test_adding_fields_changes_the_batch_in_place_and_returns_it():
    meta = batch()
    assert meta.add_fields(data()) is meta
    assert meta.field_names == ["a", "n", "x"]
    assert meta.field_schema["x"] == dense(torch.Size([2]))


def test_adding_a_field_that_exists_replaces_its_whole_entry():
    meta = batch().add_fields(data(n=torch.zeros(4, 2)))
    assert meta.field_schema["n"] == dense(torch.Size([2]))
    assert meta.field_names == ["a", "n"]


def test_adding_fields_marks_all_samples_produced():
    meta = batch(production_status=[0, 1, 0, 0])
    status = meta.production_status
    meta.add_fields(data())
    assert meta.is_ready is True
    assert meta.production_status is status
    assert status.tolist() == [1, 1, 1, 1]


def test_adding_fields_can_leave_production_status_alone():
    meta = batch(production_status=[0, 1, 0, 0])
    meta.add_fields(data(), set_all_ready=False)
    assert meta.is_ready is False
    assert meta.production_status.tolist() == [0, 1, 0, 0]
    assert meta.field_names == ["a", "n", "x"]


def test_adding_fields_renews_what_was_changed_by_hand():
    meta = batch()
    meta.production_status[:] = 1
    del meta.field_schema["a"]
    meta.add_fields(data(), set_all_ready=False)
    assert (meta.is_ready, meta.field_names) == (True, ["n", "x"])


@pytest.mark.parametrize("make", [batch, BatchMeta.empty])
def test_adding_a_batch_of_no_samples_warns_and_changes_nothing(make, caplog):
    meta = make()
    names = meta.field_names
    with caplog.at_level(logging.WARNING):
        assert meta.add_fields(data(0)) is meta
    assert "batch_size=0" in caplog.text
    assert (meta.field_names, meta.is_ready) == (names, False)


@pytest.mark.parametrize("meta", [batch(3), BatchMeta.empty()])
def test_adding_another_number_of_rows_is_refused_and_changes_nothing(meta):
    names = meta.field_names
    with pytest.raises(ValueError, match="batch size mismatch"):
        meta.add_fields(data(4))
    assert (meta.field_names, meta.is_ready) == (names, False)


def test_adding_fields_uses_the_schema_function_users_put_in_the_package(monkeypatch):
    monkeypatch.setattr(metadata, "extract_field_schema", lambda td: {"patched": dense()})
    assert batch().add_fields(data()).field_names == ["a", "n", "patched"]


def test_selecting_fields_keeps_those_that_exist_and_ignores_the_rest():
    meta = batch()
    chosen = meta.select_fields(["unknown", "n"])
    assert chosen is not meta
    assert chosen.field_schema == {"n": meta.field_schema["n"]}
    assert chosen.field_names == ["n"]
    assert chosen.global_indexes == meta.global_indexes
    assert chosen.partition_ids == meta.partition_ids
    assert meta.field_names == ["a", "n"]


def test_selecting_no_field_keeps_the_samples():
    chosen = batch().select_fields([])
    assert (chosen.size, chosen.field_names) == (4, [])


def test_selecting_fields_does_not_make_samples_ready_or_unready():
    status = [1, 0, 1, 0]
    chosen = batch(production_status=status).select_fields(["a"])
    assert chosen.production_status.tolist() == status
    assert chosen.is_ready is False
    assert batch(production_status=[1] * 4).select_fields([]).is_ready is True


def test_selecting_fields_filters_the_backends_metadata_by_name():
    rows = [{"a": 1, "n": 2, "_private": 3, "gone": 4}, {}]
    meta = batch(2, _custom_backend_meta=rows)
    chosen = meta.select_fields(["a", "elsewhere"])
    assert chosen._custom_backend_meta == [{"a": 1, "_private": 3}, {}]
    assert meta._custom_backend_meta == rows


def test_selecting_fields_shares_nothing_mutable():
    meta = batch(
        2,
        extra_info={"k": [1]},
        custom_meta=[{"t": [1]}, {}],
        _custom_backend_meta=[{"n": [1]}, {}],
    )
    chosen = meta.select_fields(["n"])
    chosen.global_indexes.append(9)
    chosen.partition_ids.append("q")
    chosen.field_schema["n"]["per_sample_shapes"].append((9,))
    chosen.production_status[:] = 1
    chosen.extra_info["k"].append(2)
    chosen.custom_meta[0]["t"].append(2)
    chosen._custom_backend_meta[0]["n"].append(2)
    assert meta.global_indexes == [0, 1]
    assert meta.partition_ids == ["p", "p"]
    assert meta.get_shapes("n") == [(1,), (2,)]
    assert meta.production_status.tolist() == [0, 0]
    assert meta.extra_info == {"k": [1]}
    assert meta.custom_meta == [{"t": [1]}, {}]
    assert meta._custom_backend_meta == [{"n": [1]}, {}]
