"""Fixtures of the codec's tests."""

import pytest

from transfer_queue import _core
from transfer_queue.utils import serial_utils


@pytest.fixture(params=["exchange", "capsules"])
def bridge(request):
    """Both ways to talk to torch: DLPack's exchange table, and capsules as with an older torch."""
    _core.use_dlpack_capsules_only(request.param == "capsules")
    yield request.param
    _core.use_dlpack_capsules_only(False)


@pytest.fixture
def pickle_off():
    """Pickle switched off for the process."""
    serial_utils.set_allow_pickle(False)
    yield
    serial_utils.set_allow_pickle(True)


def pytest_configure(config):
    config.addinivalue_line("markers", "large: needs many GiB of memory; skips itself without")
