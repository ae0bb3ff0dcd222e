"""The process-level API: start, stop, and samples by key."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from transfer_queue import _discovery, _rendezvous, _settings, _starting
from transfer_queue._controller_settings import deadline_of, deadline_of_environment
from transfer_queue._discovery import Found
from transfer_queue._kv.calls import (
    async_kv_batch_get,
    async_kv_batch_get_by_meta,
    async_kv_batch_put,
    async_kv_clear,
    async_kv_list,
    async_kv_put,
    kv_batch_get,
    kv_batch_get_by_meta,
    kv_batch_put,
    kv_clear,
    kv_list,
    kv_put,
)
from transfer_queue._kv.selecting import async_kv_evict, async_kv_select, kv_evict, kv_select
from transfer_queue._kv.waiting import async_kv_wait, kv_wait
from transfer_queue._kv.watching import async_kv_watch, kv_watch
from transfer_queue._operations import Deadline
from transfer_queue._ray.running import running_ray
from transfer_queue.client import TransferQueueClient
from transfer_queue.errors import ClosedError, DeadlineExceededError, UnavailableError
from transfer_queue.storage.bootstrap import Resources, started_for

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "async_kv_batch_get",
    "async_kv_batch_get_by_meta",
    "async_kv_batch_put",
    "async_kv_clear",
    "async_kv_evict",
    "async_kv_list",
    "async_kv_put",
    "async_kv_select",
    "async_kv_wait",
    "async_kv_watch",
    "close",
    "get_client",
    "init",
    "kv_batch_get",
    "kv_batch_get_by_meta",
    "kv_batch_put",
    "kv_clear",
    "kv_evict",
    "kv_list",
    "kv_put",
    "kv_select",
    "kv_wait",
    "kv_watch",
]

logger = logging.getLogger(__name__)

_TQ_CLIENT: TransferQueueClient | None = None
#: The Ray actor that the engine of this process runs in, where it does.
_TQ_CONTROLLER: Any = None
#: What this process has started in Ray, under the name of its backend: unit actors by name.
_TQ_STORAGE: dict[str, Any] | None = None
#: What was started for the storage backend, in the process that started the engine.
_resources: Resources | None = None
_lock = threading.Lock()
_parents: Any = None


def _forget_parents() -> None:
    # Another thread of the parent may have held it at the fork, and nobody here will release it.
    global _lock, _parents, _TQ_CONTROLLER, _TQ_STORAGE, _resources
    _lock = threading.Lock()
    # What they stand for is the parent's to end. They are kept all the same: one that is dropped
    # writes to the parent's connections, or waits for threads that do not exist here.
    _parents = (_TQ_CLIENT, _TQ_CONTROLLER, _TQ_STORAGE, _resources, _parents)
    _TQ_CONTROLLER = _TQ_STORAGE = _resources = None


os.register_at_fork(after_in_child=_forget_parents)


def init(
    conf: DictConfig | Mapping[str, Any] | None = None, *, address: str | None = None
) -> DictConfig | Any:
    """Joins the engine that is there for this process, or starts one. Does nothing where this
    process has one already that has not ended.

    The engine that is there is the first of these: that at ``address``, or else at ``TQ_ADDRESS``;
    that of a running Ray, if this process is part of it; that of the process that started this one,
    by ``fork`` or otherwise; the one that is announced on this host. Where there is none, one is
    started: as actors where Ray is running in this process, else in the process itself.

    Args:
        conf: what differs from the packaged ``config.yaml``; of no effect where one is joined, but
            for ``controller.deadline``, the seconds after which the search ends.
        address: where an engine is, ``unix:<directory>`` or ``tcp:<host>:<port>``;
            ``conf.controller.zmq_info.ports["socket"]`` in the process that runs it. One on TCP
            asks for the cluster's secret, which is read from the file that ``TQ_SECRET_FILE``
            names. ``"embedded"`` looks for none and starts one in this process.

    Returns:
        The configuration of the engine, in which ``controller.zmq_info`` names it for further
        clients, also of other processes; ``conf`` itself where this process has an engine already.

    Raises:
        UnavailableError: no engine answers at ``address`` or ``TQ_ADDRESS``, or the actors that
            were started died.
        DeadlineExceededError: the engine that is there does not answer in time.
        PlacementError: Ray has no node with the resources that are asked for.
        UnsupportedValueError: nobody has registered the storage backend.
        InvalidArgumentError: a setting is out of range, or no sampler has the name given.
        TypeError: ``controller.sampler`` is no sampler.
        SystemResourceError: the operating system refuses shared memory.
    """
    global _resources
    with _lock:
        if _is_alive():
            return conf
        merged = _settings.merge(conf)
        deadline = Deadline(deadline_of(merged.controller.deadline))
        found = _find(address, deadline)
        if found is None:
            _starting.check(merged)
            # First: what a provider writes into the configuration is for those who join, too.
            _resources = started_for(merged)
            try:
                found = _start(merged, address, deadline)
            except BaseException:
                _end_resources()
                raise
        if not found.engine.is_here and _TQ_STORAGE is None:
            # Somebody else's, who was faster perhaps.
            _end_resources()
            merged = _settings.of_text(found.engine.config)
        merged.controller.zmq_info = found.engine.info
        merged.backend.SimpleStorage.zmq_info = found.units or None
        _use(found)
        return merged


def _is_alive() -> bool:
    """Whether this process has an engine; leaves one of another process that has ended."""
    client = _TQ_CLIENT
    if client is None or client.forked:
        return False
    if client.engine.is_here:
        return True
    try:
        client.engine.core.partitions()
    except (UnavailableError, ClosedError) as error:
        logger.info("the engine %s has ended: %s", client.engine.info.id, error)
        _leave()
        return False
    return True


def _end_resources() -> None:
    """Ends what had to be started for the storage backend."""
    global _resources
    resources, _resources = _resources, None
    if isinstance(resources, Resources):
        resources.end()


def _find(address: str | None, deadline: Deadline) -> Found | None:
    parent = _TQ_CLIENT.engine.address if _TQ_CLIENT is not None else None
    return _discovery.find(address, parent, deadline)


def _start(conf: DictConfig, address: str | None, deadline: Deadline) -> Found:
    given = address or os.environ.get(_rendezvous.ADDRESS_VARIABLE)
    ray = running_ray()
    if ray is not None and given != _discovery.EMBEDDED:
        return _start_actors(ray, conf, address, deadline)
    announce = _settings.flag(conf, "announce") and given != _discovery.EMBEDDED
    with _rendezvous.announcing(deadline) if announce else nullcontext():
        found = _discovery.find_announced(deadline) if announce else None
        if found is None:
            found = _discovery.of_engine(_starting.start(conf))
            if announce and found.engine.address is not None:
                _rendezvous.announce(found.engine.address)
        return found


def _start_actors(ray: Any, conf: DictConfig, address: str | None, deadline: Deadline) -> Found:
    global _TQ_STORAGE
    from transfer_queue._ray import system

    while True:
        started = system.start(ray, conf, deadline)
        if started is not None:
            try:
                found = _discovery.of_system(started)
            except BaseException:
                system.end(ray, started.controller, started.units.values())
                raise
            _TQ_STORAGE = {"SimpleStorage": started.units}
            return found
        # Another process has been faster; unless that has failed since, its engine is there.
        joined = _find(address, deadline)
        if joined is not None:
            return joined
        if deadline.left == 0:
            raise DeadlineExceededError(
                f"Ray has not started the actors within {deadline.seconds} s"
            )


def _use(found: Found) -> TransferQueueClient:
    """Makes an engine that of this process, and of those that it starts."""
    global _TQ_CLIENT, _TQ_CONTROLLER
    engine = found.engine
    client = TransferQueueClient(f"TransferQueueClient_{os.getpid()}", engine.info)
    _TQ_CLIENT, _TQ_CONTROLLER = client, found.controller
    try:
        conf = _settings.of_text(engine.config)
        client.initialize_storage_manager(*_settings.backend_of(conf))
    except BaseException:
        _leave()
        raise
    if engine.address is not None:
        _rendezvous.hand_down(engine.address)
    return client


def _attached() -> TransferQueueClient | None:
    """The client of this process, made now where an engine is there for it."""
    with _lock:
        if _TQ_CLIENT is None or _TQ_CLIENT.forked:
            found = _find(None, Deadline(deadline_of_environment()))
            if found is not None:
                _use(found)
        return _TQ_CLIENT


def close() -> None:
    """Ends what this process has started, with all that is stored: the engine in it, or actors of
    Ray. An engine of another process that this one has joined goes on. Does nothing where there is
    none. What was read before stays valid, and whoever waits is told.
    """
    with _lock:
        _leave()


@atexit.register
def _end_actors() -> None:
    # Ray would end them too, but without letting them remove their sockets.
    if _TQ_STORAGE is not None or _resources is not None:
        close()


def _leave() -> None:
    global _TQ_CLIENT, _TQ_CONTROLLER, _TQ_STORAGE
    client, _TQ_CLIENT = _TQ_CLIENT, None
    controller, _TQ_CONTROLLER = _TQ_CONTROLLER, None
    started, _TQ_STORAGE = _TQ_STORAGE, None
    if client is not None:
        client.close()
        address = client.engine.address
        if address is not None:
            _rendezvous.take_back(address)
            if client.engine.is_here:
                _rendezvous.forget(address)
        client.engine.close()
    ray = running_ray()
    if started is not None and ray is not None:
        from transfer_queue._ray import system

        units = started.get("SimpleStorage") or {}
        system.end(ray, controller, units.values())
    _end_resources()


def get_client() -> TransferQueueClient:
    """The client of this process; in a forked child one that has joined the parent's engine.

    Raises:
        AssertionError: :func:`init` has not been called.
    """
    client = _TQ_CLIENT
    if client is not None and client.forked:
        client = _attached()
    if client is None:
        raise AssertionError("Please initialize the TransferQueue first by calling tq.init()")
    return client
