"""Fixtures of the data loading tests."""

import pytest

from transfer_queue.dataloader import streaming_dataset


@pytest.fixture(autouse=True)
def _no_second_look(monkeypatch):
    """Lets a stream whose wait nothing ends hang, rather than look again after a while."""
    monkeypatch.setattr(streaming_dataset, "LONGEST_WAIT", 1000.0)
