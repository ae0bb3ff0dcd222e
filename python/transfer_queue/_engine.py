"""Engines: that of this process, and those of other processes of this host."""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tensordict import TensorDict

from transfer_queue import _columns, _core, _transport
from transfer_queue._controller_settings import (
    ControllerSettings,
    deadline_of_environment,
    pre_allocated_samples,
)
from transfer_queue._operations import Offload, Operation
from transfer_queue._rendezvous import remove_directory, socket_directory
from transfer_queue._sampling import CustomSampler, NativeSampler
from transfer_queue.errors import UnavailableError, UnsupportedValueError
from transfer_queue.utils import serial_utils
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = [
    "Engine",
    "FetchRequest",
    "allow_pickle",
    "assemble",
    "carry_out",
    "choose",
    "engine_of",
    "join",
    "packed",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Copies of less than this are made where they are; larger ones leave the event loop.
_INLINE_BYTES = 1 << 20
#: How much longer a call to another process may take than a sampler there; and the least time
#: that one has to answer who joins it.
_MARGIN_SECONDS, _LEAST_SECONDS = 10.0, 1.0

#: Engines that this process has started or joined, by name; and the process that did.
_engines: dict[tuple[int, str], Engine] = {}
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it at the fork, and nobody here will release it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class FetchRequest(NamedTuple):
    """What a task asks for."""

    partition_id: str
    task_name: str
    fields: list[str]
    batch_size: int
    sampling_config: dict[str, Any]


class Engine:
    """A controller with its storage unit. Any number of threads, event loops and clients may share
    one; a copy of payload never holds the interpreter lock.

    Attributes:
        core: the engine proper; see ``_core.pyi``.
        info: its name and address, by which clients find it.
        settings: how fetches wait.
        sampler: the sampler written in Python; None where a built-in one chooses, or the engine
            runs in another process.
        hosts_sampler: whether a sampler written in Python chooses, here or there.
        whole_batches: whether the sampler answers only where a whole batch of samples is ready.
        is_here: whether it runs in this process, and not in another one that this process joined.
        config: the configuration it was started with, as YAML.
    """

    def __init__(
        self,
        core: _core.Engine,
        info: ZMQServerInfo,
        settings: ControllerSettings,
        *,
        sampler: CustomSampler | None,
        whole_batches: bool,
        is_here: bool,
        hosts_sampler: bool,
        config: str,
    ) -> None:
        self.core = core
        self.info = info
        self.settings = settings
        self.sampler = sampler
        self.whole_batches = whole_batches
        self.is_here = is_here
        self.hosts_sampler = hosts_sampler
        self.config = config
        _engines[os.getpid(), info.id] = self

    @classmethod
    def start(
        cls,
        sampler: NativeSampler | CustomSampler,
        settings: ControllerSettings,
        *,
        serve: bool,
        config: str,
        listen: _transport.Listen | None = None,
        **engine_settings: Any,
    ) -> Engine:
        """Starts an engine in this process.

        Args:
            sampler: chooses the batches of fetches.
            settings: how fetches wait.
            serve: whether other processes of this host may join it.
            config: what it was configured with, as YAML; told to those who join.
            listen: where processes of other machines may join; None where they may not.
            engine_settings: sizes, threads, placement; see ``_core.pyi``.
        """
        core = _core.Engine(**engine_settings)
        custom = sampler if isinstance(sampler, CustomSampler) else None
        if isinstance(sampler, NativeSampler):
            core.set_sampler(sampler.kind, sampler.params)
        # A batch by token budget may be complete with fewer.
        whole_batches = getattr(sampler, "kind", None) != "streaming_token_budget"
        name = f"TQ_CONTROLLER_{uuid.uuid4().hex[:8]}"
        addresses: tuple[str, ...] = ()
        if serve:
            about = {
                "id": name,
                "settings": settings._asdict(),
                "whole_batches": whole_batches,
                "sampler": custom.name if custom is not None else None,
                "config": config,
            }
            hosted = None if custom is None else partial(_choose_for_guest, core, custom, settings)
            directory = socket_directory(name)
            addresses = _transport.serve(
                core, directory, json.dumps(about).encode(), hosted, listen
            )
        ip = "127.0.0.1" if listen is None else listen.host
        ports = _transport.ports_of(addresses)
        return cls(
            core,
            ZMQServerInfo("TransferQueueController", name, ip, ports),
            settings,
            sampler=custom,
            whole_batches=whole_batches,
            is_here=True,
            hosts_sampler=custom is not None,
            config=config,
        )

    @property
    def address(self) -> str | None:
        """What other processes of this host join it by; None where none can."""
        address: str | None = self.info.ports.get(_transport.SOCKET)
        return address

    def before_creation(self, partition_id: str) -> None:
        """To be called before samples are created: gives a new partition samples in advance."""
        # Here, asking whether it is there costs half of a look at the environment.
        if self.is_here and self.core.sequence(partition_id):
            return
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
        """Ends an engine of this process, or leaves one of another. What was read stays valid."""
        mine = _engines.pop((os.getpid(), self.info.id), None)
        self.core.close()
        if mine is not None and self.is_here and self.address is not None:
            remove_directory(self.address)


@atexit.register
def _end() -> None:
    """Ends what this process has started: the sockets of others' engines are left alone."""
    for (process, _), engine in list(_engines.items()):
        if process == os.getpid():
            engine.close()


def join(
    address: str,
    *,
    info: ZMQServerInfo | None = None,
    deadline: float | None = None,
    secret: bytes | None = None,
) -> Engine:
    """The engine of another process, at ``address``.

    Args:
        address: where it is.
        info: all its addresses, where known.
        deadline: seconds that the engine may take to answer; None: what the environment says.
        secret: what processes of other machines have to know.

    Raises:
        UnavailableError: no engine answers there.
        InvalidArgumentError: it is no such address.
    """
    with _lock:
        for (process, _), engine in _engines.items():
            if process == os.getpid() and engine.address == address:
                return engine
        seconds = deadline_of_environment() if deadline is None else max(deadline, _LEAST_SECONDS)
        name = f"process {os.getpid()}"
        core = _transport.connect(address, name, seconds, secret)
        about = json.loads(core.about())
        if info is not None and about["id"] != info.id:
            core.close()
            raise UnavailableError(f"controller {info.id} has ended; another one is at {address}")
        settings = ControllerSettings(**about["settings"])
        # The host's sampler may take longer than a call usually may.
        needed = max(settings.deadline, settings.sampler_timeout + _MARGIN_SECONDS)
        if needed != seconds:
            core.close()
            core = _transport.connect(address, name, needed, secret)
        if info is None:
            ports = _transport.ports_of((address,))
            info = ZMQServerInfo("TransferQueueController", about["id"], "127.0.0.1", ports)
        return Engine(
            core,
            info,
            settings,
            sampler=None,
            whole_batches=about["whole_batches"],
            is_here=False,
            hosts_sampler=about["sampler"] is not None,
            config=about["config"],
        )


def engine_of(info: ZMQServerInfo, *, secret: bytes | None = None) -> Engine:
    """The engine that ``info`` names, joined if need be.

    Raises:
        UnsupportedValueError: it runs in another process and lets nobody join.
        UnavailableError: it has ended.
    """
    engine = _engines.get((os.getpid(), info.id))
    if engine is not None:
        return engine
    addresses = _transport.addresses_of(info)
    if not addresses:
        raise UnsupportedValueError(
            f"controller {info.id} does not run in this process and cannot be joined from another; "
            "start it with controller.serve, or make the client where init() was called"
        )
    for address in addresses[:-1]:
        try:
            return join(address, info=info, secret=secret)
        except UnavailableError as error:
            logger.debug("controller %s is not reached at %s: %s", info.id, address, error)
    return join(addresses[-1], info=info, secret=secret)


def choose(
    core: _core.Engine,
    sampler: CustomSampler,
    settings: ControllerSettings,
    request: FetchRequest,
    claimed: Callable[[list[int], list[int], bool], T],
) -> T | None:
    """Has a sampler of this process choose a batch; what ``claimed`` made of it, or None where too
    little is ready.
    """
    ready = partial(core.ready_indexes, request.partition_id, request.fields, request.task_name)

    def tags_of(indexes: list[int]) -> list[dict[str, Any]]:
        return core.tags_of(request.partition_id, indexes, allow_pickle())

    return sampler.run(request, ready, claimed, tags_of, settings.sampler_timeout)


def _choose_for_guest(
    core: _core.Engine,
    sampler: CustomSampler,
    settings: ControllerSettings,
    partition_id: str,
    task_name: str,
    fields: list[str],
    batch_size: int,
    config: bytes,
) -> list[int] | None:
    """:func:`choose` for another process; the samples that were chosen and claimed."""
    sampling_config = unpacked(config)
    request = FetchRequest(partition_id, task_name, fields, batch_size, sampling_config)

    def claimed(sampled: list[int], consumed: list[int], again: bool) -> list[int]:
        core.claim(partition_id, fields, task_name, sampled, consumed, again, allow_pickle())
        return sampled

    return choose(core, sampler, settings, request, claimed)


def packed(value: Any) -> bytes:
    """A value as one packed buffer."""
    items = serial_utils.encode(value)
    buffer = bytearray(serial_utils.calc_packed_size(items))
    serial_utils.pack_into(buffer, items)
    return bytes(buffer)


def unpacked(buffer: bytes) -> Any:
    """The value of :func:`packed`."""
    return serial_utils.decode(serial_utils.unpack_from(bytearray(buffer)))


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


def assemble(
    planned: _core.PlannedGet | _core.StoredGet, columns: Sequence[_columns.Column]
) -> TensorDict:
    """The batch of columns that were read; empty where nothing was selected."""
    return _columns.assemble(columns, planned.rows) if columns else TensorDict({}, batch_size=0)
