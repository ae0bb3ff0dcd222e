"""The configuration of :func:`transfer_queue.init`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from transfer_queue.errors import InvalidArgumentError, UnsupportedValueError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "ClusterSettings",
    "as_text",
    "backend_of",
    "cluster_settings",
    "default_capacity",
    "engine_settings",
    "flag",
    "keys_of_environment",
    "merge",
    "of_text",
    "threads",
]

_SIMPLE = "SimpleStorage"
#: Share of the memory limit that payload may take where no limit is set: beyond it the system
#: would end the process rather than refuse the put.
_DEFAULT_SHARE = 0.8
_PLACEMENTS = ("local", "balanced")
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def merge(conf: DictConfig | Mapping[str, Any] | None) -> DictConfig:
    """The packaged configuration with ``conf`` over it, which may hold objects such as samplers."""
    from omegaconf import DictConfig, OmegaConf  # late: it takes as long as the rest of the package

    merged: Any = OmegaConf.create({}, flags={"allow_objects": True})
    with resources.as_file(resources.files("transfer_queue") / "config.yaml") as path:
        merged = OmegaConf.merge(merged, OmegaConf.load(path))
    if conf:
        merged = OmegaConf.merge(merged, conf)
    assert isinstance(merged, DictConfig)
    return merged


def flag(conf: DictConfig, name: str) -> bool:
    """Whether a setting of ``controller`` is on.

    Raises:
        InvalidArgumentError: it is no truth value.
    """
    value = conf.controller[name]
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"controller.{name} is {value!r}; it must be true or false")
    return value


class ClusterSettings(NamedTuple):
    """What Ray is asked for."""

    controller_cpus: float
    unit_cpus: float
    units: int
    node_resource: str | None


def cluster_settings(conf: DictConfig) -> ClusterSettings:
    """Settings of the actors in a Ray cluster.

    Raises:
        InvalidArgumentError: one is out of range.
    """
    storage = conf.backend.SimpleStorage
    resource = storage.required_node_resource
    if resource is not None and not isinstance(resource, str):
        raise InvalidArgumentError(
            f"backend.SimpleStorage.required_node_resource is {resource!r}; it must be null or the "
            "name of a resource"
        )
    units = _positive(storage, "num_data_storage_units")
    return ClusterSettings(
        _cpus("controller.num_cpus", conf.controller.num_cpus),
        _cpus("backend.SimpleStorage.num_cpus", storage.num_cpus),
        1 if units is None else units,
        resource,
    )


def _cpus(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidArgumentError(f"{name} is {value!r}; it must be a number of CPUs, 0 or more")


def as_text(conf: DictConfig) -> str:
    """The configuration as YAML, a sampler object by the name of its class."""
    from omegaconf import OmegaConf

    copy: Any = OmegaConf.create(OmegaConf.to_container(conf), flags={"allow_objects": True})
    sampler = copy.controller.sampler
    if not isinstance(sampler, str):
        kind = sampler if isinstance(sampler, type) else type(sampler)
        copy.controller.sampler = kind.__name__
    return OmegaConf.to_yaml(copy)


def of_text(text: str) -> DictConfig:
    """The configuration that a host tells as YAML; where it says nothing, as ``tq serve`` does of
    other backends, it is the packaged one.
    """
    from omegaconf import OmegaConf

    conf: Any = OmegaConf.create(text)
    return merge(conf)


def engine_settings(conf: DictConfig) -> dict[str, Any]:
    """Settings of the embedded engine.

    Raises:
        UnsupportedValueError: another storage backend is asked for.
        InvalidArgumentError: a number is out of range.
    """
    backend_of(conf)
    storage = conf.backend.SimpleStorage
    capacity = _positive(storage, "total_storage_bytes")
    if storage.placement not in _PLACEMENTS:
        raise InvalidArgumentError(
            f"backend.SimpleStorage.placement is {storage.placement!r}; it must be one of "
            f"{', '.join(_PLACEMENTS)}"
        )
    return {
        "placement": storage.placement,
        "max_samples": _positive(storage, "total_storage_size"),
        "capacity_bytes": default_capacity() if capacity is None else capacity,
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
    from omegaconf import DictConfig, OmegaConf

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


def default_capacity() -> int:
    """Bytes of payload that a storage unit takes where no limit is set."""
    return int(memory_limit() * _DEFAULT_SHARE)


#: Files with what an engine on TCP asks for: the cluster's secret; certificate, key, authorities.
_SECRET_VARIABLE = "TQ_SECRET_FILE"
_TLS_VARIABLES = ("TQ_TLS_CERTIFICATE", "TQ_TLS_KEY", "TQ_TLS_AUTHORITY")


def keys_of_environment() -> dict[str, Any]:
    """What the environment has for an engine on TCP, as ``_core.Engine.connect`` takes it."""
    certificate, key, authority = (os.environ.get(name) or None for name in _TLS_VARIABLES)
    tls = (certificate, key, authority)
    return {
        "secret_file": os.environ.get(_SECRET_VARIABLE) or None,
        "tls": tls if any(tls) else None,
    }


def memory_limit() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's if less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(limits)
