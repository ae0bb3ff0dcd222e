"""Transfers by way of device memory, for hosts whose network cards read that of the GPU (GPUDirect
RDMA): ``use_gdr`` of the MooncakeStore section.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from transfer_queue.utils.mooncake_utils import GdrStaging, _aligned_offsets, split_by_bytes

__all__ = ["StagedStore", "staged"]

#: Keys, places and sizes; a code per key.
_Call: TypeAlias = Callable[[list[str], list[int], list[int]], list[int]]

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

        def staged_call(own: list[str], hosts_at: list[int], lengths: list[int]) -> list[int]:
            with self._buffer() as staging:
                pointers, _ = staging.pack(_hosts(hosts_at, lengths))
                return list(self._store.batch_upsert_from(own, pointers, lengths, config))

        def direct_call(own: list[str], hosts_at: list[int], lengths: list[int]) -> list[int]:
            return list(self._store.batch_upsert_from(own, hosts_at, lengths, config))

        return self._in_groups(keys, places, sizes, staged_call, direct_call)

    def batch_get_into(
        self, keys: Sequence[str], places: Sequence[int], sizes: Sequence[int]
    ) -> list[int]:
        """As the store's: for each key the bytes that were read, or a code."""

        def staged_call(own: list[str], hosts_at: list[int], lengths: list[int]) -> list[int]:
            with self._buffer() as staging:
                pointers = _pointers(staging, lengths)
                found = list(self._store.batch_get_into(own, pointers, lengths))
                # After a call that failed these are bytes without a meaning.
                staging.copy_into(pointers, _hosts(hosts_at, lengths))
                return found

        return self._in_groups(keys, places, sizes, staged_call, self._store.batch_get_into)

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
        with self._buffer() as staging:
            pointers = _pointers(staging, flat)
            left = iter(pointer - staging.ptr for pointer in pointers)
            staged_at = [[[next(left) for _ in of_key] for of_key in places[0]]]
            found = self._store.get_into_ranges([staging.ptr], keys, staged_at, offsets, lengths)
            hosts_at = [bases[0] + place for of_key in places[0] for place in of_key]
            staging.copy_into(pointers, _hosts(hosts_at, flat))
        return found

    def close(self) -> None:
        """Gives the buffer back."""
        self._staging.close(self._store)

    def _in_groups(
        self,
        keys: Sequence[str],
        places: Sequence[int],
        sizes: Sequence[int],
        staged_call: _Call,
        direct_call: _Call,
    ) -> list[int]:
        """What the calls answer for each key, a group that fits the buffer at a time."""
        codes = [0] * len(keys)
        for group in split_by_bytes(sizes, self._staging.size):
            lengths = [sizes[one] for one in group]
            call = staged_call if self._fits(lengths) else direct_call
            found = call([keys[one] for one in group], [places[one] for one in group], lengths)
            for one, code in zip(group, found, strict=True):
                codes[one] = code
        return codes

    @contextlib.contextmanager
    def _buffer(self) -> Iterator[GdrStaging]:
        """The buffer for oneself, allocated and registered."""
        with self._staging.acquire() as staging:
            staging.lazy_init(self._store)
            yield staging

    def _fits(self, sizes: Sequence[int]) -> bool:
        return _aligned_offsets(sizes)[1] <= self._staging.size


def _pointers(staging: GdrStaging, sizes: Sequence[int]) -> list[int]:
    return [staging.ptr + offset for offset in _aligned_offsets(sizes)[0]]


def _hosts(places: Sequence[int], sizes: Sequence[int]) -> list[torch.Tensor]:
    """Host memory as Mooncake is told it: by its address. It is of the client's region, which
    lives as long as the client, and lent for the time of the call.
    """
    memories = (
        (ctypes.c_uint8 * size).from_address(place)
        for place, size in zip(places, sizes, strict=True)
    )
    return [torch.from_numpy(np.ctypeslib.as_array(memory)) for memory in memories]
