"""How a process serves its engine, and how others reach it: what the core offers of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from transfer_queue import _core
from transfer_queue._settings import keys_of_environment, threads
from transfer_queue.utils.zmq_utils import ZMQServerInfo, format_zmq_address

__all__ = ["Listen", "addresses_of", "connect", "ports_of", "serve", "start_unit"]

#: Names of the ports under which an engine's addresses stand in a ZMQServerInfo.
SOCKET, TCP = "socket", "tcp"


class Listen(NamedTuple):
    """Where to serve processes of other machines, and what they have to know."""

    host: str
    """The address to bind; the port is chosen by the system."""
    secret: bytes


def serve(
    core: _core.Engine,
    directory: Path,
    about: bytes,
    hosted_sampler: Callable[..., list[int] | None] | None,
    listen: Listen | None,
) -> tuple[str, ...]:
    """Lets other processes join; the addresses by which they do."""
    if listen is None:
        return tuple(core.serve(str(directory), about, hosted_sampler))
    return tuple(
        core.serve(
            str(directory),
            about,
            hosted_sampler,
            bind=_any_port(listen.host),
            secret=listen.secret,
        )
    )


def _any_port(host: str) -> str:
    """``host:port`` for a port that the system chooses."""
    return format_zmq_address(host, 0).removeprefix("tcp://")


def ports_of(addresses: tuple[str, ...]) -> dict[str, Any]:
    """Addresses as the ports of a ZMQServerInfo: the Unix socket's directory, the TCP port."""
    ports: dict[str, Any] = {}
    for address in addresses:
        if address.startswith("tcp:"):
            ports[TCP] = int(address.rpartition(":")[2])
        else:
            ports[SOCKET] = address
    return ports


def addresses_of(info: ZMQServerInfo) -> list[str]:
    """The addresses of an engine that may be reached from here, the best first."""
    found = []
    socket = info.ports.get(SOCKET)
    # The name of the directory is drawn by chance, so one that exists here is that of this engine.
    if socket is not None and Path(socket.removeprefix("unix:")).is_dir():
        found.append(socket)
    if TCP in info.ports:
        found.append("tcp:" + info.to_addr(TCP).removeprefix("tcp://"))
    # Nobody answers there any more: connecting says so, and names it.
    return found or ([socket] if socket is not None else [])


def connect(address: str, name: str, deadline: float, secret: bytes | None) -> _core.Engine:
    """The engine at ``address``."""
    keys = keys_of_environment()
    if secret is not None:
        keys["secret"] = secret
    return _core.Engine.connect(address, name, deadline=deadline, threads=threads(), **keys)


def start_unit(
    controller: str, name: str, directory: Path, listen: Listen, **sizes: Any
) -> _core.StorageUnit:
    """Runs a storage unit in this process, for the controller at an address."""
    return _core.StorageUnit.start(
        controller,
        name=name,
        directory=str(directory),
        bind=_any_port(listen.host),
        secret=listen.secret,
        **sizes,
    )
