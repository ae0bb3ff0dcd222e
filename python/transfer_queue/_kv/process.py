"""The engine of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

# The interface is made of these functions, and is not there yet when this is read. It holds the
# client that users and tests may replace there.
import transfer_queue
from transfer_queue._engine import Engine

if TYPE_CHECKING:
    from transfer_queue.client import TransferQueueClient

__all__ = ["engine", "process"]


def process() -> TransferQueueClient:
    """The client that the functions of the KV API use.

    Raises:
        AssertionError: there is none, and none to join.
    """
    interface = transfer_queue.interface
    client = interface._TQ_CLIENT
    if client is None or client.forked:
        client = interface._attached()
    if client is None:
        raise AssertionError(
            "TransferQueueController has not been initialized yet. Please call init() first."
        )
    return client


def engine() -> Engine:
    """The engine of :func:`process`."""
    return process().engine
