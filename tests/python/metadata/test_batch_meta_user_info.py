"""extra_info and custom_meta of a `BatchMeta`."""

import pytest
from metadata_builders import batch

from transfer_queue.metadata import BatchMeta


def test_extra_info_is_read_by_key_with_a_default():
    meta = batch(extra_info={"k": [1]})
    assert meta.get_extra_info("k") is meta.extra_info["k"]
    assert meta.get_extra_info("absent") is None
    assert meta.get_extra_info("absent", 5) == 5
    assert (meta.has_extra_info("k"), meta.has_extra_info("absent")) == (True, False)


def test_extra_info_is_set_updated_removed_and_cleared():
    meta = batch()
    meta.set_extra_info("a", 1)
    meta.update_extra_info({"b": 2, "c": None})
    assert meta.extra_info == {"a": 1, "b": 2, "c": None}
    assert meta.remove_extra_info("b") == 2
    assert meta.remove_extra_info("b") is None
    assert meta.extra_info == {"a": 1, "c": None}
    meta.clear_extra_info()
    assert meta.extra_info == {}


def test_all_extra_info_is_a_deep_copy():
    meta = batch(extra_info={"k": [1]})
    everything = meta.get_all_extra_info()
    assert everything == {"k": [1]}
    everything["k"].append(2)
    assert meta.extra_info == {"k": [1]}


def test_custom_meta_is_a_list_of_dicts_changed_row_by_row():
    meta = batch(3)
    meta.custom_meta[1]["t"] = 1
    meta.custom_meta[-1].update(u=2)
    assert meta.custom_meta == [{}, {"t": 1}, {"u": 2}]
    assert type(meta.custom_meta) is list
    assert {type(row) for row in meta.custom_meta} == {dict}
    assert meta.custom_meta is meta.custom_meta


def test_custom_meta_may_be_assigned_as_a_whole():
    meta, rows = batch(2), [{"t": 1}, {}]
    meta.custom_meta = rows
    assert meta.custom_meta is rows
    assert meta.select_samples([1, 0]).custom_meta == [{}, {"t": 1}]


def test_all_custom_meta_is_a_deep_copy():
    meta = batch(2, custom_meta=[{"t": [1]}, {}])
    everything = meta.get_all_custom_meta()
    assert everything == [{"t": [1]}, {}]
    everything[0]["t"].append(2)
    everything[1]["u"] = 1
    assert meta.custom_meta == [{"t": [1]}, {}]


def test_all_custom_meta_of_an_untouched_batch_is_a_dict_per_sample():
    assert batch(2).get_all_custom_meta() == [{}, {}]
    assert BatchMeta.empty().get_all_custom_meta() == []


def test_updating_custom_meta_merges_row_by_row():
    meta = batch(2, custom_meta=[{"t": 1, "u": 1}, {}])
    meta.update_custom_meta([{"t": 2}, {"v": 3}])
    assert meta.custom_meta == [{"t": 2, "u": 1}, {"v": 3}]


def test_updating_custom_meta_does_not_adopt_the_callers_dicts():
    meta, update = batch(1), [{"t": 1}]
    meta.update_custom_meta(update)
    update[0]["t"] = 2
    assert meta.custom_meta == [{"t": 1}]


def test_updating_custom_meta_with_none_changes_nothing():
    meta = batch(1, custom_meta=[{"t": 1}])
    meta.update_custom_meta(None)
    assert meta.custom_meta == [{"t": 1}]


@pytest.mark.parametrize("rows", [[], [{}], [{}, {}, {}]])
def test_updating_custom_meta_with_another_number_of_rows_is_refused(rows):
    with pytest.raises(ValueError, match="must match the batch size: 2"):
        batch(2).update_custom_meta(rows)


def test_clearing_custom_meta_gives_every_sample_a_new_empty_dict():
    meta = batch(2, custom_meta=[{"t": 1}, {"t": 2}])
    kept = meta.custom_meta[0]
    meta.clear_custom_meta()
    assert meta.custom_meta == [{}, {}]
    assert kept == {"t": 1}
    meta.custom_meta[0]["u"] = 1
    assert meta.custom_meta[1] == {}
