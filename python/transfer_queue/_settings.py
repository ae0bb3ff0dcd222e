"""The configuration of :func:`transfer_queue.init`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from transfer_queue.errors import InvalidArgumentError, UnsupportedValueError

__all__ = ["as_text", "backend_of", "engine_settings", "merge", "serves", "threads"]

_SIMPLE = "SimpleStorage"
#: Share of the memory limit that payload may take where no limit is set: beyond it the system
#: would end the process rather than refuse the put.
_DEFAULT_SHARE = 0.8
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def merge(conf: DictConfig | Mapping[str, Any] | None) -> DictConfig:
    """The packaged configuration with ``conf`` over it, which may hold objects such as samplers."""
    merged: Any = OmegaConf.create({}, flags={"allow_objects": True})
    with resources.as_file(resources.files("transfer_queue") / "config.yaml") as path:
        merged = OmegaConf.merge(merged, OmegaConf.load(path))
    if conf:
        merged = OmegaConf.merge(merged, conf)
    assert isinstance(merged, DictConfig)
    return merged


def serves(conf: DictConfig) -> bool:
    """Whether other processes of this host may join the engine.

    Raises:
        InvalidArgumentError: the setting is no truth value.
    """
    serve = conf.controller.serve
    if not isinstance(serve, bool):
        raise InvalidArgumentError(f"controller.serve is {serve!r}; it must be true or false")
    return serve


def as_text(conf: DictConfig) -> str:
    """The configuration as YAML, a sampler object by the name of its class."""
    copy: Any = OmegaConf.create(OmegaConf.to_container(conf), flags={"allow_objects": True})
    sampler = copy.controller.sampler
    if not isinstance(sampler, str):
        kind = sampler if isinstance(sampler, type) else type(sampler)
        copy.controller.sampler = kind.__name__
    return OmegaConf.to_yaml(copy)


def engine_settings(conf: DictConfig) -> dict[str, int | None]:
    """Settings of the embedded engine.

    Raises:
        UnsupportedValueError: another storage backend is asked for.
        InvalidArgumentError: a number is out of range.
    """
    backend_of(conf)
    storage = conf.backend.SimpleStorage
    capacity = _positive(storage, "total_storage_bytes")
    return {
        "max_samples": _positive(storage, "total_storage_size"),
        "capacity_bytes": int(memory_limit() * _DEFAULT_SHARE) if capacity is None else capacity,
        "retain_bytes": _positive(storage, "retain_bytes", zero=True),
        "segment_bytes": _positive(storage, "segment_bytes"),
        "threads": threads(),
    }


def backend_of(conf: DictConfig) -> tuple[str, Any]:
    """The name of the storage backend, and its section of the configuration.

    Raises:
        UnsupportedValueError: no manager of that name is registered.
    """
    backend = str(conf.backend.storage_backend)
    if backend.lower() == _SIMPLE.lower():
        return _SIMPLE, conf.backend.get(_SIMPLE)
    from transfer_queue.storage.managers import StorageManagerFactory

    name = StorageManagerFactory.name_of(backend)
    if name is None:
        raise UnsupportedValueError(
            f"storage backend {backend!r} is not known; registered are "
            f"{[_SIMPLE, *sorted(StorageManagerFactory._registry)]}"
        )
    section = conf.backend.get(name)
    return name, OmegaConf.to_container(section) if isinstance(section, DictConfig) else section


def _positive(storage: DictConfig, name: str, *, zero: bool = False) -> int | None:
    value = storage.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < (0 if zero else 1):
        raise InvalidArgumentError(
            f"backend.SimpleStorage.{name} is {value!r}; it must be null or a positive integer"
        )
    return value


def threads() -> int | None:
    """The most threads one call copies with, by ``TQ_NUM_THREADS``; None where it is not set.

    Raises:
        InvalidArgumentError: it is no positive integer.
    """
    text = os.environ.get("TQ_NUM_THREADS")
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise InvalidArgumentError(f"TQ_NUM_THREADS is {text!r}; it must be a positive integer")
    return int(text)


def memory_limit() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's if less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(limits)
