"""Mooncake itself: started and ended with the engine, and a master that dies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHOSEN = os.environ.get("TQ_TEST_BACKENDS", "mooncake").split(",")
pytestmark = pytest.mark.skipif("mooncake" not in CHOSEN, reason="TQ_TEST_BACKENDS leaves it out")

STARTED_BY_INIT = """
import transfer_queue as tq, torch, os
from tensordict import TensorDict
section = dict(master_server_address="127.0.0.1:0", metadata_server="127.0.0.1:0",
               local_hostname="127.0.0.1", global_segment_size=64 << 20, local_buffer_size=1 << 20)
conf = tq.init({"backend": {"storage_backend": "mooncakestore", "MooncakeStore": section}})
assert not conf.backend.MooncakeStore.master_server_address.endswith(":0")
master = tq.interface._resources.programs[0].process
tq.kv_batch_put(["a"], "p", TensorDict({"x": torch.ones(1, 2)}, batch_size=1))
assert tq.kv_batch_get("a", "p")["x"].unbind()[0].tolist() == [1, 1]
assert master.poll() is None
tq.close()
assert master.poll() is not None
print("ended")
"""


def run(*arguments, timeout=115):
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=HERE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def test_init_starts_a_master_and_close_ends_it():
    assert run("-c", STARTED_BY_INIT) == "ended"


def test_a_master_that_dies_is_an_error_and_the_next_one_is_used():
    report = json.loads(run("mooncake_outage.py"))
    assert report["error"] == "UnavailableError", report
    assert "were not stored" in report["text"]
    assert report["in_time"]
    assert report["keys"] == []
    assert report["works_again"]
