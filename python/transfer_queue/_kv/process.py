"""The engine of this process."""

from __future__ import annotations

from transfer_queue._embedded import EmbeddedEngine

__all__ = ["engine"]


def engine() -> EmbeddedEngine:
    """The engine that the functions of the KV API use.

    Raises:
        AssertionError: there is none.
    """
    # Imported late: the interface is made of these functions, and holds the client that users and
    # tests may replace there.
    from transfer_queue import interface

    client = interface._TQ_CLIENT
    if client is None:
        raise AssertionError(
            "TransferQueueController has not been initialized yet. Please call init() first."
        )
    return client.engine
