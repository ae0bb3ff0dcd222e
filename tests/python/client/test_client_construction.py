"""Clients are made of a controller's address."""

import asyncio
import inspect
import pickle

import pytest
from client_builders import batch, everything, rows_of
from omegaconf import OmegaConf

import transfer_queue
from transfer_queue import AsyncTransferQueueClient, TransferQueueClient
from transfer_queue.errors import ClosedError, UnavailableError, UnsupportedValueError
from transfer_queue.utils.zmq_utils import ZMQServerInfo

OPERATIONS = [
    "get_meta",
    "set_custom_meta",
    "put",
    "get_data",
    "clear_partition",
    "clear_samples",
    "get_consumption_status",
    "get_production_status",
    "check_consumption_status",
    "check_production_status",
    "reset_consumption",
    "get_partition_list",
    "kv_retrieve_meta",
    "kv_retrieve_keys",
    "kv_list",
]
both = pytest.mark.parametrize("kind", [AsyncTransferQueueClient, TransferQueueClient])


@pytest.fixture
def info():
    transfer_queue.close()
    yield transfer_queue.init().controller.zmq_info
    transfer_queue.close()


def test_init_fills_in_the_address_of_the_controller(info):
    assert isinstance(info, ZMQServerInfo)
    assert info is transfer_queue.get_client()._controller


@both
def test_a_client_of_the_same_process_shares_the_engine(info, kind):
    other = kind("other", info)
    other.initialize_storage_manager("SimpleStorage", {})
    assert other.client_id == "other"
    asyncio.run(other.async_put(batch(2), partition_id="p"))
    client = transfer_queue.get_client()
    assert rows_of(client.get_data(everything(client))) == [[0, 1], [2, 3]]


@both
def test_no_controller_info_is_a_value_error(kind):
    with pytest.raises(ValueError, match="controller_info"):
        kind("c", None)


@both
@pytest.mark.parametrize("wrong", ["x", {"id": "x"}, 7])
def test_a_controller_info_of_another_type_is_a_type_error(kind, wrong):
    with pytest.raises(TypeError, match="ZMQServerInfo"):
        kind("c", wrong)


@both
@pytest.mark.parametrize("name", ["zmq_io_threads", "zmq_max_sockets"])
def test_numbers_of_sockets_and_threads_are_positive(info, kind, name):
    kind("c", info, **{name: 1})
    with pytest.raises(ValueError, match=name):
        kind("c", info, **{name: 0})


@pytest.mark.parametrize("name", ["TQ_SOCKET_POOL_SIZE", "TQ_CLIENT_ZMQ_MAX_SOCKETS"])
@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_the_environment_is_checked_and_named(info, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        TransferQueueClient("c", info)


def test_an_engine_that_cannot_be_joined_is_refused_clearly():
    elsewhere = ZMQServerInfo("TransferQueueController", "TQ_CONTROLLER_x", "10.0.0.1", {})
    with pytest.raises(UnsupportedValueError, match=r"cannot be joined from another"):
        TransferQueueClient("c", elsewhere)


def test_an_engine_that_ended_is_refused(info):
    client = TransferQueueClient("c", info)
    transfer_queue.close()
    with pytest.raises(UnavailableError, match=info.ports["socket"]):
        TransferQueueClient("c", info)
    with pytest.raises(ClosedError):
        client.get_partition_list()


@pytest.mark.parametrize("name", ["SimpleStorage", "simplestorage", "AsyncSimpleStorageManager"])
def test_the_embedded_storage_needs_nothing(info, name):
    TransferQueueClient("c", info).initialize_storage_manager(name, {})


@pytest.mark.parametrize("name", ["Nothing", "", None])
def test_storages_that_nobody_registered_are_refused(info, name):
    with pytest.raises(AssertionError, match=r"registered are .*MooncakeStore.*SimpleStorage"):
        TransferQueueClient("c", info).initialize_storage_manager(name, {})


def test_payload_needs_a_storage_manager(info):
    client = TransferQueueClient("c", info)
    meta = transfer_queue.get_client().put(batch(1), partition_id="p")
    calls = [
        lambda: client.put(batch(1), partition_id="p"),
        lambda: client.get_data(meta),
        lambda: client.clear_samples(meta),
        lambda: client.clear_partition("p"),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="Storage manager not initialized"):
            call()
    assert client.get_partition_list() == ["p"]


@both
def test_closing_a_client_leaves_the_engine_alone(info, kind):
    kind("c", info).close()
    client = kind("d", info)
    client.close()
    client.close()
    assert transfer_queue.get_client().get_partition_list() == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_comes_in_both_forms(name):
    waiting = getattr(AsyncTransferQueueClient, f"async_{name}")
    plain = getattr(TransferQueueClient, name)
    assert getattr(TransferQueueClient, f"async_{name}") is waiting
    assert not hasattr(AsyncTransferQueueClient, name)
    assert inspect.iscoroutinefunction(waiting)
    assert inspect.signature(plain) == inspect.signature(waiting)
    assert plain.__name__ == name
    assert plain.__doc__


def test_the_address_of_a_server():
    server = ZMQServerInfo("R", "id", "1.2.3.4", {"request": 7})
    assert (server.role, server.id, server.ip, server.ports) == (
        "R",
        "id",
        "1.2.3.4",
        {"request": 7},
    )
    assert server.to_addr("request") == "tcp://1.2.3.4:7"
    assert server.to_dict() == {"role": "R", "id": "id", "ip": "1.2.3.4", "ports": {"request": 7}}
    assert str(server) == "ZMQSocketInfo(role=R, id=id, ip=1.2.3.4, ports={'request': 7})"
    with pytest.raises(KeyError, match="request"):
        server.to_addr("none")


@pytest.mark.parametrize("ip", ["fe80::1", "[fe80::1]"])
def test_an_address_of_ipv6_is_put_in_brackets(ip):
    assert ZMQServerInfo("R", "id", ip, {"a": 7}).to_addr("a") == "tcp://[fe80::1]:7"


def test_an_address_travels_in_pickles_and_configurations():
    server = ZMQServerInfo("R", "id", "1.2.3.4", {"request": 7})
    assert pickle.loads(pickle.dumps(server)) == server
    conf = OmegaConf.create({"at": None}, flags={"allow_objects": True})
    conf.at = server
    assert conf.at is server
    assert pickle.loads(pickle.dumps(conf)).at == server
