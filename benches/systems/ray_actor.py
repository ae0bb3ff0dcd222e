"""Systems by hand that are a named actor of Ray, and a store that calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from systems.base import System
from systems.gateways import join_ray, start_ray

__all__ = ["ActorStore", "RayActor"]

_NAME, _NAMESPACE = "keeper", "benches"
_OBJECT_STORE_BYTES = 4 << 30


class ActorStore:
    """Calls that every such actor answers in the same way."""

    def __init__(self, actor: Any) -> None:
        import ray

        self._ray, self._actor = ray, actor

    def list(self, partition: str) -> list[str]:
        keys: list[str] = self._ray.get(self._actor.list.remote(partition))
        return keys

    def clear(self, partition: str, keys: list[str]) -> None:
        self._ray.get(self._actor.clear.remote(partition, keys))


class RayActor(System):
    """Ray, and an actor of the class that ``keeper`` is."""

    #: The actor's class, and the store that calls it.
    keeper: type
    store: type

    def start(self) -> Any:
        self.joining = {"ray": start_ray(_OBJECT_STORE_BYTES)}
        import ray

        actor = ray.remote(num_cpus=0)(self.keeper)
        return self.store(actor.options(name=_NAME, namespace=_NAMESPACE).remote())

    def join(self, joining: Mapping[str, Any]) -> Any:
        join_ray(joining["ray"])
        import ray

        return self.store(ray.get_actor(_NAME, namespace=_NAMESPACE))

    def stop(self) -> None:
        import ray

        ray.shutdown()
