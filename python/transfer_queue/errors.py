"""Exceptions of this package.

Each is a :class:`TransferQueueError` and also the builtin that a caller would catch for such a
failure, so that code written for builtins keeps working.
"""

from __future__ import annotations

__all__ = [
    "CapacityExceededError",
    "ClosedError",
    "CorruptBufferError",
    "DeadlineExceededError",
    "ForkedProcessError",
    "InternalError",
    "InvalidArgumentError",
    "NotReadyError",
    "PickleRefusedError",
    "PlacementError",
    "SamplerError",
    "StorageKeyNotFoundError",
    "SystemResourceError",
    "TransferQueueError",
    "UnavailableError",
    "UnsupportedValueError",
    "WaitTimeoutError",
    "WatchGapError",
]


class TransferQueueError(RuntimeError):
    """Base of all exceptions of this package.

    Callers of the metadata client catch RuntimeError for whatever the controller refused.
    """

    def add_located(self, note: str) -> None:
        """Adds where inside a value the error happened to its message."""
        text = str(self.args[0]) if self.args else ""
        self.args = (f"{text}; {note}", *self.args[1:])

    def __str__(self) -> str:
        # KeyError would show the repr of its message.
        return str(self.args[0]) if self.args else ""


class InvalidArgumentError(TransferQueueError, ValueError):
    """The arguments contradict each other or the documented contract."""


class StorageKeyNotFoundError(TransferQueueError, KeyError, ValueError):
    """A key, sample or field that was asked for does not exist (any more).

    Callers of ``kv_batch_get`` catch ValueError for it, callers of the storage layer KeyError.
    """


class NotReadyError(TransferQueueError, ValueError):
    """The sample exists, but a field that was asked for is not produced yet."""


class CapacityExceededError(TransferQueueError, ValueError):
    """A limit in samples or bytes would be exceeded; nothing was stored."""


class CorruptBufferError(TransferQueueError, ValueError):
    """Bytes that should be a packed buffer are not a valid one."""


class UnsupportedValueError(TransferQueueError, TypeError):
    """The value cannot be encoded."""


class PickleRefusedError(TransferQueueError, TypeError):
    """The value needs pickle, and pickle is switched off."""


class DeadlineExceededError(TransferQueueError, TimeoutError):
    """The deadline passed first."""


class WaitTimeoutError(DeadlineExceededError):
    """What was waited for did not come in time; nothing was taken. Waiting again is safe."""


class SamplerError(TransferQueueError):
    """A sampler failed, answered nonsense or did not return; nothing was marked as consumed."""


class WatchGapError(TransferQueueError):
    """Changes since the given sequence number are no longer all known; start from None again."""


class PlacementError(TransferQueueError, ValueError):
    """Ray has no node, or no node in time, with the resources that were asked for; nothing runs."""


class UnavailableError(TransferQueueError, ConnectionError):
    """The process that runs the engine cannot be reached, or was lost during the call.

    What changes something may have been carried out all the same.
    """


class ClosedError(TransferQueueError):
    """The engine was closed."""


class ForkedProcessError(TransferQueueError):
    """The process was forked after ``init()``; this side of the fork cannot use the engine."""


class SystemResourceError(TransferQueueError, OSError):
    """The operating system refused memory, a mapping or I/O."""


class InternalError(TransferQueueError):
    """A defect of this package; please report it."""
