"""The process-level API: start, stop, and samples by key."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from transfer_queue import _rendezvous, _sampling, _settings
from transfer_queue._controller_settings import controller_settings
from transfer_queue._engine import Engine, join
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
from transfer_queue.client import TransferQueueClient
from transfer_queue.errors import UnavailableError
from transfer_queue.storage.bootstrap import Resources, started_for

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
#: What was started for the storage backend, in the process that started the engine.
_TQ_STORAGE: Any = None
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it at the fork, and nobody here will release it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def init(
    conf: DictConfig | Mapping[str, Any] | None = None, *, address: str | None = None
) -> DictConfig | Any:
    """Joins the engine that is there for this process, or starts one. Does nothing where this
    process has one already.

    The engine that is there is the one at ``address``, or else at ``TQ_ADDRESS``, or else that of
    the process that started this one, by ``fork`` or otherwise.

    Args:
        conf: what differs from the packaged ``config.yaml``; of no effect where one is joined.
        address: where an engine of this host is; ``conf.controller.zmq_info.ports["socket"]`` in
            the process that runs it.

    Returns:
        The configuration of the engine, in which ``controller.zmq_info`` names it for further
        clients, also of other processes; ``conf`` itself where this process has an engine already.

    Raises:
        UnavailableError: no engine answers at ``address`` or ``TQ_ADDRESS``.
        UnsupportedValueError: nobody has registered the storage backend.
        InvalidArgumentError: a setting is out of range, or no sampler has the name given.
        TypeError: ``controller.sampler`` is no sampler.
        SystemResourceError: the operating system refuses shared memory.
    """
    global _TQ_CLIENT
    with _lock:
        if _TQ_CLIENT is not None and not _TQ_CLIENT.forked:
            return conf
        engine = _joined(address)
        merged: Any
        if engine is None:
            merged = _settings.merge(conf)
            engine = _started(merged)
        else:
            merged = OmegaConf.create(engine.config, flags={"allow_objects": True})
        merged.controller.zmq_info = engine.info
        _TQ_CLIENT = _client_of(engine)
        return merged


def _started(conf: DictConfig) -> Engine:
    global _TQ_STORAGE
    settings = _settings.engine_settings(conf)
    # Before the engine: what a provider writes into the configuration is for those who join, too.
    _TQ_STORAGE = started_for(conf)
    try:
        engine = _start_engine(conf, settings)
    except BaseException:
        _end_storage()
        raise
    if engine.address is not None:
        _rendezvous.announce(engine.address)
    return engine


@atexit.register
def _end_storage() -> None:
    """Ends what :func:`_started` had to start for the storage backend."""
    global _TQ_STORAGE
    storage, _TQ_STORAGE = _TQ_STORAGE, None
    if isinstance(storage, Resources):
        storage.end()


def _start_engine(conf: DictConfig, settings: dict[str, int | None]) -> Engine:
    return Engine.start(
        _sampling.resolve(conf.controller.sampler),
        controller_settings(conf),
        serve=_settings.serves(conf),
        config=_settings.as_text(conf),
        **settings,
    )


def _joined(address: str | None) -> Engine | None:
    """The engine that is there for this process; None where there is none."""
    given = address or os.environ.get(_rendezvous.ADDRESS_VARIABLE)
    if given:
        return join(given)
    # Of a forked child, the parent's; of another one, that of whoever started it.
    parent = _TQ_CLIENT.engine.address if _TQ_CLIENT is not None else None
    for inherited in (parent, _rendezvous.address_inherited()):
        if inherited is not None:
            try:
                return join(inherited)
            except UnavailableError as error:
                logger.debug("the engine of the parent process has ended: %s", error)
    return None


def _client_of(engine: Engine) -> TransferQueueClient:
    client = TransferQueueClient(f"TransferQueueClient_{os.getpid()}", engine.info)
    conf: Any = OmegaConf.create(engine.config)
    try:
        client.initialize_storage_manager(*_settings.backend_of(conf))
    except BaseException:
        engine.close()
        if engine.is_here:
            _end_storage()
        raise
    return client


def _attached() -> TransferQueueClient | None:
    """The client of this process, made now where an engine is there for it."""
    global _TQ_CLIENT
    with _lock:
        if _TQ_CLIENT is None or _TQ_CLIENT.forked:
            engine = _joined(None)
            if engine is not None:
                _TQ_CLIENT = _client_of(engine)
        return _TQ_CLIENT


def close() -> None:
    """Ends the engine of this process and forgets what it holds, or leaves the engine of another
    process that this one has joined; does nothing where there is none. What was read before stays
    valid, and whoever waits is told.
    """
    global _TQ_CLIENT
    with _lock:
        client, _TQ_CLIENT = _TQ_CLIENT, None
    if client is not None:
        client.close()
        if client.engine.is_here and client.engine.address is not None:
            _rendezvous.withdraw(client.engine.address)
        client.engine.close()
        if client.engine.is_here:
            _end_storage()


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
