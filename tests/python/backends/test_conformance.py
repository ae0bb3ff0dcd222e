"""One suite on every storage backend, each in a process of its own with the real system.

A backend whose package is missing fails: what was not run did not pass. ``TQ_TEST_BACKENDS=a,b``
runs some of them only, and the run says which.
"""

import multiprocessing
import os

import pytest
from backend_cases import CASES
from backend_runner import run
from backend_systems import BACKENDS

#: Long enough for the slowest system to start, or a case to give up.
SECONDS = 110

CHOSEN = [name for name in os.environ.get("TQ_TEST_BACKENDS", "").split(",") if name]
PAIRS = [
    (backend, case)
    for backend in (CHOSEN or BACKENDS)
    for case, (_, needs) in CASES.items()
    if needs <= BACKENDS[backend].capabilities
]


@pytest.fixture(scope="module")
def runners():
    """A process per backend, started when its first case comes."""
    started = {}

    def runner(name):
        if name not in started:
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=run, args=(there, name))
            process.start()
            there.close()
            started[name] = (process, here, answer(here, name, "start"))
        return started[name]

    yield runner
    for process, pipe, _ in started.values():
        if process.is_alive():
            pipe.send(None)
        process.join(SECONDS)
        if process.is_alive():
            process.kill()


def answer(pipe, name, asked):
    """What the process says; what failed, where it says nothing."""
    try:
        if pipe.poll(SECONDS):
            return pipe.recv()
    except EOFError:
        return f"the process of {name} ended while it was asked for: {asked}"
    return f"the process of {name} did not answer: {asked}"


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=[f"{b}-{c}" for b, c in PAIRS])
def test_it_conforms(runners, name, case):
    _, pipe, failure = runners(name)
    assert failure is None, f"{name} cannot be started: {failure}"
    pipe.send(case)
    failure = answer(pipe, name, case)
    assert failure is None, failure


def test_every_case_runs_on_some_backend():
    assert {case for _, case in PAIRS} == CASES.keys() or CHOSEN
