"""Every batch pickled through one process: what a trainer does that has no gateway.

The driver holds the rows. A worker's batch travels pickled through Ray's object store, and what a
worker asks for is put together and pickled by the driver.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from tensordict import TensorDict

from systems.base import Batch, System, column_of, columns_of
from systems.gateways import join_ray, start_ray

__all__ = ["OneDriver"]

_NAME, _NAMESPACE = "driver", "benches"
_OBJECT_STORE_BYTES = 4 << 30


class Rows:
    """The rows of all partitions; runs as an actor."""

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, dict[str, Any]]] = {}

    def put(self, partition: str, keys: list[str], pickled: bytes) -> None:
        rows = self._partitions.setdefault(partition, {})
        for name, values in columns_of(pickle.loads(pickled)).items():  # noqa: S301
            for key, value in zip(keys, values, strict=True):
                rows.setdefault(key, {})[name] = value

    def get(self, partition: str, keys: list[str], fields: list[str] | None) -> bytes:
        rows = [self._partitions[partition][key] for key in keys]
        columns = {name: column_of([row[name] for row in rows]) for name in fields or rows[0]}
        return pickle.dumps(TensorDict(columns, batch_size=len(keys)), protocol=5)

    def list(self, partition: str) -> list[str]:
        return list(self._partitions.get(partition, {}))

    def clear(self, partition: str, keys: list[str]) -> None:
        for key in keys:
            self._partitions[partition].pop(key)


class DriverStore:
    """Calls of the actor, with payload as objects of Ray."""

    def __init__(self, rows: Any) -> None:
        import ray

        self._ray, self._rows = ray, rows

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        del tags
        pickled = self._ray.put(pickle.dumps(batch, protocol=5))
        self._ray.get(self._rows.put.remote(partition, keys, pickled))

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        pickled = self._ray.get(self._rows.get.remote(partition, keys, fields))
        batch: Batch = pickle.loads(pickled)  # noqa: S301
        return batch

    def list(self, partition: str) -> list[str]:
        keys: list[str] = self._ray.get(self._rows.list.remote(partition))
        return keys

    def clear(self, partition: str, keys: list[str]) -> None:
        self._ray.get(self._rows.clear.remote(partition, keys))


class OneDriver(System):
    """The actor, and Ray under it."""

    def start(self) -> DriverStore:
        self.joining = {"ray": start_ray(_OBJECT_STORE_BYTES)}
        import ray

        actor = ray.remote(num_cpus=0)(Rows)
        return DriverStore(actor.options(name=_NAME, namespace=_NAMESPACE).remote())

    def join(self, joining: Mapping[str, Any]) -> DriverStore:
        join_ray(joining["ray"])
        import ray

        return DriverStore(ray.get_actor(_NAME, namespace=_NAMESPACE))

    def stop(self) -> None:
        import ray

        ray.shutdown()
