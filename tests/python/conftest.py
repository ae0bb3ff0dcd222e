"""Fixtures that all Python tests share."""

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
