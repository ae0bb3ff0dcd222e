"""`get_meta`: taking ready samples, waiting for them, inserting new ones."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from transfer_queue._client.base import ClientBase, checked_fields
from transfer_queue._engine import Engine, FetchRequest, allow_pickle, choose, packed
from transfer_queue._metas import batch_meta
from transfer_queue._operations import Deadline, Lacking, Offload, Operation, until
from transfer_queue._sampling import CustomSampler
from transfer_queue.errors import InvalidArgumentError, WaitTimeoutError
from transfer_queue.metadata import BatchMeta

__all__ = ["FetchOperations", "insert"]

_Look: TypeAlias = Callable[[], Operation[BatchMeta | Lacking]]


class FetchOperations(ClientBase):
    """Metadata of samples to work on."""

    def _get_meta(
        self,
        data_fields: list[str],
        batch_size: int,
        partition_id: str,
        mode: str = "fetch",
        task_name: str | None = None,
        sampling_config: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Operation[BatchMeta]:
        """Metadata of samples, chosen by ``mode``.

        ``fetch`` takes the samples that the sampler chooses of those whose fields are all produced
        and that the task has not consumed; they are consumed by the task from then on. Where data
        lacks, it waits for it; with ``controller.polling_mode`` it answers with an empty batch.
        ``force_fetch`` gives all samples of the partition, in ascending order, and consumes none.
        ``insert`` adds samples without fields, for a put.

        Args:
            data_fields: names of the fields; those nobody knows are placeholders for ``insert``,
                left out for ``force_fetch``.
            batch_size: how many samples; ignored by ``force_fetch``.
            partition_id: the partition; created by ``insert`` where missing.
            mode: ``fetch``, ``force_fetch`` or ``insert``.
            task_name: who consumes; needed by ``fetch``.
            sampling_config: what the sampler wants to know, such as ``dp_rank``, ``batch_index``.
            timeout: seconds to wait for data; None for ``controller.get_meta_timeout``, or not at
                all with ``controller.polling_mode``.

        Raises:
            WaitTimeoutError: data lacked until the timeout, and this is no polling controller.
            InvalidArgumentError: another mode, no task, a batch of no samples, or a request that
                the sampler refuses.
            StorageKeyNotFoundError: ``force_fetch`` of an unknown partition.
            SamplerError: a sampler written in Python failed.
        """
        fields = checked_fields(data_fields)
        if mode == "fetch":
            request = FetchRequest(
                partition_id,
                _checked_task(task_name),
                fields,
                _checked_size(batch_size),
                dict(sampling_config or {}),
            )
            return (yield from _fetch(self.engine, request, timeout))
        if mode == "force_fetch":
            return _all_samples(self.engine, partition_id, fields)
        if mode == "insert":
            return insert(self.engine, partition_id, fields, _checked_size(batch_size))
        raise InvalidArgumentError(
            f"mode {mode!r} is not known; use 'fetch', 'force_fetch' or 'insert'"
        )


def _all_samples(engine: Engine, partition_id: str, fields: list[str]) -> BatchMeta:
    return batch_meta(engine.core.force_fetch(partition_id, fields, allow_pickle()))


def insert(engine: Engine, partition_id: str, fields: list[str], count: int) -> BatchMeta:
    """Adds ``count`` samples; none where it is not positive."""
    if count < 1:
        return BatchMeta.empty()
    engine.before_creation(partition_id)
    return batch_meta(engine.core.insert(partition_id, fields, count, allow_pickle()))


def _fetch(engine: Engine, request: FetchRequest, timeout: float | None) -> Operation[BatchMeta]:
    polling = engine.settings.polling
    if request.batch_size < 1:
        if polling:
            return BatchMeta.empty()
        raise InvalidArgumentError(
            f"batch_size is {request.batch_size}; a fetch takes 1 sample or more"
        )
    look = _look_of(engine, request)
    if polling and timeout is None:
        found = yield from look()
    else:
        deadline = Deadline(engine.settings.get_meta_timeout if timeout is None else timeout)
        # A sampler written in Python may answer with what it chose for another rank.
        consumption = engine.hosts_sampler
        subscribe = partial(engine.core.subscribe, request.partition_id, consumption=consumption)
        found = yield from until(look, subscribe, deadline)
        if isinstance(found, Lacking) and not polling:
            raise WaitTimeoutError(
                f"TimeoutError: Timeout while waiting for sufficient data: task "
                f"{request.task_name!r} asked for {request.batch_size} samples of partition "
                f"{request.partition_id!r} with fields {request.fields}, and in "
                f"{deadline.seconds} s too few were ready, or the sampler chose none; check that "
                "producers put all of these fields, or wait longer with timeout="
            )
    return BatchMeta.empty() if isinstance(found, Lacking) else found


def _look_of(engine: Engine, request: FetchRequest) -> _Look:
    """The search for a batch: in the controller, or by a sampler written in Python."""
    if engine.sampler is not None:
        return partial(_choose, engine, engine.sampler, request)
    if engine.hosts_sampler:
        return partial(_choose_there, engine, request)
    ranks = [_checked_number(request.sampling_config, name) for name in ("dp_rank", "batch_index")]
    return partial(_sample, engine, request, *ranks)


def _sample(
    engine: Engine, request: FetchRequest, dp_rank: int | None, batch_index: int | None
) -> Operation[BatchMeta | Lacking]:
    yield from ()
    partition_id, task_name, fields, batch_size, _ = request
    meta = engine.core.fetch(
        partition_id, fields, batch_size, task_name, dp_rank, batch_index, allow_pickle()
    )
    return _lacking(engine, request) if meta is None else batch_meta(meta)


def _choose(
    engine: Engine, sampler: CustomSampler, request: FetchRequest
) -> Operation[BatchMeta | Lacking]:
    def claimed(sampled: list[int], consumed: list[int], again: bool) -> BatchMeta:
        partition_id, task_name, fields, _, _ = request
        return batch_meta(
            engine.core.claim(
                partition_id, fields, task_name, sampled, consumed, again, allow_pickle()
            )
        )

    work = partial(choose, engine.core, sampler, engine.settings, request, claimed)
    chosen = yield Offload(work)
    return _lacking(engine, request) if chosen is None else chosen


def _choose_there(engine: Engine, request: FetchRequest) -> Operation[BatchMeta | Lacking]:
    partition_id, task_name, fields, batch_size, config = request
    work = partial(
        engine.core.fetch_chosen,
        partition_id,
        fields,
        batch_size,
        task_name,
        packed(config),
        allow_pickle(),
    )
    meta = yield Offload(work)
    return _lacking(engine, request) if meta is None else batch_meta(meta)


def _lacking(engine: Engine, request: FetchRequest) -> Lacking:
    """How many rows have to come at least: each sample that lacks needs one put or more."""
    if not engine.whole_batches:
        return Lacking()
    ready = engine.core.ready_count(
        request.partition_id, request.fields, request.task_name, request.batch_size
    )
    return Lacking(request.batch_size - ready)


def _checked_task(task_name: str | None) -> str:
    if not isinstance(task_name, str):
        raise InvalidArgumentError(
            f"task_name is {task_name!r}; mode 'fetch' needs the name of the consuming task"
        )
    return task_name


def _checked_size(batch_size: Any) -> int:
    try:
        return operator.index(batch_size)
    except TypeError:
        raise InvalidArgumentError(f"batch_size is {batch_size!r}; it must be an integer") from None


def _checked_number(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be an integer") from None
    if number < 0:
        raise InvalidArgumentError(f"{name} is {number}; it must be greater than or equal to 0")
    return number
