"""Sizes, strides and groups that storage clients compute."""

import pytest
import torch

from transfer_queue.utils.mooncake_utils import (
    GdrStaging,
    _aligned_offsets,
    chunk_subkeys,
    split_by_bytes,
)
from transfer_queue.utils.tensor_utils import (
    allocate_empty_tensors,
    compute_stride,
    get_nbytes,
    merge_contiguous_memory,
)


def test_strides_are_those_of_torch():
    for shape in ((), (3,), (2, 3, 4), (5, 1, 2)):
        assert compute_stride(shape) == torch.empty(shape).stride()


def test_bytes_of_tensors():
    assert get_nbytes([torch.int64, torch.bool, torch.float16], [(), [3], (2, 0)]) == [8, 3, 0]


def test_tensors_of_one_dtype_share_an_allocation():
    dtypes = [torch.int64, torch.int32, torch.int64]
    tensors, pointers, regions, sizes = allocate_empty_tensors(dtypes, [(2,), (3, 1), (1, 2)])
    assert [tuple(tensor.shape) for tensor in tensors] == [(2,), (3, 1), (1, 2)]
    assert sizes == [32, 12]
    assert pointers == [regions[0], regions[1], regions[0] + 16]
    assert allocate_empty_tensors([], []) == ([], [], [], [])
    with pytest.raises(AssertionError):
        allocate_empty_tensors(dtypes, [(2,)])


def test_ranges_that_touch_are_merged():
    assert merge_contiguous_memory([0, 10, 30], [10, 20, 10]) == ([0], [40])
    assert merge_contiguous_memory([50, 0, 10], [1, 10, 5]) == ([0, 50], [15, 1])
    assert merge_contiguous_memory([], []) == ([], [])
    with pytest.raises(ValueError, match="same length"):
        merge_contiguous_memory([1], [])


def test_slots_are_aligned():
    assert _aligned_offsets([1, 256, 257]) == ([0, 256, 512], 1024)
    assert _aligned_offsets([]) == ([], 0)


def test_what_does_not_fit_is_cut():
    assert chunk_subkeys("k", 10, 10) == ["k"]
    assert chunk_subkeys("k", 21, 10) == ["k:c0", "k:c1", "k:c2"]


def test_groups_fit_the_buffer():
    assert split_by_bytes([100, 700, 200], 1024) == [[0, 2], [1]]
    assert split_by_bytes([5000, 10], 1024) == [[1], [0]]
    assert split_by_bytes([], 1024) == []


class Store:
    def __init__(self, code=0):
        self.code, self.registered = code, []

    def register_buffer(self, address, size):
        self.registered.append((address, size))
        return self.code

    def unregister_buffer(self, address):
        self.registered.remove((address, 4096))


def test_staged_tensors_come_back():
    store, staging = Store(), GdrStaging(4096, device="cpu")
    tensors = [torch.rand(3, 4), torch.arange(5), torch.tensor(True)]
    with pytest.raises(ValueError, match="lazy_init"):
        staging.pack(tensors)
    staging.lazy_init(store)
    staging.lazy_init(store)
    assert store.registered == [(staging.ptr, 4096)]
    with staging.acquire():
        pointers, sizes = staging.pack(tensors)
        dtypes, shapes = [t.dtype for t in tensors], [t.shape for t in tensors]
        back = staging.unpack(pointers, sizes, dtypes, shapes, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(tensors, back, strict=True))
    with pytest.raises(ValueError, match="do not fit"):
        staging.pack([torch.zeros(5000)])
    staging.close(store)
    assert not store.registered
    assert staging.ptr == 0


def test_memory_that_cannot_be_registered_is_an_error():
    with pytest.raises(OSError, match="code -1"):
        GdrStaging(64, device="cpu").lazy_init(Store(-1))
