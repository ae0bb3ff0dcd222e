"""Fixtures of the client's tests."""

import pytest

import transfer_queue


@pytest.fixture
def client(tq):
    """A client whose fetches wait."""
    return tq.get_client()


@pytest.fixture
def polling():
    """A client whose fetches answer at once."""
    transfer_queue.close()
    transfer_queue.init({"controller": {"polling_mode": True}})
    yield transfer_queue.get_client()
    transfer_queue.close()
