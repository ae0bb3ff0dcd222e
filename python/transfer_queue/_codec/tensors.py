"""Tensors whose bytes are not simply their values, other torch types, and TensorDicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tensordict import LazyStackedTensorDict, NonTensorData, NonTensorStack, TensorDict
from torch.nested._internal.nested_tensor import NestedTensor

from transfer_queue._core_codes import BYTE_DTYPES
from transfer_queue.errors import CorruptBufferError, UnsupportedValueError

__all__ = ["REBUILDERS", "REDUCERS", "reduce_other", "reduce_tensor", "view_as_dtype"]

Reduced = tuple[Any, Any]


def reduce_tensor(tensor: torch.Tensor) -> Reduced | None:
    """A plain tensor in host memory with the dtype code of its bytes (0: its own dtype), or a name
    and its content, or None where only pickle can carry the tensor.

    Raises:
        UnsupportedValueError: the tensor has no data (device ``meta``).
    """
    if tensor.device.type == "meta":
        raise UnsupportedValueError("a tensor on the meta device has no data to encode")
    if _is_plain(tensor):
        return _reduce_plain(tensor)
    if isinstance(tensor, torch.nn.Parameter):
        return "torch.parameter", (tensor.detach(), tensor.requires_grad)
    return _reduce_nested(tensor) if tensor.is_nested else _reduce_sparse(tensor)


def _is_plain(tensor: torch.Tensor) -> bool:
    laid_out = tensor.layout == torch.strided and not tensor.is_nested
    return laid_out and not tensor.is_quantized


def _reduce_plain(tensor: torch.Tensor) -> Reduced | None:
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    if type(plain) is not torch.Tensor:
        plain = plain.as_subclass(torch.Tensor)
    code = BYTE_DTYPES.get(plain.dtype)
    if code is not None:
        return plain.view(torch.uint8), code
    if plain.dtype not in _PLAIN_DTYPES:
        # Dtypes that torch only names (uint4, bits16); none has a gradient.
        carrier = {1: torch.uint8, 2: torch.int16}[plain.dtype.itemsize]
        return "torch.view", (str(plain.dtype).removeprefix("torch."), plain.view(carrier))
    return plain, 0


def view_as_dtype(tensor: torch.Tensor, dtype: str) -> torch.Tensor:
    """A byte tensor seen as one of the 8-bit dtypes."""
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise UnsupportedValueError(f"this torch ({torch.__version__}) has no dtype {dtype}")
    return tensor.view(found)


_PLAIN_DTYPES = frozenset(
    getattr(torch, name)
    for name in [
        "bool",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "uint32",
        "int32",
        "uint64",
        "int64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex32",
        "complex64",
        "complex128",
    ]
    if hasattr(torch, name)
)


def _reduce_nested(tensor: torch.Tensor) -> Reduced | None:
    if tensor.layout == torch.jagged:
        return _reduce_jagged(tensor)
    rows = [row.detach() for row in tensor.unbind()]
    return "torch.nested.strided", (
        rows,
        str(tensor.dtype).removeprefix("torch."),
        tensor.requires_grad,
    )


def _reduce_jagged(nested: torch.Tensor) -> Reduced | None:
    tensor: Any = nested  # torch does not type what a NestedTensor adds
    if type(tensor) is not NestedTensor:
        return None
    if isinstance(tensor, torch.nn.Parameter):
        return "torch.parameter", (tensor.detach(), tensor.requires_grad)
    if tensor.lengths() is not None:
        # Rows with holes between them: only the rows travel.
        rows = [row.detach() for row in tensor.unbind()]
        compact = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
        return _reduce_jagged(compact.requires_grad_(tensor.requires_grad))
    values, offsets = tensor.values().detach(), tensor.offsets()
    return "torch.nested.jagged", (values, offsets, tensor._ragged_idx, tensor.requires_grad)


def _rebuild_jagged(content: tuple[torch.Tensor, torch.Tensor, int, bool]) -> torch.Tensor:
    values, offsets, ragged, requires_grad = content
    if offsets.dtype not in (torch.int64, torch.int32) or offsets.dim() != 1:
        raise CorruptBufferError("the offsets of a jagged tensor are no list of integers")
    if offsets.numel() == 0 or int(offsets[0]) < 0:
        raise CorruptBufferError("the offsets of a jagged tensor are wrong")
    rows = values.shape[ragged - 1]
    if bool((offsets.diff() < 0).any()) or int(offsets[-1]) > rows:
        raise CorruptBufferError("the offsets of a jagged tensor leave its values")
    tensor = torch.nested.nested_tensor_from_jagged(values, offsets, jagged_dim=ragged)
    return tensor.detach().requires_grad_() if requires_grad else tensor


def _rebuild_strided(content: tuple[list[torch.Tensor], str, bool]) -> torch.Tensor:
    rows, dtype, requires_grad = content
    return torch.nested.nested_tensor(
        rows, dtype=getattr(torch, dtype), layout=torch.strided, requires_grad=requires_grad
    )


def _reduce_sparse(tensor: torch.Tensor) -> Reduced | None:
    parts: tuple[Any, ...]
    if tensor.is_quantized or tensor.is_mkldnn:
        return None
    grad, shape = tensor.requires_grad, tuple(tensor.shape)
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        parts = (tensor._indices(), tensor._values(), tensor.is_coalesced())
        return "torch.sparse_coo", (shape, *parts, grad)
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    else:
        return None
    layout = str(tensor.layout).removeprefix("torch.")
    return "torch.sparse_compressed", (layout, shape, *parts, grad)


def _rebuild_coo(content: tuple[Any, ...]) -> torch.Tensor:
    shape, indices, values, coalesced, grad = content
    return torch.sparse_coo_tensor(
        indices, values, shape, is_coalesced=coalesced, requires_grad=grad, check_invariants=True
    )


def _rebuild_compressed(content: tuple[Any, ...]) -> torch.Tensor:
    layout, shape, compressed, plain, values, grad = content
    return torch.sparse_compressed_tensor(
        compressed,
        plain,
        values,
        shape,
        layout=getattr(torch, layout),
        requires_grad=grad,
        check_invariants=True,
    )


def _reduce_tensordict(tensordict: TensorDict) -> Reduced:
    value: Any = tensordict  # tensordict does not type these methods
    names = list(value.names) if value._has_names() else None
    device = None if value.device is None else str(value.device)
    content = {key: value._get_str(key, None) for key in value.keys()}
    return "tensordict", (list(value.batch_size), names, device, value.is_locked, content)


def _rebuild_tensordict(content: tuple[Any, ...]) -> TensorDict:
    batch_size, names, device, locked, values = content
    # The tensors come back in host memory, so a TensorDict of another device has none.
    keep = device if device is not None and torch.device(device).type == "cpu" else None
    return TensorDict(values, batch_size=batch_size, names=names, device=keep, lock=locked)


def _reduce_stack(value: LazyStackedTensorDict) -> Reduced:
    return "tensordict.stack", (value.stack_dim, list(value.tensordicts))


def _reduce_non_tensor(value: NonTensorData) -> Reduced:
    return "tensordict.data", (list(value.batch_size), value.data)


def _reduce_non_tensor_stack(value: NonTensorStack) -> Reduced:
    rows = value.tensordicts
    # The common column: one dimension, each row its own value.
    if value.stack_dim == 0 and all(
        type(row) is NonTensorData and row.batch_size == () for row in rows
    ):
        return "tensordict.rows", [row._non_tensordict["data"] for row in rows]
    return "tensordict.datastack", (value.stack_dim, list(rows))


def reduce_other(value: Any) -> Reduced | None:
    """Subclasses of ``torch.Tensor``."""
    if isinstance(value, NestedTensor):
        return _reduce_jagged(value)
    return None


REDUCERS: dict[type[Any], Callable[[Any], Any]] = {
    NestedTensor: _reduce_jagged,
    TensorDict: _reduce_tensordict,
    LazyStackedTensorDict: _reduce_stack,
    NonTensorData: _reduce_non_tensor,
    NonTensorStack: _reduce_non_tensor_stack,
    torch.dtype: lambda v: ("torch.dtype", str(v).removeprefix("torch.")),
    torch.device: lambda v: ("torch.device", str(v)),
    torch.Size: lambda v: ("torch.size", list(v)),
    torch.layout: lambda v: ("torch.layout", str(v).removeprefix("torch.")),
}


def _torch_constant(kind: type[Any]) -> Callable[[str], Any]:
    def rebuild(name: str) -> Any:
        found = getattr(torch, name, None)
        if not isinstance(found, kind):
            raise CorruptBufferError(f"torch.{name} is not a {kind.__name__}")
        return found

    return rebuild


REBUILDERS: dict[str, Callable[[Any], Any]] = {
    "torch.view": lambda c: view_as_dtype(c[1], c[0]),
    "torch.parameter": lambda c: torch.nn.Parameter(*c),
    "torch.nested.jagged": _rebuild_jagged,
    "torch.nested.strided": _rebuild_strided,
    "torch.sparse_coo": _rebuild_coo,
    "torch.sparse_compressed": _rebuild_compressed,
    "torch.dtype": _torch_constant(torch.dtype),
    "torch.device": lambda c: torch.device(c),
    "torch.size": lambda c: torch.Size(c),
    "torch.layout": _torch_constant(torch.layout),
    "tensordict": _rebuild_tensordict,
    "tensordict.stack": lambda c: LazyStackedTensorDict(*c[1], stack_dim=c[0]),
    "tensordict.data": lambda c: NonTensorData(data=c[1], batch_size=c[0]),
    "tensordict.rows": lambda c: NonTensorStack(*c),
    "tensordict.datastack": lambda c: NonTensorStack(*c[1], stack_dim=c[0]),
}
