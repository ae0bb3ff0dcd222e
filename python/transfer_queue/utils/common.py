"""Helpers that programs around the data gateway take from here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import torch

from transfer_queue._controller_settings import deadline_of_environment
from transfer_queue._ray.nodes import affinity, eligible_nodes
from transfer_queue._ray.running import running_ray
from transfer_queue.errors import InvalidArgumentError, PlacementError, UnavailableError

__all__ = [
    "get_env_bool",
    "get_node_round_robin_scheduling_strategies",
    "get_placement_group",
    "limit_pytorch_auto_parallel_threads",
]

logger = logging.getLogger(__name__)


def get_env_bool(key: str, default: bool = False) -> bool:
    """Whether an environment variable says ``true``, ``1``, ``yes``, ``y`` or ``on``, in any case;
    ``default`` where it is not set.
    """
    text = os.environ.get(key)
    return default if text is None else text.strip().lower() in {"true", "1", "yes", "y", "on"}


@contextlib.contextmanager
def limit_pytorch_auto_parallel_threads(
    target_num_threads: int | None = None, info: str = ""
) -> Iterator[None]:
    """Bounds the threads that torch computes with inside a ``with`` statement; afterwards there are
    as many as before.

    Args:
        target_num_threads: the most threads; None: one per processor of this process. More than
            there are processors are not used.
        info: who asks, for the log.

    Raises:
        InvalidArgumentError: a number below 1.
    """
    processors = len(os.sched_getaffinity(0))
    target = processors if target_num_threads is None else target_num_threads
    if target < 1:
        raise InvalidArgumentError(f"target_num_threads is {target}; it must be 1 or more")
    before = torch.get_num_threads()
    logger.debug("%s: %d threads of torch, before %d", info, min(target, processors), before)
    torch.set_num_threads(min(target, processors))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def get_placement_group(num_ray_actors: int, num_cpus_per_actor: int = 1) -> Any:
    """A Ray placement group with a bundle for each actor, spread over the nodes, once it is ready.

    Raises:
        UnavailableError: Ray is not initialised in this process.
        PlacementError: it is not ready within ``TQ_DEADLINE`` seconds (60); it is removed.
    """
    ray = _ray()
    from ray.util.placement_group import placement_group, remove_placement_group

    seconds = deadline_of_environment()
    bundles = [{"CPU": num_cpus_per_actor} for _ in range(num_ray_actors)]
    group = placement_group(bundles, strategy="SPREAD")
    # Unlike `ready`, this starts no process on the nodes.
    if not group.wait(seconds):
        remove_placement_group(group)
        raise PlacementError(
            f"{num_ray_actors} actors of {num_cpus_per_actor} CPU were not placed within "
            f"{seconds} s; {ray.available_resources().get('CPU', 0)} CPU are free"
        )
    return group


def get_node_round_robin_scheduling_strategies(
    num_actors: int, required_node_resource: str | None = None
) -> list[Any]:
    """A scheduling strategy for each actor, which deal them to the nodes in turn, by ascending id.

    Args:
        num_actors: how many.
        required_node_resource: a custom resource that the nodes must have; None: any node.

    Raises:
        UnavailableError: Ray is not initialised in this process.
        PlacementError: no node has the resource.
    """
    nodes = eligible_nodes(_ray(), required_node_resource, 0)
    return [affinity(nodes[number % len(nodes)].id) for number in range(num_actors)]


def _ray() -> Any:
    ray = running_ray()
    if ray is None:
        raise UnavailableError("Ray is not initialised in this process; call ray.init() first")
    return ray
