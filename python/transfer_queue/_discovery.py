"""Which engine a process uses: the one that is there for it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from transfer_queue import _rendezvous
from transfer_queue._engine import Engine, engine_of, join
from transfer_queue._operations import Deadline
from transfer_queue._ray.running import running_ray
from transfer_queue._starting import unit_name, unit_of
from transfer_queue.errors import InvalidArgumentError, UnavailableError
from transfer_queue.utils.zmq_utils import ZMQServerInfo

if TYPE_CHECKING:
    from transfer_queue._ray.system import System

__all__ = ["EMBEDDED", "Found", "find", "find_announced", "of_engine", "of_system"]

logger = logging.getLogger(__name__)

#: An address that names no engine: the process is to have one of its own.
EMBEDDED = "embedded"


class Found(NamedTuple):
    """An engine, of this process or joined."""

    engine: Engine
    units: dict[str, ZMQServerInfo]
    """Its storage units by name; none where nobody can join it."""
    controller: Any = None
    """The Ray actor it runs in, where it does."""


def of_engine(engine: Engine) -> Found:
    """An engine that is its only storage unit."""
    return Found(engine, {unit_name(0): unit_of(engine)} if engine.address else {})


def of_system(system: System) -> Found:
    """The engine that runs as actors of Ray, joined."""
    connection = system.connection
    engine = engine_of(connection.info, secret=connection.secret)
    return Found(engine, connection.units, system.controller)


def find(
    address: str | None, parent: str | None, deadline: Deadline, *, secret: bytes | None = None
) -> Found | None:
    """The engine that is there for this process; None where there is none.

    Args:
        address: where the caller says that it is.
        parent: the address of the engine that a forked child has inherited.
        deadline: by when it must have answered.
        secret: what one on another machine wants to know.

    Raises:
        UnavailableError: none answers at ``address`` or ``TQ_ADDRESS``.
        DeadlineExceededError: one is being started, or is there and does not answer in time.
    """
    given = address or os.environ.get(_rendezvous.ADDRESS_VARIABLE)
    if given == EMBEDDED:
        return None
    if given:
        return of_engine(join(given, deadline=deadline.left, secret=secret))
    ray = running_ray()
    if ray is not None:
        found = _of_ray(ray, deadline)
        if found is not None:
            return found
    # Of a forked child, the parent's; of another one, that of whoever started it.
    for inherited in (parent, _rendezvous.address_inherited()):
        if inherited is not None:
            try:
                return of_engine(join(inherited, deadline=deadline.left))
            except UnavailableError as error:
                logger.debug("the engine of the parent process has ended: %s", error)
    return find_announced(deadline)


def find_announced(deadline: Deadline) -> Found | None:
    """The engine that another process of this user has announced; None where there is none."""
    address = _rendezvous.announced()
    if address is None:
        return None
    try:
        return of_engine(join(address, deadline=deadline.left))
    except (UnavailableError, InvalidArgumentError) as error:
        logger.debug("no announced engine is at %r: %s", address, error)
        _rendezvous.forget(address)
        return None


def _of_ray(ray: Any, deadline: Deadline) -> Found | None:
    # Late: no process needs it that has no Ray.
    from transfer_queue._ray import system

    there = system.find(ray, deadline)
    return None if there is None else of_system(there)
