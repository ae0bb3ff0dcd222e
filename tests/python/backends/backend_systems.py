"""The storage backends that the conformance suite runs on: how each is started, and what it can do.

A system is started in the process that runs the cases, on loopback and ports that are free, and is
ended with it.
"""

import contextlib
import importlib.util
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"

#: What a backend can do beyond put, get and clear. A case names what it needs.
EVICTS = "kv_evict clears its payload"
ATOMIC = "a put that fails leaves no key behind, and clears payload with its rows"
GUESTS = "other processes of the host read and write"
FORKS = "a forked child reads and writes; elsewhere it is told that it cannot"
OUTLIVES = "what a process has put stays when it ends"


@dataclass
class Backend:
    """One backend."""

    name: str
    #: Starts what it needs; a context that gives the configuration for ``tq.init``.
    system: object
    capabilities: frozenset = frozenset({EVICTS, ATOMIC, GUESTS, OUTLIVES})
    #: Called first in every process that uses it, with the configuration.
    prepare: object = field(default=lambda config: None)


@contextlib.contextmanager
def _embedded():
    yield {}


@contextlib.contextmanager
def _mooncake():
    from omegaconf import OmegaConf

    from transfer_queue.storage.bootstrap.mooncake_bootstrap import start_mooncake

    section = {
        "auto_init": True,
        "metadata_server": "P2PHANDSHAKE",
        "master_server_address": "127.0.0.1:0",
        "local_hostname": "127.0.0.1",
        "global_segment_size": 256 << 20,
        "local_buffer_size": 1 << 20,
    }
    conf = OmegaConf.create({"backend": {"MooncakeStore": section}})
    resources = start_mooncake(conf)
    try:
        section = {**OmegaConf.to_container(conf.backend.MooncakeStore), "auto_init": False}
        yield {"storage_backend": "MooncakeStore", "MooncakeStore": section}
    finally:
        resources.end()


@contextlib.contextmanager
def _yuanrong():
    from omegaconf import OmegaConf

    from transfer_queue.storage.bootstrap.yuanrong_bootstrap import start_yuanrong

    section = {
        "auto_init": True,
        "worker_port": 0,
        "metastore_port": 0,
        "worker_args": "--shared_memory_size_mb 512",
        "ucx_env_vars": {},
    }
    conf = OmegaConf.create({"backend": {"Yuanrong": section}})
    resources = start_yuanrong(conf)
    try:
        section = {**OmegaConf.to_container(conf.backend.Yuanrong), "auto_init": False}
        yield {"storage_backend": "Yuanrong", "Yuanrong": section}
    finally:
        resources.end()


@contextlib.contextmanager
def _ray():
    import ray

    context = ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=256 << 20,
        log_to_driver=False,
        logging_level="ERROR",
    )
    os.environ["RAY_ADDRESS"] = context.address_info["address"]
    try:
        yield {"storage_backend": "RayStore", "RayStore": {}}
    finally:
        ray.shutdown()


def _join_ray(config):
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="ERROR")


@contextlib.contextmanager
def _directory():
    with tempfile.TemporaryDirectory() as path:
        yield {"storage_backend": "Directory", "Directory": {"path": path}}


def _register_directory(config):
    source = EXAMPLES / "directory_backend.py"
    spec = importlib.util.spec_from_file_location("directory_backend", source)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("embedded", _embedded, frozenset({EVICTS, ATOMIC, GUESTS, OUTLIVES, FORKS})),
        Backend("mooncake", _mooncake, frozenset({EVICTS, ATOMIC, GUESTS})),
        Backend("yuanrong", _yuanrong),
        Backend("ray", _ray, frozenset({EVICTS, ATOMIC, GUESTS}), _join_ray),
        Backend("directory", _directory, frozenset({GUESTS, OUTLIVES, FORKS}), _register_directory),
    )
}
