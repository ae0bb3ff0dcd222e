"""The actor that holds a storage unit on a node of its own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from transfer_queue._rendezvous import remove_directory, socket_directory
from transfer_queue._settings import default_capacity
from transfer_queue._transport import Listen, addresses_of, ports_of, start_unit
from transfer_queue.errors import InvalidArgumentError, UnsupportedValueError
from transfer_queue.utils.zmq_utils import ZMQServerInfo, get_node_ip_address

__all__ = ["SimpleStorageUnit"]


class SimpleStorageUnit:
    """Runs a storage unit in its process, for the controller that the configuration names.

    Args:
        config: ``backend.SimpleStorage`` of a configuration as a dict, and in it under
            ``controller`` the :class:`~transfer_queue._ray.controller.Connection` to the
            controller. Limits are those of all units, and shared out evenly.

    Raises:
        InvalidArgumentError: no controller is given.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        controller = config.get("controller")
        if controller is None:
            raise InvalidArgumentError(
                "config['controller'] is missing; a storage unit belongs to a controller, and "
                "tq.init() starts both"
            )
        count = config.get("num_data_storage_units") or 1
        total = config.get("total_storage_bytes")
        self._id = f"TQ_STORAGE_UNIT_{uuid.uuid4().hex[:8]}"
        self._ip = get_node_ip_address()
        self._directory = socket_directory(self._id)
        self._unit = start_unit(
            addresses_of(controller.info)[-1],
            self._id,
            self._directory,
            Listen(self._ip, controller.secret),
            capacity_bytes=default_capacity() if total is None else -(-total // count),
            retain_bytes=config.get("retain_bytes"),
            segment_bytes=config.get("segment_bytes"),
        )
        self._ports = ports_of(tuple(self._unit.addresses))

    async def get_zmq_server_info(self) -> ZMQServerInfo:
        """Where the unit is."""
        return ZMQServerInfo("TransferQueueStorage", self._id, self._ip, self._ports)

    async def start_metrics(self, port: int = 0) -> str:
        """Refuses: metrics are not available in this version."""
        raise UnsupportedValueError(f"metrics (port {port}) are not available in this version")

    async def shutdown(self) -> None:
        """Ends the unit."""
        self._unit.stop()
        remove_directory(f"unix:{self._directory}")
