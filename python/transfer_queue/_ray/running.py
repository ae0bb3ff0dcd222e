"""Whether this process takes part in a running Ray."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["running_ray"]

#: Whether Ray was running here when this process was forked off: its threads and connections are
#: the parent's, and a call of it in the child never returns.
_lost_in_fork = False


def _note_fork() -> None:
    global _lost_in_fork
    _lost_in_fork = _lost_in_fork or running_ray() is not None


os.register_at_fork(after_in_child=_note_fork)


def running_ray() -> Any | None:
    """The module ``ray``, where it is initialised in this process; None elsewhere."""
    ray = sys.modules.get("ray")
    # A module that is being imported by another thread has no functions yet.
    is_initialized = getattr(ray, "is_initialized", None)
    if _lost_in_fork or is_initialized is None or not is_initialized():
        return None
    return ray
