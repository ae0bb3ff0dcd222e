"""``tq serve`` as the host: a process without Python code, used by those that have some."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from joining import SECONDS, guest
from omegaconf import OmegaConf
from tensordict import TensorDict

from transfer_queue import _rendezvous
from transfer_queue.errors import InvalidArgumentError, UnavailableError

#: What the script ``tq`` of the wheel does.
PROGRAM = [sys.executable, "-c", "from transfer_queue_program import main; main()"]
MODULE = [sys.executable, "-m", "transfer_queue"]
ROWS = 32


def environment(place, **variables):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TQ_")}
    return ours | {"XDG_RUNTIME_DIR": str(place)} | variables


@contextlib.contextmanager
def serving(place, *arguments, program=PROGRAM, **variables):
    """``tq serve``; its process and what it said when it was ready."""
    process = subprocess.Popen(
        [*program, "serve", *arguments],
        stdout=subprocess.PIPE,
        env=environment(place, **variables),
        text=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(SECONDS)
        process.stdout.close()


def run(place, *arguments, program=PROGRAM, **variables):
    return subprocess.run(
        [*program, *arguments],
        capture_output=True,
        env=environment(place, **variables),
        text=True,
        timeout=SECONDS,
        check=False,
    )


def status(place, **variables):
    return json.loads(run(place, "status", "--json", **variables).stdout)


@pytest.fixture
def place(tmp_path_factory, monkeypatch):
    """A user's runtime directory, with a path short enough for sockets."""
    path = Path(tmp_path_factory.mktemp("r", numbered=True))
    short = Path("/tmp") / f"tq-serve-{os.getpid()}-{path.name}"
    short.symlink_to(path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    for name in [name for name in os.environ if name.startswith("TQ_")]:
        monkeypatch.delenv(name)
    yield short
    short.unlink()


@pytest.fixture
def joined():
    """The package, of which this process leaves the engine in the end."""
    import transfer_queue as tq

    yield tq
    tq.close()


def batch():
    numbers = torch.arange(ROWS)
    return TensorDict({"number": numbers, "row": numbers.view(-1, 1).repeat(1, 9000)}, ROWS)


def keys():
    return [f"k{row}" for row in range(ROWS)]


def read_as(address):
    import transfer_queue as tq

    tq.init(address=address)
    found = tq.kv_batch_get(keys(), "p")
    tq.close()
    return [int(row[-1]) for row in found["row"].unbind()] == found["number"].tolist()


@pytest.mark.parametrize("kind", ["address", "tcp_address"])
def test_what_one_guest_puts_another_reads(place, joined, monkeypatch, kind):
    tq = joined
    with serving(place, "--bind", "127.0.0.1:0") as (_, ready):
        monkeypatch.setenv("TQ_SECRET_FILE", ready["secret_file"])
        monkeypatch.setenv("TQ_ADDRESS", ready[kind])
        conf = tq.init()
        assert conf.controller.zmq_info.id == ready["id"]
        tq.kv_batch_put(keys(), "p", batch(), tags=[{"n": row} for row in range(ROWS)])
        found = tq.kv_batch_get(keys()[::-1], "p")
        assert found["number"].tolist() == list(range(ROWS))[::-1]
        assert guest("spawn", read_as, ready[kind])
        assert tq.kv_list("p")["p"]["k7"] == {"n": 7}
        told = status(place)
        assert told["partitions"][0]["samples"] == ROWS
        assert {field["field"] for field in told["partitions"][0]["fields"]} == {"number", "row"}
        assert [found["pid"] for found in told["guests"]] == [os.getpid()]


def test_guests_are_told_the_settings(place, joined):
    tq = joined
    arguments = ["--polling-mode", "--get-meta-timeout", "2.5", "--max-samples", "100"]
    with serving(place, *arguments, TQ_SAMPLER="GRPOGroupNSampler") as (_, ready):
        conf = tq.init(address=ready["address"])
        assert conf.controller.polling_mode is True
        assert conf.controller.get_meta_timeout == 2.5
        assert conf.controller.sampler == "GRPOGroupNSampler"
        assert conf.backend.SimpleStorage.total_storage_size == 100
        # What is no setting of the server's is as in the packaged configuration.
        packaged = OmegaConf.load(Path(tq.__file__).with_name("config.yaml"))
        assert conf.backend.MooncakeStore == packaged.backend.MooncakeStore
        assert tq.get_client().engine.settings.polling
        # It polls: an empty batch at once, and no wait.
        assert tq.get_client().get_meta(["number"], 4, "p", "fetch", "update").size == 0


def test_the_sampler_chooses(place, joined):
    tq = joined
    arguments = ["--sampler", "GRPOGroupNSampler", "--n-samples-per-prompt", "4"]
    with serving(place, *arguments, "--polling-mode") as (_, ready):
        tq.init(address=ready["address"])
        # The second group lacks a sample.
        tq.kv_batch_put(keys()[:7], "p", batch()[:7])
        client = tq.get_client()
        assert client.get_meta(["number"], 8, "p", "fetch", "update").size == 0
        assert client.get_meta(["number"], 4, "p", "fetch", "update").size == 4


def test_a_guest_without_the_secret_is_told_so(place, joined, monkeypatch):
    tq = joined
    with serving(place, "--bind", "127.0.0.1:0") as (_, ready):
        with pytest.raises(InvalidArgumentError, match="secret"):
            tq.init(address=ready["tcp_address"])
        other = place / "other"
        other.write_text("another secret than the cluster's")
        monkeypatch.setenv("TQ_SECRET_FILE", str(other))
        with pytest.raises(InvalidArgumentError, match="open to other users"):
            tq.init(address=ready["tcp_address"])
        other.chmod(stat.S_IRUSR)
        with pytest.raises(UnavailableError, match="was not met"):
            tq.init(address=ready["tcp_address"])
        # On this host the secret is not asked for.
        tq.init(address=ready["address"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", [PROGRAM, MODULE], ids=["script", "module"])
def test_a_signal_ends_it_in_order(place, joined, program, number):
    tq = joined
    with serving(place, program=program) as (process, ready):
        tq.init(address=ready["address"])
        tq.kv_batch_put(keys(), "p", batch())
        kept = tq.kv_batch_get(keys(), "p")
        process.send_signal(number)
        assert process.wait(SECONDS) == 0
        assert process.stdout.read() == ""
        assert not Path(ready["directory"], "calls.sock").exists()
        assert kept["number"].tolist() == list(range(ROWS))
        with pytest.raises(UnavailableError):
            tq.kv_list("p")


def test_the_probe_tells_by_its_exit_status(place):
    assert run(place, "status", "--health").returncode == 1
    with serving(place):
        assert run(place, "status", "--health", program=MODULE).stdout == "serving\n"
    assert run(place, "serve", "--role", "nothing").returncode == 2


def test_the_script_does_without_the_package():
    code = (
        "import sys; sys.argv = ['tq', '--version']\n"
        "from transfer_queue_program import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert not {'torch', 'transfer_queue'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=SECONDS)


@pytest.mark.parametrize("variables", [{}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "/none"}])
def test_both_sides_look_in_the_same_directory(place, monkeypatch, variables):
    # Without a runtime directory it is the one for temporary files.
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with serving(place, **dict({"TMPDIR": str(place)}, **variables)) as (_, ready):
        assert Path(ready["directory"]).parent == _rendezvous.socket_directory("x").parent


def test_a_runtime_directory_of_a_long_path_is_passed_over(place, monkeypatch):
    long = place / ("l" * 40)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with serving(long, TMPDIR=str(place)) as (_, ready):
        directory = Path(ready["directory"])
        assert directory.parent == _rendezvous.socket_directory("x").parent
        assert directory.parent.parent == place
