"""Ctrl-C, and other signals, while a process waits for its host."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from joining import SECONDS

# Joins, stops the host, and says so; then waits for it. Every wait of a test has an end.
GUEST = """
import os, signal, sys, threading
import torch
import transfer_queue as tq
from tensordict import TensorDict

tq.init(address=sys.argv[1])
large = TensorDict({"x": torch.zeros(2, 1 << 20)}, batch_size=2)
tq.kv_batch_put(["a", "b"], "p", large)
calls = {
    "list": lambda: tq.kv_list("p"),
    "get": lambda: tq.kv_batch_get(["a", "b"], "p"),
    "put": lambda: tq.kv_batch_put(["c", "d"], "p", large),
    "get_meta": lambda: tq.get_client().get_meta(["x"], 1, "p", task_name="t"),
}
class Enough(Exception):
    pass
def enough(number, frame):
    raise Enough(f"signal {number}")
signal.signal(signal.SIGUSR1, enough)
os.kill(int(sys.argv[2]), signal.SIGSTOP)
try:
    print("waiting", flush=True)
    calls[sys.argv[3]]()
except BaseException as error:
    print(type(error).__name__, error, flush=True)
os.kill(int(sys.argv[2]), signal.SIGCONT)
print(tq.kv_list("p"), flush=True)
"""
HOST = """
import transfer_queue as tq
tq.init()
print(tq.get_client().engine.address, flush=True)
input()
tq.close()
"""


def program(source, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TQ_ADDRESS": ""},
    )


@pytest.fixture
def host():
    process = program(HOST)
    process.address = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate(timeout=SECONDS)


@pytest.mark.parametrize("call", ["list", "get", "put", "get_meta"])
@pytest.mark.parametrize(
    ("sent", "raised"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGUSR1, "Enough signal 10")],
)
def test_a_signal_ends_a_call_to_a_host_that_stands_still(host, call, sent, raised):
    guest = program(GUEST, host.address, str(host.pid), call)
    assert guest.stdout.readline() == "waiting\n"
    # So that it comes while the call waits, and not before; earlier it would do as well.
    time.sleep(0.5)
    guest.send_signal(sent)
    assert guest.stdout.readline().strip() == raised
    # Both go on as if nothing had been.
    assert guest.stdout.readline() == "{'p': {'a': {}, 'b': {}}}\n"
    guest.communicate(timeout=SECONDS)
    assert guest.returncode == 0
