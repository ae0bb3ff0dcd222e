"""How a `BatchMeta` is made, what it derives from its parts, and how it is pickled."""

import copy
import pickle

import numpy as np
import pytest
import torch
from metadata_builders import batch, dense, nested

from transfer_queue.metadata import BatchMeta

SLOTS = (
    "global_indexes",
    "partition_ids",
    "field_schema",
    "production_status",
    "extra_info",
    "custom_meta",
    "_custom_backend_meta",
    "_size",
    "_field_names",
    "_is_ready",
)


def everything(meta):
    """All attributes of a batch as values that compare."""
    return [
        value.tolist() if isinstance(value, np.ndarray) else value for value in meta.__getstate__()
    ]


def test_slots_are_in_the_order_others_build_states_in():
    assert tuple(BatchMeta.__slots__)[: len(SLOTS)] == SLOTS


def test_there_is_no_room_for_other_attributes():
    meta = batch()
    assert not hasattr(meta, "__dict__")
    with pytest.raises(AttributeError):
        meta.unheard_of = 1


def test_no_arguments_make_an_empty_batch():
    assert everything(BatchMeta()) == [[], [], {}, [], {}, [], [], 0, [], False]


@pytest.mark.parametrize("arguments", [{"global_indexes": [1]}, {"partition_ids": ["p"]}])
def test_indexes_without_partitions_or_the_reverse_are_refused(arguments):
    with pytest.raises(TypeError, match="together"):
        BatchMeta(**arguments)


def test_defaults_are_no_fields_nothing_produced_and_a_dict_per_sample():
    meta = BatchMeta([7, 3], ["p", "q"])
    assert meta.global_indexes == [7, 3]
    assert meta.partition_ids == ["p", "q"]
    assert meta.field_schema == {}
    assert meta.extra_info == {}
    assert meta.custom_meta == [{}, {}]
    assert meta._custom_backend_meta == [{}, {}]
    assert meta.production_status.dtype == np.int8
    assert meta.production_status.tolist() == [0, 0]
    assert not meta.is_ready


def test_arguments_may_be_given_by_position():
    meta = BatchMeta([1], ["p"], {"f": dense()}, [1], {"k": 1}, [{"c": 1}], [{"b": 1}])
    assert everything(meta) == [
        [1], ["p"], {"f": dense()}, [1], {"k": 1}, [{"c": 1}], [{"b": 1}], 1, ["f"], True,
    ]  # fmt: skip


def test_changing_what_the_caller_passed_does_not_change_the_batch():
    indexes, partitions, schema = [1], ["p"], {"f": dense()}
    status, extra = np.zeros(1, np.int8), {"k": 1}
    tags, backend = [{"t": 1}], [{"b": 1}]
    meta = BatchMeta(indexes, partitions, schema, status, extra, tags, backend)
    before = copy.deepcopy(everything(meta))
    indexes.append(2)
    partitions[0] = "q"
    schema["f"]["shape"] = (9,)
    schema["g"] = dense()
    status[0] = 1
    extra["k"] = 2
    tags[0]["t"] = 2
    tags.append({})
    backend[0].clear()
    assert everything(meta) == before


def test_indexes_from_an_array_or_a_tensor_become_python_ints():
    for indexes in (np.array([4, 2]), torch.tensor([4, 2]), (4, 2), range(4, 0, -2)):
        meta = BatchMeta(indexes, ("p", "p"))
        assert meta.global_indexes == [4, 2]
        assert {type(index) for index in meta.global_indexes} == {int}
        assert meta.partition_ids == ["p", "p"]


@pytest.mark.parametrize("status", [[1, 0], np.array([1, 0]), torch.tensor([1, 0])])
def test_production_status_of_any_kind_becomes_an_int8_array(status):
    meta = BatchMeta([0, 1], ["p", "p"], production_status=status)
    assert meta.production_status.dtype == np.int8
    assert meta.production_status.tolist() == [1, 0]


def test_the_status_of_no_samples_is_an_empty_int8_array():
    status = BatchMeta([], []).production_status
    assert (status.dtype, status.shape) == (np.int8, (0,))


@pytest.mark.parametrize("name", ["custom_meta", "_custom_backend_meta"])
def test_an_empty_list_of_dicts_stands_for_a_dict_per_sample(name):
    meta = BatchMeta([1, 2], ["p", "p"], **{name: []})
    assert getattr(meta, name) == [{}, {}]
    assert getattr(meta, name)[0] is not getattr(meta, name)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"partition_ids": ["p"]}, "Length mismatch"),
        ({"production_status": [1]}, "production_status length 1"),
        ({"production_status": [[1, 1], [1, 1]]}, "production_status"),
        ({"custom_meta": [{}]}, "custom_meta length 1"),
        ({"_custom_backend_meta": [{}, {}, {}]}, "_custom_backend_meta length 3"),
        ({"field_schema": {"f": nested([(1,)])}}, "Field 'f' per_sample_shapes length 1"),
        ({"field_schema": {"f": nested([])}}, "Field 'f' per_sample_shapes length 0"),
    ],
)
def test_arguments_with_another_number_of_rows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchMeta(**({"global_indexes": [1, 2], "partition_ids": ["p", "p"]} | arguments))


def test_shapes_per_sample_may_be_none():
    meta = BatchMeta([1], ["p"], {"f": dense() | {"per_sample_shapes": None}})
    assert meta.get_shapes("f") == [(3,)]
    assert meta.copy().field_schema == meta.field_schema
    assert BatchMeta.concat([meta, meta]).get_shapes("f") == [(3,), (3,)]


@pytest.mark.parametrize(
    ("status", "ready"), [([1, 1], True), ([1, 0], False), ([0, 0], False), ([2, 1], False)]
)
def test_a_batch_is_ready_when_all_its_samples_are_produced(status, ready):
    assert BatchMeta([1, 2], ["p", "p"], production_status=status).is_ready is ready


def test_a_batch_of_no_samples_is_never_ready():
    assert BatchMeta([], [], production_status=[]).is_ready is False


def test_field_names_are_sorted():
    assert BatchMeta([1], ["p"], {"z": {}, "a": {}, "m": {}}).field_names == ["a", "m", "z"]


def test_derived_properties_stay_when_attributes_are_changed_by_hand():
    meta = batch(2)
    meta.production_status[:] = 1
    meta.field_schema["z"] = dense()
    meta.global_indexes.append(9)
    assert (meta.is_ready, meta.field_names, meta.size) == (False, ["a", "n"], 2)


@pytest.mark.parametrize("name", ["size", "field_names", "is_ready", "samples"])
def test_derived_properties_cannot_be_assigned(name):
    with pytest.raises(AttributeError):
        setattr(batch(), name, 1)


def test_length_is_the_size_and_only_an_empty_batch_is_falsy():
    assert (len(batch(3)), batch(3).size, bool(batch(3))) == (3, 3, True)
    assert (len(BatchMeta.empty()), bool(BatchMeta.empty())) == (0, False)


def test_the_empty_batch_takes_extra_info_and_copies_it():
    info = {"k": 1}
    meta = BatchMeta.empty(info)
    info["k"] = 2
    assert everything(meta) == [[], [], {}, [], {"k": 1}, [], [], 0, [], False]
    assert BatchMeta.empty().extra_info == {}


def test_batches_are_equal_only_to_themselves_and_hash():
    one, other = batch(), batch()
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_str_names_size_fields_readiness_indexes_and_extra_info():
    meta = BatchMeta([5], ["p"], {"f": dense()}, [1], {"k": 1})
    assert str(meta) == (
        "BatchMeta(size=1, field_names=['f'], is_ready=True, global_indexes=[5], "
        "extra_info={'k': 1})"
    )
    assert repr(meta).startswith("<transfer_queue.metadata")


def test_dtypes_and_shapes_have_one_entry_per_sample():
    meta = batch(3)
    assert meta.get_dtypes("a") == [torch.float32] * 3
    assert meta.get_shapes("a") == [(3,)] * 3
    assert meta.get_dtypes("n") == [torch.int64] * 3
    assert meta.get_shapes("n") == [(1,), (2,), (3,)]


def test_the_list_of_shapes_is_the_callers_to_change():
    meta = batch(2)
    meta.get_shapes("n").clear()
    assert meta.get_shapes("n") == [(1,), (2,)]


@pytest.mark.parametrize("method", ["get_dtypes", "get_shapes"])
def test_asking_about_an_unknown_field_is_a_key_error(method):
    with pytest.raises(KeyError, match="'x' not found"):
        getattr(batch(), method)("x")


def full():
    return batch(
        3,
        production_status=[1, 0, 1],
        extra_info={"k": [1]},
        custom_meta=[{"t": [1]}, {}, {"u": 2}],
        _custom_backend_meta=[{}, {"n": "at 7"}, {}],
    )


def test_the_state_is_a_tuple_in_slot_order():
    meta = full()
    state = meta.__getstate__()
    assert type(state) is tuple
    assert all(value is getattr(meta, name) for name, value in zip(SLOTS, state, strict=True))


def test_a_state_tuple_built_from_the_slots_restores_a_batch():
    meta = full()
    restored = BatchMeta.__new__(BatchMeta)
    restored.__setstate__(tuple(getattr(meta, name) for name in BatchMeta.__slots__))
    assert everything(restored) == everything(meta)


def test_a_state_with_a_read_only_status_becomes_writable_by_copy():
    state = list(full().__getstate__())
    received = np.array(state[3])
    received.setflags(write=False)
    state[3] = received
    restored = BatchMeta.__new__(BatchMeta)
    restored.__setstate__(tuple(state))
    restored.production_status[1] = 1
    assert received.tolist() == [1, 0, 1]
    assert restored.production_status.tolist() == [1, 1, 1]


def test_a_state_of_another_length_is_refused():
    with pytest.raises(ValueError, match="expected 10"):
        BatchMeta.__new__(BatchMeta).__setstate__(full().__getstate__()[:5])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("make", [full, batch, BatchMeta])
def test_a_pickle_round_trip_brings_everything_back(make, protocol):
    meta = make()
    restored = pickle.loads(pickle.dumps(meta, protocol))
    assert type(restored) is BatchMeta
    assert everything(restored) == everything(meta)
    assert restored.production_status.dtype == np.int8


def test_rows_of_a_restored_batch_are_its_own():
    restored = pickle.loads(pickle.dumps(batch(2)))
    restored.custom_meta[0]["t"] = 1
    assert restored.custom_meta == [{"t": 1}, {}]


def test_pickling_does_not_spend_bytes_on_empty_dicts():
    untouched, read, tagged = batch(500), batch(500), batch(500)
    assert read.custom_meta[0] == read._custom_backend_meta[0] == {}
    tagged.custom_meta[0]["t"] = 1
    sizes = [len(pickle.dumps(meta)) for meta in (untouched, read, tagged)]
    assert sizes[0] == sizes[1] < sizes[2]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, BatchMeta.copy])
def test_a_deep_copy_is_equal_and_shares_nothing_mutable(duplicate):
    meta = full()
    meta.field_schema["n"]["per_sample_shapes"] = [[1], [2], [3]]  # as it comes over the wire
    expected = copy.deepcopy(everything(meta))
    twin = duplicate(meta)
    assert everything(twin) == expected
    twin.global_indexes.append(1)
    twin.partition_ids[0] = "q"
    twin.field_schema["n"]["per_sample_shapes"][0].append(5)
    twin.field_schema["a"]["shape"] = None
    twin.production_status[:] = 0
    twin.extra_info["k"].append(2)
    twin.custom_meta[0]["t"].append(2)
    twin._custom_backend_meta[1]["n"] = "elsewhere"
    assert everything(meta) == expected


def test_deepcopy_keeps_two_references_to_one_batch_together():
    meta = batch()
    first, second = copy.deepcopy([meta, meta])
    assert first is second is not meta


def test_a_shallow_copy_shares_the_attributes():
    meta = batch()
    twin = copy.copy(meta)
    assert twin is not meta
    assert all(getattr(twin, name) is getattr(meta, name) for name in SLOTS)


def test_a_subclass_stays_itself():
    class Tracked(BatchMeta):
        __slots__ = ()

    meta = Tracked([1, 2], ["p", "q"])
    derived = [
        meta.copy(), meta[0], meta[:1], meta.select_fields([]), meta.union(meta),
        Tracked.empty(), Tracked.concat([meta]), *meta.chunk(2), *meta.chunk_by_partition(),
    ]  # fmt: skip
    assert {type(other) for other in derived} == {Tracked}
