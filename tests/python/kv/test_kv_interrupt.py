"""Ctrl-C, and programs from their first import to their end."""

import asyncio
import os
import signal
import subprocess
import threading
import time

import pytest
import torch
from kv_builders import batch, column, names, usage
from kv_processes import SECONDS, forked, run_script, start_script

CALLS = {
    "put": lambda tq, large: tq.kv_batch_put(names(4), "p", large),
    "get": lambda tq, large: tq.kv_batch_get(names(4)[::-1], "p"),
    "async_put": lambda tq, large: asyncio.run(tq.async_kv_batch_put(names(4), "p", large)),
    "async_get": lambda tq, large: asyncio.run(tq.async_kv_batch_get(names(4)[::-1], "p")),
}


def test_ctrl_c_ends_a_program_that_puts():
    process = start_script(
        """
        import torch
        import transfer_queue as tq
        from tensordict import TensorDict
        tq.init()
        batch = TensorDict({"x": torch.ones(4, 8 << 20)}, batch_size=4)
        print("ready")
        while True:
            tq.kv_batch_put(["a", "b", "c", "d"], "p", batch)
        """
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    try:
        _, complaints = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail("the program went on")
    finally:
        process.kill()
        process.wait()
    assert "KeyboardInterrupt" in complaints
    assert process.returncode in (-signal.SIGINT, 130)


def call_until_interrupted(call):
    """Presses Ctrl-C during a call, and again where one was lost.

    An interrupt that comes while torch cleans up after a nested tensor ends in a weak reference's
    callback, where Python can only print it.
    """
    calls, ended = 0, threading.Event()

    def press():
        pressed_at = -3
        while not ended.wait(0.02):
            if calls >= pressed_at + 3:
                pressed_at = calls
                os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    try:
        presser.start()
        while True:
            call()
            calls += 1
    finally:
        ended.set()
        presser.join()


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupted_loop_leaves_a_usable_engine(name):
    def child():
        import transfer_queue as tq

        tq.close()
        tq.init()
        large = batch(x=torch.ones(4, 2 << 20))
        tq.kv_batch_put(names(4), "p", large)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                call_until_interrupted(lambda: CALLS[name](tq, large))
        # A second Ctrl-C may have kept the event loop from waiting for its thread.
        for _ in range(20 * SECONDS):
            if not usage(tq)["loaned_bytes"]:
                break
            time.sleep(0.05)
        got = column(tq.kv_batch_get(names(4), "p"))
        whole = bool((got.values() == 1).all())
        tq.kv_batch_put(names(4), "p", large)
        tq.kv_clear(names(4), "p")
        used = usage(tq)
        return whole, used["committed_bytes"], used["loaned_bytes"], tq.kv_list()

    assert forked(child) == (True, 0, 0, {"p": {}})


def test_a_program_from_import_to_end():
    """Nothing runs or is loaded by the import; the end needs no `close()`, in a fork neither."""
    printed = run_script(
        """
        import sys, threading
        import transfer_queue as tq
        backends = ("ray", "zmq", "mooncake", "yr", "datasystem")
        print(threading.active_count(), [name for name in backends if name in sys.modules])

        import os, torch
        tq.init()
        tq.kv_put("a", "p", {"x": torch.arange(100_000), "o": {"a": 1}})
        held = tq.kv_batch_get("a", "p")
        held["x"].values().zero_()
        child = os.fork()
        if child == 0:
            sys.exit(0)
        print(os.waitpid(child, 0)[1])

        def work():
            while True:
                tq.kv_batch_get("a", "p", "o")
                tq.kv_list()
        threading.Thread(target=work, daemon=True).start()
        """
    )
    assert printed == "1 []\n0\n"
