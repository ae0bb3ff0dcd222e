"""Fixtures that all Python tests share."""

import shutil
import signal
import tempfile

import pytest

import transfer_queue


@pytest.fixture
def tq():
    """The package, with an engine of its own for the test."""
    transfer_queue.close()
    transfer_queue.init()
    yield transfer_queue
    transfer_queue.close()


@pytest.fixture
def tq_limited():
    """Starts an engine with the settings given for `backend.SimpleStorage`."""

    def start(**storage):
        transfer_queue.close()
        transfer_queue.init({"backend": {"SimpleStorage": storage}})
        return transfer_queue

    yield start
    transfer_queue.close()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works():
    """A shell that starts the tests in the background has them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _sockets_of_our_own():
    """Keeps the tests from joining an engine that the user runs and has announced."""
    directory = tempfile.mkdtemp(prefix="tq-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", directory)
        patch.delenv("TQ_ADDRESS", raising=False)
        patch.delenv("TQ_PARENT_ADDRESS", raising=False)
        yield
        transfer_queue.close()
    shutil.rmtree(directory, ignore_errors=True)
