"""A small Ray on this machine, one for all tests of a module."""

import contextlib
import logging
import os
from pathlib import Path

import pytest
import ray
from ray_workers import NAME, NAMESPACE

import transfer_queue


@pytest.fixture(scope="module")
def cluster():
    """A running Ray of two CPUs."""
    transfer_queue.close()
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
    with pytest.MonkeyPatch.context() as patch:
        # Workers import this folder's modules too.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        ray.init(
            num_cpus=2,
            resources={"scarce": 1},
            include_dashboard=False,
            object_store_memory=200 << 20,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    yield ray
    transfer_queue.close()
    ray.shutdown()


@pytest.fixture
def tq(cluster):
    """The package, and no engine in the cluster before or after."""
    transfer_queue.close()
    yield transfer_queue
    transfer_queue.close()
    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(NAME, namespace=NAMESPACE))
