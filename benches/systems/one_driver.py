"""Every batch pickled through one process: what a trainer does that has no gateway.

The driver holds the rows. A worker's batch travels pickled through Ray's object store, and what a
worker asks for is put together and pickled by the driver.
"""

from __future__ import annotations

import pickle
from typing import Any

from tensordict import TensorDict

from systems.base import Batch, column_of, columns_of
from systems.ray_actor import ActorStore, RayActor

__all__ = ["OneDriver"]


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


class DriverStore(ActorStore):
    """Calls of the actor, with payload as objects of Ray."""

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        del tags
        pickled = self._ray.put(pickle.dumps(batch, protocol=5))
        self._ray.get(self._actor.put.remote(partition, keys, pickled))

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        pickled = self._ray.get(self._actor.get.remote(partition, keys, fields))
        batch: Batch = pickle.loads(pickled)  # noqa: S301
        return batch


class OneDriver(RayActor):
    """The driver, and Ray under it."""

    keeper = Rows
    store = DriverStore
