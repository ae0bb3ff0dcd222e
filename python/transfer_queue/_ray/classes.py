"""Classes of actors, as Ray has them."""

from __future__ import annotations

from typing import Any

__all__ = ["actor_class"]


def actor_class(body: type) -> Any:
    """``body`` as a class of actors with ``remote`` and ``options``, which users may replace. An
    actor reserves no CPU unless it is told to, so that a small machine has room for it.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        error.add_note("install Ray by: pip install 'transferqueue-rs[ray]'")
        raise
    return ray.remote(num_cpus=0)(body)
