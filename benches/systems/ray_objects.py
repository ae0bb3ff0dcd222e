"""Ray's object store, used by hand: an object per sample and put, and an actor that keeps the
references by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensordict import TensorDict

from systems.base import Batch, System, column_of, columns_of, plain, tensors
from systems.gateways import join_ray, start_ray

__all__ = ["RayObjects"]

_NAME, _NAMESPACE = "index", "benches"
_OBJECT_STORE_BYTES = 4 << 30


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


class ObjectStore:
    """Puts and gets objects, and tells the index."""

    def __init__(self, index: Any) -> None:
        import ray

        self._ray, self._index = ray, index

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
        self._ray.get(self._index.put.remote(partition, keys, references))

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        references = self._ray.get(self._index.get.remote(partition, keys))
        objects = iter(self._ray.get([one for sample in references for one in sample]))
        rows: list[dict[str, Any]] = []
        for sample in references:
            row: dict[str, Any] = {}
            for _ in sample:
                row |= tensors(next(objects))
            rows.append(row)
        return {name: column_of([row[name] for row in rows]) for name in fields or rows[0]}

    def list(self, partition: str) -> list[str]:
        keys: list[str] = self._ray.get(self._index.list.remote(partition))
        return keys

    def clear(self, partition: str, keys: list[str]) -> None:
        self._ray.get(self._index.clear.remote(partition, keys))


class RayObjects(System):
    """Ray, and the index."""

    def start(self) -> ObjectStore:
        self.joining = {"ray": start_ray(_OBJECT_STORE_BYTES)}
        import ray

        actor = ray.remote(num_cpus=0)(Index)
        return ObjectStore(actor.options(name=_NAME, namespace=_NAMESPACE).remote())

    def join(self, joining: Mapping[str, Any]) -> ObjectStore:
        join_ray(joining["ray"])
        import ray

        return ObjectStore(ray.get_actor(_NAME, namespace=_NAMESPACE))

    def stop(self) -> None:
        import ray

        ray.shutdown()
