"""What `extract_field_schema` reads off a TensorDict."""

import logging

import numpy as np
import pytest
import torch
from metadata_builders import dense
from tensordict import NonTensorStack, TensorDict

from transfer_queue.metadata import extract_field_schema

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")

NON_TENSOR = {"dtype": None, "shape": None, "is_nested": False, "is_non_tensor": True}


class FieldsWithoutCheck:
    """A TensorDict refuses columns of the wrong length; this does not."""

    def __init__(self, batch_size, **fields):
        self.batch_size = torch.Size(batch_size)
        self.items = fields.items


def jagged(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def strided(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.strided)


def schema_of(value, size=2):
    return extract_field_schema(FieldsWithoutCheck([size], f=value))["f"]


def test_a_dense_field_has_the_shape_of_one_row_and_no_shapes_per_sample():
    entry = schema_of(torch.zeros(2, 3, 5, dtype=torch.int32))
    assert entry == dense(torch.Size([3, 5]), torch.int32)
    assert type(entry["shape"]) is torch.Size


def test_a_dense_field_of_empty_rows_keeps_its_shape():
    assert schema_of(torch.zeros(2, 0))["shape"] == (0,)


def test_a_1d_tensor_is_described_as_rows_of_one_element():
    assert schema_of(torch.zeros(2))["shape"] == (1,)


def test_a_jagged_field_lists_the_shape_of_every_row():
    entry = schema_of(jagged(torch.zeros(2, 4), torch.zeros(7, 4)))
    assert entry == {
        "dtype": torch.float32,
        "shape": torch.Size([2, 4]),
        "is_nested": True,
        "is_non_tensor": False,
        "per_sample_shapes": [(2, 4), (7, 4)],
    }
    assert [type(shape) for shape in entry["per_sample_shapes"]] == [tuple, tuple]
    assert type(entry["shape"]) is torch.Size


def test_a_jagged_field_may_be_ragged_in_a_later_dimension():
    entry = schema_of(jagged(torch.zeros(3, 2), torch.zeros(4, 2)).transpose(1, 2))
    assert entry["per_sample_shapes"] == [(2, 3), (2, 4)]


def test_a_jagged_field_with_holes_is_described_by_its_lengths_not_its_offsets():
    rows = torch.arange(20).reshape(2, 10)
    holed = torch.nested.narrow(
        rows, 1, torch.tensor([1, 2]), torch.tensor([3, 4]), layout=torch.jagged
    )
    assert schema_of(holed)["per_sample_shapes"] == [(3,), (4,)]


def test_a_jagged_field_may_hold_empty_rows():
    assert schema_of(jagged(torch.zeros(0), torch.zeros(3)))["per_sample_shapes"] == [(0,), (3,)]


def test_a_strided_nested_field_may_be_ragged_in_several_dimensions():
    entry = schema_of(strided(torch.zeros(2, 1), torch.zeros(3, 4)))
    assert entry["is_nested"] is True
    assert entry["per_sample_shapes"] == [(2, 1), (3, 4)]


@pytest.mark.parametrize(
    "value", [["x", {"y": 1}], NonTensorStack("a", "b"), np.zeros((2, 3)), [torch.zeros(1)] * 2]
)
def test_anything_but_a_tensor_is_a_non_tensor_field(value):
    assert schema_of(value) == NON_TENSOR


def test_all_fields_of_a_tensordict_are_described_by_name():
    data = TensorDict(
        {"x": torch.zeros(2, 3), "n": jagged(torch.zeros(1), torch.zeros(2)), "s": ["a", "b"]},
        batch_size=[2],
    )
    schema = extract_field_schema(data)
    assert schema.keys() == {"x", "n", "s"}
    assert schema["s"] == NON_TENSOR
    assert schema["x"] == dense(torch.Size([3]))
    assert schema["n"]["per_sample_shapes"] == [(1,), (2,)]


def test_a_batch_of_no_samples_has_an_empty_schema_and_warns(caplog):
    with caplog.at_level(logging.WARNING):
        assert extract_field_schema(TensorDict({"x": torch.zeros(0, 2)}, batch_size=[0])) == {}
    assert "empty batch" in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(3, 2),
        lambda: torch.zeros(3),
        lambda: torch.tensor(1.0),
        lambda: jagged(torch.zeros(1)),
        lambda: strided(torch.zeros(1)),
        lambda: ["only one"],
        lambda: 7,
    ],
    ids=["dense", "1d", "0d", "jagged", "strided", "list", "scalar"],
)
def test_a_field_without_a_row_per_sample_is_refused_by_name(make):
    with pytest.raises(ValueError, match="Inconsistent batch dimension for field 'f'"):
        schema_of(make())


def test_a_tensordict_without_a_batch_dimension_is_refused():
    with pytest.raises(ValueError, match="batch dimension"):
        extract_field_schema(TensorDict({}, batch_size=[]))
