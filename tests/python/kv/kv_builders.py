"""Batches, and what of a result is compared with what was put."""

import time
import warnings

import numpy as np
import torch
from tensordict import NonTensorStack, TensorDict, TensorDictBase

KIB = 1 << 10
MIB = 1 << 20


def names(count, prefix="k"):
    return [f"{prefix}{number}" for number in range(count)]


def batch(**columns):
    """A TensorDict as long as its first column."""
    return TensorDict(columns, batch_size=[length(next(iter(columns.values())))])


def length(column):
    """How many rows; strided nested tensors have no `len`."""
    return column.size(0) if isinstance(column, torch.Tensor) else len(column)


def jagged(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def strided(*rows):
    with warnings.catch_warnings():  # torch advises against this layout
        warnings.simplefilter("ignore")
        return torch.nested.as_nested_tensor(list(rows), layout=torch.strided)


def kind(column):
    """Which container this is."""
    if isinstance(column, torch.Tensor):
        if not column.is_nested:
            return "dense"
        return "jagged" if column.layout == torch.jagged else "strided"
    return type(column).__name__


def rows(column):
    """The rows of a column, one value per sample."""
    if isinstance(column, torch.Tensor | TensorDictBase) and not isinstance(column, NonTensorStack):
        return list(column.unbind(0))
    return column.tolist() if hasattr(column, "tolist") else list(column)


def column(result, field="x"):
    """A field as it was returned; `result[field]` would unpack some containers."""
    return result.get(field)


def same(left, right):
    """Equal in type, dtype, shape and content, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        if (left.dtype, left.shape) != (right.dtype, right.shape):
            return False
        return same_bytes(left, right)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, TensorDictBase):
        fields = list(left.keys())
        return fields == list(right.keys()) and all(
            same(left.get(field), right.get(field)) for field in fields
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def same_bytes(left, right):
    """Equal bit by bit, so that NaN equals itself."""
    raw = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (left, right)]
    return torch.equal(*raw)


def numbered(count, width, start=0):
    """`count` rows of `width` numbers, no number twice."""
    first = start * width
    return torch.arange(first, first + count * width, dtype=torch.int64).view(count, width)


def stacked(column):
    """The rows of a column whose rows have one shape, as one dense tensor."""
    return torch.stack(rows(column))


def usage(tq):
    return tq.get_client().usage()


def eventually(holds, seconds=10):
    """Whether this comes true: for what happens off the critical path."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
