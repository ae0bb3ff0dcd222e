"""The engine of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_queue._engine import Engine

if TYPE_CHECKING:
    from transfer_queue.client import TransferQueueClient

__all__ = ["engine", "process"]


def process() -> TransferQueueClient:
    """The client that the functions of the KV API use.

    Raises:
        AssertionError: there is none, and none to join.
    """
    # Imported late: the interface is made of these functions, and holds the client that users and
    # tests may replace there.
    from transfer_queue import interface

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
