"""Which sampler an engine has: a built-in one, which runs in the engine, or one in Python."""

from __future__ import annotations

import inspect
import operator
import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from transfer_queue._operations import Deadline
from transfer_queue.errors import InvalidArgumentError, NotReadyError, SamplerError
from transfer_queue.sampler import (
    BaseSampler,
    GRPOGroupNSampler,
    RankAwareSampler,
    SeqlenBalancedSampler,
    SequentialSampler,
    StreamingTokenBudgetSampler,
)
from transfer_queue.sampler._answer import checked
from transfer_queue.sampler._helper import Helper, acquire

__all__ = ["CustomSampler", "NativeSampler", "PartitionView", "SamplerRequest", "resolve"]

T = TypeVar("T")

#: Name in the engine and parameters of each built-in sampler.
_BUILT_IN: dict[type[BaseSampler], tuple[str, tuple[str, ...]]] = {
    SequentialSampler: ("sequential", ()),
    GRPOGroupNSampler: ("grpo_group_n", ("n_samples_per_prompt",)),
    RankAwareSampler: ("rank_aware", ()),
    SeqlenBalancedSampler: ("seqlen_balanced", ("n_samples_per_prompt", "dp_size")),
    StreamingTokenBudgetSampler: (
        "streaming_token_budget",
        ("token_budget", "n_samples_per_prompt", "dp_size", "length_tag"),
    ),
}

#: How often a sampler is asked anew where others consumed what it chose.
_ATTEMPTS = 4


class NativeSampler(NamedTuple):
    """A built-in sampler, as ``_core.Engine.set_sampler`` takes it."""

    kind: str
    params: dict[str, Any]


class SamplerRequest(Protocol):
    """What a batch is asked for."""

    @property
    def partition_id(self) -> str: ...
    @property
    def task_name(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def sampling_config(self) -> Mapping[str, Any]: ...


class PartitionView:
    """What a sampler sees of the partition it samples from."""

    def __init__(self, tags_of: Callable[[list[int]], Sequence[dict[str, Any]]]) -> None:
        self._tags_of = tags_of

    def get_custom_meta(self, global_indexes: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The tags of samples; empty ones of those that have none or do not exist."""
        indexes = [operator.index(index) for index in global_indexes]
        return dict(zip(indexes, self._tags_of(indexes), strict=True))


def resolve(sampler: Any) -> NativeSampler | CustomSampler:
    """The sampler that a configuration names.

    Args:
        sampler: the name of a built-in sampler, a subclass of :class:`BaseSampler`, or an instance
            of one.

    Raises:
        InvalidArgumentError: no built-in sampler has that name.
        TypeError: it is none of these, or a class that needs arguments.
    """
    if isinstance(sampler, str):
        names = {built_in.__name__: built_in for built_in in _BUILT_IN}
        if sampler not in names:
            raise InvalidArgumentError(
                f"Could not find sampler {sampler}: built-in samplers are {', '.join(names)}; give "
                "another one to controller.sampler as a class or an instance"
            )
        sampler = names[sampler]
    if isinstance(sampler, type) and issubclass(sampler, BaseSampler):
        try:
            sampler = sampler()
        except TypeError as error:
            error.add_note(
                f"controller.sampler is the class {sampler.__name__}; where it needs arguments, "
                "give an instance"
            )
            raise
    if not isinstance(sampler, BaseSampler):
        raise TypeError(
            f"controller.sampler is {sampler!r}; give the name of a built-in sampler, a subclass "
            "of BaseSampler or an instance of one"
        )
    if type(sampler) in _BUILT_IN:
        kind, names_of_params = _BUILT_IN[type(sampler)]
        return NativeSampler(kind, {name: getattr(sampler, name) for name in names_of_params})
    return CustomSampler(sampler)


class CustomSampler:
    """A sampler written in Python. Any number of threads may share it; it serves one at a time.

    The sampler runs on a thread of its own, so that one that does not return can be given up.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        self._sampler = sampler
        self.name = type(sampler).__name__
        self._turn = threading.Lock()
        self._helper: Helper | None = None
        #: Partitions that were cleared since the last call; it forgets them first.
        self._cleared: queue.SimpleQueue[str] = queue.SimpleQueue()
        parameters = inspect.signature(sampler.sample).parameters.values()
        self._takes = {
            parameter.name
            for parameter in parameters
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        self._takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)

    def run(
        self,
        request: SamplerRequest,
        ready: Callable[[int], list[int] | None],
        claim: Callable[[list[int], list[int], bool], T],
        tags_of: Callable[[list[int]], Sequence[dict[str, Any]]],
        timeout: float,
    ) -> T | None:
        """Chooses a batch and claims it. Nobody else is served in between, so that the sampler
        never remembers samples that it gave to two ranks.

        Args:
            request: what is asked for.
            ready: gives the ready samples of the request's task and fields in ascending order, or
                None where there are fewer than its argument.
            claim: takes the batch, the samples consumed with it and whether the batch was chosen
                before; it raises NotReadyError where others were faster.
            tags_of: the tags of samples, by global index.
            timeout: seconds within which the sampler must have answered.

        Returns:
            What ``claim`` returned; None where too few samples are ready.

        Raises:
            SamplerError: the sampler raised, did not return in time, or answered something
                that cannot be claimed. Nothing is claimed then.
        """
        deadline = Deadline(timeout)
        config = dict(request.sampling_config)
        if not acquire(self._turn, deadline):
            raise SamplerError(
                f"{self.name} was busy with other requests for {deadline.seconds} s; make it "
                "faster or raise controller.sampler_timeout"
            )
        try:
            for _ in range(_ATTEMPTS):
                again = self._call(partial(self._has_answer, request, config), deadline)
                found = ready(0 if again else request.batch_size)
                if found is None:
                    return None
                keywords = self._keywords(request, config, tags_of)
                choose = partial(self._sampler, list(found), request.batch_size, **keywords)
                answer = self._call(choose, deadline)
                sampled, consumed = checked(self.name, answer, None if again else set(found))
                if not sampled:
                    return None
                try:
                    return claim(sampled, consumed, again)
                except NotReadyError:
                    continue
            return None
        finally:
            self._turn.release()

    def clear_cache(self, partition_id: str) -> None:
        """Has the sampler clear its cache of a partition before it chooses again."""
        self._cleared.put(partition_id)

    def _has_answer(self, request: SamplerRequest, config: dict[str, Any]) -> bool:
        while not self._cleared.empty():
            self._sampler.clear_cache(self._cleared.get())
        return bool(
            self._sampler.has_cached_result(request.partition_id, request.task_name, config)
        )

    def _keywords(
        self,
        request: SamplerRequest,
        config: dict[str, Any],
        tags_of: Callable[[list[int]], Sequence[dict[str, Any]]],
    ) -> dict[str, Any]:
        ours = {
            "partition": PartitionView(tags_of),
            "task_name": request.task_name,
            "partition_id": request.partition_id,
        }
        wanted = {
            name: value for name, value in ours.items() if self._takes_all or name in self._takes
        }
        return wanted | config

    def _call(self, function: Callable[[], T], deadline: Deadline) -> T:
        """The result of ``function``, called on the helper thread."""
        if self._helper is None:
            self._helper = Helper()
            weakref.finalize(self, self._helper.retire)
        call = self._helper.submit(function)
        if not call.wait(deadline):
            # The thread cannot be ended; it ends by itself should the sampler ever return.
            call.drop()
            self._helper.retire()
            self._helper = None
            raise SamplerError(
                f"{self.name} did not return within {deadline.seconds} s, and its thread was "
                "given up; make it faster or raise controller.sampler_timeout"
            )
        if call.error is not None:
            error = call.error
            raise SamplerError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        result: T = call.result
        return result
