"""Warm memory: destinations whose pages have been touched, and plain copies into them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Buffer", "WarmRegion", "copy_all"]

Buffer = npt.NDArray[np.uint8]


class WarmRegion:
    """An allocator for ``batch_encode_into``: slices of one region that is made once."""

    def __init__(self) -> None:
        self._region = np.empty(0, np.uint8)

    def __call__(self, sizes: list[int]) -> list[Buffer]:
        total = sum(sizes)
        if self._region.nbytes < total:
            self._region = np.empty(total, np.uint8)
            self._region.fill(1)
        slices, start = [], 0
        for size in sizes:
            slices.append(self._region[start : start + size])
            start += size
        return slices


def copy_all(targets: Sequence[Buffer], sources: Sequence[Buffer], threads: int = 1) -> None:
    """Copies each source into its target, with all bytes split evenly over the threads."""
    if threads == 1:
        _copy_share(targets, sources, 0, 1)
        return
    workers = [
        threading.Thread(target=_copy_share, args=(targets, sources, number, threads))
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _copy_share(
    targets: Sequence[Buffer], sources: Sequence[Buffer], number: int, threads: int
) -> None:
    for target, source in zip(targets, sources, strict=True):
        first = source.nbytes * number // threads
        last = source.nbytes * (number + 1) // threads
        np.copyto(target[first:last], source[first:last])
