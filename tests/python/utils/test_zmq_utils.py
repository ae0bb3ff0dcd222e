"""Addresses, and what is asked of Ray where there is none."""

import socket

import pytest

from transfer_queue.errors import UnavailableError
from transfer_queue.utils.common import get_node_round_robin_scheduling_strategies
from transfer_queue.utils.zmq_utils import (
    ZMQServerInfo,
    format_zmq_address,
    get_free_port,
    get_node_ip_address,
    is_ipv6_address,
    process_zmq_server_info,
)


@pytest.mark.parametrize(
    ("ip", "is_ipv6", "written"),
    [
        ("10.0.0.1", False, "tcp://10.0.0.1:7"),
        ("::1", True, "tcp://[::1]:7"),
        ("[fe80::1]", True, "tcp://[fe80::1]:7"),
        ("host.example", False, "tcp://host.example:7"),
    ],
)
def test_addresses_are_written_with_brackets_where_needed(ip, is_ipv6, written):
    assert is_ipv6_address(ip) is is_ipv6
    assert format_zmq_address(ip, 7) == written
    assert ZMQServerInfo("r", "i", ip, {"p": 7}).to_addr("p") == written


def test_a_free_port_can_be_bound():
    port = get_free_port("127.0.0.1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_a_strangers_address_has_no_free_ports():
    with pytest.raises(OSError, match="assign"):
        get_free_port("192.0.2.77")


def test_the_address_of_the_machine_has_no_brackets():
    address = get_node_ip_address()
    assert address
    assert not set("[]") & set(address)


@pytest.mark.parametrize(
    "call",
    [
        lambda: process_zmq_server_info({}),
        lambda: get_node_round_robin_scheduling_strategies(1),
    ],
)
def test_where_ray_is_not_running_its_helpers_say_so(call):
    with pytest.raises(UnavailableError, match=r"ray\.init"):
        call()
