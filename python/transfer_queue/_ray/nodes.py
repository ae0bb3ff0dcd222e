"""Where actors go: the nodes of a Ray cluster, and whether they have what is asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

from transfer_queue.errors import PlacementError

__all__ = ["Node", "affinity", "eligible_nodes", "spread"]


class Node(NamedTuple):
    """A node that is alive."""

    id: str
    ip: str
    resources: dict[str, float]


def eligible_nodes(ray: Any, resource: str | None, cpus: float) -> list[Node]:
    """The nodes that are alive and have a custom resource and enough CPUs, by ascending id.

    Args:
        ray: the module.
        resource: a custom resource; None: any node will do.
        cpus: CPUs that an actor reserves.

    Raises:
        PlacementError: there are none.
    """
    alive = [
        Node(node["NodeID"], node["NodeManagerAddress"], node.get("Resources") or {})
        for node in ray.nodes()
        if node["Alive"]
    ]
    alive.sort(key=lambda node: node.id)
    found = alive
    if resource is not None:
        found = [node for node in found if node.resources.get(resource, 0) > 0]
        if not found:
            raise PlacementError(
                f"no alive Ray node has the resource {resource!r} that "
                "backend.SimpleStorage.required_node_resource asks for; the nodes have "
                f"{_listed(alive)}"
            )
    if cpus:
        found = [node for node in found if node.resources.get("CPU", 0) >= cpus]
    if not found:
        raise PlacementError(
            f"no eligible Ray node has the {cpus} CPU that one actor reserves by "
            f"controller.num_cpus or backend.SimpleStorage.num_cpus; the nodes have "
            f"{_listed(alive)}"
        )
    return found


def spread(nodes: list[Node], first: str, count: int) -> list[Node]:
    """The nodes that hold ``count`` storage units dealt round-robin, each once; the one with the id
    ``first`` comes first where it is among them.
    """
    start = next((place for place, node in enumerate(nodes) if node.id == first), 0)
    return (nodes[start:] + nodes[:start])[:count]


def affinity(node_id: str) -> Any:
    """Ray's scheduling strategy for an actor that runs on this node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)


def _listed(nodes: list[Node]) -> str:
    def of(node: Node) -> str:
        # Ray's own entries say nothing that a user could ask for.
        shown = {
            name: amount
            for name, amount in sorted(node.resources.items())
            if ":" not in name and "memory" not in name
        }
        return f"{node.ip} {shown}"

    return "; ".join(map(of, nodes)) or "none"
