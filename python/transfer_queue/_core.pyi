"""The extension module; see ``bindings/python/src``. Not part of the public API."""

from collections.abc import Callable, Sequence
from typing import Any, final

import torch

#: ``(global indexes, partition, schema, production status (a byte per row), custom metas, backend
#: metas)``; backend metas are None where all are empty.
_Meta = tuple[
    list[int],
    str,
    dict[str, dict[str, Any]],
    bytes,
    list[dict[str, Any]],
    list[dict[str, Any]] | None,
]
_Status = tuple[torch.Tensor, torch.Tensor]
_Counts = dict[str, int]
#: ``(predicate, fields, order_by, limit, group_by, group_size)``.
_Asked = tuple[
    tuple[Any, ...],
    list[str],
    list[tuple[str, bool]],
    int | None,
    str | None,
    int | None,
]

def encode(value: Any, allow_pickle: bool) -> list[Any]: ...
def decode(items: Sequence[Any], allow_pickle: bool) -> Any: ...
def calc_packed_size(items: Sequence[Any]) -> int: ...
def pack_into(target: Any, items: Sequence[Any], checksum: bool) -> int: ...
def unpack_from(source: Any) -> list[memoryview]: ...
def batch_encode_into(
    values: Sequence[Any],
    allocate: Callable[[list[int]], Sequence[Any]],
    workers: int,
    checksum: bool,
    allow_pickle: bool,
) -> tuple[Sequence[Any], list[int]]: ...
def batch_decode_from(buffers: Sequence[Any], allow_pickle: bool) -> list[Any]: ...
def main(args: Sequence[str]) -> int: ...
def use_dlpack_capsules_only(only: bool) -> None: ...
def grpo_groups(ready: list[int], size: int, groups: int | None) -> list[int] | None: ...
def balanced_partitions(lengths: list[float], parts: int, equal_size: bool) -> list[list[int]]: ...
def pack_lengths(
    lengths: list[float], ranks: int, budget: float, most: int
) -> list[list[int]] | None: ...

@final
class Bytes:
    def __len__(self) -> int: ...

@final
class StorageUnit:
    @staticmethod
    def start(
        controller: str,
        *,
        directory: str,
        name: str,
        bind: str | None = None,
        advertise: str | None = None,
        secret: bytes | None = None,
        tls: tuple[str | None, str | None, str | None] | None = None,
        deadline: float | None = None,
        max_samples: int | None = None,
        capacity_bytes: int | None = None,
        segment_bytes: int | None = None,
        retain_bytes: int | None = None,
        threads: int | None = None,
    ) -> StorageUnit: ...
    @property
    def addresses(self) -> list[str]: ...
    @property
    def id(self) -> int: ...
    def stop(self) -> None: ...

class Engine:
    def __new__(
        cls,
        *,
        max_samples: int | None = None,
        capacity_bytes: int | None = None,
        segment_bytes: int | None = None,
        retain_bytes: int | None = None,
        threads: int | None = None,
    ) -> Engine: ...
    @staticmethod
    def connect(
        address: str,
        client_name: str,
        *,
        deadline: float | None = None,
        threads: int | None = None,
        secret: bytes | None = None,
        secret_file: str | None = None,
        tls: tuple[str | None, str | None, str | None] | None = None,
    ) -> Engine: ...
    def serve(
        self,
        directory: str,
        about: bytes,
        sampler: Callable[[str, str, list[str], int, bytes], list[int] | None] | None,
        *,
        bind: str | None = None,
        advertise: str | None = None,
        secret: bytes | None = None,
        tls: tuple[str | None, str | None, str | None] | None = None,
    ) -> list[str]: ...
    def units(self) -> list[dict[str, Any]]: ...
    def lost_rows(
        self, partition: str | None, reset: bool
    ) -> list[tuple[str, int, str, list[int]]]: ...
    def fetch_chosen(
        self,
        partition: str,
        fields: list[str],
        batch_size: int,
        task: str,
        config: bytes,
        allow_pickle: bool,
    ) -> _Meta | None: ...
    def about(self) -> bytes: ...
    def check(self) -> None: ...
    def plan_put(
        self,
        partition: str,
        keys: list[str],
        columns: list[tuple[Any, ...]],
        tags: list[dict[str, Any]] | None,
        allow_pickle: bool,
    ) -> PlannedPut: ...
    def plan_get(
        self,
        partition: str,
        keys: list[str],
        select: list[str] | None,
        allow_pickle: bool,
    ) -> PlannedGet: ...
    def list_samples(
        self, partition: str | None, allow_pickle: bool
    ) -> dict[str, dict[str, dict[str, Any]]]: ...
    def clear(self, partition: str, keys: list[str]) -> int: ...
    def clear_partition(self, partition: str) -> int | None: ...
    def partitions(self) -> list[str]: ...
    def usage(self) -> dict[str, int]: ...
    def close(self) -> None: ...
    def plan_put_indexes(
        self,
        partitions: list[str],
        indexes: list[int],
        columns: list[tuple[Any, ...]],
        tags: list[dict[str, Any]] | None,
        allow_pickle: bool,
    ) -> PlannedPut: ...
    def plan_get_indexes(
        self, indexes: list[int], fields: list[str], allow_pickle: bool
    ) -> PlannedGet: ...
    def insert(
        self, partition: str, fields: list[str], count: int, allow_pickle: bool
    ) -> _Meta: ...
    def preallocate(self, partition: str, count: int) -> None: ...
    def force_fetch(
        self, partition: str, fields: list[str] | None, allow_pickle: bool
    ) -> _Meta: ...
    def meta_of_keys(
        self, partition: str, keys: list[str], create: bool, allow_pickle: bool
    ) -> tuple[_Meta | None, list[str]]: ...
    def keys_of(self, partition: str, indexes: list[int]) -> list[str | None] | None: ...
    def tags_of(
        self, partition: str, indexes: list[int], allow_pickle: bool
    ) -> list[dict[str, Any]]: ...
    def set_tags(
        self,
        partition: str,
        indexes: list[int],
        tags: list[dict[str, Any]],
        replace: bool,
        allow_pickle: bool,
    ) -> int: ...
    def set_receipts(
        self,
        partition: str,
        indexes: list[int],
        metas: list[dict[str, Any]],
        allow_pickle: bool,
    ) -> int: ...
    def plan_stored(
        self, partition: str, keys: list[str], select: list[str] | None, allow_pickle: bool
    ) -> StoredGet: ...
    def plan_stored_indexes(
        self, partitions: list[str], indexes: list[int], fields: list[str], allow_pickle: bool
    ) -> StoredGet: ...
    def publish_fields(
        self,
        samples: tuple[str, list[int]],
        columns: list[tuple[str, torch.Tensor | None, list[list[int]]]],
        metas: list[dict[str, Any]] | None,
        tags: list[dict[str, Any]] | None,
        allow_pickle: bool,
    ) -> tuple[list[dict[str, Any]], list[str]]: ...
    def take_dropped(self, most: int) -> DroppedParcels: ...
    def return_dropped(self, parcels: DroppedParcels) -> None: ...
    def production_status(self, partition: str, fields: list[str]) -> _Status | None: ...
    def is_produced(self, partition: str, fields: list[str]) -> bool: ...
    def set_sampler(self, kind: str, params: dict[str, Any]) -> None: ...
    def fetch(
        self,
        partition: str,
        fields: list[str],
        batch_size: int,
        task: str,
        dp_rank: int | None,
        batch_index: int | None,
        allow_pickle: bool,
    ) -> _Meta | None: ...
    def ready_indexes(
        self, partition: str, fields: list[str], task: str, at_least: int
    ) -> list[int] | None: ...
    def ready_count(self, partition: str, fields: list[str], task: str, at_most: int) -> int: ...
    def claim(
        self,
        partition: str,
        fields: list[str],
        task: str,
        sampled: list[int],
        consumed: list[int],
        again: bool,
        allow_pickle: bool,
    ) -> _Meta: ...
    def consumption_status(self, partition: str, task: str) -> _Status | None: ...
    def is_consumed(self, partition: str, task: str) -> bool: ...
    def reset_consumption(
        self, partition: str, task: str | None, indexes: list[int] | None
    ) -> int: ...
    def clear_indexes(self, partition: str, indexes: list[int]) -> int: ...
    def select(
        self,
        partition: str,
        asked: _Asked,
        claim_for: str | None,
        allow_pickle: bool,
        keys: list[str] | None = None,
    ) -> tuple[list[str], list[dict[str, Any]], list[str], _Counts]: ...
    def evict(self, partition: str, asked: _Asked) -> tuple[list[str], _Counts]: ...
    def changes(
        self, partition: str, since: int, limit: int, allow_pickle: bool
    ) -> tuple[list[tuple[int, str, list[str], dict[str, Any], bool]], int, bool]: ...
    def sequence(self, partition: str) -> int: ...
    def activity(self, partition: str) -> int: ...
    def subscribe(
        self,
        partition: str,
        rows: int,
        callback: Callable[[], None],
        consumption: bool = True,
    ) -> Subscription: ...

@final
class Subscription:
    def cancel(self) -> None: ...

@final
class Region:
    def __new__(cls, *, segment_bytes: int, threads: int | None = None) -> Region: ...
    def loan(self, size: int) -> RegionLoan: ...
    def usage(self) -> tuple[int, int]: ...

@final
class RegionLoan:
    @property
    def buffer(self) -> memoryview: ...
    @property
    def segment(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def segment_bytes(self) -> int: ...

@final
class PackedPut:
    def __new__(
        cls,
        columns: list[tuple[Any, ...]],
        rows: int,
        tags: list[dict[str, Any]] | None,
        allow_pickle: bool,
    ) -> PackedPut: ...
    @property
    def parcels(self) -> int: ...
    @property
    def objects(self) -> list[tuple[int, int, int]]: ...
    def write(self, number: int, target: Any, *, streamed: bool = False) -> None: ...
    def publish(
        self,
        engine: Engine,
        partition: str,
        keys: list[str] | None,
        indexes: list[int] | None,
        parcel_keys: list[str],
    ) -> tuple[list[dict[str, Any]], list[str]]: ...

@final
class MappedFiles:
    def __init__(self, program: str) -> None: ...

@final
class StoredGet:
    @property
    def bytes(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def missing(self) -> list[str]: ...
    @property
    def ready(self) -> list[str]: ...
    @property
    def fetches(self) -> list[tuple[str, int, int, int, int]]: ...
    def use_means(self, region: Region, mapped: MappedFiles | None) -> None: ...
    def lend(self) -> RegionLoan: ...
    def target(self, number: int) -> memoryview: ...
    def arrived(self, numbers: list[int], threads: int) -> list[int]: ...
    def take(self, fetches: list[tuple[int, Any]], threads: int) -> list[int]: ...
    def run(self) -> list[tuple[Any, ...]]: ...

@final
class DroppedParcels:
    def __len__(self) -> int: ...
    def keys(self) -> list[str]: ...

@final
class PlannedPut:
    @property
    def bytes(self) -> int: ...
    def run(self) -> tuple[list[dict[str, Any]], list[str]]: ...

@final
class PlannedGet:
    @property
    def bytes(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def missing(self) -> list[str]: ...
    @property
    def ready(self) -> list[str]: ...
    def run(self) -> list[tuple[Any, ...]]: ...
