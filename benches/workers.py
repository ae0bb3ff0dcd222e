"""Worker processes of a session, each with the system's store."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Worker", "Workers"]

#: Beyond this many seconds a call hangs.
_CALL_SECONDS = 600.0


class Worker:
    """What a function that runs in a worker gets first: the store, and a place for what is kept
    between calls.
    """

    def __init__(self, number: int, store: Any) -> None:
        self.number = number
        self.store = store
        self.kept: dict[str, Any] = {}


class Workers:
    """Processes that carry out functions of modules, by name."""

    def __init__(self, system: str, joining: Mapping[str, Any], count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(system, joining, number, theirs), name=f"worker-{number}"
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for number in range(count):
            self._answer(number)

    def __len__(self) -> int:
        return len(self._pipes)

    def call(self, number: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """What ``function(worker, *arguments)`` returns in one worker."""
        self._pipes[number].send((function, arguments))
        return self._answer(number)

    def each(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Calls the function in every worker at once, with arguments of its own each."""
        for pipe, own in zip(self._pipes, arguments, strict=True):
            pipe.send((function, own))
        return self._answers(range(len(self)))

    def all(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Calls the function in every worker at once, with the same arguments."""
        return self.each(function, [arguments] * len(self))

    def pair(self, *calls: tuple[int, Callable[..., Any], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Calls different functions in different workers at once."""
        for number, function, arguments in calls:
            self._pipes[number].send((function, arguments))
        return tuple(self._answers(number for number, _, _ in calls))

    def _answers(self, numbers: Iterable[int]) -> list[Any]:
        """What each worker answers. Where one fails, the others' answers are taken, too: left in
        their pipes they would be those to the next question.
        """
        answers: list[Any] = []
        failures: list[Exception] = []
        for number in numbers:
            try:
                answers.append(self._answer(number))
            except (RuntimeError, TimeoutError) as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return answers

    def _answer(self, number: int) -> Any:
        if not self._pipes[number].poll(_CALL_SECONDS):
            raise TimeoutError(f"worker {number} did not answer within {_CALL_SECONDS:.0f} s")
        try:
            done, result = self._pipes[number].recv()
        except EOFError as end:
            raise RuntimeError(f"worker {number} ended") from end
        if not done:
            raise RuntimeError(f"in worker {number}:\n{result}")
        return result

    def end(self) -> None:
        """Ends the processes; kills those that hang."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()


def _serve(system: str, joining: Mapping[str, Any], number: int, pipe: Connection) -> None:
    import torch
    from systems import SYSTEMS

    torch.set_num_threads(1)
    # What has been imported stays; collecting would look at it each time.
    gc.freeze()
    try:
        worker = Worker(number, SYSTEMS[system]().join(joining))
        pipe.send((True, None))
    except BaseException:  # noqa: BLE001 - whatever it is, the session has to know
        pipe.send((False, traceback.format_exc()))
        return
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, function(worker, *arguments)))
        except BaseException:  # noqa: BLE001
            pipe.send((False, traceback.format_exc()))
