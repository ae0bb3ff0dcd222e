"""Laying out tensors in a staging buffer of a GPU, for transfers that read device memory.

The client does so with ``use_gdr``; programs that move tensors themselves may, too.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from transfer_queue.errors import InvalidArgumentError, SystemResourceError

__all__ = ["GdrStaging", "chunk_subkeys", "split_by_bytes"]

#: Bytes on whose multiples tensors start.
_DEFAULT_ALIGN = 256


def _aligned_offsets(sizes: Sequence[int], align: int = _DEFAULT_ALIGN) -> tuple[list[int], int]:
    """Where each of ``sizes`` bytes starts, one behind the other, and how many bytes that takes."""
    offsets = []
    end = 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // align) * align
    return offsets, end


def chunk_subkeys(key: str, nbytes: int, buffer_size: int) -> list[str]:
    """The keys of a value that goes through a buffer: its own where it fits, else one a piece."""
    if nbytes <= buffer_size:
        return [key]
    return [f"{key}:c{number}" for number in range(-(-nbytes // buffer_size))]


def split_by_bytes(nbytes: Sequence[int], buffer_size: int) -> list[list[int]]:
    """Values in groups that fit a buffer together, smallest first; one that fits none is alone."""
    groups: list[list[int]] = []
    room = 0
    for number in sorted(range(len(nbytes)), key=lambda one: nbytes[one]):
        size = -(-nbytes[number] // _DEFAULT_ALIGN) * _DEFAULT_ALIGN
        if not groups or size > room:
            groups.append([])
            room = buffer_size
        groups[-1].append(number)
        room -= size
    return groups


class GdrStaging:
    """One buffer in device memory, registered once.

    Args:
        buffer_size_bytes: its size.
        device: whose memory; a CUDA device but in tests.
    """

    def __init__(self, buffer_size_bytes: int, device: str = "cuda") -> None:
        if buffer_size_bytes < 1:
            raise InvalidArgumentError(f"a buffer of {buffer_size_bytes} bytes holds nothing")
        self.size = buffer_size_bytes
        self._device = device
        self._buffer: torch.Tensor | None = None
        self._lock = threading.Lock()
        self._initialized = False

    @property
    def ptr(self) -> int:
        """Address of the buffer; 0 before it is there."""
        return 0 if self._buffer is None else self._buffer.data_ptr()

    def lazy_init(self, store: Any) -> None:
        """Allocates and registers the buffer, once.

        Raises:
            SystemResourceError: there is no such device or memory, or it cannot be registered.
        """
        if self._initialized:
            return
        try:
            buffer = torch.empty(self.size, dtype=torch.uint8, device=self._device)
        except RuntimeError as error:
            raise SystemResourceError(f"no {self.size} bytes on {self._device}: {error}") from error
        code = store.register_buffer(buffer.data_ptr(), self.size)
        if code != 0:
            raise SystemResourceError(
                f"device memory cannot be registered (code {code}); GPUDirect RDMA is needed"
            )
        self._buffer, self._initialized = buffer, True

    def close(self, store: Any) -> None:
        """Unregisters and frees the buffer."""
        if self._initialized:
            store.unregister_buffer(self.ptr)
        self._buffer, self._initialized = None, False

    @contextlib.contextmanager
    def acquire(self) -> Iterator[GdrStaging]:
        """The buffer for oneself."""
        with self._lock:
            yield self

    def pack(self, tensors: Sequence[torch.Tensor]) -> tuple[list[int], list[int]]:
        """Copies tensors into the buffer; their addresses and bytes.

        Raises:
            InvalidArgumentError: they do not fit.
        """
        sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
        offsets, end = _aligned_offsets(sizes)
        buffer = self._checked(end)
        for tensor, offset, size in zip(tensors, offsets, sizes, strict=True):
            flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
            buffer[offset : offset + size].copy_(flat, non_blocking=True)
        self.synchronize()
        return [self.ptr + offset for offset in offsets], sizes

    def unpack(
        self,
        ptrs: Sequence[int],
        sizes: Sequence[int],
        dtypes: Sequence[torch.dtype],
        shapes: Sequence[Sequence[int]],
        device: Any,
    ) -> list[torch.Tensor]:
        """Tensors of what lies in the buffer, in memory of their own."""
        buffer = self._checked(0)
        tensors = []
        for start, size, dtype, shape in zip(ptrs, sizes, dtypes, shapes, strict=True):
            offset = start - self.ptr
            flat = buffer[offset : offset + size].clone()
            tensors.append(flat.view(dtype).view(tuple(shape)).to(device))
        self.synchronize()
        return tensors

    def copy_into(self, ptrs: Sequence[int], targets: Sequence[torch.Tensor]) -> None:
        """Copies what lies in the buffer into 1-D tensors of bytes, without a copy in between."""
        buffer = self._checked(0)
        for start, target in zip(ptrs, targets, strict=True):
            offset = start - self.ptr
            target.copy_(buffer[offset : offset + target.numel()])
        self.synchronize()

    def synchronize(self) -> None:
        """Waits for copies that are under way."""
        if self._buffer is not None and self._buffer.is_cuda:
            torch.cuda.synchronize()

    def _checked(self, needed: int) -> torch.Tensor:
        if self._buffer is None:
            raise InvalidArgumentError("the buffer is not there yet; call lazy_init() first")
        if needed > self.size:
            raise InvalidArgumentError(
                f"{needed} bytes do not fit a buffer of {self.size}; see split_by_bytes"
            )
        return self._buffer
