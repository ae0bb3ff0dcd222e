"""Tensors come back dense and equal whatever their memory looks like."""

import numpy as np
import pytest
import torch
from codec_buffers import WAYS, by_batch, by_frames
from codec_classes import MarkedTensor
from codec_sameness import assert_same

from transfer_queue.errors import UnsupportedValueError
from transfer_queue.utils.serial_utils import encode

pytestmark = pytest.mark.usefixtures("bridge")

CUBE = torch.arange(120.0).reshape(2, 3, 4, 5)
VIEWS = {
    "transposed": CUBE.transpose(0, 3),
    "permuted": CUBE.permute(2, 0, 3, 1),
    "sliced": CUBE[:, ::2, 1:, ::3],
    "with an offset": CUBE[1:, 2],
    "a single element": CUBE[1, 1, 1, 1],
    "expanded": torch.tensor([1.0, 2.0]).expand(4, 2),
    "expanded all over": torch.tensor(7).expand(3, 5),
    "expanded outside": torch.tensor([[1], [2]]).expand(2, 3),
    "overlapping windows": torch.arange(10).unfold(0, 4, 2),
    "diagonal": CUBE.diagonal(dim1=2, dim2=3),
    "channels last": CUBE.contiguous(memory_format=torch.channels_last),
    "six-dimensional": CUBE.reshape(1, 2, 3, 2, 2, 5),
    "sixty-dimensional": CUBE[0, 0, 0].reshape([1] * 59 + [5]),
    "a size of 1 with an odd stride": torch.arange(6).as_strided((1, 2), (5, 3)),
    "empty and sliced": CUBE[:0, :, ::2],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_comes_back_as_its_values(name, way):
    back = way(VIEWS[name])
    assert_same(back, VIEWS[name])
    assert back.is_contiguous()


@pytest.mark.parametrize("name", VIEWS)
def test_the_source_is_left_as_it_was(name):
    before, strides = VIEWS[name].clone(), VIEWS[name].stride()
    by_batch(VIEWS[name])
    assert torch.equal(VIEWS[name], before)
    assert VIEWS[name].stride() == strides


def test_a_slice_carries_only_its_own_bytes():
    big = torch.arange(1_000_000)
    assert sum(memoryview(item).nbytes for item in encode(big[10:12])) < 100


def test_requires_grad_comes_back_as_a_leaf():
    leaf = torch.ones(3, requires_grad=True)
    for tensor in (leaf, leaf * 2, leaf[1:]):
        back = by_batch(tensor)
        assert_same(back, tensor)
        assert back.is_leaf
        back.sum().backward()
        assert torch.equal(back.grad, torch.ones_like(back))


@pytest.mark.parametrize("requires_grad", [True, False])
def test_parameters_come_back_as_parameters(requires_grad):
    for data in (torch.arange(3.0), torch.arange(6.0).reshape(2, 3).t(), torch.eye(3).to_sparse()):
        parameter = torch.nn.Parameter(data, requires_grad=requires_grad)
        assert_same(by_batch(parameter), parameter)
        assert_same(by_frames(parameter), parameter)


def test_parameters_of_integers_come_back():
    parameter = torch.nn.Parameter(torch.arange(3), requires_grad=False)
    assert_same(by_batch(parameter), parameter)


@pytest.mark.parametrize("dtype", [torch.complex32, torch.complex64, torch.complex128])
def test_lazily_conjugated_tensors_come_back_conjugated(dtype):
    tensor = torch.tensor([1 + 2j, 3 - 4j]).to(dtype)
    assert tensor.conj().is_conj()
    assert_same(by_batch(tensor.conj()), tensor.conj().resolve_conj())


def test_lazily_negated_tensors_come_back_negated():
    negated = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert negated.is_neg()
    assert_same(by_batch(negated), torch.tensor([-2.0, 4.0]))


def test_views_of_negative_numpy_strides_reach_tensors_as_values():
    array = np.arange(6)[::-1]
    assert_same(by_batch(torch.from_numpy(array.copy())), torch.arange(6).flip(0))
    assert by_batch(array).tolist() == [5, 4, 3, 2, 1, 0]


def test_subclasses_of_tensor_come_back_as_themselves():
    tensor = torch.arange(3.0).as_subclass(MarkedTensor)
    assert_same(by_batch(tensor), tensor)


def test_a_tensor_twice_in_a_value_comes_back_as_two():
    tensor = torch.zeros(3)
    first, second = by_batch([tensor, tensor])
    first += 1
    assert torch.equal(second, torch.zeros(3))


@pytest.mark.parametrize(
    ("tensor", "what"),
    [(torch.ones(2, device="meta"), "meta"), (torch.ones(2, 2).to_mkldnn(), "Opaque")],
    ids=["meta", "mkldnn"],
)
def test_tensors_without_readable_data_are_refused_with_their_place(tensor, what):
    with pytest.raises(UnsupportedValueError, match=rf"{what}.*value\['a'\]\[1\]"):
        encode({"a": [1, tensor]})
