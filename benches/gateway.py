"""Starting and ending the gateway of either package."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from measure import Results, is_ours, timed

__all__ = ["gateway"]

#: The PyPI package asks Ray for one CPU for the controller and for each storage unit, and waits for
#: them for ever. Ray only keeps books on this number.
_RAY_CPUS = 8
#: No payload goes through Ray's object store.
_RAY_OBJECT_STORE_BYTES = 200 << 20


@contextmanager
def gateway(results: Results | None = None) -> Iterator[ModuleType]:
    """The package, initialised with its defaults, and closed afterwards.

    PyTorch and tensordict, which both packages need, have to be imported before; then ``results``
    gets the seconds of the import, of ``init`` and of ``close``. Ray is up before the clock of
    ``init`` starts: in a job that uses it, it is there already.
    """
    os.environ.setdefault("TQ_LOGGING_LEVEL", "ERROR")
    imported = timed(_import)
    if not is_ours():
        _start_ray()
    import transfer_queue as tq

    initialised = timed(tq.init)
    try:
        yield tq
    finally:
        closed = timed(tq.close)
        if not is_ours():
            _stop_ray()
    if results is not None:
        results.add("import without PyTorch", [imported])
        results.add("init", [initialised])
        results.add("close", [closed])


def _import() -> None:
    import transfer_queue  # noqa: F401


def _start_ray() -> None:
    import ray

    ray.init(
        num_cpus=_RAY_CPUS,
        include_dashboard=False,
        object_store_memory=_RAY_OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
    )


def _stop_ray() -> None:
    import ray

    ray.shutdown()
