"""The actors of a Ray cluster together: found by name, started, ended."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from transfer_queue._operations import Deadline
from transfer_queue._ray.controller import Connection
from transfer_queue._ray.nodes import Node, affinity, eligible_nodes, spread
from transfer_queue._settings import ClusterSettings, cluster_settings
from transfer_queue._starting import unit_name
from transfer_queue.errors import DeadlineExceededError, PlacementError, UnavailableError
from transfer_queue.utils.serial_utils import _pickle_setting

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["System", "end", "find", "start"]

logger = logging.getLogger(__name__)

#: Name and namespace of the controller's actor, by which other programs look it up too.
NAME, NAMESPACE = "TransferQueueController", "transfer_queue"
#: Pause before looking again for an actor that is coming or going.
_PAUSE_SECONDS = 0.1
#: How long units and controller may take to end themselves before they are killed.
_ENDING_SECONDS = 15.0
#: Calls that wait for the start are open at the same time, one of each process that joins.
_CONCURRENCY = 10_000
#: Variables of the environment that say where an engine is, not how it is to be.
_ADDRESS_VARIABLES = {"TQ_ADDRESS", "TQ_PARENT_ADDRESS"}


class System(NamedTuple):
    """An engine that runs as actors."""

    controller: Any
    """The handle of the controller's actor."""
    connection: Connection
    units: dict[str, Any]
    """Handles of the actors of further units, by name; those that this process has started."""


def find(ray: Any, deadline: Deadline) -> System | None:
    """The system that runs or is being started; None where there is none.

    Raises:
        DeadlineExceededError: it does not become ready in time.
        UnavailableError: the actor of that name is none of this package.
    """
    while True:
        try:
            handle = ray.get_actor(NAME, namespace=NAMESPACE)
        except ValueError:
            return None
        try:
            ready = handle.wait_until_ready
        except AttributeError:
            raise UnavailableError(
                f"the Ray actor {NAME!r} in namespace {NAMESPACE!r} is of another program or "
                "version; end it, or use another Ray cluster"
            ) from None
        try:
            left = deadline.left
            connection = ray.get(ready.remote(left), timeout=left)
        except ray.exceptions.RayActorError as error:
            # It has died since, and Ray forgets the name soon.
            if deadline.left == 0:
                raise UnavailableError(f"the Ray actor {NAME!r} has died: {error}") from error
            time.sleep(_PAUSE_SECONDS)
            continue
        except ray.exceptions.GetTimeoutError:
            connection = None
        if connection is None:
            raise DeadlineExceededError(
                f"the Ray actor {NAME!r} did not become ready within {deadline.seconds} s: the "
                "process that starts it has stopped on the way, or the actor does not answer; end "
                "it with ray.kill and call init() again"
            )
        return System(handle, connection, {})


def start(ray: Any, conf: DictConfig, deadline: Deadline) -> System | None:
    """Starts controller and storage units; None where another process has been faster.

    Either all run afterwards, or none does.

    Raises:
        PlacementError: no node has the resources.
        UnavailableError: an actor died on the way.
        DeadlineExceededError: they did not start in time.
    """
    settings = cluster_settings(conf)
    own = ray.get_runtime_context().get_node_id()
    cpus = max(settings.controller_cpus, settings.unit_cpus)
    nodes = spread(eligible_nodes(ray, settings.node_resource, cpus), own, settings.units)
    controller = _start_controller(conf, nodes[0], settings)
    if controller is None:
        return None
    units: dict[str, Any] = {}
    try:
        connection = _wait(ray, controller.connection.remote(), deadline, NAME, settings)
        # The controller's own engine is the unit of its node.
        for rank, node in enumerate(nodes[1:], 1):
            units[unit_name(rank)] = _start_unit(conf, connection, node, rank, settings)
        infos = dict(connection.units)
        for name, unit in units.items():
            infos[name] = _wait(ray, unit.get_zmq_server_info.remote(), deadline, name, settings)
        conf.controller.zmq_info = connection.info
        conf.backend.SimpleStorage.zmq_info = infos
        _wait(ray, controller.store_config.remote(conf, infos), deadline, NAME, settings)
    except BaseException as error:
        end(ray, controller, units.values())
        if isinstance(error, ray.exceptions.RayActorError) and _is_taken(ray, controller):
            return None
        if isinstance(error, ray.exceptions.RayError):
            raise UnavailableError(f"the actors could not be started: {error}") from error
        raise
    return System(controller, connection._replace(units=infos), units)


def _start_controller(conf: DictConfig, node: Node, settings: ClusterSettings) -> Any | None:
    # As an attribute of its module, and `options` as an attribute of the class: users replace
    # them to add what the actors' environment needs.
    from transfer_queue import controller

    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("TQ_") and name not in _ADDRESS_VARIABLES
    }
    try:
        return controller.TransferQueueController.options(
            name=NAME,
            namespace=NAMESPACE,
            num_cpus=settings.controller_cpus,
            max_concurrency=_CONCURRENCY,
            scheduling_strategy=affinity(node.id),
        ).remote(conf=conf, environment=environment, allow_pickle=_pickle_setting(None))
    except ValueError as error:
        if "already" in str(error) and NAME in str(error):
            return None
        raise


def _start_unit(
    conf: DictConfig, connection: Connection, node: Node, rank: int, settings: ClusterSettings
) -> Any:
    from omegaconf import OmegaConf

    from transfer_queue.storage import simple_storage

    config: Any = OmegaConf.to_container(conf.backend.SimpleStorage)
    return simple_storage.SimpleStorageUnit.options(
        name=unit_name(rank),
        namespace=NAMESPACE,
        num_cpus=settings.unit_cpus,
        scheduling_strategy=affinity(node.id),
    ).remote({**config, "controller": connection})


def _wait(ray: Any, ref: Any, deadline: Deadline, name: str, settings: ClusterSettings) -> Any:
    try:
        return ray.get(ref, timeout=deadline.left)
    except ray.exceptions.GetTimeoutError:
        cpus = settings.controller_cpus if name == NAME else settings.unit_cpus
        raise PlacementError(
            f"Ray did not start the actor {name!r} within {deadline.seconds} s; it asks for {cpus} "
            f"CPU, of {ray.cluster_resources().get('CPU', 0)} CPU "
            f"{ray.available_resources().get('CPU', 0)} are free, and what its replaced "
            "`.options` may ask for"
        ) from None
    except ray.exceptions.ActorUnschedulableError as error:
        raise PlacementError(f"Ray cannot place the actor {name!r}: {error}") from error


def _is_taken(ray: Any, controller: Any) -> bool:
    """Whether the name belongs to the actor of another process: of two that are started at the same
    time, Ray ends one.
    """
    try:
        found = ray.get_actor(NAME, namespace=NAMESPACE)
    except ValueError:
        return False
    return bool(found._actor_id != controller._actor_id)


def end(ray: Any, controller: Any, units: Iterable[Any]) -> None:
    """Ends the actors that this process has started; never raises."""
    deadline = Deadline(_ENDING_SECONDS)
    for actors in ([*units], [controller]):
        with contextlib.suppress(Exception):
            ray.wait(
                [actor.shutdown.remote() for actor in actors],
                num_returns=len(actors),
                timeout=deadline.left,
            )
        for actor in actors:
            try:
                ray.kill(actor)
            except Exception as error:  # noqa: BLE001 - Ray itself may have ended before
                logger.debug("an actor could not be ended: %s", error)
