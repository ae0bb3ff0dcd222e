"""Forked children and fresh interpreters, none of which a test waits for without end."""

import os
import pickle
import select
import signal
import subprocess
import sys
import textwrap
import traceback

import torch

SECONDS = 60


class Child:
    """A forked child that runs `work` and sends back what it returns, or its traceback."""

    def __init__(self, work):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            _answer(work, writer)
        os.close(writer)

    def result(self):
        parts = []
        try:
            while True:
                if not select.select([self.reader], [], [], SECONDS)[0]:
                    os.kill(self.pid, signal.SIGKILL)
                    raise AssertionError(f"the child gave no answer in {SECONDS} s")
                part = os.read(self.reader, 1 << 16)
                if not part:
                    break
                parts.append(part)
        finally:
            os.close(self.reader)
            _, status = os.waitpid(self.pid, 0)
        assert status == 0
        returned, failure = pickle.loads(b"".join(parts))
        assert failure is None, failure
        return returned


def _answer(work, writer):
    """Ends the child without running any of the parent's clean-up."""
    try:
        # The parent's OpenMP threads do not exist here, and torch would wait for them.
        torch.set_num_threads(1)
        try:
            answer = (work(), None)
        except BaseException:  # noqa: BLE001 - shown by the parent
            answer = (None, traceback.format_exc())
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    finally:
        os._exit(1)


def forked(work):
    """What `work` returns in a forked child."""
    return Child(work).result()


def start_script(source):
    """A fresh interpreter that runs `source`."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(source):
    """What a fresh interpreter prints; it has to end with status 0."""
    process = start_script(source)
    try:
        printed, complaints = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"the script did not end in {SECONDS} s") from None
    assert process.returncode == 0, complaints
    return printed
