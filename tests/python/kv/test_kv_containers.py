"""The container a column comes back in, for whatever it was put as."""

import numpy as np
import pytest
import torch
from kv_builders import batch, column, jagged, kind, length, names, rows, same, strided
from tensordict import LazyStackedTensorDict, NonTensorData, NonTensorStack, TensorDict

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex32,
    torch.complex64,
    torch.complex128,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]


def round_trip(tq, put):
    keys = names(length(put))
    tq.kv_batch_put(keys, "p", batch(x=put))
    result = tq.kv_batch_get(keys, "p")
    assert list(result.keys()) == ["x"]
    assert result.batch_size == torch.Size([length(put)])
    return column(result)


def random_bits(shape, dtype):
    bits = torch.randint(0, 2 if dtype == torch.bool else 255, (*shape, dtype.itemsize))
    return bits.to(torch.uint8).view(dtype).view(shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scalar_rows_stay_dense(tq, dtype):
    put = random_bits((3,), dtype)
    got = round_trip(tq, put)
    assert kind(got) == "dense"
    assert same(got, put)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dense_rows_come_back_jagged(tq, dtype):
    put = random_bits((3, 4), dtype)
    got = round_trip(tq, put)
    assert kind(got) == "jagged"
    assert same(rows(got), rows(put))


@pytest.mark.parametrize("values", [[1, 2, 3], [1.5, 2.5, -0.0], [True, False, True]], ids=str)
def test_a_list_of_numbers_stays_dense(tq, values):
    got = round_trip(tq, values)
    assert kind(got) == "dense"
    assert same(got.tolist(), values)


@pytest.mark.parametrize(
    "shape",
    [(3, 1), (3, 4, 5), (3, 2, 0), (3, 0, 2), (3, 0), (1, 7), (1, 1), (2, 1, 1, 1)],
    ids=str,
)
def test_rows_of_any_shape_come_back_jagged(tq, shape):
    put = torch.rand(shape)
    got = round_trip(tq, put)
    assert kind(got) == "jagged"
    assert same(rows(got), rows(put))


RAGGED = [torch.rand(2), torch.rand(5), torch.rand(0)]
RAGGED_WIDE = [torch.rand(2, 3), torch.rand(5, 3), torch.rand(0, 3)]
RAGGED_LAST = [torch.rand(3, 2), torch.rand(3, 4), torch.rand(3, 3)]
RAGGED_TWICE = [torch.rand(2, 3), torch.rand(5, 4), torch.rand(1, 1)]


@pytest.mark.parametrize("form", [jagged, strided, NonTensorStack])
@pytest.mark.parametrize("put", [RAGGED, RAGGED_WIDE, RAGGED_LAST], ids=["1d", "first", "last"])
def test_rows_ragged_in_one_dimension_come_back_jagged(tq, form, put):
    got = round_trip(tq, form(*put))
    assert kind(got) == "jagged"
    assert same(rows(got), put)


@pytest.mark.parametrize("form", [strided, NonTensorStack])
def test_rows_ragged_in_several_dimensions_come_back_strided(tq, form):
    got = round_trip(tq, form(*RAGGED_TWICE))
    assert kind(got) == "strided"
    assert same(rows(got), RAGGED_TWICE)


def test_one_jagged_row(tq):
    got = round_trip(tq, jagged(torch.arange(4)))
    assert kind(got) == "jagged"
    assert same(rows(got), [torch.arange(4)])


def test_a_narrowed_jagged_tensor_is_put_as_it_looks(tq):
    starts, lengths = torch.tensor([1, 0, 2]), torch.tensor([2, 1, 3])
    put = torch.nested.narrow(torch.arange(18).view(3, 6), 1, starts, lengths, torch.jagged)
    got = round_trip(tq, put)
    assert same(rows(got), [torch.tensor(row) for row in ([1, 2], [6], [14, 15, 16])])


@pytest.mark.parametrize(
    "values",
    [
        [torch.rand(2), torch.rand(2, 2), torch.tensor(1.0)],
        [torch.rand(2), torch.arange(2), torch.arange(3)],
        [torch.tensor(1.5), torch.tensor(2), torch.tensor(True)],
        [torch.rand(2, 3), torch.arange(20).view(4, 5), torch.rand(1, 1)],
        [torch.rand(2), "text", None],
    ],
    ids=["ranks", "dtypes", "scalar_dtypes", "dtypes_ragged_twice", "not_all_tensors"],
)
def test_rows_of_one_column_may_differ_in_kind(tq, values):
    got = round_trip(tq, NonTensorStack(*values))
    assert kind(got) == "NonTensorStack"
    assert same(rows(got), values)


@pytest.mark.parametrize(
    "values",
    [
        ["a", "", "ünïcode \0"],
        [{"a": [1, (2, 3)]}, {}, {"b": None}],
        [None, None, None],
        ["a", {"b": 1}, None],
        [b"\0\1", {1, 2}, 1 << 80],
        [torch.Size([1, 2]), range(3), 1 + 2j],
    ],
    ids=["str", "dict", "none", "mixed", "types", "rare"],
)
def test_other_values_come_back_as_a_stack(tq, values):
    got = round_trip(tq, NonTensorStack(*values))
    assert kind(got) == "NonTensorStack"
    assert same(rows(got), values)


def test_a_list_of_text_comes_back_as_a_stack(tq):
    got = round_trip(tq, ["a", "b", "c"])
    assert kind(got) == "NonTensorStack"
    assert rows(got) == ["a", "b", "c"]


def test_a_numeric_array_is_a_tensor(tq):
    put = np.arange(12, dtype=np.float32).reshape(3, 4)
    got = round_trip(tq, put)
    assert kind(got) == "jagged"
    assert same(rows(got), list(torch.from_numpy(put)))


@pytest.mark.parametrize(
    "put",
    [
        np.array(["a", "bc", ""]),
        np.array([b"a", b"bc", b""]),
        np.array(["a", None, {"k": 1}], dtype=object),
        np.array(["2020-01-01", "1969-01-01", "NaT"], dtype="datetime64[D]"),
    ],
    ids=["U", "S", "object", "datetime64"],
)
def test_other_arrays_come_back_as_a_stack_of_their_elements(tq, put):
    got = round_trip(tq, put)
    assert kind(got) == "NonTensorStack"
    assert [type(value) for value in rows(got)] == [type(value) for value in put]
    assert [str(value) for value in rows(got)] == [str(value) for value in put]


@pytest.mark.parametrize("data", [["a", "b", "c"], ("a", {"b": 1}, None)], ids=["list", "tuple"])
def test_non_tensor_data_of_a_list_is_one_value_per_row(tq, data):
    got = round_trip(tq, NonTensorData(data=data, batch_size=(3,)))
    assert kind(got) == "NonTensorStack"
    assert same(rows(got), list(data))


@pytest.mark.parametrize("data", ["hello", 7, {"a": 1}, ["of", "another", "length", "!"]], ids=str)
def test_broadcast_non_tensor_data_stands_for_every_row(tq, data):
    tq.kv_batch_put(names(3), "p", TensorDict({"x": NonTensorData(data=data, batch_size=(3,))}, 3))
    got = column(tq.kv_batch_get(["k2", "k0"], "p"))
    assert kind(got) == "NonTensorStack"
    assert same(rows(got), [data, data])


def nested_batch():
    inner = {"a": torch.rand(3, 2), "b": torch.arange(3), "s": NonTensorStack("x", "y", "z")}
    return TensorDict({**inner, "deep": TensorDict({"c": torch.rand(3, 1, 2)}, [3])}, [3])


def test_a_nested_tensordict_comes_back_row_by_row(tq):
    put = nested_batch()
    got = round_trip(tq, put)
    assert isinstance(got, LazyStackedTensorDict)
    for left, right in zip(got.unbind(0), put.unbind(0), strict=True):
        assert same(left.get("a"), right.get("a"))
        assert same(left.get("b"), right.get("b"))
        assert left["s"] == right["s"]
        assert same(left.get(("deep", "c")), right.get(("deep", "c")))
    assert same(got["a"], put["a"])
    assert same(got["deep", "c"], put["deep", "c"])


def test_a_nested_tensordict_of_ragged_rows(tq):
    parts = [TensorDict({"a": torch.rand(length)}, []) for length in (1, 3, 2)]
    got = round_trip(tq, LazyStackedTensorDict(*parts, stack_dim=0))
    for left, right in zip(got.unbind(0), parts, strict=True):
        assert same(left.get("a"), right.get("a"))


def test_tensors_that_are_not_contiguous(tq):
    wide = torch.rand(4, 3)
    for put in (wide.T, wide[::2], wide[:, 1:], wide[1:2].expand(3, 3), wide[:, 0], wide.T.flip(0)):
        tq.kv_clear(names(4), "p")
        assert same(rows(round_trip(tq, put)), rows(put))


def test_lazily_conjugated_and_negated_tensors_are_put_as_they_look(tq):
    put = torch.rand(3, 2, dtype=torch.complex64)
    assert same(rows(round_trip(tq, put.conj())), rows(put.conj().resolve_conj()))
    negated = put.conj().imag
    assert same(rows(round_trip(tq, negated)), rows(negated.resolve_neg()))


def test_tensor_columns_come_back_without_gradients(tq):
    put = torch.rand(3, 4, requires_grad=True)
    got = round_trip(tq, put * 2)
    assert not got.requires_grad
    assert same(rows(got), rows((put * 2).detach()))
    assert same(round_trip(tq, torch.nn.Parameter(torch.ones(3))), torch.ones(3))


def test_jagged_columns_of_equal_lengths_can_be_combined(tq):
    tokens = jagged(torch.rand(2), torch.rand(4))
    tq.kv_batch_put(names(2), "p", batch(a=tokens, b=tokens * 2))
    got = tq.kv_batch_get(names(2), "p")
    total = got.get("a") + got.get("b")
    assert torch.allclose(total.values(), tokens.values() * 3)


def test_a_batch_of_more_dimensions_counts_the_first(tq):
    put = torch.rand(2, 3, 4)
    tq.kv_batch_put(names(2), "p", TensorDict({"x": put}, batch_size=[2, 3]))
    got = tq.kv_batch_get(names(2), "p")
    assert got.batch_size == torch.Size([2])
    assert same(rows(column(got)), rows(put))


@pytest.mark.parametrize(
    ("first", "second", "container"),
    [
        (torch.rand(1, 3), torch.rand(1, 5), "jagged"),
        (torch.rand(1, 3, 4), torch.rand(1, 2, 5), "strided"),
        (torch.rand(1, 3), torch.rand(1, 3, 2), "NonTensorStack"),
        (torch.rand(1, 3), torch.rand(1), "NonTensorStack"),
        (torch.rand(1, 3), torch.arange(3).view(1, 3), "NonTensorStack"),
        (torch.rand(1), torch.arange(1), "NonTensorStack"),
        (torch.rand(1, 3), NonTensorStack("text"), "NonTensorStack"),
        (torch.rand(1), torch.rand(1), "dense"),
    ],
    ids=["length", "both_dims", "rank", "scalar", "dtype", "scalar_dtype", "object", "same"],
)
def test_a_field_put_in_two_forms(tq, first, second, container):
    tq.kv_batch_put(["a"], "p", batch(x=first))
    tq.kv_batch_put(["b"], "p", batch(x=second))
    got = column(tq.kv_batch_get(["a", "b"], "p"))
    assert kind(got) == container
    assert same(rows(got), rows(first) + rows(second))


@pytest.mark.parametrize(
    "second",
    [torch.rand(1, 5), torch.arange(9).view(1, 3, 3), torch.ones(1), NonTensorStack({"a": 1})],
    ids=["length", "dtype_and_rank", "scalar", "object"],
)
def test_a_row_overwritten_in_another_form(tq, second):
    first = torch.rand(3, 4)
    tq.kv_batch_put(names(3), "p", batch(x=first))
    tq.kv_batch_put(["k1"], "p", batch(x=second))
    got = column(tq.kv_batch_get(names(3), "p"))
    assert same(rows(got), [first[0], *rows(second), first[2]])
    assert same(rows(column(tq.kv_batch_get("k1", "p"))), rows(second))


@pytest.mark.parametrize(
    ("value", "container", "row"),
    [
        (torch.tensor(3.0), "dense", torch.tensor(3.0)),
        (torch.arange(4), "jagged", torch.arange(4)),
        (torch.ones(2, 3), "jagged", torch.ones(2, 3)),
        (torch.ones(0), "jagged", torch.ones(0)),
        ("text", "NonTensorStack", "text"),
        (3, "NonTensorStack", 3),
        ([1, 2], "NonTensorStack", [1, 2]),
        ({"a": 1}, "NonTensorStack", {"a": 1}),
        (np.arange(3), "NonTensorStack", np.arange(3)),
        (None, "NonTensorStack", None),
    ],
    ids=["0d", "1d", "2d", "empty", "str", "int", "list", "dict", "array", "none"],
)
def test_a_value_of_kv_put(tq, value, container, row):
    tq.kv_put("a", "p", {"x": value})
    got = column(tq.kv_batch_get("a", "p"))
    assert kind(got) == container
    assert same(rows(got), [row])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_of_a_gpu_come_back_on_the_cpu(tq):
    dense, ragged = torch.rand(3, 4), jagged(*RAGGED)
    tq.kv_batch_put(names(3), "p", batch(x=dense.cuda(), y=ragged.cuda()))
    tq.kv_put("one", "p", {"x": dense[0].cuda(), "y": RAGGED[1].cuda()})
    got = tq.kv_batch_get([*names(3), "one"], "p")
    assert got.get("x").device.type == got.get("y").device.type == "cpu"
    assert same(rows(got.get("x")), [*dense, dense[0]])
    assert same(rows(got.get("y")), [*RAGGED, RAGGED[1]])
