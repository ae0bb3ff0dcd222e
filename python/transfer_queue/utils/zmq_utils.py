"""Where a server of the data gateway is reached."""

from __future__ import annotations

from typing import Any

__all__ = ["ZMQServerInfo"]


class ZMQServerInfo:
    """Address of a controller or storage unit. Pickles, and may stand in an OmegaConf config.

    Attributes:
        role: what the server is, such as ``TransferQueueController``.
        id: its name, which no other server has.
        ip: host address, IPv4 or IPv6 without brackets.
        ports: number of each port by name; empty for an engine embedded in a process.
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
        host = f"[{self.ip.strip('[]')}]" if ":" in self.ip else self.ip
        return f"tcp://{host}:{port}"

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
