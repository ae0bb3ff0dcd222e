"""The actor that holds the engine of a Ray cluster."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from transfer_queue._ray.running import running_ray
from transfer_queue._settings import merge
from transfer_queue._starting import start, unit_name, unit_of
from transfer_queue._transport import Listen
from transfer_queue.utils.serial_utils import set_allow_pickle
from transfer_queue.utils.zmq_utils import ZMQServerInfo, get_node_ip_address

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Connection", "TransferQueueController"]


class Connection(NamedTuple):
    """What a process has to know to join."""

    info: ZMQServerInfo
    units: dict[str, ZMQServerInfo]
    """The storage units by name; the first is the engine itself."""
    secret: bytes | None


class TransferQueueController:
    """Runs the engine in its process and serves it. Calls of clients do not pass through the
    methods of the actor, but through the engine's own sockets; the methods tell where those are.

    The methods are coroutines, so that the actor answers :meth:`ping` whoever waits in
    :meth:`wait_until_ready`.

    Args:
        sampler: see ``controller.sampler``; of no effect where ``conf`` is given.
        polling_mode: see ``controller.polling_mode``; likewise.
        conf: a merged configuration.
        environment: variables of the process that starts it, which configure the engine too.
        allow_pickle: whether values that only pickle can carry are read and written here; None:
            what the environment says.
    """

    def __init__(
        self,
        sampler: Any = "SequentialSampler",
        polling_mode: bool = False,
        *,
        conf: DictConfig | None = None,
        environment: Mapping[str, str] | None = None,
        allow_pickle: bool | None = None,
    ) -> None:
        os.environ.update(environment or {})
        if allow_pickle is not None:
            set_allow_pickle(allow_pickle)
        if conf is None:
            conf = merge({"controller": {"sampler": sampler, "polling_mode": polling_mode}})
        listen = Listen(get_node_ip_address(), secrets.token_bytes(32))
        self._engine = start(conf, serve=True, listen=listen)
        self._secret = listen.secret
        self._units = {unit_name(0): unit_of(self._engine)}
        self._conf: DictConfig | None = None
        self._ready = asyncio.Event()

    async def get_zmq_server_info(self) -> ZMQServerInfo:
        """Where the engine is."""
        return self._engine.info

    async def get_config(self) -> DictConfig | None:
        """The configuration, which names the engine and its units; None until all have started."""
        return self._conf

    async def store_config(
        self, conf: DictConfig, units: Mapping[str, ZMQServerInfo] | None = None
    ) -> None:
        """Sets the configuration, and lets those join who wait for it."""
        self._conf = conf
        self._units.update(units or {})
        self._ready.set()

    async def connection(self) -> Connection:
        """What a storage unit has to know."""
        return Connection(self._engine.info, self._units, self._secret)

    async def wait_until_ready(self, seconds: float) -> Connection | None:
        """Waits until all have started; None where that takes longer than ``seconds``."""
        try:
            await asyncio.wait_for(self._ready.wait(), seconds)
        except TimeoutError:
            return None
        return await self.connection()

    async def ping(self) -> dict[str, Any]:
        """Shows that the actor is alive: its engine, node and process, and what is stored."""
        ray = running_ray()
        return {
            "id": self._engine.info.id,
            "node": None if ray is None else ray.get_runtime_context().get_node_id(),
            "pid": os.getpid(),
            "ready": self._ready.is_set(),
            "usage": self._engine.core.usage(),
        }

    async def shutdown(self) -> None:
        """Ends the engine; whoever waits for something is told."""
        self._engine.close()
