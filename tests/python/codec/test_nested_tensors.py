"""Nested tensors keep their rows, layout and ragged dimension."""

import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

from transfer_queue.utils.serial_utils import batch_decode_from

pytestmark = [
    pytest.mark.usefixtures("bridge"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]


def jagged(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def strided(*rows, **options):
    return torch.nested.nested_tensor(list(rows), layout=torch.strided, **options)


def ragged_second():
    values = torch.arange(20.0).reshape(2, 10)
    offsets = torch.tensor([0, 3, 10])
    return torch.nested.nested_tensor_from_jagged(values, offsets, jagged_dim=2)


def with_holes():
    values, offsets = torch.arange(20.0).reshape(10, 2), torch.tensor([0, 3, 6, 10])
    return torch.nested.nested_tensor_from_jagged(values, offsets, torch.tensor([1, 2, 3]))


def narrowed():
    starts, lengths = torch.tensor([0, 1, 2, 3]), torch.tensor([3, 2, 1, 0])
    data = torch.arange(40.0).reshape(4, 10)
    return torch.nested.narrow(data, 1, starts, lengths, layout=torch.jagged)


JAGGED = {
    "rows of tokens": jagged(torch.arange(3), torch.arange(5)),
    "rows of vectors": jagged(torch.ones(2, 3), torch.zeros(4, 3)),
    "rows of images": jagged(torch.ones(2, 3, 4), torch.zeros(1, 3, 4)),
    "a single row": jagged(torch.arange(4)),
    "an empty row": jagged(torch.ones(0), torch.ones(2)),
    "only empty rows": jagged(torch.ones(0, 3), torch.ones(0, 3)),
    "rows of equal length": jagged(torch.ones(2), torch.zeros(2)),
    "bfloat16": jagged(torch.ones(2, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.bfloat16)),
    "float8": jagged(torch.ones(2).to(torch.float8_e5m2)),
    "bool": jagged(torch.tensor([True]), torch.tensor([False, True])),
    "transposed": jagged(torch.ones(2, 3), torch.zeros(4, 3)).transpose(1, 2),
    "ragged in its second dimension": ragged_second(),
    "rows with holes between them": with_holes(),
    "narrowed": narrowed(),
}
STRIDED = {
    "rows of tokens": strided(torch.arange(3), torch.arange(5)),
    "two ragged dimensions": strided(torch.ones(2, 3), torch.zeros(4, 5)),
    "a single row": strided(torch.arange(4)),
    "an empty row": strided(torch.ones(0), torch.ones(2)),
    "no rows": strided(),
    "no rows of integers": strided(dtype=torch.int32),
    "scalars": strided(torch.tensor(1.0), torch.tensor(2.0)),
    "transposed": strided(torch.ones(2, 3), torch.zeros(4, 5)).transpose(1, 2),
    "requires grad": strided(torch.ones(2), torch.ones(3), requires_grad=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JAGGED)
def test_jagged_tensors_survive(name, way):
    assert_same(way(JAGGED[name]), JAGGED[name])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STRIDED)
def test_strided_nested_tensors_survive(name, way):
    assert_same(way(STRIDED[name]), STRIDED[name])


@pytest.mark.parametrize("tensor", [*JAGGED.values(), *STRIDED.values()])
def test_nested_tensors_need_no_pickle(tensor):
    batch_decode_from([packed(tensor, allow_pickle=False)], allow_pickle=False)


def test_the_ragged_dimension_survives():
    back = by_batch(ragged_second())
    assert back._ragged_idx == 2
    assert back[1].shape == (2, 7)
    assert by_batch(JAGGED["transposed"])._ragged_idx == 2


def test_only_the_rows_of_a_tensor_with_holes_travel():
    big = torch.zeros(1_000, 64)
    offsets, lengths = torch.tensor([0, 500, 1_000]), torch.tensor([1, 2])
    sparse = torch.nested.nested_tensor_from_jagged(big, offsets, lengths)
    assert len(packed(sparse)) < 4_096
    assert [row.shape for row in by_batch(sparse).unbind()] == [(1, 64), (2, 64)]


def test_a_jagged_tensor_that_requires_grad_does_so_afterwards():
    tensor = jagged(torch.ones(2), torch.ones(3)).detach().requires_grad_()
    back = by_batch(tensor)
    assert_same(back, tensor)
    assert back.is_leaf


@pytest.mark.parametrize("tensor", [JAGGED["rows of vectors"], strided(torch.ones(2))])
def test_parameters_of_nested_tensors_stay_parameters(tensor):
    parameter = torch.nn.Parameter(tensor)
    back = by_batch(parameter)
    assert isinstance(back, torch.nn.Parameter)
    assert_same(back, parameter)
