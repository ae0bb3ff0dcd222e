"""Finding the openYuanrong worker of this host."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

__all__ = [
    "check_port_connectivity",
    "cleanup_yuanrong_resources",
    "find_reachable_host",
    "get_local_ip_addresses",
    "kill_actors_and_placement_group",
]


def get_local_ip_addresses() -> list[str]:
    """IPv4 addresses of this host, loopback first."""
    found = ["127.0.0.1"]
    with contextlib.suppress(OSError):
        infos = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        found.extend(str(info[4][0]) for info in infos)
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        found.append(probe.getsockname()[0])
    return list(dict.fromkeys(found))


def check_port_connectivity(host: str, port: int, timeout: float = 2.0) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout):
        return True
    return False


def find_reachable_host(port: int, timeout: float = 1.0) -> str | None:
    """The first address of this host on which somebody listens on ``port``; None for none."""
    for host in get_local_ip_addresses():
        if check_port_connectivity(host, port, timeout):
            return host
    return None


def kill_actors_and_placement_group(actors: list[Any], placement_group: Any = None) -> None:
    """Ends Ray actors and the placement group they ran in; what is gone already is no error."""
    import ray
    from ray.util import remove_placement_group

    for actor in actors:
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            ray.kill(actor)
    if placement_group is not None:
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            remove_placement_group(placement_group)


def cleanup_yuanrong_resources(resources: Any) -> None:
    """Ends what the bootstrap provider has started."""
    if resources is not None:
        resources.end()
