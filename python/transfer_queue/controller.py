"""The controller as an actor of Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    TransferQueueController: Any

__all__ = ["TransferQueueController"]


def __getattr__(name: str) -> Any:
    if name != "TransferQueueController":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only who asks for the actor's class needs Ray.
    from transfer_queue._ray.classes import actor_class
    from transfer_queue._ray.controller import TransferQueueController as Body

    value = globals()[name] = actor_class(Body)
    return value
