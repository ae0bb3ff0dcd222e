"""The ``MooncakeStore`` section of the configuration, checked."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from transfer_queue.errors import InvalidArgumentError

__all__ = ["MooncakeSettings", "host_and_port", "quiet_environment"]

_P2P = "P2PHANDSHAKE"


class MooncakeSettings(NamedTuple):
    """What Mooncake's client is set up with; see ``docs/backends/mooncake.md``."""

    metadata_server: str
    master_server_address: str
    local_hostname: str
    protocol: str
    global_segment_size: int
    local_buffer_size: int
    device_name: str
    hard_pin: bool
    use_gdr: bool
    gdr_staging_buffer_mb: int

    @classmethod
    def of(cls, config: Any) -> MooncakeSettings:
        """The settings of a section.

        Raises:
            InvalidArgumentError: one is missing or wrong; the message names it.
        """
        protocol = str(config.get("protocol", "tcp")).lower()
        if protocol not in ("tcp", "rdma"):
            raise InvalidArgumentError(f"protocol is {protocol!r}; it must be tcp or rdma")
        use_gdr = bool(config.get("use_gdr", False))
        if use_gdr and protocol != "rdma":
            raise InvalidArgumentError(f"use_gdr needs protocol rdma, not {protocol}")
        offload = config.get("offload", None)
        offloads = isinstance(offload, Mapping) or hasattr(offload, "get")
        offloads = offloads and bool(offload.get("enabled", False))
        hard_pin = config.get("hard_pin", None)
        master = _text(config, "master_server_address")
        host_and_port("master_server_address", master)
        hostname = str(config.get("local_hostname", "") or "") or _own_host(master)
        if hostname.startswith("127."):
            # A host that has only loopback is refused without it.
            os.environ.setdefault("MC_TCP_BIND_ADDRESS", hostname)
        return cls(
            metadata_server=metadata_url(_text(config, "metadata_server")),
            master_server_address=master,
            local_hostname=hostname,
            protocol=protocol,
            global_segment_size=_bytes(config, "global_segment_size", 4 << 30),
            local_buffer_size=_bytes(config, "local_buffer_size", 1 << 30),
            device_name=str(config.get("device_name", "") or ""),
            # A pinned object could not be moved to the disk.
            hard_pin=not offloads if hard_pin is None else bool(hard_pin),
            use_gdr=use_gdr,
            gdr_staging_buffer_mb=_bytes(config, "gdr_staging_buffer_mb", 1024),
        )


def metadata_url(server: str) -> str:
    """What Mooncake wants for a metadata server, given ``host:port``, a URL or ``P2PHANDSHAKE``."""
    if server.upper() == _P2P:
        return _P2P
    if server.startswith("etcd://"):
        return server
    if "://" not in server:
        host_and_port("metadata_server", server)
        server = f"http://{server}"
    return server if server.rstrip("/").endswith("/metadata") else f"{server.rstrip('/')}/metadata"


def host_and_port(name: str, address: str) -> tuple[str, int]:
    """The parts of ``host:port``.

    Raises:
        InvalidArgumentError: it is something else.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise InvalidArgumentError(f"{name} is {address!r}; it must be host:port")
    return host, int(port)


def quiet_environment() -> None:
    """Keeps Mooncake's log out of the user's, unless he has asked for it."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("MC_LOG_LEVEL", "ERROR")


def _own_host(master: str) -> str:
    """The address of this host under which the others find it: the one that leads to the master."""
    host, port = host_and_port("master_server_address", master)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))  # sends nothing
            own: str = probe.getsockname()[0]
    except OSError:
        return "127.0.0.1"
    return own


def _text(config: Any, name: str) -> str:
    value = config.get(name, None)
    if not isinstance(value, str) or not value:
        raise InvalidArgumentError(f"{name} is {value!r}; MooncakeStore needs one")
    return value


def _bytes(config: Any, name: str, default: int) -> int:
    value = config.get(name, None)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be an integer of 0 or more")
    return value
