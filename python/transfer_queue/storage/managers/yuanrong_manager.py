"""The manager of the openYuanrong datasystem."""

from __future__ import annotations

from typing import Any

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.storage.managers.base import KVStorageManager, StorageManagerFactory
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = ["YuanrongStorageManager"]

_CLIENT = "YuanrongStorageClient"


@StorageManagerFactory.register("Yuanrong")
class YuanrongStorageManager(KVStorageManager):
    """Payload in the openYuanrong datasystem; see ``docs/backends/yuanrong.md``.

    Raises:
        ValueError: ``worker_port`` is no integer, or another client is named.
    """

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        port = config.get("worker_port", None)
        if not isinstance(port, int) or isinstance(port, bool):
            raise InvalidArgumentError(f"worker_port is {port!r}; it must be an integer")
        client = config.get("client_name", None)
        if client not in (None, _CLIENT):
            raise InvalidArgumentError(f"client_name is {client!r}; Yuanrong needs {_CLIENT}")
        config["client_name"] = _CLIENT
        super().__init__(controller_info, config, zmq_context)
