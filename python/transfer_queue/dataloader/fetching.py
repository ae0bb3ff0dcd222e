"""What a dataset asks of its client, and how it fetches where the user gives no function."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from tensordict import TensorDict

from transfer_queue.client import TransferQueueClient
from transfer_queue.errors import InvalidArgumentError, WaitTimeoutError
from transfer_queue.metadata import BatchMeta

__all__ = ["StreamClient", "connect", "default_fetch_batch_fn"]


class StreamClient(Protocol):
    """The part of :class:`transfer_queue.TransferQueueClient` that a dataset uses."""

    def get_meta(
        self,
        data_fields: list[str],
        batch_size: int,
        partition_id: str,
        mode: str = "fetch",
        task_name: str | None = None,
        sampling_config: dict[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> BatchMeta:
        """Claims a batch of ready samples."""

    def get_data(self, metadata: BatchMeta) -> TensorDict:
        """Reads the rows of a batch."""

    def check_consumption_status(self, task_name: str, partition_id: str) -> bool:
        """Whether the task has consumed all samples of the partition."""

    def activity(self, partition_id: str) -> int:
        """A number that differs after any change of the partition."""

    def wait_for_change(self, partition_id: str, since: int, timeout: float | None) -> int:
        """Waits until :meth:`activity` differs from ``since``, at most ``timeout`` seconds."""


def connect(config: Mapping[str, Any]) -> StreamClient:
    """A client of the controller that ``config`` names, for this process.

    Raises:
        InvalidArgumentError: ``config`` names no controller.
    """
    controller_info = config["controller"]["zmq_info"]
    if controller_info is None:
        raise InvalidArgumentError(
            "config.controller.zmq_info is null, so there is no controller to connect to; "
            "give the configuration that transfer_queue.init() returned where it was started"
        )
    client = TransferQueueClient(f"StreamingDataset_{uuid.uuid4().hex[:8]}", controller_info)
    backend = config["backend"]["storage_backend"]
    client.initialize_storage_manager(backend, config["backend"][backend])
    return client


def default_fetch_batch_fn(
    tq_client: StreamClient,
    data_fields: list[str],
    batch_size: int,
    partition_id: str,
    task_name: str,
    sampling_config: dict[str, Any],
    batch_index: int,
    *,
    timeout: float | None = None,
) -> tuple[TensorDict | None, BatchMeta]:
    """Claims and reads one batch.

    Args:
        tq_client: a :class:`transfer_queue.TransferQueueClient`.
        data_fields: fields to read; a sample is ready when all are produced.
        batch_size: samples of a batch.
        partition_id: the partition.
        task_name: the task to claim for.
        sampling_config: passed to the sampler, together with ``batch_index`` and ``partition_id``.
        batch_index: number of the batch in its stream.
        timeout: longest wait for data, in seconds. None leaves it to the controller: in polling
            mode it answers at once, otherwise it waits as long as it is configured to.

    Returns:
        Data and metadata; None and empty metadata where there is not enough data.
    """
    # Not passed on unless given, so that clients without this argument serve as well.
    waiting = {} if timeout is None else {"timeout": timeout}
    try:
        meta = tq_client.get_meta(
            data_fields=data_fields,
            batch_size=batch_size,
            partition_id=partition_id,
            mode="fetch",
            task_name=task_name,
            sampling_config={
                **sampling_config,
                "batch_index": batch_index,
                "partition_id": partition_id,
            },
            **waiting,
        )
    except WaitTimeoutError:
        return None, BatchMeta.empty()
    if meta.size == 0:
        return None, meta
    return tq_client.get_data(meta), meta
