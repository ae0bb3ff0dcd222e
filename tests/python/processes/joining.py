"""What other processes do here, started in every way that a user starts them."""

import multiprocessing
import traceback

import pytest
import torch

#: Long enough that only what hangs reaches it.
SECONDS = 60
CONTEXTS = pytest.mark.parametrize("context", ["fork", "spawn"])


class Guest:
    """A process that carries out ``work(*arguments)``, a function of a module."""

    def __init__(self, context, work, *arguments):
        chosen = multiprocessing.get_context(context)
        self.results = chosen.SimpleQueue()
        self.process = chosen.Process(
            target=_carry_out, args=(self.results, work, arguments), daemon=True
        )
        self.process.start()

    def result(self):
        """What the work returned; fails where it raised, or did not end."""
        self.process.join(SECONDS)
        assert self.process.exitcode == 0, f"exit code {self.process.exitcode}"
        answer, failure = self.results.get()
        assert failure is None, failure
        return answer

    def kill(self):
        """Ends it as the system ends a process that takes too much memory."""
        self.process.kill()
        self.process.join(SECONDS)


def _carry_out(results, work, arguments):
    # The parent's OpenMP threads do not exist in a fork, and torch would wait for them.
    torch.set_num_threads(1)
    try:
        results.put((work(*arguments), None))
    except BaseException:  # noqa: BLE001 - shown by the parent
        results.put((None, traceback.format_exc()))


def guest(context, work, *arguments):
    """What ``work(*arguments)`` returns in another process."""
    return Guest(context, work, *arguments).result()
