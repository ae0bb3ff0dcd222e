"""Streams of batches for training loops, on torch's DataLoader.

A :class:`StreamingDataset` claims ready samples of one partition for one task, as they are
produced, and cuts them into micro-batches; a :class:`StreamingDataLoader` runs it, in this process
or in worker processes.
"""

from __future__ import annotations

from transfer_queue.dataloader.streaming_dataloader import StreamingDataLoader
from transfer_queue.dataloader.streaming_dataset import StreamingDataset

__all__ = ["StreamingDataLoader", "StreamingDataset"]
