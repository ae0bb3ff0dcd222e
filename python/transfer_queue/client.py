"""The clients: every operation as a coroutine, and as a plain function."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from transfer_queue._client.fetching import FetchOperations
from transfer_queue._client.keys import KeyOperations
from transfer_queue._client.samples import SampleOperations
from transfer_queue._client.statuses import StatusOperations
from transfer_queue._engine import Engine, engine_of
from transfer_queue._operations import asynchronous, synchronous
from transfer_queue._payload import payload_of
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.utils.zmq_utils import ZMQServerInfo

if TYPE_CHECKING:
    from transfer_queue.storage.managers.base import StorageManager

__all__ = ["AsyncTransferQueueClient", "TransferQueueClient"]

_STORAGE_NAMES = {"simplestorage", "asyncsimplestoragemanager"}


class AsyncTransferQueueClient(FetchOperations, SampleOperations, StatusOperations, KeyOperations):
    """A handle on a controller and its storage, for any number of threads and event loops.

    Args:
        client_id: a name for messages.
        controller_info: which controller; one of this process, or of another of this host, which is
            joined.
        zmq_io_threads: accepted for compatibility, and checked; ZeroMQ is not used.
        zmq_max_sockets: likewise.

    Raises:
        InvalidArgumentError: no ``controller_info``, or a number below 1.
        TypeError: ``controller_info`` is something else.
        UnsupportedValueError: the controller runs in another process and cannot be joined.
        UnavailableError: it has ended.
    """

    def __init__(
        self,
        client_id: str,
        controller_info: ZMQServerInfo,
        zmq_io_threads: int | None = None,
        zmq_max_sockets: int | None = None,
    ) -> None:
        _check_info(controller_info)
        _at_least_one("zmq_io_threads", zmq_io_threads)
        _at_least_one("zmq_max_sockets", zmq_max_sockets)
        for variable in ("TQ_SOCKET_POOL_SIZE", "TQ_CLIENT_ZMQ_MAX_SOCKETS"):
            _at_least_one(variable, os.environ.get(variable))
        self.client_id = client_id
        self.engine: Engine = engine_of(controller_info)
        self._controller = controller_info
        self._storage_ready = False
        self.storage_manager: StorageManager | None = None
        self.payload = None
        self._pid = os.getpid()

    def initialize_storage_manager(self, manager_type: str, config: Any = None) -> None:
        """Lets the client move payload.

        Args:
            manager_type: ``SimpleStorage``, whose storage runs with the controller and needs no
                settings; or a backend for which a manager is registered.
            config: the backend's section of the configuration.

        Raises:
            AssertionError: no manager of that name is registered.
            ImportError: the backend needs a package that is not installed.
        """
        if str(manager_type).lower() not in _STORAGE_NAMES:
            # Imported late: most processes need none of it.
            from transfer_queue.storage import managers as _registered  # noqa: F401
            from transfer_queue.storage.managers.base import StorageManagerFactory

            manager = StorageManagerFactory.create(manager_type, self._controller, config)
            self.storage_manager, self.payload = manager, payload_of(self.engine, manager)
        self._storage_ready = True

    @property
    def forked(self) -> bool:
        """Whether this is the copy of a parent's client in a forked child."""
        return os.getpid() != self._pid

    def usage(self) -> dict[str, int]:
        """Samples stored, and bytes of payload by state; see ``docs/embedded.md``."""
        return self.engine.core.usage()

    def close(self) -> None:
        """Ends the client, not the engine; never raises. Payload cannot be moved with it then."""
        self._storage_ready = False
        manager, self.storage_manager, self.payload = self.storage_manager, None, None
        if manager is not None:
            manager.close()

    async_get_meta = asynchronous(FetchOperations._get_meta)
    async_put = asynchronous(SampleOperations._put)
    async_get_data = asynchronous(SampleOperations._get_data)
    async_set_custom_meta = asynchronous(SampleOperations._set_custom_meta)
    async_clear_samples = asynchronous(SampleOperations._clear_samples)
    async_clear_partition = asynchronous(SampleOperations._clear_partition)
    async_get_consumption_status = asynchronous(StatusOperations._get_consumption_status)
    async_get_production_status = asynchronous(StatusOperations._get_production_status)
    async_check_consumption_status = asynchronous(StatusOperations._check_consumption_status)
    async_check_production_status = asynchronous(StatusOperations._check_production_status)
    async_reset_consumption = asynchronous(StatusOperations._reset_consumption)
    async_get_partition_list = asynchronous(StatusOperations._get_partition_list)
    async_get_storage_units = asynchronous(StatusOperations._get_storage_units)
    async_get_lost_samples = asynchronous(StatusOperations._get_lost_samples)
    async_reset_lost_samples = asynchronous(StatusOperations._reset_lost_samples)
    async_activity = asynchronous(StatusOperations._activity)
    async_wait_for_change = asynchronous(StatusOperations._wait_for_change)
    async_kv_retrieve_meta = asynchronous(KeyOperations._kv_retrieve_meta)
    async_kv_retrieve_keys = asynchronous(KeyOperations._kv_retrieve_keys)
    async_kv_list = asynchronous(KeyOperations._kv_list)


class TransferQueueClient(AsyncTransferQueueClient):
    """The client with plain functions too. They block, and may be called inside an event loop."""

    get_meta = synchronous(FetchOperations._get_meta)
    put = synchronous(SampleOperations._put)
    get_data = synchronous(SampleOperations._get_data)
    set_custom_meta = synchronous(SampleOperations._set_custom_meta)
    clear_samples = synchronous(SampleOperations._clear_samples)
    clear_partition = synchronous(SampleOperations._clear_partition)
    get_consumption_status = synchronous(StatusOperations._get_consumption_status)
    get_production_status = synchronous(StatusOperations._get_production_status)
    check_consumption_status = synchronous(StatusOperations._check_consumption_status)
    check_production_status = synchronous(StatusOperations._check_production_status)
    reset_consumption = synchronous(StatusOperations._reset_consumption)
    get_partition_list = synchronous(StatusOperations._get_partition_list)
    get_storage_units = synchronous(StatusOperations._get_storage_units)
    get_lost_samples = synchronous(StatusOperations._get_lost_samples)
    reset_lost_samples = synchronous(StatusOperations._reset_lost_samples)
    activity = synchronous(StatusOperations._activity)
    wait_for_change = synchronous(StatusOperations._wait_for_change)
    kv_retrieve_meta = synchronous(KeyOperations._kv_retrieve_meta)
    kv_retrieve_keys = synchronous(KeyOperations._kv_retrieve_keys)
    kv_list = synchronous(KeyOperations._kv_list)


def _check_info(controller_info: Any) -> None:
    if controller_info is None:
        raise InvalidArgumentError(
            "controller_info is None; give conf.controller.zmq_info of the conf init() returned"
        )
    if not isinstance(controller_info, ZMQServerInfo):
        raise TypeError(
            f"controller_info must be a ZMQServerInfo, not a {type(controller_info).__name__}"
        )


def _at_least_one(name: str, value: object) -> None:
    if value is None:
        return
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be an integer of 1 or more")
