"""Sizes, strides and memory of CPU tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["allocate_empty_tensors", "compute_stride", "get_nbytes", "merge_contiguous_memory"]


def compute_stride(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a row-major tensor of ``shape``."""
    strides: list[int] = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


def get_nbytes(dtypes: Sequence[torch.dtype], shapes: Sequence[Sequence[int]]) -> list[int]:
    """Bytes of a tensor of each dtype and shape."""
    pairs = zip(dtypes, shapes, strict=True)
    return [dtype.itemsize * math.prod(shape) for dtype, shape in pairs]


def allocate_empty_tensors(
    dtypes: Sequence[torch.dtype], shapes: Sequence[Sequence[int]]
) -> tuple[list[torch.Tensor], list[int], list[int], list[int]]:
    """Tensors of given dtypes and shapes, those of one dtype back to back in one allocation.

    Returns:
        The tensors in the order asked for, their addresses, and address and bytes of each
        allocation, in the order in which its dtype first comes.
    """
    assert len(dtypes) == len(shapes), "dtypes and shapes must have the same length"
    elements = [math.prod(shape) for shape in shapes]
    totals: dict[torch.dtype, int] = {}
    for dtype, count in zip(dtypes, elements, strict=True):
        totals[dtype] = totals.get(dtype, 0) + count
    regions = {dtype: torch.empty(count, dtype=dtype) for dtype, count in totals.items()}
    used = dict.fromkeys(totals, 0)
    tensors = []
    for dtype, shape, count in zip(dtypes, shapes, elements, strict=True):
        start = used[dtype]
        used[dtype] = start + count
        tensors.append(regions[dtype][start : start + count].view(tuple(shape)))
    sizes = [region.numel() * region.element_size() for region in regions.values()]
    pointers = [tensor.data_ptr() for tensor in tensors]
    return tensors, pointers, [region.data_ptr() for region in regions.values()], sizes


def merge_contiguous_memory(
    ptrs: Sequence[int], sizes: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Ranges of memory by address, those that touch merged.

    Raises:
        ValueError: there are not as many sizes as addresses.
    """
    if len(ptrs) != len(sizes):
        raise ValueError("ptrs and sizes must have the same length")
    merged: list[list[int]] = []
    for start, size in sorted(zip(ptrs, sizes, strict=True)):
        if merged and merged[-1][0] + merged[-1][1] == start:
            merged[-1][1] += size
        else:
            merged.append([start, size])
    return [start for start, _ in merged], [size for _, size in merged]
