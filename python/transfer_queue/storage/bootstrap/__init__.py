"""Starting what a backend needs, and ending it.

A provider is called by :func:`transfer_queue.init` in the process that starts the engine. What it
returns is kept, and ended by :func:`transfer_queue.close` where it has a method ``end``.
"""

from transfer_queue.storage.bootstrap.provider import (
    Resources,
    StorageBootstrapProvider,
    started_for,
)

__all__ = ["Resources", "StorageBootstrapProvider", "started_for"]
