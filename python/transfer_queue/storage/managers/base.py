"""What a storage manager is, and the manager of key-value systems."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, TypeVar

import torch
from tensordict import TensorDict

from transfer_queue import _columns
from transfer_queue._engine import Engine, allow_pickle, engine_of
from transfer_queue._metas import rows_by_partition
from transfer_queue.errors import InvalidArgumentError, TransferQueueError
from transfer_queue.metadata import BatchMeta, extract_field_schema
from transfer_queue.metadata.rows import peek_rows, take
from transfer_queue.storage.clients.base import (
    ObjectClient,
    StorageClientFactory,
    StorageKVClient,
)
from transfer_queue.storage.managers.parcels import Parcels
from transfer_queue.utils.zmq_utils import ZMQServerInfo

__all__ = [
    "KVStorageManager",
    "StorageClientFactory",
    "StorageManager",
    "StorageManagerFactory",
    "create_zmq_socket",
]

T = TypeVar("T")

#: Clients that a forked child has inherited: their end would wait for the parent's threads.
_parents: list[Any] = []

logger = logging.getLogger(__name__)


def create_zmq_socket(*args: Any, **kwargs: Any) -> Any:
    """See :func:`transfer_queue.utils.zmq_utils.create_zmq_socket`; no manager here needs one."""
    from transfer_queue.utils import zmq_utils

    make: Any = vars(zmq_utils)["create_zmq_socket"]
    return make(*args, **kwargs)


class StorageManager(ABC):
    """Puts, gets and clears payload in a backend, and tells the controller what is there.

    Args:
        controller_info: which controller.
        config: the backend's section of the configuration.
        zmq_context: accepted for compatibility; ZeroMQ is not used.

    Attributes:
        storage_manager_id: a name for messages.
    """

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        self.storage_manager_id = f"TQ_STORAGE_{uuid.uuid4().hex[:8]}"
        self.config = config
        self.controller_info = controller_info
        self.zmq_context = zmq_context
        self.engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_lock = threading.Lock()
        self._connect_to_controller()

    def _connect_to_controller(self) -> None:
        """Finds the controller that is told what is stored."""
        if not isinstance(self.controller_info, ZMQServerInfo):
            raise ValueError(
                "controller_info must be a ZMQServerInfo, not a "
                f"{type(self.controller_info).__name__}"
            )
        self.engine = engine_of(self.controller_info)

    @abstractmethod
    async def put_data(
        self,
        data: TensorDict,
        metadata: BatchMeta,
        data_parser: _columns.DataParser | None = None,
    ) -> None:
        """Stores row ``i`` of every field of ``data`` for sample ``i`` of ``metadata``."""

    @abstractmethod
    async def get_data(self, metadata: BatchMeta) -> TensorDict:
        """Reads the fields that ``metadata`` names of the samples it names."""

    @abstractmethod
    async def clear_data(self, metadata: BatchMeta) -> None:
        """Deletes what is stored of the samples of ``metadata``."""

    async def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves the payload."""
        raise NotImplementedError(f"{type(self).__name__} does not support checkpoint")

    async def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Loads what :meth:`save_checkpoint` saved."""
        raise NotImplementedError(f"{type(self).__name__} does not support checkpoint")

    async def notify_data_update(
        self,
        partition_id: str,
        global_indexes: list[int],
        field_schema: Mapping[str, Mapping[str, Any]],
        custom_backend_meta: Mapping[int, Mapping[str, Any]] | None = None,
        *,
        tags: list[dict[str, Any]] | None = None,
    ) -> None:
        """Tells the controller that fields of samples are stored. Dtypes, shapes, what the backend
        noted and tags become known in the same step, and only then is anything visible.

        Args:
            partition_id: their partition.
            global_indexes: the samples.
            field_schema: as :func:`~transfer_queue.metadata.extract_field_schema` gives it.
            custom_backend_meta: ``{global index: {field: anything}}``.
            tags: one dict per sample, merged name by name.

        Raises:
            ValueError: a field lists shapes for other than these samples.
            StorageKeyNotFoundError: a sample was cleared meanwhile; nothing is visible.
        """
        rows = len(global_indexes)
        described = [_described(name, entry, rows) for name, entry in field_schema.items()]
        noted = custom_backend_meta or {}
        metas = [dict(noted.get(index, {})) for index in global_indexes] if noted else None
        if self.engine is None:
            raise TransferQueueError(f"{self.storage_manager_id} is connected to no controller")
        publish = self.engine.core.publish_fields
        await asyncio.to_thread(
            publish, (partition_id, list(global_indexes)), described, metas, tags, allow_pickle()
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carries out a coroutine of this manager from code that has no event loop, on a loop of
        the manager's own.
        """
        with self._loop_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name=self.storage_manager_id, daemon=True
                ).start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def close(self) -> None:
        """Gives back what the manager holds; never raises."""
        loop = getattr(self, "_loop", None)
        if loop is not None:
            self._loop = None
            loop.call_soon_threadsafe(loop.stop)

    def can_destroy_zmq_context(self) -> bool:
        """Whether the manager owns a ZeroMQ context. It does not."""
        return False

    def __del__(self) -> None:
        self.close()


def _described(name: str, entry: Mapping[str, Any], rows: int) -> tuple[str, Any, list[list[int]]]:
    """A field of a schema as the engine reads it; see ``_core.pyi``."""
    shapes = entry.get("per_sample_shapes")
    if isinstance(shapes, Mapping):
        shapes = list(shapes.values())
    if shapes is not None and len(shapes) != rows:
        raise InvalidArgumentError(
            f"field {name!r} has per_sample_shapes of {len(shapes)} samples where {rows} are "
            "stored; give one shape per sample"
        )
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if dtype is None or (shape is None and shapes is None):
        return name, None, []
    all_shapes: list[Any] = [shape] if shapes is None else list(shapes)
    given = [list(map(int, one)) for one in all_shapes]
    if len({len(one) for one in given}) > 1:  # rows of several ranks are told apart by their values
        return name, None, []
    return name, torch.empty(0, dtype=dtype), given


class StorageManagerFactory:
    """Managers by name."""

    _registry: ClassVar[dict[str, type[StorageManager]]] = {}

    @classmethod
    def register(cls, manager_type: str) -> Callable[[type[StorageManager]], type[StorageManager]]:
        """A class decorator that makes a manager known as backend ``manager_type``."""

        def known(manager: type[StorageManager]) -> type[StorageManager]:
            if not (isinstance(manager, type) and issubclass(manager, StorageManager)):
                raise TypeError(f"{manager!r} is no StorageManager")
            cls._registry[manager_type] = manager
            return manager

        return known

    @classmethod
    def name_of(cls, manager_type: str) -> str | None:
        """The name under which a manager is registered, whatever its case; None for none."""
        if manager_type in cls._registry:
            return manager_type
        wanted = str(manager_type).lower()
        return next((name for name in cls._registry if name.lower() == wanted), None)

    @classmethod
    def create(
        cls, manager_type: str, controller_info: ZMQServerInfo, config: Any, **kwargs: Any
    ) -> StorageManager:
        """The manager of that name. Arguments that its class does not take are left out.

        Raises:
            AssertionError: nobody has registered one.
        """
        name = cls.name_of(manager_type)
        if name is None:
            raise AssertionError(
                f"there is no storage manager {manager_type!r}; registered are "
                f"{sorted(cls._registry)}"
            )
        manager = cls._registry[name]
        taken = inspect.signature(manager).parameters
        unknown = [argument for argument in kwargs if argument not in taken]
        if unknown and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
            logger.warning("%s does not take %s; left out", manager.__name__, unknown)
            kwargs = {name: value for name, value in kwargs.items() if name in taken}
        return manager(controller_info, config, **kwargs)


class KVStorageManager(StorageManager):
    """Payload in a key-value system, through a :class:`StorageKVClient`.

    A client that stores objects gets few large ones per batch. Any other one gets a value per
    sample and field, under ``<global index>@<field>``.

    Raises:
        ValueError: ``config`` names no client, or an unknown one.
    """

    def __init__(
        self, controller_info: ZMQServerInfo, config: Any, zmq_context: Any = None
    ) -> None:
        client_name = config.get("client_name", None) if config is not None else None
        if client_name is None:
            raise ValueError("Missing client_name in config")
        super().__init__(controller_info, config, zmq_context)
        self._process = os.getpid()
        self.storage_client: StorageKVClient = StorageClientFactory.create(client_name, config)
        self._multi_threads_executor: Any = None
        self.parcels: Parcels | None = None
        if isinstance(self.storage_client, ObjectClient) and self.engine is not None:
            self.parcels = Parcels(self.engine, self.storage_client)

    async def put_data(
        self,
        data: TensorDict,
        metadata: BatchMeta,
        data_parser: _columns.DataParser | None = None,
    ) -> None:
        """Stores row ``i`` of every field of ``data`` for sample ``i`` of ``metadata``.

        Raises:
            NotImplementedError: a ``data_parser`` was given.
            ValueError: there are other rows than samples.
        """
        if data_parser is not None:
            raise NotImplementedError("data_parser is not supported by key-value backends")
        size = metadata.size
        rows = data.batch_size[0] if data.batch_size else 0
        if rows != size:
            raise InvalidArgumentError(
                f"the batch size {rows} of data does not match the {size} samples of metadata"
            )
        if rows == 0:
            logger.warning("put_data: there is no sample to store")
            return
        if self.parcels is not None:
            tags = peek_rows(metadata, "custom_meta")
            await asyncio.to_thread(self.parcels.put_samples, data, metadata, tags)
            return
        schema = extract_field_schema(data)
        names = sorted(map(str, data.keys()))
        keys = self._generate_keys(names, metadata.global_indexes)
        values = await asyncio.to_thread(self._generate_values, data)
        noted = await asyncio.to_thread(self.storage_client.put, keys, values)
        if noted and len(noted) != len(keys):
            raise InvalidArgumentError(
                f"the client returned {len(noted)} notes, which does not match the {len(keys)} keys"
            )
        metas: dict[int, dict[str, Any]] = {}
        if noted:
            for row, index in enumerate(metadata.global_indexes):
                of_row = {field: noted[at * size + row] for at, field in enumerate(names)}
                metas[index] = of_row
                metadata._custom_backend_meta[row].update(of_row)
        tags = peek_rows(metadata, "custom_meta")
        for partition_id, chosen in rows_by_partition(metadata).items():
            await self.notify_data_update(
                partition_id,
                take(metadata.global_indexes, chosen),
                _schema_of_rows(schema, chosen),
                metas,
                tags=None if tags is None else take(tags, chosen),
            )

    async def get_data(self, metadata: BatchMeta) -> TensorDict:
        """Reads the fields that ``metadata`` names of the samples it names."""
        if not metadata.field_names:
            return TensorDict({}, batch_size=len(metadata))
        if self.parcels is not None:
            return await asyncio.to_thread(self.parcels.get_samples, metadata)
        keys = self._generate_keys(metadata.field_names, metadata.global_indexes)
        shapes, dtypes, metas = self._get_shape_type_custom_backend_meta_list(metadata)
        values = await asyncio.to_thread(
            self.storage_client.get,
            keys=keys,
            shapes=shapes,
            dtypes=dtypes,
            custom_backend_meta=metas,
        )
        return self._merge_tensors_to_tensordict(metadata, values)

    async def clear_data(self, metadata: BatchMeta) -> None:
        """Deletes the fields that ``metadata`` names of the samples it names.

        Raises:
            RuntimeError: it names no field.
        """
        if self.parcels is not None:
            await asyncio.to_thread(self.parcels.delete_dropped)
            return
        if not metadata.field_names:
            raise TransferQueueError("clear_data: metadata names no field")
        keys = self._generate_keys(metadata.field_names, metadata.global_indexes)
        _, _, metas = self._get_shape_type_custom_backend_meta_list(metadata)
        await asyncio.to_thread(self.storage_client.clear, keys=keys, custom_backend_meta=metas)

    def close(self) -> None:
        """Closes the client too; in a forked child both are the parent's, and stay as they are."""
        if os.getpid() != getattr(self, "_process", os.getpid()):
            _parents.append(getattr(self, "storage_client", None))
            return
        super().close()
        client = getattr(self, "storage_client", None)
        if client is not None:
            try:
                client.close()
            except Exception:
                logger.warning("%s could not close its client", self, exc_info=True)

    @staticmethod
    def _generate_keys(field_names: list[str], global_indexes: list[int]) -> list[str]:
        """``<global index>@<field>``, field by field."""
        return [f"{index}@{field}" for field in sorted(field_names) for index in global_indexes]

    @staticmethod
    def _generate_values(data: TensorDict) -> list[Any]:
        """The values of :meth:`_generate_keys`, in its order."""
        values: list[Any] = []
        for field in sorted(map(str, data.keys())):
            column = data[field]
            if isinstance(column, torch.Tensor) and column.is_nested:
                values.extend(column.unbind())
            else:
                values.extend(_columns.rows_of(column, data.batch_size[0]))
        return values

    @staticmethod
    def _get_shape_type_custom_backend_meta_list(
        metadata: BatchMeta,
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Shape, dtype and note of each of :meth:`_generate_keys`."""
        shapes: list[Any] = []
        dtypes: list[Any] = []
        metas: list[Any] = []
        noted = peek_rows(metadata, "_custom_backend_meta")
        for field in sorted(metadata.field_names):
            shapes.extend(metadata.get_shapes(field))
            dtypes.extend(metadata.get_dtypes(field))
            empty: list[Any] = [None] * metadata.size
            metas.extend(empty if noted is None else [row.get(field) for row in noted])
        return shapes, dtypes, metas

    @staticmethod
    def _merge_tensors_to_tensordict(metadata: BatchMeta, values: list[Any]) -> TensorDict:
        """A batch of the values of :meth:`_generate_keys`."""
        size, fields = metadata.size, sorted(metadata.field_names)
        if len(values) != size * len(fields):
            raise InvalidArgumentError(
                f"{len(values)} values came back for {size} samples of {len(fields)} fields"
            )
        columns = [
            (field, "rows", values[at * size : (at + 1) * size]) for at, field in enumerate(fields)
        ]
        return _columns.assemble(columns, size)


def _schema_of_rows(
    schema: Mapping[str, Mapping[str, Any]], rows: list[int]
) -> dict[str, dict[str, Any]]:
    chosen = {}
    for name, entry in schema.items():
        chosen[name] = dict(entry)
        shapes = entry.get("per_sample_shapes")
        if shapes is not None:
            chosen[name]["per_sample_shapes"] = take(shapes, rows)
    return chosen
