"""Both packages that are imported as ``transfer_queue``; the interpreter decides which one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tensordict import TensorDict

from systems.base import Batch, System

__all__ = ["MOONCAKE_ADDRESSES", "RAY_CPUS", "Gateway", "join_ray", "start_ray"]

#: The PyPI package asks Ray for one CPU for the controller and for each storage unit, and waits for
#: them for ever. Ray only keeps books on this number.
RAY_CPUS = 16
GIB = 1 << 30
#: Where the metadata server and the master of Mooncake listen.
MOONCAKE_ADDRESSES = ("127.0.0.1:50050", "127.0.0.1:50051")


def start_ray(object_store_bytes: int = 200 << 20) -> str:
    """Starts Ray in this process and returns its address. Only Ray's own systems keep payload in
    the object store.
    """
    import ray

    context = ray.init(
        num_cpus=RAY_CPUS,
        include_dashboard=False,
        object_store_memory=object_store_bytes,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    address: str = context.address_info["address"]
    return address


def join_ray(address: str) -> None:
    """Joins a Ray that runs."""
    import ray

    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def settings_of(backend: str) -> dict[str, Any]:
    """The configuration for ``init``: the packages' defaults, on loopback, with room for the
    largest scenario.
    """
    if backend == "MooncakeStore":
        metadata, master = MOONCAKE_ADDRESSES
        section: dict[str, Any] = {
            "auto_init": True,
            "protocol": "tcp",
            "metadata_server": metadata,
            "master_server_address": master,
            "local_hostname": "127.0.0.1",
            "global_segment_size": 3 * GIB,
            "local_buffer_size": GIB,
        }
    elif backend == "Yuanrong":
        section = {
            "auto_init": True,
            "worker_port": 31501,
            "metastore_port": 2379,
            "worker_args": "--shared_memory_size_mb 6144",
        }
    else:
        return {}
    return {"backend": {"storage_backend": backend, backend: section}}


class GatewayStore:
    """The key-value calls."""

    def __init__(self, tq: ModuleType) -> None:
        self.tq = tq

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        self.tq.kv_batch_put(keys=keys, partition_id=partition, fields=batch, tags=tags)

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        found: Batch = self.tq.kv_batch_get(keys=keys, partition_id=partition, select_fields=fields)
        return found

    def list(self, partition: str) -> list[str]:
        return list(self.tq.kv_list(partition_id=partition).get(partition, {}))

    def clear(self, partition: str, keys: list[str]) -> None:
        self.tq.kv_clear(keys=keys, partition_id=partition)


class Gateway(System):
    """A gateway on one of its backends. Ours runs in the driver unless ``ray``; the PyPI package
    always needs Ray.
    """

    def __init__(self, backend: str, *, ray: bool = False) -> None:
        self._backend = backend
        self._ray = ray
        #: Seconds of ``init``, with Ray running already.
        self.init_seconds = 0.0

    def start(self) -> GatewayStore:
        self.joining = {"ray": start_ray()} if self._ray else {}
        import transfer_queue as tq

        started = time.perf_counter()
        tq.init(settings_of(self._backend) or None)
        self.init_seconds = time.perf_counter() - started
        self._tq = tq
        return GatewayStore(tq)

    def join(self, joining: Mapping[str, Any]) -> GatewayStore:
        if "ray" in joining:
            join_ray(joining["ray"])
        import transfer_queue as tq

        tq.init()
        return GatewayStore(tq)

    def stop(self) -> None:
        self._tq.close()
        if self._ray:
            import ray

            ray.shutdown()


def quiet() -> None:
    """Keeps the packages and their backends from filling the terminal."""
    os.environ.setdefault("TQ_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("GLOG_minloglevel", "2")
    # Mooncake refuses to start on a host whose only interface is the loopback one.
    os.environ.setdefault("MC_TCP_BIND_ADDRESS", "127.0.0.1")
