"""The process-level API: start, stop, and samples by key."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from transfer_queue import _sampling, _settings
from transfer_queue._controller_settings import controller_settings
from transfer_queue._embedded import EmbeddedEngine
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

_TQ_CLIENT: TransferQueueClient | None = None
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it at the fork, and nobody here will release it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def init(conf: DictConfig | Mapping[str, Any] | None = None) -> DictConfig | Any:
    """Starts the engine of this process, or does nothing where it runs already.

    Args:
        conf: what differs from the packaged ``config.yaml``.

    Returns:
        The merged configuration, in which ``controller.zmq_info`` names the engine for further
        clients of this process; ``conf`` itself where the engine ran already.

    Raises:
        UnsupportedValueError: the storage backend is not available in this version.
        InvalidArgumentError: a setting is out of range, or no sampler has the name given.
        TypeError: ``controller.sampler`` is no sampler.
        SystemResourceError: the operating system refuses shared memory.
    """
    global _TQ_CLIENT
    with _lock:
        if _TQ_CLIENT is not None and not _TQ_CLIENT.forked:
            return conf
        merged = _settings.merge(conf)
        engine = EmbeddedEngine(
            _sampling.resolve(merged.controller.sampler),
            controller_settings(merged),
            **_settings.engine_settings(merged),
        )
        merged.controller.zmq_info = engine.info
        client = TransferQueueClient(f"TransferQueueClient_{os.getpid()}", engine.info)
        client.initialize_storage_manager("SimpleStorage")
        _TQ_CLIENT = client
        return merged


def close() -> None:
    """Ends the engine of this process and forgets what it holds; does nothing where none runs. What
    was read before stays valid, and whoever waits is told that the engine ended.
    """
    global _TQ_CLIENT
    with _lock:
        client, _TQ_CLIENT = _TQ_CLIENT, None
    if client is not None:
        client.engine.close()


def get_client() -> TransferQueueClient:
    """The client of this process.

    Raises:
        AssertionError: :func:`init` has not been called.
    """
    if _TQ_CLIENT is None:
        raise AssertionError("Please initialize the TransferQueue first by calling tq.init()")
    return _TQ_CLIENT
