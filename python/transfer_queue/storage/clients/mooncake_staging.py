"""Transfers by way of device memory, for hosts whose network cards read that of the GPU (GPUDirect
RDMA): ``use_gdr`` of the MooncakeStore section.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from transfer_queue.utils.mooncake_utils import GdrStaging, _aligned_offsets, split_by_bytes

__all__ = ["StagedStore", "staged"]

logger = logging.getLogger(__name__)


def staged(store: Any, buffer_mb: int) -> StagedStore | None:
    """The store by way of a buffer of ``buffer_mb`` MiB in device memory; None, and host memory is
    used, where this process has not initialised CUDA: doing it here would take memory of a GPU
    that somebody else may have been meant to use.
    """
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):  # type: ignore[no-untyped-call]
        logger.info("use_gdr: CUDA is not initialised here; transfers use host memory")
        return None
    return StagedStore(store, GdrStaging(buffer_mb << 20))


class StagedStore:
    """The calls of a store that move bytes, with addresses of host memory that is registered.

    What fits the staging buffer goes through it; what does not is moved as if there were none. One
    call at a time has the buffer, which is allocated and registered when it is first used.
    """

    def __init__(self, store: Any, staging: GdrStaging) -> None:
        self._store = store
        self._staging = staging

    def batch_upsert_from(
        self, keys: Sequence[str], places: Sequence[int], sizes: Sequence[int], config: Any
    ) -> list[int]:
        """As the store's: a code per key."""
        codes = [0] * len(keys)
        for group in self._groups(sizes):
            own = [keys[one] for one in group]
            lengths = [sizes[one] for one in group]
            if self._fits(lengths):
                with self._staging.acquire() as staging:
                    staging.lazy_init(self._store)
                    hosts = [_host(places[one], sizes[one]) for one in group]
                    pointers, _ = staging.pack(hosts)
                    found = self._store.batch_upsert_from(own, pointers, lengths, config)
            else:
                hosts_at = [places[one] for one in group]
                found = self._store.batch_upsert_from(own, hosts_at, lengths, config)
            for one, code in zip(group, found, strict=True):
                codes[one] = code
        return codes

    def batch_get_into(
        self, keys: Sequence[str], places: Sequence[int], sizes: Sequence[int]
    ) -> list[int]:
        """As the store's: for each key the bytes that were read, or a code."""
        codes = [0] * len(keys)
        for group in self._groups(sizes):
            own = [keys[one] for one in group]
            lengths = [sizes[one] for one in group]
            hosts_at = [places[one] for one in group]
            if self._fits(lengths):
                with self._staging.acquire() as staging:
                    staging.lazy_init(self._store)
                    pointers = _pointers(staging, lengths)
                    found = self._store.batch_get_into(own, pointers, lengths)
                    _copy_out(staging, pointers, hosts_at, lengths)
            else:
                found = self._store.batch_get_into(own, hosts_at, lengths)
            for one, code in zip(group, found, strict=True):
                codes[one] = code
        return codes

    def get_into_ranges(
        self,
        bases: list[int],
        keys: list[list[str]],
        places: list[list[list[int]]],
        offsets: list[list[list[int]]],
        lengths: list[list[list[int]]],
    ) -> list[list[list[int]]]:
        """As the store's, of one base: for each range the bytes that were read, or a code."""
        flat = [length for of_key in lengths[0] for length in of_key]
        if not self._fits(flat):
            found: list[list[list[int]]] = self._store.get_into_ranges(
                bases, keys, places, offsets, lengths
            )
            return found
        with self._staging.acquire() as staging:
            staging.lazy_init(self._store)
            pointers = _pointers(staging, flat)
            left = iter(pointer - staging.ptr for pointer in pointers)
            staged_at = [[[next(left) for _ in of_key] for of_key in places[0]]]
            found = self._store.get_into_ranges([staging.ptr], keys, staged_at, offsets, lengths)
            hosts_at = [bases[0] + place for of_key in places[0] for place in of_key]
            _copy_out(staging, pointers, hosts_at, flat)
        return found

    def close(self) -> None:
        """Gives the buffer back."""
        self._staging.close(self._store)

    def _groups(self, sizes: Sequence[int]) -> Iterator[list[int]]:
        yield from split_by_bytes(sizes, self._staging.size)

    def _fits(self, sizes: Sequence[int]) -> bool:
        return _aligned_offsets(sizes)[1] <= self._staging.size


def _pointers(staging: GdrStaging, sizes: Sequence[int]) -> list[int]:
    return [staging.ptr + offset for offset in _aligned_offsets(sizes)[0]]


def _copy_out(
    staging: GdrStaging, pointers: list[int], places: Sequence[int], sizes: Sequence[int]
) -> None:
    """Copies from the buffer to host memory; after a call that failed bytes without a meaning."""
    kinds = [torch.uint8] * len(sizes)
    shapes = [(size,) for size in sizes]
    read = staging.unpack(pointers, sizes, kinds, shapes, "cpu")
    for tensor, place, size in zip(read, places, sizes, strict=True):
        _host(place, size).copy_(tensor)


def _host(place: int, size: int) -> torch.Tensor:
    """Host memory as Mooncake is told it: by its address. It is of the client's region, which
    lives as long as the client, and lent for the time of the call.
    """
    return torch.from_numpy(np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(place)))
