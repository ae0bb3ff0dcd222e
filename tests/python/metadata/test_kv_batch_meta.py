"""`KVBatchMeta`: samples addressed by the user's own keys."""

import dataclasses
import logging
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_queue.metadata import KVBatchMeta


def kv(keys="wxyz", **overrides):
    arguments = {
        "keys": list(keys),
        "tags": [{"of": key} for key in keys],
        "partition_id": "p",
        "fields": ["b", "a"],
        "extra_info": {"k": [1]},
    }
    return KVBatchMeta(**(arguments | overrides))


def assert_pairs(meta, keys):
    assert meta.keys == list(keys)
    assert meta.tags == [{"of": key} for key in keys]


def test_the_fields_of_the_dataclass_and_their_defaults():
    assert [field.name for field in dataclasses.fields(KVBatchMeta)] == [
        "keys", "tags", "partition_id", "fields", "extra_info",
    ]  # fmt: skip
    empty = KVBatchMeta()
    assert dataclasses.astuple(empty) == ([], [], None, None, {})
    assert empty.keys is not KVBatchMeta().keys
    assert KVBatchMeta(["w"], [{}], "p", ["f"], None) == KVBatchMeta(
        keys=["w"], tags=[{}], partition_id="p", fields=["f"], extra_info=None
    )


def test_objects_compare_by_value_and_do_not_hash():
    assert kv() == kv()
    assert kv() != kv("zyxw")
    with pytest.raises(TypeError):
        hash(kv())


def test_str_and_repr():
    meta = KVBatchMeta(["w"], [{"t": 1}], "p", ["f"])
    assert str(meta) == "KVBatchMeta(size=1, field_names=['f'], extra_info={})"
    assert repr(meta) == (
        "KVBatchMeta(keys=['w'], tags=[{'t': 1}], partition_id='p', fields=['f'], extra_info={})"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tags": []}, "keys and tags must have same length"),
        ({"keys": ["w"], "tags": []}, "keys and tags must have same length"),
        ({"keys": ["w", "w"], "tags": [{}, {}]}, "Got duplicated keys.*'w'"),
        ({"fields": ["f", "g", "f"]}, "Got duplicated fields.*'f'"),
    ],
)
def test_inconsistent_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kv(**arguments)


def test_a_message_names_only_some_of_many_keys():
    keys = [f"key-{number}" for number in range(1000)] * 2
    with pytest.raises(ValueError, match=r"'key-0'.*and 992 more") as caught:
        KVBatchMeta(keys, [{}] * 2000)
    assert len(str(caught.value)) < 300


def test_tags_and_extra_info_are_deep_copied_but_keys_and_fields_are_held():
    keys, fields = ["w"], ["f"]
    tags, info = [{"t": [1]}], {"k": [1]}
    meta = KVBatchMeta(keys, tags, "p", fields, info)
    tags[0]["t"].append(2)
    info["k"].append(2)
    assert meta.tags == [{"t": [1]}]
    assert meta.extra_info == {"k": [1]}
    assert meta.keys is keys
    assert meta.fields is fields


def test_size_is_a_snapshot_and_len_is_live():
    meta = kv()
    meta.keys.append("new")
    assert (meta.size, len(meta)) == (4, 5)
    with pytest.raises(AttributeError):
        meta.size = 5
    assert (bool(KVBatchMeta()), bool(kv())) == (False, True)


def test_attributes_may_be_reassigned():
    meta = kv()
    meta.fields, meta.tags, meta.extra_info = ["z"], [{}] * 4, {"new": 1}
    assert meta.chunk(1)[0] == kv(fields=["z"], tags=[{}] * 4, extra_info={"new": 1})


def test_pickle_and_replace_round_trip():
    assert pickle.loads(pickle.dumps(kv())) == kv()
    assert pickle.loads(pickle.dumps(kv())).size == 4
    assert dataclasses.replace(kv(), fields=None).fields is None


# ---- select_keys


def test_selecting_keys_gives_them_with_their_tags_in_the_order_asked():
    chosen = kv().select_keys(["z", "w"])
    assert_pairs(chosen, "zw")
    assert (chosen.partition_id, chosen.fields, chosen.extra_info) == ("p", ["b", "a"], {"k": [1]})
    assert chosen.size == 2
    assert_pairs(kv().select_keys([]), "")


def test_selecting_keys_shares_nothing_mutable():
    meta = kv()
    chosen = meta.select_keys(["w"])
    chosen.tags[0]["of"] = "changed"
    chosen.fields.append("c")
    chosen.extra_info["k"].append(2)
    assert meta == kv()


def test_selecting_a_key_twice_is_refused():
    with pytest.raises(ValueError, match=r"Contain duplicate keys.*'w'"):
        kv().select_keys(["w", "x", "w"])


def test_selecting_an_unknown_key_is_refused_by_name():
    with pytest.raises(RuntimeError, match="'nobody' not found in current batch"):
        kv().select_keys(["w", "nobody"])


# ---- reorder


@pytest.mark.parametrize("order", [[3, 0, 2, 1], [-1, 0, -2, 1], np.array([3, 0, 2, 1])])
def test_reordering_permutes_keys_and_tags_in_place(order):
    meta = kv()
    assert meta.reorder(order) is None
    assert_pairs(meta, "zwyx")


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ([0, 1, 2], ValueError, "does not match"),
        ([0, 1, 2, 3, 3], ValueError, "does not match"),
        ([0, 1, 2, 2], ValueError, "Contain duplicate indexes"),
        ([3, 1, 2, -1], ValueError, "Contain duplicate indexes"),
        ([0, 1, 2, 4], IndexError, "in range"),
        ([0, 1, 2, -5], IndexError, "in range"),
    ],
)
def test_reordering_by_anything_else_is_refused_and_changes_nothing(order, error, message):
    meta = kv()
    with pytest.raises(error, match=message):
        meta.reorder(order)
    assert meta == kv()


def test_reordering_counts_the_keys_there_are_now():
    meta = kv("wx")
    meta.keys.append("y")
    meta.tags.append({"of": "y"})
    meta.reorder([2, 1, 0])
    assert_pairs(meta, "yxw")


# ---- chunk


@pytest.mark.parametrize(
    ("chunks", "expected"), [(1, ["wxyz"]), (2, ["wx", "yz"]), (3, ["wx", "y", "z"])]
)
def test_chunks_are_consecutive_and_the_first_are_larger(chunks, expected):
    parts = kv().chunk(chunks)
    assert len(parts) == chunks
    for part, keys in zip(parts, expected, strict=True):
        assert_pairs(part, keys)
        assert part.partition_id == "p"
        assert part.fields == ["b", "a"]
        assert part.extra_info == {"k": [1]}


def test_chunks_share_nothing_mutable_with_the_whole_or_each_other():
    meta = kv()
    first, second = meta.chunk(2)
    first.tags[0]["of"] = "changed"
    first.fields.append("c")
    first.extra_info["k"].append(2)
    assert meta == kv()
    assert second == kv("yz")


def test_more_chunks_than_keys_end_in_empty_ones_and_warn(caplog):
    with caplog.at_level(logging.WARNING):
        parts = kv("w").chunk(3)
    assert [len(part) for part in parts] == [1, 0, 0]
    assert parts[2].fields == ["b", "a"]
    assert "empty KVBatchMeta chunks" in caplog.text


def test_zero_chunks_is_a_division_by_zero_and_fewer_are_refused():
    with pytest.raises(ZeroDivisionError):
        kv().chunk(0)
    with pytest.raises(ValueError, match="-2 chunks"):
        kv().chunk(-2)


# ---- concat


def test_concat_lays_keys_and_tags_end_to_end():
    whole = KVBatchMeta.concat([kv("yz"), KVBatchMeta(), None, kv("wx", fields=["a", "b"])])
    assert whole == kv("yzwx")
    assert whole.size == 4


def test_concat_does_not_share_with_its_parts():
    part = kv("w")
    whole = KVBatchMeta.concat([part])
    whole.tags[0]["of"] = "changed"
    whole.keys.append("x")
    whole.fields.append("c")
    whole.extra_info["k"].append(2)
    assert part == kv("w")


@pytest.mark.parametrize("parts", [[], [KVBatchMeta()], [KVBatchMeta(partition_id="p"), None]])
def test_concat_of_nothing_is_the_default_and_warns(parts, caplog):
    with caplog.at_level(logging.WARNING):
        assert KVBatchMeta.concat(parts) == KVBatchMeta()
    assert "empty" in caplog.text.lower()


def test_concat_refuses_other_fields_than_the_first_chunks():
    with pytest.raises(ValueError, match="Field names do not match"):
        KVBatchMeta.concat([kv("w"), kv("x", fields=["a"])])
    with pytest.raises(ValueError, match="Field names do not match"):
        KVBatchMeta.concat([kv("w", fields=None), kv("x")])


def test_concat_lets_a_chunk_leave_its_fields_open():
    assert KVBatchMeta.concat([kv("w"), kv("x", fields=None)]).fields == ["b", "a"]
    assert KVBatchMeta.concat([kv("w", fields=None), kv("x", fields=[])]).fields is None


def test_concat_refuses_another_partition():
    with pytest.raises(ValueError, match="Partition do not match"):
        KVBatchMeta.concat([kv("w"), kv("x", partition_id="q")])


def test_concat_unites_extra_info(caplog):
    parts = [kv("w", extra_info={"a": 1}), kv("x", extra_info={"b": 2}), kv("y", extra_info=None)]
    with caplog.at_level(logging.WARNING):
        assert KVBatchMeta.concat(parts).extra_info == {"a": 1, "b": 2}
    assert "KVBatchMeta.concat: extra_info key sets differ" in caplog.text


def test_concat_without_any_extra_info_has_none():
    assert KVBatchMeta.concat([kv("w", extra_info={}), kv("x", extra_info=None)]).extra_info is None


def test_concat_refuses_conflicting_extra_info():
    with pytest.raises(ValueError, match=r"KVBatchMeta.concat: .*conflicting"):
        KVBatchMeta.concat([kv("w", extra_info={"k": 1}), kv("x", extra_info={"k": 2})])


def test_concat_refuses_a_key_that_comes_twice():
    with pytest.raises(ValueError, match="Got duplicated keys"):
        KVBatchMeta.concat([kv("wx"), kv("yx")])


@given(st.lists(st.text(max_size=3), unique=True, max_size=12), st.integers(1, 15), st.data())
def test_chunk_concat_select_and_reorder_agree_with_lists(keys, chunks, data):
    meta = kv(keys)
    parts = meta.chunk(chunks)
    sizes = [len(part) for part in parts]
    assert (len(parts), sum(sizes)) == (chunks, len(keys))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    if keys:
        assert KVBatchMeta.concat(parts) == meta
    order = data.draw(st.permutations(range(len(keys))))
    chosen = [keys[row] for row in order]
    assert_pairs(meta.select_keys(chosen), chosen)
    meta.reorder(order)
    assert_pairs(meta, chosen)
