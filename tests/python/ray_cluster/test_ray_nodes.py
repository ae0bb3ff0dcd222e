"""Which nodes actors go to."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import torch
from ray.cluster_utils import Cluster
from ray_workers import SECONDS, Worker, partitions
from tensordict import TensorDict

import transfer_queue
from transfer_queue._ray.nodes import eligible_nodes, spread
from transfer_queue.errors import PlacementError
from transfer_queue.utils.common import (
    get_node_round_robin_scheduling_strategies,
    get_placement_group,
)


def fake_ray(*nodes):
    """A Ray with nodes of an id, whether they are alive, and resources."""
    described = [
        {"NodeID": name, "Alive": alive, "NodeManagerAddress": f"ip-{name}", "Resources": resources}
        for name, alive, resources in nodes
    ]
    return SimpleNamespace(nodes=lambda: described)


NODES = fake_ray(
    ("c", True, {"CPU": 4.0, "nvme": 1.0, "memory": 1e9, "node:ip-c": 1.0}),
    ("a", True, {"CPU": 1.0}),
    ("d", False, {"CPU": 64.0, "nvme": 1.0}),
    ("b", True, {"CPU": 8.0, "nvme": 2.0}),
)


@pytest.mark.parametrize(
    ("resource", "cpus", "found"),
    [(None, 0, "abc"), ("nvme", 0, "bc"), (None, 2, "bc"), ("nvme", 8, "b")],
)
def test_nodes_are_alive_have_what_is_asked_for_and_come_in_the_order_of_their_ids(
    resource, cpus, found
):
    assert "".join(node.id for node in eligible_nodes(NODES, resource, cpus)) == found


@pytest.mark.parametrize(("resource", "cpus"), [("gpu_x", 0), (None, 9), ("nvme", 9)])
def test_what_no_node_has_is_named_with_what_they_have(resource, cpus):
    with pytest.raises(PlacementError) as caught:
        eligible_nodes(NODES, resource, cpus)
    text = str(caught.value)
    assert (f"{cpus} CPU" if cpus else repr(resource)) in text
    assert "ip-c {'CPU': 4.0, 'nvme': 1.0}" in text
    assert "ip-d" not in text


@pytest.mark.parametrize(
    ("first", "count", "placed"),
    [("b", 2, "bc"), ("c", 2, "ca"), ("c", 9, "cab"), ("of another", 1, "a"), ("b", 1, "b")],
)
def test_units_begin_at_the_first_node_and_take_each_once(first, count, placed):
    nodes = eligible_nodes(NODES, None, 0)
    assert "".join(node.id for node in spread(nodes, first, count)) == placed


@pytest.fixture(scope="module")
def two_nodes():
    """Two nodes of a Ray on this machine; the second has a resource of its own."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        small = {"num_cpus": 1, "object_store_memory": 100 << 20}
        cluster = Cluster(
            initialize_head=True, head_node_args={**small, "include_dashboard": False}
        )
        second = cluster.add_node(**small, resources={"of_the_second": 1})
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        yield second
        transfer_queue.close()
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def tq(two_nodes):
    """The package, and no engine before or after."""
    transfer_queue.close()
    yield transfer_queue
    transfer_queue.close()


def node_of_the_actor():
    return ray.get(transfer_queue.interface._TQ_CONTROLLER.ping.remote())["node"]


def test_the_actor_is_on_the_node_of_the_process_that_starts_it(tq):
    tq.init()
    assert node_of_the_actor() == ray.get_runtime_context().get_node_id()


def test_the_actor_is_on_a_node_with_the_required_resource(tq, two_nodes):
    conf = tq.init({"backend": {"SimpleStorage": {"required_node_resource": "of_the_second"}}})
    assert node_of_the_actor() == two_nodes.node_id
    assert conf.backend.SimpleStorage.required_node_resource == "of_the_second"
    tq.kv_put("a", "p", tag={"n": 1})
    worker = Worker.options(resources={"of_the_second": 0.5}).remote()
    assert ray.get(worker.call.remote(partitions), timeout=SECONDS) == {"p": {"a": {"n": 1}}}


def test_a_further_node_gets_a_storage_unit_of_its_own_that_ends_with_the_rest(tq):
    conf = tq.init({"backend": {"SimpleStorage": {"num_data_storage_units": 2}}})
    first, second = tq.get_client().get_storage_units()
    assert (first["id"], second["id"]) == (0, 1)
    assert not second["is_lost"]
    infos = conf.backend.SimpleStorage.zmq_info
    assert list(infos) == ["TransferQueueStorageUnit#0", "TransferQueueStorageUnit#1"]
    actor = ray.get_actor("TransferQueueStorageUnit#1", namespace="transfer_queue")
    told = ray.get(actor.get_zmq_server_info.remote(), timeout=SECONDS)
    assert told == infos["TransferQueueStorageUnit#1"]
    assert f"tcp:{told.ip}:{told.ports['tcp']}" in second["addresses"]
    directory = Path(told.ports["socket"].removeprefix("unix:"))
    assert directory.is_dir()
    data = TensorDict({"x": torch.arange(4 * 50_000).view(4, 50_000)}, batch_size=4)
    tq.kv_batch_put(keys=["a", "b", "c", "d"], partition_id="p", fields=data)
    read = tq.kv_batch_get(keys=["d", "a"], partition_id="p")["x"]
    assert torch.equal(torch.stack(read.unbind()), data["x"][[3, 0]])
    tq.close()
    assert not directory.exists()


def test_actors_are_dealt_to_the_nodes_in_turn(two_nodes):
    ids = sorted(node["NodeID"] for node in ray.nodes() if node["Alive"])
    dealt = get_node_round_robin_scheduling_strategies(3)
    assert [strategy.node_id for strategy in dealt] == [ids[0], ids[1], ids[0]]
    assert not any(strategy.soft for strategy in dealt)
    only = get_node_round_robin_scheduling_strategies(2, "of_the_second")
    assert [strategy.node_id for strategy in only] == [two_nodes.node_id] * 2
    with pytest.raises(ValueError, match="of_nobody"):
        get_node_round_robin_scheduling_strategies(1, "of_nobody")


def test_a_placement_group_is_ready_or_an_error_in_time(two_nodes, monkeypatch):
    group = get_placement_group(2)
    assert [bundle["CPU"] for bundle in group.bundle_specs] == [1, 1]
    ray.util.remove_placement_group(group)
    monkeypatch.setenv("TQ_DEADLINE", "1")
    with pytest.raises(PlacementError, match=r"5 actors of 1 CPU were not placed within 1\.0 s"):
        get_placement_group(5)
