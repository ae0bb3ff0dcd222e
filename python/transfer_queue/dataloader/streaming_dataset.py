"""`StreamingDataset`: an endless or finite stream of the samples of a partition."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tensordict import TensorDict
from torch.utils.data import IterableDataset, get_worker_info

from transfer_queue.dataloader.chunking import chunk_batch_fn
from transfer_queue.dataloader.fetching import StreamClient, connect, default_fetch_batch_fn
from transfer_queue.dataloader.numbering import Numbering
from transfer_queue.dataloader.waiting import LONGEST_WAIT, Guardian, retry_interval
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import BatchMeta

__all__ = ["Batch", "StreamingDataset", "chunk_batch_fn", "default_fetch_batch_fn"]

logger = logging.getLogger(__name__)

Batch = tuple[TensorDict, BatchMeta]
FetchBatch = Callable[..., tuple[TensorDict | None, BatchMeta]]
ProcessBatch = Callable[..., Iterable[Any]]

_END = object()


class StreamingDataset(IterableDataset[Any]):
    """Claims batches of ready samples for a task and yields them in micro-batches.

    The stream waits for data and is endless, unless ``should_check_consumption_status`` is set:
    then it ends once the task has consumed every sample of the partition, on any rank, and the
    buffer is used up.

    In a DataLoader with n workers, worker w fetches the batches w, w + n, w + 2n, ... One thread
    at a time may use an object. Copies that reach other processes, pickled or by a fork, make a
    client of their own there.

    Args:
        config: what :func:`transfer_queue.init` returned where the controller was started.
        batch_size: samples of a batch, as asked of the sampler.
        micro_batch_size: passed to ``process_batch_fn``.
        data_fields: fields to read; a sample is ready when all are produced.
        partition_id: the partition to begin with.
        task_name: the task to claim for.
        dp_rank: data-parallel rank; ranks of one number get the same batches from a rank-aware
            sampler.
        should_check_consumption_status: end the stream as told above.
        fetch_batch_fn: called with the keywords ``tq_client, data_fields, batch_size, partition_id,
            task_name, sampling_config, batch_index``; returns data and metadata, or None and
            metadata where there is not enough data. It is called again after the next change of
            the partition, and every ``TQ_STREAMING_DATASET_EMPTY_BATCH_SLEEP_INTERVAL`` seconds
            (default 1). Default: :func:`default_fetch_batch_fn`.
        process_batch_fn: called with data, metadata and the keyword ``micro_batch_size``; its items
            are what the stream yields. Default: :func:`chunk_batch_fn`.
        buffer_size: how many of the last batches are kept for :meth:`reset`; None keeps all of a
            partition, 0 none.

    Attributes:
        sampling_config: ``dp_rank`` and ``task_name``, for the sampler.
        buffer: the batches kept, oldest first.
        batch_index: how many batches of the partition were begun, in this process.

    Raises:
        InvalidArgumentError: a size is less than 1 (``dp_rank``, ``buffer_size``: than 0), or there
            are no fields.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        batch_size: int,
        micro_batch_size: int,
        data_fields: list[str],
        partition_id: str,
        task_name: str,
        dp_rank: int,
        should_check_consumption_status: bool = False,
        fetch_batch_fn: FetchBatch | None = None,
        process_batch_fn: ProcessBatch | None = None,
        *,
        buffer_size: int | None = None,
    ) -> None:
        super().__init__()
        _at_least(1, batch_size=batch_size, micro_batch_size=micro_batch_size)
        _at_least(0, dp_rank=dp_rank, buffer_size=0 if buffer_size is None else buffer_size)
        if len(data_fields) < 1:
            raise InvalidArgumentError("data_fields is empty; name at least one field")
        self.config = config
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.data_fields = data_fields
        self.partition_id = partition_id
        self.task_name = task_name
        self.dp_rank = dp_rank
        self.should_check_consumption_status = should_check_consumption_status
        self.fetch_batch_fn = fetch_batch_fn or default_fetch_batch_fn
        self.process_batch_fn = process_batch_fn or chunk_batch_fn
        self.buffer_size = buffer_size
        self.sampling_config: dict[str, Any] = {"dp_rank": dp_rank, "task_name": task_name}
        self.buffer: list[Batch] = []
        self.batch_index = 0
        #: Index of the oldest batch of the buffer.
        self._oldest = 0
        self._numbering = Numbering()
        self._retry_interval = retry_interval()
        self._tq_client: StreamClient | None = None
        self._client_pid = 0

    def __getstate__(self) -> dict[str, Any]:
        # A client belongs to one process.
        return {**self.__dict__, "_tq_client": None}

    def reset(self) -> None:
        """Goes back to the oldest batch of the buffer (to the first of the partition, where none
        was dropped); the batches of the buffer are yielded again before new ones are fetched.
        """
        self.batch_index = self._oldest

    def step(self, partition_id: str) -> None:
        """Drops the buffer and starts over in another partition."""
        self.buffer = []
        self.batch_index = self._oldest = 0
        self.partition_id = partition_id

    def __iter__(self) -> Iterator[Any]:
        """Continues the stream at ``batch_index``.

        Raises:
            Exception: whatever the client or a user's function raises, with a note that names the
                function, partition, task and batch.
        """
        worker = get_worker_info()
        if worker is not None:
            self._become_worker(worker.id, worker.num_workers)
        guardian = Guardian(in_worker=worker is not None)
        while (batch := self._next(guardian)) is not None:
            number = self._numbering.number(self.batch_index)
            self.batch_index += 1
            yield from self._processed(batch, number)

    def _next(self, guardian: Guardian) -> Batch | None:
        """The batch at ``batch_index``, waiting for it; None at the end of the stream."""
        if self.buffer:
            self.batch_index = max(self.batch_index, self._oldest)
            position = self.batch_index - self._oldest
            if position < len(self.buffer):
                return self.buffer[position]
        number = self._numbering.number(self.batch_index)
        with self._told(f"fetching with {_name(self.fetch_batch_fn)}", number):
            batch = self._fetched(guardian, number)
        if batch is not None:
            self._keep(batch)
        return batch

    def _keep(self, batch: Batch) -> None:
        if self.batch_index != self._oldest + len(self.buffer):
            # The user changed buffer or batch_index; the buffer holds consecutive batches only.
            self.buffer = []
            self._oldest = self.batch_index
        self.buffer.append(batch)
        if self.buffer_size is not None:
            excess = max(len(self.buffer) - self.buffer_size, 0)
            del self.buffer[:excess]
            self._oldest += excess

    def _fetched(self, guardian: Guardian, number: int) -> Batch | None:
        client = self._client()
        by_default = self.fetch_batch_fn is default_fetch_batch_fn
        if by_default and not self.should_check_consumption_status:
            while guardian.alive():
                # The controller wakes this wait once there is a batch.
                if batch := self._fetch(client, number, timeout=LONGEST_WAIT):
                    return batch
            return None
        while guardian.alive():
            # Read first: what happens from here on ends the wait below at once.
            seen = client.activity(self.partition_id)
            consumed = self.should_check_consumption_status and client.check_consumption_status(
                self.task_name, self.partition_id
            )
            if by_default:
                # Also when all is consumed: a peer of the same rank may have taken the last batch,
                # and a rank-aware sampler has it for this one as well.
                batch = self._fetch(client, number, timeout=0.0)
            else:
                batch = None if consumed else self._fetch(client, number)
            if batch is not None or consumed:
                return batch
            longest = LONGEST_WAIT if by_default else self._retry_interval
            client.wait_for_change(self.partition_id, seen, longest)
        return None

    def _fetch(self, client: StreamClient, number: int, **waiting: float) -> Batch | None:
        data, meta = self.fetch_batch_fn(
            tq_client=client,
            data_fields=self.data_fields,
            batch_size=self.batch_size,
            partition_id=self.partition_id,
            task_name=self.task_name,
            sampling_config=self.sampling_config,
            batch_index=number,
            **waiting,
        )
        return None if data is None else (data, meta)

    def _processed(self, batch: Batch, number: int) -> Iterator[Any]:
        what = f"processing with {_name(self.process_batch_fn)}"
        with self._told(what, number):
            items = iter(self.process_batch_fn(*batch, micro_batch_size=self.micro_batch_size))
        while True:
            with self._told(what, number):
                item = next(items, _END)
            if item is _END:
                return
            yield item

    @contextmanager
    def _told(self, what: str, number: int) -> Iterator[None]:
        """Adds to an exception where in the stream it happened."""
        try:
            yield
        except Exception as error:
            note = (
                f"StreamingDataset: {what}, partition {self.partition_id!r}, "
                f"task {self.task_name!r}, batch index {number}"
            )
            error.add_note(note)
            logger.error("%s: %s: %s", note, type(error).__name__, error)
            raise

    def _client(self) -> StreamClient:
        # A client that came through a fork is the parent's.
        if self._tq_client is None or self._client_pid != os.getpid():
            self._tq_client = self._create_client()
            self._client_pid = os.getpid()
        return self._tq_client

    def _create_client(self) -> StreamClient:
        return connect(self.config)

    def _become_worker(self, worker: int, workers: int) -> None:
        """Goes on with this worker's share of what the dataset was when the worker started."""
        numbering = Numbering(worker, workers)
        if numbering == self._numbering:
            return
        self.buffer = [
            batch
            for number, batch in enumerate(self.buffer, self._oldest)
            if number % workers == worker
        ]
        self._oldest = numbering.position(self._oldest)
        self.batch_index = numbering.position(self.batch_index)
        self._numbering = numbering


def _at_least(least: int, **found: int) -> None:
    for name, number in found.items():
        if number < least:
            raise InvalidArgumentError(f"{name} is {number}; it must be at least {least}")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
