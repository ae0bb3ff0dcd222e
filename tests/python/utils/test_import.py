"""What importing the package loads, and what its modules offer without Ray."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

MODULES = {
    "transfer_queue.interface": ["_TQ_CLIENT", "_TQ_STORAGE", "_TQ_CONTROLLER"],
    "transfer_queue.storage": ["StorageUnitData", "StorageKeyNotFoundError"],
    "transfer_queue.storage.simple_storage": [
        "StorageUnitData",
        "StorageKeyNotFoundError",
        "KEY_NOT_FOUND_MARKER",
    ],
    "transfer_queue.utils.zmq_utils": [
        "ZMQServerInfo",
        "format_zmq_address",
        "is_ipv6_address",
        "get_free_port",
        "get_node_ip_address",
        "process_zmq_server_info",
    ],
    "transfer_queue.utils.enum_utils": ["ExplicitEnum", "Role", "ProductionStatus"],
    "transfer_queue.utils.common": [
        "get_placement_group",
        "get_node_round_robin_scheduling_strategies",
        "limit_pytorch_auto_parallel_threads",
        "get_env_bool",
    ],
    "transfer_queue.utils.logging_utils": ["get_logger"],
    "transfer_queue.utils.perf_utils": ["IntervalPerfMonitor"],
}


def loaded_after(source):
    """The modules that a fresh process has loaded after running ``source``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{source}\nimport sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def assert_light(modules):
    packages = {name.partition(".")[0] for name in modules}
    assert not packages & {"ray", "grpc", "mooncake", "yr", "omegaconf", "prometheus_client"}
    assert "transfer_queue._ray.controller" not in modules
    assert "transfer_queue._ray.system" not in modules


def test_importing_the_package_loads_neither_ray_nor_what_serves():
    assert_light(loaded_after("import transfer_queue"))


def test_the_modules_of_actors_and_utilities_load_without_ray():
    paths = [*MODULES, "transfer_queue.controller"]
    assert_light(loaded_after(f"import {', '.join(paths)}"))


@pytest.mark.parametrize("path", MODULES)
def test_names_that_other_programs_import(path):
    module = import_module(path)
    for name in MODULES[path]:
        assert hasattr(module, name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("transfer_queue.controller", "TransferQueueController"),
        ("transfer_queue.storage", "SimpleStorageUnit"),
        ("transfer_queue.storage.simple_storage", "SimpleStorageUnit"),
    ],
)
def test_classes_of_actors_are_there_once_they_are_asked_for(path, name):
    module = import_module(path)
    actor = getattr(module, name)
    assert actor is getattr(module, name)
    assert callable(actor.options)
    assert callable(actor.remote)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense


def test_without_ray_an_actors_class_says_what_to_install():
    source = """
import sys
sys.modules["ray"] = None
from transfer_queue import controller
try:
    controller.TransferQueueController
except ImportError as error:
    print(error.__notes__)
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert "transferqueue-rs[ray]" in done.stdout
