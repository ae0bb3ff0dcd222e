"""Where a server of the data gateway is reached. The module is called so because 0.1.11 has these
names here; there is no ZeroMQ.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

from transfer_queue._ray.running import running_ray
from transfer_queue.errors import UnavailableError

__all__ = [
    "ZMQServerInfo",
    "format_zmq_address",
    "get_free_port",
    "get_node_ip_address",
    "is_ipv6_address",
    "process_zmq_server_info",
]


class ZMQServerInfo:
    """Address of a controller or storage unit. Pickles, and may stand in an OmegaConf config.

    Attributes:
        role: what the server is, such as ``TransferQueueController``.
        id: its name, which no other server has.
        ip: host address, IPv4 or IPv6 without brackets.
        ports: number of each port by name; under ``socket`` the address for processes of the same
            host. Empty for an engine that nobody can join.
    """

    # No dataclass: OmegaConf would take it apart into a config of its own.
    def __init__(self, role: str, id: str, ip: str, ports: dict[str, Any]) -> None:  # noqa: A002
        self.role = role
        self.id = id
        self.ip = ip
        self.ports = ports

    def to_addr(self, port_name: str) -> str:
        """``tcp://ip:port`` of the named port; an IPv6 address is put in brackets.

        Raises:
            KeyError: the server has no such port.
        """
        try:
            port = self.ports[port_name]
        except KeyError:
            raise KeyError(
                f"server {self.id} has no port {port_name!r}; it has {sorted(self.ports)}"
            ) from None
        return format_zmq_address(self.ip, port)

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return {"role": self.role, "id": self.id, "ip": self.ip, "ports": dict(self.ports)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZMQServerInfo) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return f"ZMQSocketInfo(role={self.role}, id={self.id}, ip={self.ip}, ports={self.ports})"

    __repr__ = __str__


def is_ipv6_address(ip: str) -> bool:
    """Whether ``ip`` is an IPv6 address, with or without brackets."""
    try:
        return ipaddress.ip_address(ip.strip("[]")).version == 6
    except ValueError:
        return False


def format_zmq_address(ip: str, port: int) -> str:
    """``tcp://ip:port``; an IPv6 address is put in brackets."""
    host = f"[{ip.strip('[]')}]" if ":" in ip else ip
    return f"tcp://{host}:{port}"


def get_free_port(ip: str) -> int:
    """A port that was free a moment ago at an address of this machine. Who binds it may come too
    late: binding port 0 is safer.

    Raises:
        OSError: ``ip`` is no address of this machine.
    """
    family = socket.AF_INET6 if is_ipv6_address(ip) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((ip.strip("[]"), 0))
        port: int = probe.getsockname()[1]
    return port


def get_node_ip_address() -> str:
    """The address of this machine: Ray's where Ray is running, else that of the interface that
    leads outside; ``127.0.0.1`` where there is none. IPv6 without brackets.
    """
    ray = running_ray()
    if ray is not None:
        address: str = ray.util.get_node_ip_address()
        return address.strip("[]")
    # Nothing is sent: connecting a datagram socket only asks for the route.
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return "127.0.0.1"


def process_zmq_server_info(
    handlers: Any,
) -> ZMQServerInfo | dict[Any, ZMQServerInfo]:
    """Where servers that run as Ray actors are reached.

    Args:
        handlers: the handle of one actor that has ``get_zmq_server_info``, or a dict of them.

    Returns:
        The info of the one, or a dict of infos under the same names.

    Raises:
        UnavailableError: Ray is not initialised in this process.
    """
    ray = running_ray()
    if ray is None:
        raise UnavailableError(
            "process_zmq_server_info asks Ray actors, and Ray is not initialised in this process; "
            "call ray.init() first"
        )
    if not isinstance(handlers, Mapping):
        info: ZMQServerInfo = ray.get(handlers.get_zmq_server_info.remote())
        return info
    infos = ray.get([handle.get_zmq_server_info.remote() for handle in handlers.values()])
    return dict(zip(handlers, infos, strict=True))
