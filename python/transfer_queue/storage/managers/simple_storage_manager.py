"""The manager of our own storage units: the engine holds the payload, here or in its host."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from tensordict import NonTensorStack, TensorDict

from transfer_queue import _columns
from transfer_queue._client.samples import SampleOperations
from transfer_queue._engine import Engine
from transfer_queue._operations import run_async
from transfer_queue.errors import DeadlineExceededError, InvalidArgumentError, TransferQueueError
from transfer_queue.metadata import BatchMeta
from transfer_queue.storage.managers.base import StorageManager, StorageManagerFactory
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = [
    "AsyncSimpleStorageManager",
    "RoutingGroup",
    "StorageUnitTimeout",
    "with_storage_unit_socket",
]

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


class StorageUnitTimeout(DeadlineExceededError):  # noqa: N818 - users catch it by this name
    """A storage unit did not answer in time."""


class RoutingGroup(NamedTuple):
    """The rows of a batch that go to one storage unit."""

    global_indexes: list[int]
    batch_positions: list[int]


def with_storage_unit_socket(function: F) -> F:
    """A decorator that code of 0.1.11 names; there are no sockets to lend here."""
    return function


class _Samples(SampleOperations):
    """Puts and gets through the engine itself."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.payload = None
        self._storage_ready = True


@StorageManagerFactory.register("SimpleStorage")
class AsyncSimpleStorageManager(StorageManager):
    """Payload in the storage unit of the engine; the clients use it without a manager.

    Attributes:
        storage_unit_infos: addresses of storage units by name, where ``config`` names any; in the
            order in which samples are dealt to them.
    """

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        super().__init__(controller_info, config, zmq_context)
        infos = config.get("zmq_info", None) if config is not None else None
        if isinstance(infos, ZMQServerInfo):
            infos = {infos.id: infos}
        self.storage_unit_infos: dict[str, ZMQServerInfo] = {
            info.id: info for info in dict(infos or {}).values()
        }

    def get_zmq_server_info(self) -> dict[str, ZMQServerInfo]:
        """See :attr:`storage_unit_infos`."""
        return self.storage_unit_infos

    def _group_by_hash(self, global_indexes: list[int]) -> dict[str, RoutingGroup]:
        """The rows of each storage unit: those whose global index, modulo their number, is its."""
        units = list(self.storage_unit_infos)
        groups: dict[str, RoutingGroup] = {}
        for position, index in enumerate(global_indexes):
            group = groups.setdefault(units[index % len(units)], RoutingGroup([], []))
            group.global_indexes.append(index)
            group.batch_positions.append(position)
        return groups

    async def put_data(
        self,
        data: TensorDict,
        metadata: BatchMeta,
        data_parser: _columns.DataParser | None = None,
    ) -> None:
        """See :meth:`StorageManager.put_data`."""
        await run_async(self._samples()._put(data, metadata, None, data_parser))

    async def get_data(self, metadata: BatchMeta) -> TensorDict:
        """See :meth:`StorageManager.get_data`."""
        return await run_async(self._samples()._get_data(metadata))

    async def clear_data(self, metadata: BatchMeta) -> None:
        """See :meth:`StorageManager.clear_data`."""
        await run_async(self._samples()._clear_samples(metadata))

    def _samples(self) -> _Samples:
        if self.engine is None:
            raise TransferQueueError(f"{self.storage_manager_id} is connected to no controller")
        return _Samples(self.engine)

    @staticmethod
    def _select_by_positions(column: Any, positions: list[int]) -> Any:
        """Rows of a column.

        Raises:
            ValueError: no positions.
        """
        if not positions:
            raise InvalidArgumentError("No positions specified")
        if isinstance(column, torch.Tensor) and column.is_nested:
            rows = column.unbind()
            return [rows[position] for position in positions]
        if isinstance(column, torch.Tensor):
            first, step = positions[0], positions[1] - positions[0] if len(positions) > 1 else 1
            if step > 0 and positions == list(range(first, positions[-1] + 1, step)):
                return column[first : positions[-1] + 1 : step]
            return column.index_select(0, torch.tensor(positions))
        if isinstance(column, NonTensorStack):
            return NonTensorStack(*(column[position] for position in positions))
        if isinstance(column, list):
            return [column[position] for position in positions]
        return column[positions]

    @staticmethod
    def _pack_field_values(values: list[Any]) -> Any:
        """The container in which a column of these values comes back.

        Raises:
            ValueError: no values.
        """
        if not values:
            raise InvalidArgumentError("there are no values to pack")
        return _columns.assemble([("column", "rows", values)], len(values)).get("column")
