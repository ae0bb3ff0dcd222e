"""Ctrl-C, and the end of a program."""

import signal
import subprocess

import pytest
from kv_processes import SECONDS, run_script, start_script

LOOPS = {
    "put": "tq.kv_batch_put(keys, 'p', batch)",
    "get": "tq.kv_batch_get(keys[::-1], 'p')",
    "async_put": "asyncio.run(tq.async_kv_batch_put(keys, 'p', batch))",
}


@pytest.mark.parametrize("name", LOOPS)
def test_ctrl_c_ends_a_loop_of_large_calls(name):
    process = start_script(
        f"""
        import asyncio, torch
        import transfer_queue as tq
        from tensordict import TensorDict
        tq.init()
        keys = ["a", "b", "c", "d"]
        batch = TensorDict({{"x": torch.ones(4, 8 << 20)}}, batch_size=4)
        tq.kv_batch_put(keys, "p", batch)
        print("ready")
        while True:
            {LOOPS[name]}
        """
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    try:
        _, complaints = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the program went on")
    assert "KeyboardInterrupt" in complaints
    assert process.returncode in (-signal.SIGINT, 130)


def test_an_interrupted_loop_leaves_a_usable_engine():
    printed = run_script(
        """
        import os, signal, threading, torch
        import transfer_queue as tq
        from tensordict import TensorDict
        tq.init()
        keys = ["a", "b"]
        batch = TensorDict({"x": torch.ones(2, 4 << 20)}, batch_size=2)
        for _ in range(5):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                while True:
                    tq.kv_batch_put(keys, "p", batch)
            except KeyboardInterrupt:
                pass
        got = tq.kv_batch_get(keys, "p")["x"]
        print(list(tq.kv_list()["p"]), bool((got.values() == 1).all()))
        tq.kv_clear(keys, "p")
        used = tq.get_client().usage()
        print(used["committed_bytes"], used["loaned_bytes"])
        """
    )
    assert printed == "['a', 'b'] True\n0 0\n"


def test_a_program_may_end_without_closing():
    printed = run_script(
        """
        import threading, torch
        import transfer_queue as tq
        tq.init()
        tq.kv_put("a", "p", {"x": torch.arange(100_000), "o": {"a": 1}})
        held = tq.kv_batch_get("a", "p")
        held["x"].values().zero_()
        def work():
            while True:
                tq.kv_batch_get("a", "p")
        threading.Thread(target=work, daemon=True).start()
        print("end")
        """
    )
    assert printed == "end\n"


def test_importing_starts_nothing_and_loads_no_backend():
    printed = run_script(
        """
        import sys, threading
        import transfer_queue
        print(threading.active_count())
        print([name for name in ("ray", "zmq", "mooncake", "yr", "datasystem") if name in sys.modules])
        """
    )
    assert printed == "1\n[]\n"
