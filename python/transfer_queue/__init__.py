"""TransferQueue: the data gateway of LLM reinforcement-learning post-training.

Workers put and get *samples x fields* through it; a controller knows which field of which sample
is produced. Importing this package starts nothing and imports neither Ray nor any storage backend.
"""

from __future__ import annotations

from importlib import resources

from transfer_queue.metadata import BatchMeta, KVBatchMeta

__version__ = (resources.files(__name__) / "version" / "version").read_text().strip()

__all__ = ["BatchMeta", "KVBatchMeta"]
