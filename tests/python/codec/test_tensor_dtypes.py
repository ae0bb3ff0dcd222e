"""Tensors of every dtype come back bit by bit."""

import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

DTYPES = [
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    "float4_e2m1fn_x2",
]
FLOATS = [name for name in DTYPES if name.startswith(("float", "bfloat", "complex"))]
NAMED_ONLY = [f"{sign}int{width}" for sign in ("", "u") for width in range(1, 8)]
BIT_DTYPES = ["bits8", "bits16", "bits1x8", "bits2x4", "bits4x2"]

pytestmark = pytest.mark.usefixtures("bridge")


def every_byte(name):
    """A tensor of this dtype whose bytes are all bytes there are, so NaNs of all payloads too."""
    if name == "bool":
        return torch.tensor([[True, False, True], [False, False, True]])
    return torch.arange(256, dtype=torch.uint8).reshape(8, 32).view(torch_dtype(name))


def torch_dtype(name):
    found = getattr(torch, name, None)
    if found is None:
        pytest.skip(f"this torch has no {name}")
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DTYPES)
def test_every_bit_pattern_survives(name, way):
    tensor = every_byte(name)
    assert_same(way(tensor), tensor)


@pytest.mark.parametrize("name", DTYPES)
def test_no_dtype_needs_pickle(name):
    packed(every_byte(name), allow_pickle=False)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 2, 1, 2)])
def test_every_shape_survives_in_every_dtype(name, shape):
    count = torch.Size(shape).numel()
    size = torch_dtype(name).itemsize
    tensor = torch.arange(count * size, dtype=torch.uint8).remainder(2).view(torch_dtype(name))
    assert_same(by_batch(tensor.reshape(shape)), tensor.reshape(shape))


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "bool"])
def test_transposed_and_strided_tensors_come_back_in_order(name):
    tensor = every_byte(name)
    for view in (tensor.t(), tensor[::3, 1::2]):
        assert_same(by_batch(view), view)


@pytest.mark.parametrize("name", FLOATS)
def test_requires_grad_survives_in_every_float_dtype(name):
    tensor = every_byte(name).clone().requires_grad_()
    assert_same(by_batch(tensor), tensor)


@pytest.mark.parametrize("name", BIT_DTYPES)
def test_dtypes_that_torch_only_names_survive(name):
    tensor = torch.arange(16, dtype=torch.uint8).view(torch_dtype(name))
    back = by_batch(tensor)
    assert back.dtype == tensor.dtype
    assert torch.equal(back.view(torch.uint8), tensor.view(torch.uint8))


def test_integers_below_a_byte_survive():
    plain = torch.arange(16, dtype=torch.uint8)
    tensors = [plain.view(getattr(torch, name)) for name in NAMED_ONLY if hasattr(torch, name)]
    lost = [tensor.dtype for tensor in tensors if by_batch(tensor).dtype != tensor.dtype]
    assert not lost


def test_floats_keep_their_special_values():
    tensor = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 5e-324])
    assert_same(by_batch(tensor), tensor)
    assert_same(by_batch(tensor.double()), tensor.double())
