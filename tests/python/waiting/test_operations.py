"""Operations that are written once, on an engine that is not there."""

import asyncio
import gc
import inspect
import threading
import time
import weakref

import pytest

from transfer_queue._operations import (
    Alarm,
    Deadline,
    Lacking,
    Offload,
    Operation,
    Wait,
    asynchronous,
    immediate,
    run,
    run_async,
    synchronous,
    until,
)
from transfer_queue.errors import InvalidArgumentError

ROUTES = [run, lambda operation: asyncio.run(run_async(operation))]
both = pytest.mark.parametrize("route", ROUTES, ids=["plain", "coroutine"])


def answering(*works):
    answers = []
    for work in works:
        answer = yield Offload(work)
        answers.append(answer)
    return answers


@both
def test_steps_are_answered_with_what_they_return(route):
    assert route(answering()) == []
    assert route(answering(lambda: 1, lambda: 2)) == [1, 2]


@both
def test_a_step_that_fails_fails_inside_the_operation(route):
    def fail():
        raise KeyError("x")

    def operation():
        try:
            yield Offload(fail)
        except KeyError:
            return (yield Offload(lambda: "caught"))

    assert route(operation()) == "caught"
    with pytest.raises(KeyError, match="x"):
        route(answering(fail))


@both
def test_a_step_that_runs_out_is_no_result(route):
    with pytest.raises(RuntimeError):
        route(answering(lambda: next(iter(()))))


@both
def test_an_error_keeps_nothing_of_the_operation_alive(route):
    class Thing:
        pass

    def operation(thing):
        yield Offload(lambda: thing)
        raise ValueError

    thing = Thing()
    alive = weakref.ref(thing)
    gc.disable()
    try:
        with pytest.raises(ValueError):  # noqa: PT011 - any will do
            route(operation(thing))
        del thing
        # The loop of a coroutine has cycles of its own.
        gc.collect() if route is not run else None
        assert alive() is None
    finally:
        gc.enable()


def test_only_a_coroutine_leaves_its_thread():
    work = threading.get_ident
    assert run(answering(work)) == [threading.get_ident()]
    assert asyncio.run(run_async(answering(work))) != [threading.get_ident()]


@both
def test_a_ring_before_the_sleep_is_not_lost(route):
    alarm = Alarm()
    alarm.ring()
    alarm.ring()
    assert route(waiting(alarm)) is True


def waiting(alarm, seconds=None):
    return (yield Wait(alarm, Deadline(seconds)))


@both
def test_a_ring_of_another_thread_ends_the_sleep(route):
    alarm = Alarm()
    timer = threading.Timer(0.02, alarm.ring)
    timer.start()
    assert route(waiting(alarm)) is True
    timer.join()


@both
@pytest.mark.parametrize("seconds", [0, 0.01])
def test_the_deadline_ends_the_sleep(route, seconds):
    assert route(waiting(Alarm(), seconds)) is False


def test_a_ring_after_the_loop_was_closed_is_harmless():
    alarm = Alarm()

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_async(waiting(alarm)), 0.01)

    asyncio.run(give_up())
    alarm.ring()


async def test_a_sleeping_coroutine_leaves_the_loop_to_others():
    alarm = Alarm()
    task = asyncio.create_task(run_async(waiting(alarm)))
    await asyncio.sleep(0)
    assert not task.done()
    alarm.ring()
    assert await task is True


@pytest.mark.parametrize("seconds", [-1, -0.5, float("nan"), "1", True, [1]], ids=repr)
def test_a_timeout_that_is_no_time_is_refused(seconds):
    with pytest.raises(InvalidArgumentError, match="timeout"):
        Deadline(seconds)


@pytest.mark.parametrize("seconds", [1e300, float("inf")])
def test_a_timeout_beyond_the_systems_is_cut(seconds):
    assert 0 < Deadline(seconds).left <= threading.TIMEOUT_MAX
    alarm = Alarm()
    alarm.ring()
    assert run(waiting(alarm, seconds)) is True


def test_no_timeout_never_ends():
    assert Deadline(None).left is None


class Board:
    """Subscriptions, and rows that are put between a look and the next step."""

    def __init__(self, *puts):
        self.puts = list(puts)
        self.rows = 0
        self.asked = []
        self.waiting = []

    def subscribe(self, rows, ring):
        self.asked.append(rows)
        entry = [rows, ring]
        self.waiting.append(entry)
        board = self

        class Cancel:
            def cancel(self):
                board.waiting.remove(entry)

        return Cancel()

    def put(self, rows):
        self.rows += rows
        for entry in self.waiting:
            entry[0] -= rows
            if entry[0] <= 0:
                entry[1]()

    def look(self, needed):
        """Tells what is there, and lets the next put come at the worst moment."""
        rows = self.rows
        if self.puts:
            self.put(self.puts.pop(0))
        return rows if rows >= needed else Lacking(needed - rows)

    def wait(self, needed, seconds=None):
        def look():
            return immediate(lambda: self.look(needed))

        return until(look, self.subscribe, Deadline(seconds))


@both
@pytest.mark.parametrize(
    "puts", [(5,), (1, 1, 1, 1, 1), (0, 5), (2, 3), (2, 0, 3), (4, 1), (1, 2, 2)]
)
def test_no_put_between_look_and_sleep_is_missed(route, puts):
    board = Board(*puts)
    assert route(board.wait(5)) == 5
    assert board.waiting == []


@both
def test_what_lacks_is_what_is_subscribed_for(route):
    board = Board(3)
    lacking = route(board.wait(5, 0.01))
    assert isinstance(lacking, Lacking)
    assert lacking.rows == 2
    assert board.asked == [5, 2]
    assert board.waiting == []


@both
def test_a_wake_that_brings_all_needs_no_second_subscription(route):
    board = Board()

    def put():
        while not board.waiting:
            time.sleep(0.001)
        board.put(5)

    putting = threading.Thread(target=put)
    putting.start()
    assert route(board.wait(5)) == 5
    putting.join()
    assert board.asked == [5]
    assert board.waiting == []


@both
def test_a_timeout_of_nothing_looks_and_does_not_wait(route):
    assert route(Board(5).wait(5, 0)) == 5
    assert route(Board(4).wait(5, 0)).rows == 1


async def test_a_cancelled_wait_is_unsubscribed():
    board = Board()
    task = asyncio.create_task(run_async(board.wait(1)))
    await asyncio.sleep(0.01)
    assert len(board.waiting) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert board.waiting == []


def test_a_look_that_fails_is_unsubscribed():
    board = Board()
    answers = iter([Lacking()])

    def look():
        return immediate(lambda: next(answers))

    with pytest.raises(RuntimeError):
        run(until(look, board.subscribe, Deadline(None)))
    assert board.waiting == []


class Things:
    def _count(self, start: int, *, step: int = 1) -> Operation[list[int]]:
        """Counts.

        Args:
            start: the first.
        """
        yield from ()
        return [start, start + step]

    count = synchronous(_count)
    async_count = asynchronous(_count)


async def test_twins_do_the_same():
    assert Things().count(3) == [3, 4]
    assert await Things().async_count(3, step=2) == [3, 5]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Things().count()


def test_twins_look_like_functions_of_their_own():
    assert Things.count.__qualname__ == "Things.count"
    assert Things.async_count.__name__ == "async_count"
    assert Things.count.__module__ == __name__
    assert Things.count.__doc__.startswith("Counts.\n")
    assert Things.async_count.__doc__.startswith("`count` as a coroutine.\n\nCounts.\n")
    assert inspect.iscoroutinefunction(Things.async_count)
    assert not inspect.iscoroutinefunction(Things.count)
    for twin in (Things.count, Things.async_count):
        signature = inspect.signature(twin)
        assert list(signature.parameters) == ["self", "start", "step"]
        assert signature.return_annotation in ("list[int]", list[int])
