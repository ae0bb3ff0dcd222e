"""Ray's object store, used by hand: an object per sample and put, and an actor that keeps the
references by key.
"""

from __future__ import annotations

from typing import Any

from tensordict import TensorDict

from systems.base import Batch, column_of, columns_of, plain, tensors
from systems.ray_actor import ActorStore, RayActor

__all__ = ["RayObjects"]


class Index:
    """Which objects hold the fields of a sample; runs as an actor, which also owns the objects'
    references.
    """

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, list[Any]]] = {}

    def put(self, partition: str, keys: list[str], references: list[Any]) -> None:
        samples = self._partitions.setdefault(partition, {})
        for key, reference in zip(keys, references, strict=True):
            samples.setdefault(key, []).append(reference)

    def get(self, partition: str, keys: list[str]) -> list[list[Any]]:
        return [self._partitions[partition][key] for key in keys]

    def list(self, partition: str) -> list[str]:
        return list(self._partitions.get(partition, {}))

    def clear(self, partition: str, keys: list[str]) -> None:
        for key in keys:
            self._partitions[partition].pop(key)


class ObjectStore(ActorStore):
    """Puts and gets objects, and tells the index."""

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        del tags
        # Pickling a row of a tensor would pickle the whole tensor; an array is only its own.
        columns = {name: plain(rows) for name, rows in columns_of(batch).items()}
        references = [
            self._ray.put(dict(zip(columns, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]
        self._ray.get(self._actor.put.remote(partition, keys, references))

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        references = self._ray.get(self._actor.get.remote(partition, keys))
        objects = iter(self._ray.get([one for sample in references for one in sample]))
        rows: list[dict[str, Any]] = []
        for sample in references:
            row: dict[str, Any] = {}
            for _ in sample:
                row |= tensors(next(objects))
            rows.append(row)
        return {name: column_of([row[name] for row in rows]) for name in fields or rows[0]}


class RayObjects(RayActor):
    """Ray, and the index."""

    keeper = Index
    store = ObjectStore
