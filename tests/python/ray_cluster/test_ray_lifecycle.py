"""Starting, attaching and ending in a Ray cluster."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import ray
from omegaconf import DictConfig, OmegaConf
from ray_workers import NAME, NAMESPACE, SECONDS, Highest, Worker, partitions
from tensordict import TensorDict

from transfer_queue import controller, interface
from transfer_queue.errors import ClosedError, UnavailableError
from transfer_queue.sampler import GRPOGroupNSampler
from transfer_queue.utils.zmq_utils import ZMQServerInfo, process_zmq_server_info


def handle():
    return ray.get_actor(NAME, namespace=NAMESPACE)


def engine_id(tq):
    return tq.get_client().engine.info.id


def test_init_starts_a_named_actor_and_returns_where_it_is(tq):
    conf = tq.init({"backend": {"SimpleStorage": {"num_data_storage_units": 3}}})
    assert isinstance(conf, DictConfig)
    assert not tq.get_client().engine.is_here
    info = conf.controller.zmq_info
    assert process_zmq_server_info(handle()) == info
    assert process_zmq_server_info({"a": handle()}) == {"a": info}
    units = dict(conf.backend.SimpleStorage.zmq_info)
    assert list(units) == ["TransferQueueStorageUnit#0"]
    assert all(isinstance(unit, ZMQServerInfo) for unit in units.values())
    stored = ray.get(handle().get_config.remote())
    assert stored.controller.zmq_info == info
    assert dict(stored.backend.SimpleStorage.zmq_info) == units
    assert interface._TQ_CONTROLLER is not None
    assert interface._TQ_STORAGE == {"SimpleStorage": {}}
    assert ray.get(handle().ping.remote())["id"] == info.id
    assert ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"]


def test_actors_attach_and_their_close_leaves_the_system_alone(tq):
    tq.init()
    worker = Worker.remote()
    assert ray.get(worker.init.remote()) == engine_id(tq)
    tq.kv_put("a", "p", tag={"n": 1})
    ray.get(worker.close.remote())
    assert tq.kv_list() == ray.get(worker.call.remote(partitions)) == {"p": {"a": {"n": 1}}}


def test_an_actor_that_has_called_nothing_attaches_with_its_first_call(tq):
    worker = Worker.remote()
    with pytest.raises(AssertionError, match="has not been initialized"):
        ray.get(worker.call.remote(partitions))
    tq.init()
    tq.kv_put("a", "p", tag={})
    assert ray.get(worker.call.remote(partitions)) == {"p": {"a": {}}}
    assert ray.get(ray.remote(num_cpus=0)(partitions).remote()) == {"p": {"a": {}}}


def test_init_with_another_configuration_attaches(tq):
    tq.init({"controller": {"polling_mode": True}})
    worker = Worker.remote()
    other = {"controller": {"polling_mode": False, "sampler": "nonsense"}}
    assert ray.get(worker.init.remote(other)) == engine_id(tq)


def test_the_owners_close_ends_the_actors_and_the_next_init_starts_new_ones(tq):
    tq.init()
    first = engine_id(tq)
    tq.kv_put("a", "p", tag={})
    directory = Path(tq.get_client().engine.address.removeprefix("unix:"))
    assert directory.is_dir()
    tq.close()
    assert not directory.exists()
    assert interface._TQ_CONTROLLER is interface._TQ_STORAGE is interface._TQ_CLIENT is None
    with pytest.raises(AssertionError, match="has not been initialized"):
        tq.kv_list()
    tq.init()
    assert engine_id(tq) != first
    assert tq.kv_list() == {}


def test_of_processes_that_start_at_once_one_starts_the_system(tq):
    workers = [Worker.remote() for _ in range(4)]
    ray.get([worker.call.remote(os.getpid) for worker in workers])
    racing = [worker.init.remote() for worker in workers]
    tq.init()
    assert {engine_id(tq), *ray.get(racing, timeout=SECONDS)} == {engine_id(tq)}


@pytest.mark.parametrize("sampler", [GRPOGroupNSampler(2), Highest(7)], ids=["built-in", "own"])
def test_a_sampler_object_travels_in_the_configuration(tq, sampler):
    conf = OmegaConf.create({"controller": {"sampler": sampler}}, flags={"allow_objects": True})
    assert tq.init(conf).controller.sampler is sampler
    worker = Worker.remote()
    assert ray.get(worker.call.remote(sampler_of_the_engine)) == type(sampler).__name__
    stored = ray.get(handle().get_config.remote()).controller.sampler
    assert type(stored) is type(sampler)
    assert vars(stored).keys() == vars(sampler).keys()
    client = tq.get_client()
    rows = TensorDict({"x": list(range(6))}, batch_size=6)
    indexes = client.put(rows, partition_id="p").global_indexes
    meta = client.get_meta(["x"], 4, "p", task_name="t", timeout=SECONDS)
    wanted = indexes[:4] if isinstance(sampler, GRPOGroupNSampler) else indexes[:1:-1]
    assert meta.global_indexes == wanted


def sampler_of_the_engine():
    import transfer_queue as tq

    return tq.init().controller.sampler


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"controller": {"sampler": "Nonsense"}}, ValueError),
        ({"controller": {"sampler": 7}}, TypeError),
        ({"controller": {"num_cpus": -1}}, ValueError),
        ({"controller": {"deadline": 0}}, ValueError),
        ({"backend": {"SimpleStorage": {"num_data_storage_units": 0}}}, ValueError),
        ({"backend": {"SimpleStorage": {"segment_bytes": -1}}}, ValueError),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(tq, wrong, error):
    with pytest.raises(error):
        tq.init(wrong)
    with pytest.raises(ValueError, match=NAME):
        handle()


def test_options_of_the_actor_can_be_replaced(tq, monkeypatch):
    original = controller.TransferQueueController.options

    def options(*arguments, **settings):
        settings["runtime_env"] = {"env_vars": {"OF_THE_TEST": "found"}}
        return original(*arguments, **settings)

    monkeypatch.setattr(controller.TransferQueueController, "options", options)
    tq.init()
    process = ray.get(handle().ping.remote())["pid"]
    assert b"OF_THE_TEST=found" in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")


def test_the_settings_of_the_environment_reach_the_actor(tq, monkeypatch):
    monkeypatch.setenv("TQ_CONTROLLER_GET_METADATA_TIMEOUT", "0.25")
    tq.init()
    assert tq.get_client().engine.settings.get_meta_timeout == 0.25


def test_an_actor_that_is_made_by_hand_runs_an_engine(tq):
    actor = controller.TransferQueueController.remote(polling_mode=True)
    info = process_zmq_server_info(actor)
    client = tq.TransferQueueClient("c", info)
    client.initialize_storage_manager("SimpleStorage")
    assert client.get_partition_list() == []
    assert client.get_meta(["x"], 1, "p", task_name="t").size == 0
    assert ray.get(actor.get_config.remote()) is None
    ray.get(actor.shutdown.remote())
    with pytest.raises((UnavailableError, ClosedError)):
        client.get_partition_list()


def test_an_engine_of_ones_own_can_be_had(tq):
    tq.init()
    worker = Worker.remote()
    assert ray.get(worker.call.remote(embedded)) == (True, {})
    assert ray.get(worker.init.remote()) == engine_id(tq)


def embedded():
    import transfer_queue as tq

    tq.init(address="embedded")
    found = tq.get_client().engine.is_here, tq.kv_list()
    tq.close()
    return found


def test_workers_of_a_ray_that_is_started_later_find_the_engine_of_the_driver():
    source = """
        import logging, ray, sys
        import transfer_queue as tq
        tq.init()
        tq.kv_put("a", "p", tag={"n": 1})
        ray.init(num_cpus=1, include_dashboard=False, object_store_memory=200 << 20,
                 logging_level=logging.ERROR, log_to_driver=False)
        print(ray.get(ray.remote(lambda: tq.kv_list()).remote()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "{'p': {'a': {'n': 1}}}"
