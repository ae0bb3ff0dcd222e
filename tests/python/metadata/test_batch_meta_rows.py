"""Choosing, cutting and permuting the samples of a `BatchMeta`."""

import logging

import numpy as np
import pytest
import torch
from metadata_builders import batch, nested

from transfer_queue.metadata import BatchMeta


def rich(size=4):
    return batch(
        size,
        production_status=[row % 2 for row in range(size)],
        extra_info={"k": [1]},
        custom_meta=[{"t": [row]} for row in range(size)],
        _custom_backend_meta=[{"n": [row]} for row in range(size)],
    )


def rows_of(meta):
    """Which rows of `rich` these are, checked against every column that says so."""
    rows = list(meta.global_indexes)
    assert meta.get_shapes("n") == [(row + 1,) for row in rows]
    assert meta.production_status.tolist() == [row % 2 for row in rows]
    assert meta.custom_meta == [{"t": [row]} for row in rows]
    assert meta._custom_backend_meta == [{"n": [row]} for row in rows]
    assert meta.partition_ids == ["p"] * len(rows)
    assert meta.size == len(rows)
    return rows


@pytest.mark.parametrize("index", [1, -3, np.int64(1), np.int8(-3)])
def test_an_integer_gives_a_batch_of_one(index):
    one = rich()[index]
    assert type(one) is BatchMeta
    assert rows_of(one) == [1]
    assert one.extra_info == {"k": [1]}


@pytest.mark.parametrize("index", [4, -5, np.int64(4)])
def test_an_integer_out_of_range_is_an_index_error(index):
    with pytest.raises(IndexError, match="out of range"):
        rich()[index]


@pytest.mark.parametrize(
    "rows", [slice(1, 3), slice(None, None, -1), slice(2, 2), slice(-2, None), slice(0, 99)]
)
def test_a_slice_gives_its_rows(rows):
    assert rows_of(rich()[rows]) == list(range(4))[rows]


@pytest.mark.parametrize("index", ["a", 1.0, [1], True, None, torch.tensor(1)])
def test_any_other_index_is_a_type_error(index):
    with pytest.raises(TypeError, match="not supported"):
        rich()[index]


def test_iterating_gives_each_sample_as_a_batch_of_one():
    assert [rows_of(one) for one in rich()] == [[0], [1], [2], [3]]


def test_selecting_samples_honours_order_and_duplicates():
    chosen = rich().select_samples([3, 0, 3])
    assert rows_of(chosen) == [3, 0, 3]
    assert chosen.extra_info == {"k": [1]}


def test_selecting_no_sample_keeps_the_fields():
    chosen = rich().select_samples([])
    assert rows_of(chosen) == []
    assert chosen.field_names == ["a", "n"]
    assert chosen.field_schema["n"]["per_sample_shapes"] == []


@pytest.mark.parametrize(
    "rows", [np.array([2, 0]), torch.tensor([2, 0]), range(2, -1, -2), (2, 0), iter([2, 0])]
)
def test_samples_may_be_named_by_any_kind_of_integers(rows):
    assert rows_of(rich().select_samples(rows)) == [2, 0]


@pytest.mark.parametrize("rows", [[4], [-1], [0, 99], [0, -4]])
def test_selecting_samples_out_of_range_is_refused(rows):
    with pytest.raises(ValueError, match="Sample indices must be in range"):
        rich().select_samples(rows)


def test_selecting_from_an_empty_batch_is_refused_unless_nothing_is_asked():
    with pytest.raises(ValueError, match="must be in range"):
        BatchMeta.empty().select_samples([0])
    assert BatchMeta.empty().select_samples([]).size == 0


def test_a_mask_is_not_taken_for_row_numbers():
    with pytest.raises(ValueError, match="found bool"):
        rich().select_samples([True, False, True, True])
    with pytest.raises(TypeError):
        rich().select_samples([0.0, 1.0])


@pytest.mark.parametrize(
    "derive",
    [
        lambda meta: meta.select_samples([1, 1]),
        lambda meta: meta[1:3],
        lambda meta: meta.chunk(2)[0],
        lambda meta: meta.chunk_by_partition()[0],
    ],
    ids=["select_samples", "slice", "chunk", "chunk_by_partition"],
)
def test_derived_batches_share_only_the_values_of_extra_info(derive):
    meta = rich()
    meta.field_schema["n"]["per_sample_shapes"] = [[row + 1] for row in range(4)]
    derived = derive(meta)
    assert derived.extra_info["k"] is meta.extra_info["k"]
    derived.extra_info["mine"] = 1
    derived.field_schema["n"]["per_sample_shapes"][0].append(9)
    derived.field_schema["a"]["dtype"] = None
    derived.production_status[:] = 9
    for row in (derived.custom_meta[0], derived._custom_backend_meta[0]):
        row.setdefault("t", []).append("changed")
        row.setdefault("n", []).append("changed")
    assert meta.extra_info == {"k": [1]}
    assert meta.get_shapes("n") == [[1], [2], [3], [4]]
    assert meta.get_dtypes("a")[0] is torch.float32
    assert meta.production_status.tolist() == [0, 1, 0, 1]
    assert meta.custom_meta == [{"t": [row]} for row in range(4)]
    assert meta._custom_backend_meta == [{"n": [row]} for row in range(4)]


def test_a_sample_selected_twice_has_metadata_of_its_own_each_time():
    chosen = rich().select_samples([1, 1])
    chosen.custom_meta[0]["t"] = "changed"
    assert chosen.custom_meta[1] == {"t": [1]}


def test_empty_rows_of_derived_batches_are_not_shared():
    meta = batch(4)
    first, second = meta.chunk(2)
    first.custom_meta[0]["t"] = 1
    assert (meta.custom_meta, second.custom_meta) == ([{}] * 4, [{}] * 2)
    meta.custom_meta[3]["u"] = 2
    assert second.custom_meta == [{}, {}]
    assert first.custom_meta == [{"t": 1}, {}]


def test_readiness_of_selected_samples_is_their_own():
    meta = rich()
    assert meta.is_ready is False
    assert meta.select_samples([1, 3]).is_ready is True
    assert meta.select_samples([0, 1]).is_ready is False


@pytest.mark.parametrize(
    ("size", "chunks", "sizes"),
    [(4, 1, [4]), (4, 2, [2, 2]), (7, 3, [3, 2, 2]), (8, 3, [3, 3, 2]), (3, 3, [1, 1, 1])],
)
def test_chunks_differ_by_at_most_one_and_the_first_are_larger(size, chunks, sizes, caplog):
    with caplog.at_level(logging.WARNING):
        parts = rich(size).chunk(chunks)
    assert [part.size for part in parts] == sizes
    assert [row for part in parts for row in rows_of(part)] == list(range(size))
    assert caplog.text == ""


def test_more_chunks_than_samples_end_in_empty_ones_and_warn(caplog):
    with caplog.at_level(logging.WARNING):
        parts = rich(2).chunk(4)
    assert [rows_of(part) for part in parts] == [[0], [1], [], []]
    assert [bool(part) for part in parts] == [True, True, False, False]
    assert parts[3].field_names == ["a", "n"]
    assert "empty BatchMeta chunks" in caplog.text


def test_zero_chunks_is_a_division_by_zero_and_fewer_are_refused():
    with pytest.raises(ZeroDivisionError):
        rich().chunk(0)
    with pytest.raises(ValueError, match="-1 chunks"):
        rich().chunk(-1)


def test_chunks_by_partition_follow_first_appearance_and_keep_row_order():
    meta = batch(5, partition_ids=["b", "a", "b", "c", "a"])
    parts = meta.chunk_by_partition()
    assert [part.global_indexes for part in parts] == [[0, 2], [1, 4], [3]]
    assert [part.partition_ids for part in parts] == [["b", "b"], ["a", "a"], ["c"]]
    assert parts[1].get_shapes("n") == [(2,), (5,)]
    assert BatchMeta.empty().chunk_by_partition() == []


@pytest.mark.parametrize("rows", [[2, 0, 3, 1], np.array([2, 0, 3, 1]), torch.tensor([2, 0, 3, 1])])
def test_reordering_permutes_every_column_in_place(rows):
    meta = rich()
    kept = meta.custom_meta[2]
    assert meta.reorder(rows) is None
    assert rows_of(meta) == [2, 0, 3, 1]
    assert {type(index) for index in meta.global_indexes} == {int}
    assert meta.custom_meta[0] is kept
    assert meta.extra_info == {"k": [1]}


def test_reordering_moves_partitions_too():
    meta = batch(2, partition_ids=["p", "q"])
    meta.reorder([1, 0])
    assert meta.partition_ids == ["q", "p"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 1, 2], "length 3"),
        ([0, 1, 2, 3, 0], "length 5"),
        ([0, 1, 2, 2], "duplicates"),
        ([0, 1, 2, 4], "must be in range"),
        ([0, 1, 2, -1], "must be in range"),
    ],
)
def test_reordering_by_anything_but_a_permutation_is_refused_and_changes_nothing(rows, message):
    meta = rich()
    with pytest.raises(ValueError, match=message):
        meta.reorder(rows)
    assert rows_of(meta) == [0, 1, 2, 3]


def test_reordering_does_not_change_the_list_of_shapes_the_caller_passed():
    shapes = [(1,), (2,)]
    meta = BatchMeta([0, 1], ["p", "p"], {"n": nested(shapes)})
    meta.reorder([1, 0])
    assert shapes == [(1,), (2,)]
    assert meta.get_shapes("n") == [(2,), (1,)]


def test_slicing_shares_shape_tuples_rather_than_copying_them():
    meta = rich()
    shapes = meta.field_schema["n"]["per_sample_shapes"]
    chunked = [shape for part in meta.chunk(3) for shape in part.get_shapes("n")]
    assert all(one is other for one, other in zip(shapes, chunked, strict=True))
