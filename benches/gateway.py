"""Starting and ending the gateway of either package."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from measure import is_ours

__all__ = ["gateway", "prepare"]

#: The PyPI package asks Ray for one CPU per controller and storage unit, and waits for them for
#: ever; the number is only bookkeeping of Ray's.
_RAY_CPUS = 8
#: Its payload does not go through Ray's object store.
_RAY_OBJECT_STORE_BYTES = 200 << 20


def prepare() -> None:
    """Starts what the package needs before ``init``: Ray for the PyPI package, nothing for ours."""
    os.environ.setdefault("TQ_LOGGING_LEVEL", "WARNING")
    if not is_ours():
        import ray

        ray.init(
            num_cpus=_RAY_CPUS,
            include_dashboard=False,
            object_store_memory=_RAY_OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
        )


@contextmanager
def gateway() -> Iterator[ModuleType]:
    """The package, initialised with its defaults, and closed afterwards."""
    prepare()
    import transfer_queue as tq

    tq.init()
    try:
        yield tq
    finally:
        tq.close()
        if not is_ours():
            import ray

            ray.shutdown()
