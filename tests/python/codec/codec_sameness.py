"""Whether two values are the same: equal, of the same type, bit by bit where they are numbers."""

import collections
import dataclasses
import decimal
import struct

import numpy as np
import torch
from codec_classes import Plain
from tensordict import LazyStackedTensorDict, NonTensorData, TensorDictBase, is_tensorclass

COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def assert_same(got, want, at="value"):
    """Fails, naming the place, unless ``got`` could not be told from ``want``."""
    assert type(got) is type(want), f"{at}: {type(got)} instead of {type(want)}"
    compare = _comparison(want)
    compare(got, want, at)


def _comparison(want):
    if isinstance(want, torch.Tensor):
        return _same_tensor
    if is_tensorclass(want) or isinstance(want, NonTensorData):
        return _same_tensorclass
    if isinstance(want, LazyStackedTensorDict):
        return _same_stack
    if isinstance(want, TensorDictBase):
        return _same_tensordict
    if isinstance(want, np.ndarray):
        return _same_array
    if isinstance(want, np.generic):
        return _same_scalar
    if isinstance(want, (dict, collections.UserDict)):
        return _same_mapping
    if isinstance(want, (list, tuple, collections.deque)):
        return _same_sequence
    if isinstance(want, (float, complex)):
        return _same_float
    if isinstance(want, decimal.Decimal):
        return _same_decimal
    if isinstance(want, memoryview):
        return _same_memoryview
    if isinstance(want, (set, frozenset)):
        return _same_set
    if isinstance(want, Plain):
        return _same_plain
    if dataclasses.is_dataclass(want) and not isinstance(want, type):
        return _same_dataclass
    return _equal


def _equal(got, want, at):
    assert got == want, f"{at}: {got!r} instead of {want!r}"


def _same_float(got, want, at):
    if isinstance(want, complex):
        _same_float(got.real, want.real, at)
        _same_float(got.imag, want.imag, at)
        return
    assert struct.pack("d", got) == struct.pack("d", want), f"{at}: {got!r} instead of {want!r}"


def _same_decimal(got, want, at):
    # Also tells 1.5 from 1.50 and one signalling NaN from another.
    assert got.as_tuple() == want.as_tuple(), f"{at}: {got} instead of {want}"


def _same_memoryview(got, want, at):
    assert (got.format, got.shape) == (want.format, want.shape), at
    assert got.readonly == want.readonly, at
    assert got.tobytes() == want.tobytes(), at


def _same_sequence(got, want, at):
    assert len(got) == len(want), f"{at}: {len(got)} elements instead of {len(want)}"
    for position, (mine, theirs) in enumerate(zip(got, want, strict=True)):
        assert_same(mine, theirs, f"{at}[{position}]")
    if isinstance(want, collections.deque):
        assert got.maxlen == want.maxlen, at


def _same_set(got, want, at):
    # In an order of their own, because NaNs equal nothing and 1 equals True.
    _same_sequence(sorted(got, key=_rank), sorted(want, key=_rank), at)


def _rank(element):
    if isinstance(element, frozenset):
        return f"frozenset{sorted(map(_rank, element))}"
    if isinstance(element, tuple):
        return f"{type(element)}{[_rank(part) for part in element]}"
    return f"{type(element)}{element!r}"


def _same_plain(got, want, at):
    assert_same(got.value, want.value, f"{at}.value")


def _same_mapping(got, want, at):
    # NaN keys equal only themselves, so keys are compared in order and not looked up.
    assert len(got) == len(want), f"{at}: {len(got)} entries instead of {len(want)}"
    for mine, theirs in zip(got.items(), want.items(), strict=True):
        assert_same(mine[0], theirs[0], f"{at}, key")
        assert_same(mine[1], theirs[1], f"{at}[{theirs[0]!r}]")


def _same_dataclass(got, want, at):
    for field in dataclasses.fields(want):
        assert hasattr(got, field.name) == hasattr(want, field.name), f"{at}.{field.name}"
        if hasattr(want, field.name):
            assert_same(getattr(got, field.name), getattr(want, field.name), f"{at}.{field.name}")


def _same_scalar(got, want, at):
    assert got.dtype == want.dtype, at
    if want.dtype.hasobject:
        _same_sequence(got.item(), want.item(), at)
    else:
        assert got.tobytes() == want.tobytes(), f"{at}: {got!r} instead of {want!r}"


def _same_array(got, want, at):
    assert got.dtype == want.dtype, f"{at}: {got.dtype} instead of {want.dtype}"
    assert got.shape == want.shape, f"{at}: {got.shape} instead of {want.shape}"
    if want.dtype.hasobject:
        _same_sequence(got.ravel().tolist(), want.ravel().tolist(), at)
    else:
        assert got.tobytes() == want.tobytes(), f"{at}: {got!r} instead of {want!r}"


def _same_stack(got, want, at):
    assert got.batch_size == want.batch_size, at
    assert got.stack_dim == want.stack_dim, at
    assert_same(list(got.tensordicts), list(want.tensordicts), at)


def _same_tensordict(got, want, at):
    assert got.batch_size == want.batch_size, f"{at}: {got.batch_size} not {want.batch_size}"
    assert got.device == want.device, at
    assert got.is_locked == want.is_locked, at
    assert got.names == want.names, at
    assert list(got.keys()) == list(want.keys()), at
    for key in want.keys():
        assert_same(got._get_str(key, None), want._get_str(key, None), f"{at}[{key!r}]")


def _same_tensorclass(got, want, at):
    assert got.batch_size == want.batch_size, f"{at}: {got.batch_size} not {want.batch_size}"
    assert_same(got._tensordict, want._tensordict, at)
    assert_same(dict(got._non_tensordict), dict(want._non_tensordict), at)


def _same_tensor(got, want, at):
    assert got.dtype == want.dtype, f"{at}: {got.dtype} instead of {want.dtype}"
    assert got.layout == want.layout, f"{at}: {got.layout} instead of {want.layout}"
    assert got.requires_grad == want.requires_grad, f"{at}: requires_grad"
    assert got.is_nested == want.is_nested, at
    got, want = got.detach(), want.detach()
    if want.is_nested:
        rows, expected = got.unbind(), want.unbind()
        assert len(rows) == len(expected), f"{at}: {len(rows)} rows instead of {len(expected)}"
        for position, (mine, theirs) in enumerate(zip(rows, expected, strict=True)):
            _same_dense(mine, theirs, f"{at}, row {position}")
        return
    assert got.shape == want.shape, f"{at}: {got.shape} instead of {want.shape}"
    assert type(got.shape) is torch.Size
    if want.layout == torch.sparse_coo:
        assert got.is_coalesced() == want.is_coalesced(), at
        _same_dense(got._indices(), want._indices(), at)
        _same_dense(got._values(), want._values(), at)
    elif want.layout in COMPRESSED:
        for part in COMPRESSED[want.layout]:
            _same_dense(getattr(got, part)(), getattr(want, part)(), f"{at}.{part}")
    elif want.is_quantized:
        assert got.qscheme() == want.qscheme(), at
        assert torch.equal(got.int_repr(), want.int_repr()), at
        assert torch.equal(got.dequantize(), want.dequantize()), at
    else:
        _same_dense(got, want, at)


def _same_dense(got, want, at):
    assert got.dtype == want.dtype, f"{at}: {got.dtype} instead of {want.dtype}"
    assert got.shape == want.shape, f"{at}: {got.shape} instead of {want.shape}"
    assert bits(got) == bits(want), f"{at}: {got} instead of {want}"


def bits(tensor):
    """The bytes of a dense tensor's elements, row-major: NaNs of different payload differ."""
    tensor = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
    flat = tensor.clone(memory_format=torch.contiguous_format).reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
