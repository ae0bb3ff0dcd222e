"""An engine in this process, as a configuration asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_queue import _sampling, _settings
from transfer_queue._controller_settings import controller_settings
from transfer_queue._engine import Engine
from transfer_queue._transport import Listen
from transfer_queue.utils.zmq_utils import ZMQServerInfo

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["check", "start", "unit_name", "unit_of"]


def check(conf: DictConfig) -> None:
    """Raises what :func:`start` would raise for a setting, without starting anything.

    Raises:
        UnsupportedValueError: the storage backend is not available in this version.
        InvalidArgumentError: a setting is out of range, or no sampler has the name given.
        TypeError: ``controller.sampler`` is no sampler.
    """
    _sampling.resolve(conf.controller.sampler)
    controller_settings(conf)
    _settings.flag(conf, "serve")
    _settings.flag(conf, "announce")
    _settings.engine_settings(conf)


def start(conf: DictConfig, *, serve: bool | None = None, listen: Listen | None = None) -> Engine:
    """Starts an engine in this process.

    Args:
        conf: a merged configuration.
        serve: whether other processes of this host may join; None: what ``conf`` says.
        listen: where those of other machines may.
    """
    return Engine.start(
        _sampling.resolve(conf.controller.sampler),
        controller_settings(conf),
        serve=_settings.flag(conf, "serve") if serve is None else serve,
        config=_settings.as_text(conf),
        listen=listen,
        **_settings.engine_settings(conf),
    )


def unit_name(rank: int) -> str:
    """Name of a storage unit in a configuration, and of its actor."""
    return f"TransferQueueStorageUnit#{rank}"


def unit_of(engine: Engine) -> ZMQServerInfo:
    """The engine as a storage unit, which it is too."""
    controller = engine.info
    name = controller.id.replace("TQ_CONTROLLER", "TQ_STORAGE_UNIT")
    return ZMQServerInfo("TransferQueueStorage", name, controller.ip, dict(controller.ports))
