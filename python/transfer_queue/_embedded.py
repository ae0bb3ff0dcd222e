"""The engine of this process, and the processes' register of engines."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence
from typing import Any

from tensordict import TensorDict

from transfer_queue import _columns, _core
from transfer_queue._controller_settings import ControllerSettings, pre_allocated_samples
from transfer_queue._operations import Offload, Operation
from transfer_queue._sampling import CustomSampler, NativeSampler
from transfer_queue.errors import UnsupportedValueError
from transfer_queue.utils import serial_utils
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = ["EmbeddedEngine", "allow_pickle", "assemble", "carry_out", "engine_of"]

#: Copies of less than this are made where they are; larger ones leave the event loop.
_INLINE_BYTES = 1 << 20

_engines: weakref.WeakValueDictionary[str, EmbeddedEngine] = weakref.WeakValueDictionary()


class EmbeddedEngine:
    """Controller and storage unit in this process. Any number of threads, event loops and clients
    may share one; a copy of payload never holds the interpreter lock.

    Attributes:
        core: the engine proper; see ``_core.pyi``.
        info: its name, under which clients of this process find it.
        settings: how fetches wait.
        sampler: the sampler written in Python, None where a built-in one chooses.
        whole_batches: whether the sampler answers only where a whole batch of samples is ready.
    """

    def __init__(
        self,
        sampler: NativeSampler | CustomSampler,
        settings: ControllerSettings,
        **engine_settings: int | None,
    ) -> None:
        self.core = _core.Engine(**engine_settings)
        self.settings = settings
        self.sampler: CustomSampler | None = None
        if isinstance(sampler, CustomSampler):
            self.sampler = sampler
        else:
            self.core.set_sampler(sampler.kind, sampler.params)
        # A batch by token budget may be complete with fewer.
        self.whole_batches = getattr(sampler, "kind", None) != "streaming_token_budget"
        self.info = ZMQServerInfo(
            "TransferQueueController", f"TQ_CONTROLLER_{uuid.uuid4().hex[:8]}", "127.0.0.1", {}
        )
        _engines[self.info.id] = self

    def before_creation(self, partition_id: str) -> None:
        """To be called before samples are created: gives a new partition samples in advance."""
        count = pre_allocated_samples()
        if count:
            self.core.preallocate(partition_id, count)

    def list_samples(self, partition_id: str | None) -> dict[str, dict[str, dict[str, Any]]]:
        """Keys and tags of one partition or of all."""
        return self.core.list_samples(partition_id, allow_pickle())

    def clear_partition(self, partition_id: str) -> int | None:
        """Clears a partition; returns how many samples it had, None where there is none."""
        cleared = self.core.clear_partition(partition_id)
        if self.sampler is not None:
            self.sampler.clear_cache(partition_id)
        return cleared

    def close(self) -> None:
        """Refuses every later call. What was read stays valid."""
        _engines.pop(self.info.id, None)
        self.core.close()


def engine_of(info: ZMQServerInfo) -> EmbeddedEngine:
    """The engine that ``info`` names.

    Raises:
        UnsupportedValueError: it runs in another process, or has ended.
    """
    engine = _engines.get(info.id)
    if engine is None:
        raise UnsupportedValueError(
            f"controller {info.id} does not run in this process; joining from another process is "
            "not available in this version, so make the client where init() was called"
        )
    return engine


def allow_pickle() -> bool:
    """Whether values that only pickle can carry may be read and written."""
    return serial_utils._pickle_setting(None)


def carry_out(
    planned: _core.PlannedPut | _core.PlannedGet,
) -> Operation[Any]:
    """Carries out a planned put or get; a large copy leaves the event loop."""
    if planned.bytes < _INLINE_BYTES:
        return planned.run()
    return (yield Offload(planned.run))


def assemble(planned: _core.PlannedGet, columns: Sequence[_columns.Column]) -> TensorDict:
    """The batch of columns that were read; empty where nothing was selected."""
    return _columns.assemble(columns, planned.rows) if columns else TensorDict({}, batch_size=0)
