"""The contract of a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["BaseSampler"]


class BaseSampler(ABC):
    """Chooses from the ready samples of a task.

    Subclass it for a policy of your own::

        class NewestFirst(BaseSampler):
            def sample(self, ready_indexes, batch_size, **kwargs):
                sampled = ready_indexes[-batch_size:]
                return sampled, sampled

        transfer_queue.init({"controller": {"sampler": NewestFirst}})

    One instance serves all partitions and tasks, one call at a time, on a thread of its own. What
    it raises reaches the caller of ``get_meta`` as the cause of a ``SamplerError``.

    Attributes:
        _states: what the sampler remembers, for subclasses as well. Answers that are to be given
            again stand under ``[partition_id][task_name][dp_rank][batch_index]``.
    """

    #: Names of further attributes that are cleared, saved and restored with ``_states``: dicts
    #: whose keys are tuples that begin with a partition.
    _memories: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._states: dict[Any, Any] = {}

    @abstractmethod
    def sample(
        self, ready_indexes: list[int], batch_size: int, *args: Any, **kwargs: Any
    ) -> tuple[list[int], list[int]]:
        """Chooses a batch.

        Args:
            ready_indexes: ascending global indexes of the samples that have all fields asked for
                and that the task has not consumed.
            batch_size: how many samples were asked for.
            *args: nothing; there for subclasses.
            **kwargs: ``partition``, whose ``get_custom_meta(indexes)`` gives ``{index: tags}``, the
                entries of the request's ``sampling_config``, and ``task_name`` and
                ``partition_id`` of the request.

        Returns:
            The batch, and the samples that the task has consumed with it. An empty batch says that
            the ready samples do not suffice.
        """

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[list[int], list[int]]:
        """As :meth:`sample`; this is what the controller calls."""
        return self.sample(*args, **kwargs)

    def has_cached_result(
        self,
        partition_id: str,
        task_name: str,
        sampling_config: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether the batch of the rank and batch index in ``sampling_config`` was chosen before,
        so that it can be given again however few samples are ready.
        """
        if not sampling_config or "dp_rank" not in sampling_config:
            return False
        batches = self._cached(partition_id, task_name, sampling_config["dp_rank"])
        return sampling_config.get("batch_index") in batches

    def clear_cache(self, partition_id: str) -> None:
        """Forgets what is remembered of a partition; called when it is cleared."""
        self._states.pop(partition_id, None)
        for name in self._memories:
            memory: dict[tuple[Any, ...], Any] = getattr(self, name)
            for key in [key for key in memory if key[0] == partition_id]:
                del memory[key]

    def save_checkpoint(self) -> dict[str, Any]:
        """What :meth:`load_checkpoint` restores; it must pickle."""
        return {name: getattr(self, name) for name in ("_states", *self._memories)}

    def load_checkpoint(self, state: dict[str, Any]) -> None:
        """Takes up where :meth:`save_checkpoint` was called."""
        self._states = state["_states"]
        for name in self._memories:
            setattr(self, name, state.get(name, {}))

    def _cached(self, partition_id: str, task_name: str, dp_rank: int | None) -> dict[Any, Any]:
        """Answers by batch index, without making an entry for them."""
        tasks = self._states.get(partition_id, {})
        found: dict[Any, Any] = tasks.get(task_name, {}).get(dp_rank, {})
        return found

    def _answers(self, partition_id: str, task_name: str, dp_rank: int | None) -> dict[Any, Any]:
        """Answers by batch index, to add to."""
        tasks = self._states.setdefault(partition_id, {})
        found: dict[Any, Any] = tasks.setdefault(task_name, {}).setdefault(dp_rank, {})
        return found
