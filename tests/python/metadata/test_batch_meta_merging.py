"""Uniting and concatenating `BatchMeta` objects."""

import logging

import numpy as np
import pytest
import torch
from metadata_builders import batch, dense, nested

from transfer_queue.metadata import BatchMeta


def one_field(entry, size=2):
    return BatchMeta(list(range(size)), ["p"] * size, {"f": entry})


def joined(*entries, validate=True):
    parts = [one_field(entry) for entry in entries]
    return BatchMeta.concat(parts, validate=validate).field_schema["f"]


# ---- union


def test_union_takes_fields_of_both_and_the_others_where_both_have_one():
    mine = BatchMeta([1], ["p"], {"x": dense((1,)), "both": dense((1,))})
    theirs = BatchMeta([1], ["p"], {"y": dense((2,)), "both": nested([(5,)])})
    united = mine.union(theirs)
    assert united.field_names == ["both", "x", "y"]
    assert united.field_schema == {
        "x": dense((1,)),
        "y": dense((2,)),
        "both": nested([(5,)]),
    }
    assert (mine.field_names, theirs.field_names) == (["both", "x"], ["both", "y"])


def test_union_is_produced_where_both_are():
    mine, theirs = batch(production_status=[0, 0, 1, 1]), batch(production_status=[0, 1, 0, 1])
    united = mine.union(theirs)
    assert united.production_status.tolist() == [0, 0, 0, 1]
    assert united.production_status.dtype == np.int8
    assert united.is_ready is False
    ready = batch(production_status=[1] * 4)
    assert ready.union(ready).is_ready is True


def test_union_merges_extra_info_and_rows_with_the_other_winning():
    mine = batch(
        2,
        extra_info={"k": 1, "mine": 1},
        custom_meta=[{"t": 1, "mine": 1}, {}],
        _custom_backend_meta=[{"n": 1, "a": 1}, {}],
    )
    theirs = batch(
        2,
        extra_info={"k": 2},
        custom_meta=[{"t": 2}, {"theirs": 2}],
        _custom_backend_meta=[{"n": 2}, {"n": 2}],
    )
    united = mine.union(theirs)
    assert united.extra_info == {"k": 2, "mine": 1}
    assert united.custom_meta == [{"t": 2, "mine": 1}, {"theirs": 2}]
    assert united._custom_backend_meta == [{"n": 2, "a": 1}, {"n": 2}]


@pytest.mark.parametrize("flip", [False, True])
def test_union_with_rows_on_one_side_only_keeps_and_copies_them(flip):
    tagged, plain = batch(2, custom_meta=[{"t": [1]}, {}]), batch(2)
    united = plain.union(tagged) if flip else tagged.union(plain)
    united.custom_meta[0]["t"].append(2)
    united.custom_meta[1]["u"] = 1
    assert tagged.custom_meta == [{"t": [1]}, {}]
    assert plain.custom_meta == [{}, {}]


@pytest.mark.parametrize("nothing", [None, BatchMeta.empty({"lost": 1})])
def test_union_with_nothing_is_a_copy(nothing):
    meta = batch(2, extra_info={"k": [1]})
    united = meta.union(nothing)
    assert united is not meta
    assert united.global_indexes == [0, 1]
    assert united.extra_info == {"k": [1]}
    assert united.extra_info["k"] is not meta.extra_info["k"]


def test_union_of_an_empty_batch_is_a_copy_of_the_other():
    meta = batch(2)
    united = BatchMeta.empty({"lost": 1}).union(meta)
    assert united is not meta
    assert (united.global_indexes, united.extra_info) == ([0, 1], {})


@pytest.mark.parametrize("indexes", [[1, 0], [0, 2], [0]])
def test_union_of_other_samples_or_another_order_is_refused(indexes):
    with pytest.raises(ValueError, match="global_indexes do not match"):
        batch(2).union(BatchMeta(indexes, ["p"] * len(indexes)))


def test_union_of_other_partitions_is_refused_naming_the_row():
    with pytest.raises(ValueError, match=r"partition_ids do not match.*Row 1 is 'p'.*'q'"):
        batch(2).union(BatchMeta([0, 1], ["p", "q"]))


# ---- concat


def test_concat_lays_every_column_end_to_end():
    first = batch(2, production_status=[1, 0], custom_meta=[{"t": 1}, {}])
    second = batch(1, start=7, partition_ids=["q"], _custom_backend_meta=[{"n": 1}])
    whole = BatchMeta.concat([first, second])
    assert whole.size == 3
    assert whole.global_indexes == [0, 1, 7]
    assert whole.partition_ids == ["p", "p", "q"]
    assert whole.production_status.tolist() == [1, 0, 0]
    assert whole.production_status.dtype == np.int8
    assert whole.custom_meta == [{"t": 1}, {}, {}]
    assert whole._custom_backend_meta == [{}, {}, {"n": 1}]
    assert whole.get_shapes("n") == [(1,), (2,), (8,)]
    assert whole.field_names == ["a", "n"]


def test_concat_of_ready_batches_is_ready():
    ready = batch(production_status=[1] * 4)
    assert BatchMeta.concat([ready, ready]).is_ready is True
    assert BatchMeta.concat([ready, batch()]).is_ready is False


@pytest.mark.parametrize("parts", [[], [BatchMeta.empty({"lost": 1})], [None]])
def test_concat_of_nothing_is_empty_and_warns(parts, caplog):
    with caplog.at_level(logging.WARNING):
        whole = BatchMeta.concat(parts)
    assert (whole.size, whole.field_names, whole.extra_info) == (0, [], {})
    assert "empty BatchMeta" in caplog.text


def test_concat_skips_empty_batches_whatever_their_fields():
    parts = [BatchMeta.empty(), batch(2), None, BatchMeta([], [], {"other": dense()})]
    whole = BatchMeta.concat(iter(parts))
    assert (whole.global_indexes, whole.field_names) == ([0, 1], ["a", "n"])


def test_concat_of_one_batch_is_a_new_batch():
    meta = batch(2, custom_meta=[{"t": 1}, {}])
    whole = BatchMeta.concat([meta])
    whole.custom_meta[0]["t"] = 2
    whole.global_indexes.append(9)
    whole.field_schema["n"]["per_sample_shapes"].append((9,))
    assert meta.custom_meta == [{"t": 1}, {}]
    assert meta.global_indexes == [0, 1]
    assert meta.get_shapes("n") == [(1,), (2,)]


def test_concat_of_dense_chunks_stays_dense_and_drops_unknown_keys():
    assert joined(dense() | {"note": 1}, dense()) == dense()


def test_concat_of_entries_without_keys_fills_them_in():
    assert joined({}, {}) == {
        "dtype": None,
        "shape": None,
        "is_nested": False,
        "is_non_tensor": False,
    }


def test_concat_of_nested_chunks_has_no_shape_but_a_list_of_shapes():
    entry = joined(nested([(1,), (2,)]), nested([(3,), (4,)]))
    assert entry == nested([(1,), (2,), (3,), (4,)]) | {"shape": None}


def test_concat_of_dense_and_nested_is_nested_with_the_dense_shape_repeated():
    ragged = nested([(1,), (2,)], torch.float32)
    assert joined(dense(), ragged)["per_sample_shapes"] == [(3,), (3,), (1,), (2,)]
    assert joined(ragged, dense())["per_sample_shapes"] == [(1,), (2,), (3,), (3,)]
    assert joined(dense(), ragged)["is_nested"] is True
    assert joined(dense(), ragged)["shape"] is None


def test_concat_keeps_shapes_per_sample_of_a_field_that_is_not_nested():
    entry = joined(dense() | {"per_sample_shapes": [(1,), (2,)]}, dense())
    assert entry == dense() | {"per_sample_shapes": [(1,), (2,), (3,), (3,)]}


def test_concat_of_dense_chunks_of_different_shapes_tells_the_truth_about_every_row():
    parts = [one_field(dense((2,))), one_field(dense([2])), one_field(dense((5,)), 1)]
    whole = BatchMeta.concat(parts)
    assert list(map(tuple, whole.get_shapes("f"))) == [(2,), (2,), (2,), (2,), (5,)]


def test_concat_of_shapes_sent_as_lists_does_not_alias_them():
    shape = [3]
    entry = joined(dense(shape), nested([[1], [2]], torch.float32))
    entry["per_sample_shapes"][0].append(9)
    assert entry["per_sample_shapes"] == [[3, 9], [3], [1], [2]]
    assert shape == [3]


def test_concat_refuses_chunks_with_other_fields_naming_the_chunk():
    with pytest.raises(ValueError, match=r"field_names mismatch at chunk\[1\]"):
        BatchMeta.concat([batch(2), batch(2).select_fields(["a"])])
    with pytest.raises(ValueError, match="field_names mismatch"):
        BatchMeta.concat([batch(2).select_fields(["a"]), batch(2)])


def test_concat_refuses_chunks_with_other_dtypes():
    with pytest.raises(ValueError, match="Field 'f' dtype mismatch"):
        joined(dense(), dense(dtype=torch.int8))


def test_concat_without_validation_takes_fields_and_dtypes_of_the_first():
    assert joined(dense(), dense(dtype=torch.int8), validate=False) == dense()
    whole = BatchMeta.concat([batch(1), batch(1).select_fields(["a"])], validate=False)
    assert whole.field_names == ["a", "n"]
    assert whole.get_shapes("n") == [(1,), None]
    fewer = BatchMeta.concat([batch(1).select_fields(["a"]), batch(1)], validate=False)
    assert fewer.field_names == ["a"]


def joined_info(*infos, validate=True):
    parts = [batch(1, extra_info=info) for info in infos]
    return BatchMeta.concat(parts, validate=validate).extra_info


def test_concat_unites_extra_info_and_warns_when_the_keys_differ(caplog):
    with caplog.at_level(logging.WARNING):
        assert joined_info({"a": 1}, {"a": 1}) == {"a": 1}
        assert caplog.text == ""
        assert joined_info({"a": 1}, {"b": 2}, {}) == {"a": 1, "b": 2}
    assert "key sets differ" in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: 1,
        lambda: None,
        lambda: [1, {"x": (2,)}],
        lambda: torch.arange(3),
        lambda: np.arange(3),
        lambda: [np.arange(3), {"x": np.arange(2)}],
        lambda: {"x": torch.arange(3)},
    ],
)
def test_concat_accepts_equal_extra_info(make):
    assert set(joined_info({"k": make()}, {"k": make()})) == {"k"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        (None, 1),
        ("1", 1),
        (torch.ones(2), torch.zeros(2)),
        (torch.ones(2), torch.ones(3)),
        (torch.ones(2), np.ones(2)),
        (np.ones(2), np.zeros(2)),
        (np.ones(2), np.ones(3)),
        ([np.ones(2)], [np.zeros(2)]),
        ([np.ones(2)], [np.ones(2), np.ones(2)]),
        ({"x": np.ones(2)}, {"x": np.zeros(2)}),
        ({"x": np.ones(2)}, {"y": np.ones(2)}),
        ({"x": np.ones(2), "y": 1}, {"x": np.ones(2), "z": 1}),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_concat_refuses_conflicting_extra_info(one, other, validate):
    with pytest.raises(ValueError, match="conflicting values"):
        joined_info({"k": one}, {}, {"k": other}, validate=validate)


def test_chunks_of_a_batch_can_be_joined_whatever_their_extra_info_holds():
    meta = batch(extra_info={"nan": float("nan"), "arrays": [np.ones(2)]})
    assert BatchMeta.concat(meta.chunk(2)).extra_info.keys() == {"nan", "arrays"}
