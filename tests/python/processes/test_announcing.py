"""Engines that processes without parent or address find, and those that they must not find."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from joining import SECONDS

from transfer_queue import _rendezvous
from transfer_queue._operations import Deadline
from transfer_queue.errors import DeadlineExceededError, UnavailableError

ANNOUNCE = '{"controller": {"announce": True}}'


class Program:
    """A process of its own that this one has not told of any engine."""

    def __init__(self, source, directory, **environment):
        environment = {"XDG_RUNTIME_DIR": str(directory), **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", "import transfer_queue as tq\n" + textwrap.dedent(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def line(self):
        return self.process.stdout.readline().strip()

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        out, _ = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0
        return out.strip()


@pytest.fixture
def directory(tmp_path_factory, monkeypatch):
    """The place of the rendezvous file: one of the test alone, and short enough for sockets."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tq-", dir="/tmp") as path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", path)
        yield Path(path)


@pytest.fixture
def announced(directory):
    """A process whose engine is announced."""
    program = Program(
        f"""
        tq.init({ANNOUNCE})
        tq.kv_put("a", "p", tag={{"n": 1}})
        print(tq.get_client().engine.address)
        input()
        tq.close()
        """,
        directory,
    )
    program.address = program.line()
    yield program
    if program.process.poll() is None:
        program.process.kill()
    program.process.wait(SECONDS)
    program.process.stdin.close()
    program.process.stdout.close()


LIST = "tq.init(); print(tq.kv_list())"


def test_an_announced_engine_is_found_by_any_process_of_the_user(announced, directory):
    assert Program(LIST, directory).result() == "{'p': {'a': {'n': 1}}}"
    assert Program("print(tq.kv_list())", directory).result() == "{'p': {'a': {'n': 1}}}"


def test_it_is_found_by_no_process_that_wants_one_of_its_own(announced, directory):
    assert Program(LIST, directory, TQ_ADDRESS="embedded").result() == "{}"
    own = "tq.init(address='embedded'); print(tq.kv_list())"
    assert Program(own, directory).result() == "{}"


def test_an_engine_that_is_not_announced_is_not_found(directory):
    silent = Program("tq.init(); tq.kv_put('a', 'p', tag={}); print('up'); input()", directory)
    assert silent.line() == "up"
    assert Program(LIST, directory).result() == "{}"
    silent.go_on()
    silent.result()


def test_the_file_goes_with_the_engine(announced, directory):
    file = directory / "transferqueue" / "announced"
    assert file.read_text().strip() == f"{announced.process.pid}:{announced.address}"
    assert file.stat().st_mode & 0o777 == 0o600
    announced.go_on()
    announced.result()
    assert not file.exists()
    assert Program(LIST, directory).result() == "{}"


def test_a_file_that_a_killed_process_left_is_removed(announced, directory):
    file = directory / "transferqueue" / "announced"
    announced.process.send_signal(signal.SIGKILL)
    announced.process.wait(SECONDS)
    assert file.exists()
    assert Program(LIST, directory).result() == "{}"
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "7", "7:", "7:nonsense", "\0\0", "7:unix:/nowhere"])
def test_a_file_of_nonsense_does_not_keep_anybody_from_starting(directory, text):
    (directory / "transferqueue").mkdir(mode=0o700)
    (directory / "transferqueue" / "announced").write_text(text)
    announcing = f"tq.init({ANNOUNCE}); print(tq.kv_list())"
    assert Program(LIST, directory).result() == "{}"
    assert Program(announcing, directory).result() == "{}"


def test_of_processes_that_announce_at_once_one_starts_the_engine(directory):
    source = f"""
        input()
        tq.init({ANNOUNCE})
        print(tq.get_client().engine.info.id)
        input()
    """
    programs = [Program(source, directory) for _ in range(4)]
    for program in programs:
        program.go_on()
    assert len({program.line() for program in programs}) == 1
    for program in programs:
        program.go_on()
        program.result()


def test_who_holds_the_lock_too_long_is_not_waited_for(directory):
    with (
        _rendezvous.announcing(Deadline(1)),
        pytest.raises(DeadlineExceededError, match=r"within 0\.1 s"),
        _rendezvous.announcing(Deadline(0.1)),
    ):
        pass


def test_an_engine_that_does_not_answer_is_an_error_in_time(announced, directory):
    source = """
        try:
            tq.init({"controller": {"deadline": 2}})
        except tq.errors.TransferQueueError as error:
            print(type(error).__name__)
    """
    announced.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert Program(source, directory).result() == "DeadlineExceededError"
        assert time.monotonic() - begin < SECONDS
    finally:
        announced.process.send_signal(signal.SIGCONT)


def test_a_directory_of_a_stranger_is_not_read(directory, monkeypatch):
    monkeypatch.setattr(_rendezvous, "_is_ours", lambda _: False)
    assert _rendezvous.announced() is None
    with pytest.raises(OSError, match="XDG_RUNTIME_DIR"), _rendezvous.announcing(Deadline(1)):
        pass


def test_an_address_wins_over_the_file(announced, directory):
    source = "tq.init(address='unix:/nowhere')"
    program = Program(
        f"try:\n    {source}\nexcept Exception as error:\n    print(repr(error))", directory
    )
    assert UnavailableError.__name__ in program.result()
