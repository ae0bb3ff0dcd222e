"""The manager of Ray's object store."""

from __future__ import annotations

from typing import Any

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.storage.managers.base import KVStorageManager, StorageManagerFactory
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = ["RayStorageManager"]

_CLIENT = "RayStorageClient"


@StorageManagerFactory.register("RayStore")
class RayStorageManager(KVStorageManager):
    """Payload in Ray's object store; see ``docs/backends/ray.md``.

    Raises:
        ValueError: another client is named.
    """

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        own = dict(config or {})
        if own.setdefault("client_name", _CLIENT) != _CLIENT:
            raise InvalidArgumentError(
                f"client_name is {own['client_name']!r}; RayStore needs {_CLIENT}"
            )
        super().__init__(controller_info, own, zmq_context)
