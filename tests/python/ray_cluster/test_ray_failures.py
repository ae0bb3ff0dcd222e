"""What is missing, half there or dead is an error in time, and leaves nothing behind."""

import pytest
import ray
from ray_workers import NAME, NAMESPACE, SECONDS, Worker, partitions

from transfer_queue import controller
from transfer_queue.errors import (
    DeadlineExceededError,
    PlacementError,
    TransferQueueError,
    UnavailableError,
    WaitTimeoutError,
)


def assert_nothing_runs(tq):
    with pytest.raises(ValueError, match=NAME):
        ray.get_actor(NAME, namespace=NAMESPACE)
    with pytest.raises(AssertionError, match="has not been initialized"):
        tq.kv_list()


def storage(**settings):
    return {"backend": {"SimpleStorage": settings}}


def test_a_resource_that_no_node_has_is_named(tq):
    with pytest.raises(PlacementError, match=r"'of_nobody'.*'scarce': 1"):
        tq.init(storage(required_node_resource="of_nobody"))
    assert_nothing_runs(tq)
    tq.init(storage(required_node_resource="scarce"))
    assert tq.kv_list() == {}


def test_more_cpus_than_a_node_has_are_named(tq):
    with pytest.raises(PlacementError, match=r"1000 CPU.*controller\.num_cpus.*'CPU': 2"):
        tq.init({"controller": {"num_cpus": 1000}})
    assert_nothing_runs(tq)


def test_cpus_that_stay_taken_are_an_error_in_time(tq):
    taker = Worker.options(num_cpus=2).remote()
    ray.get(taker.call.remote(abs, 1))
    with pytest.raises(
        PlacementError, match=r"within 3\.0 s; it asks for 2 CPU.* 0(\.0)? are free"
    ):
        tq.init({"controller": {"num_cpus": 2, "deadline": 3}})
    assert_nothing_runs(tq)
    ray.kill(taker)
    tq.init({"controller": {"num_cpus": 2}})
    assert tq.kv_list() == {}


def test_no_cpus_are_needed_where_none_are_free(tq):
    taker = Worker.options(num_cpus=2).remote()
    ray.get(taker.call.remote(abs, 1))
    tq.init()
    assert tq.kv_list() == {}
    ray.kill(taker)


def test_a_controller_that_never_gets_ready_is_an_error_in_time(tq):
    half = controller.TransferQueueController.options(name=NAME, namespace=NAMESPACE).remote()
    ray.get(half.ping.remote())
    with pytest.raises(DeadlineExceededError, match=r"did not become ready within 2\.0 s"):
        tq.init({"controller": {"deadline": 2}})
    ray.kill(half)
    tq.init()
    assert tq.kv_list() == {}


@ray.remote(num_cpus=0)
class Stranger:
    def get_config(self):
        return None


def test_an_actor_of_another_program_under_the_name_is_an_error(tq):
    other = Stranger.options(name=NAME, namespace=NAMESPACE).remote()
    ray.get(other.get_config.remote())
    with pytest.raises(UnavailableError, match="another program or version"):
        tq.init()
    ray.kill(other)


def test_after_the_controller_has_died_calls_fail_and_init_starts_anew(tq):
    tq.init()
    tq.kv_put("a", "p", tag={})
    first, worker = tq.get_client().engine.info.id, Worker.remote()
    ray.get(worker.init.remote())
    ray.kill(tq.interface._TQ_CONTROLLER)
    wait_for_the_end()
    with pytest.raises(TransferQueueError):
        tq.kv_list()
    with pytest.raises(TransferQueueError):
        ray.get(worker.call.remote(partitions), timeout=SECONDS)
    tq.init()
    assert tq.get_client().engine.info.id != first
    assert tq.kv_list() == {}
    assert ray.get(worker.init.remote(), timeout=SECONDS) == tq.get_client().engine.info.id


def test_when_the_process_that_started_the_system_dies_others_start_a_new_one(tq):
    owner, other = Worker.remote(), Worker.remote()
    first = ray.get(owner.init.remote())
    assert ray.get(other.init.remote()) == first
    ray.kill(owner)
    ray.get(other.call.remote(wait_for_the_end), timeout=SECONDS)
    assert ray.get(other.init.remote(), timeout=SECONDS) != first


def wait_for_the_end():
    """Returns once the engine is gone, which Ray ends a moment after its owner."""
    import transfer_queue as tq

    try:
        tq.kv_wait("p", ["never put"], timeout=SECONDS)
    except WaitTimeoutError:
        raise
    except TransferQueueError:
        return


def test_the_start_that_fails_in_the_actor_is_an_error_and_leaves_nothing(tq, monkeypatch):
    original = controller.TransferQueueController.options

    def options(*arguments, **settings):
        made = original(*arguments, **settings)

        class Failing:
            def remote(self, **keywords):
                return made.remote(**{**keywords, "conf": {"no": "such configuration"}})

        return Failing()

    monkeypatch.setattr(controller.TransferQueueController, "options", options)
    with pytest.raises(UnavailableError, match="could not be started"):
        tq.init()
    assert_nothing_runs(tq)
