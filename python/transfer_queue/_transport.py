"""How a process serves its engine, and how others reach it: what the core offers of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from transfer_queue import _core
from transfer_queue._settings import threads
from transfer_queue.errors import UnsupportedValueError
from transfer_queue.utils.zmq_utils import ZMQServerInfo, format_zmq_address

__all__ = ["Listen", "addresses_of", "connect", "has_units", "ports_of", "serve", "start_unit"]

#: Names of the ports under which an engine's addresses stand in a ZMQServerInfo.
SOCKET, TCP = "socket", "tcp"


class Listen(NamedTuple):
    """Where to serve processes of other machines, and what they have to know."""

    host: str
    """The address to bind; the port is chosen by the system."""
    secret: bytes


def has_units() -> bool:
    """Whether the core can run a storage unit in a process of its own, and serve over TCP."""
    return hasattr(_core, "StorageUnit")


def serve(
    core: _core.Engine,
    directory: Path,
    about: bytes,
    hosted_sampler: Callable[..., list[int] | None] | None,
    listen: Listen | None,
) -> tuple[str, ...]:
    """Lets other processes join; the addresses by which they do."""
    if listen is None or not has_units():
        return (core.serve(str(directory), about, hosted_sampler),)
    keywords: dict[str, Any] = {
        "bind": format_zmq_address(listen.host, 0).removeprefix("tcp://"),
        "secret": listen.secret,
    }
    answer: Any = core.serve(str(directory), about, hosted_sampler, **keywords)
    return (answer,) if isinstance(answer, str) else tuple(answer)


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
    if TCP in info.ports and has_units():
        found.append("tcp:" + info.to_addr(TCP).removeprefix("tcp://"))
    # Nobody answers there any more: connecting says so, and names it.
    return found or ([socket] if socket is not None else [])


def connect(address: str, name: str, deadline: float, secret: bytes | None) -> _core.Engine:
    """The engine at ``address``."""
    keywords: dict[str, Any] = {} if secret is None else {"secret": secret}
    return _core.Engine.connect(address, name, deadline=deadline, threads=threads(), **keywords)


def start_unit(
    controller: str, directory: Path, listen: Listen, **sizes: int | None
) -> tuple[Any, tuple[str, ...]]:
    """Runs a storage unit in this process, for the controller at an address.

    Raises:
        UnsupportedValueError: the core has no storage units of their own.
    """
    if not has_units():
        raise UnsupportedValueError(
            "a storage unit in a process of its own is not available in this version; the engine "
            "is the only one"
        )
    kind: Any = _core.__dict__["StorageUnit"]
    unit = kind.start(
        controller,
        directory=str(directory),
        bind=format_zmq_address(listen.host, 0).removeprefix("tcp://"),
        secret=listen.secret,
        **sizes,
    )
    return unit, tuple(unit.addresses)
