"""`StreamingDataLoader`: torch's DataLoader for a dataset that makes the batches itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader

from transfer_queue.dataloader.streaming_dataset import Batch, StreamingDataset

__all__ = ["StreamingDataLoader"]

logger = logging.getLogger(__name__)


def _identity(item: Any) -> Any:
    return item


class StreamingDataLoader(DataLoader[Any]):
    """Yields what the dataset yields: ``(TensorDict, BatchMeta)``, one micro-batch at a time.

    With worker processes each fetches batches of its own; the items of worker 0, 1, ... come in
    turn. Each worker holds a copy of the dataset, made when it starts.

    Args:
        dataset: what to stream.
        num_workers: worker processes; 0 for none.
        collate_fn: applied to each item; None leaves it as it is.
        pin_memory: copy tensors into pinned memory.
        worker_init_fn: called with the worker's number where it starts.
        multiprocessing_context: how workers are started.
        prefetch_factor: items that each worker holds ready.
        persistent_workers: keep the workers from one iteration to the next.
        pin_memory_device: device to pin memory for.
    """

    dataset: StreamingDataset

    def __init__(
        self,
        dataset: StreamingDataset,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
    ) -> None:
        super().__init__(
            dataset,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_identity if collate_fn is None else collate_fn,
            pin_memory=pin_memory,
            drop_last=False,
            timeout=0,
            worker_init_fn=worker_init_fn,
            multiprocessing_context=multiprocessing_context,
            prefetch_factor=prefetch_factor,
            persistent_workers=persistent_workers,
            pin_memory_device=pin_memory_device,
        )

    def reset(self) -> None:
        """Replays the buffered batches from the next iteration on; see
        :meth:`StreamingDataset.reset`.
        """
        self._warn_of_copies("reset")
        self.dataset.reset()

    def step(self, partition_id: str) -> None:
        """Switches to another partition; see :meth:`StreamingDataset.step`."""
        self._warn_of_copies("step")
        self.dataset.step(partition_id)

    def get_buffer(self) -> list[Batch]:
        """The batches that :meth:`reset` would replay; those of workers are not among them."""
        return self.dataset.buffer

    def _warn_of_copies(self, call: str) -> None:
        if self.persistent_workers:
            logger.warning(
                "StreamingDataLoader.%s does not reach persistent workers, which keep their copies "
                "of the dataset; use persistent_workers=False or num_workers=0",
                call,
            )
