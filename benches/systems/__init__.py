"""The systems that are measured side by side, each behind the same four calls.

| module | holds |
|---|---|
| `base` | what a system and a store are |
| `gateways` | both packages that are imported as `transfer_queue`, on each backend |
| `ray_actor` | what the two share that are an actor of Ray |
| `one_driver` | every batch pickled through one process, as a trainer without a gateway does |
| `ray_objects` | Ray's object store, used by hand |
| `redis_values` | Redis, a pickled value per sample and field |
| `torchstore_values` | torchstore, a tensor per sample and field |
"""

from __future__ import annotations

from collections.abc import Callable

from systems.base import Store, System
from systems.gateways import Gateway
from systems.one_driver import OneDriver
from systems.ray_objects import RayObjects
from systems.redis_values import RedisValues
from systems.torchstore_values import TorchstoreValues

__all__ = ["SYSTEMS", "Store", "System"]

#: How each system is made, by name; in the order in which tables show them.
SYSTEMS: dict[str, Callable[[], System]] = {
    "ours": lambda: Gateway("SimpleStorage"),
    "ours_ray": lambda: Gateway("SimpleStorage", ray=True),
    "ours_mooncake": lambda: Gateway("MooncakeStore"),
    "ours_yuanrong": lambda: Gateway("Yuanrong"),
    "pypi": lambda: Gateway("SimpleStorage", ray=True),
    "pypi_mooncake": lambda: Gateway("MooncakeStore", ray=True),
    "pypi_yuanrong": lambda: Gateway("Yuanrong", ray=True),
    "ray": RayObjects,
    "redis": RedisValues,
    "torchstore": TorchstoreValues,
    "one_driver": OneDriver,
}
