"""Whole groups, dealt to the ranks up to a number of tokens each."""

from __future__ import annotations

import logging
import math
from typing import Any

from transfer_queue import _core
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.sampler.base import BaseSampler
from transfer_queue.sampler.grpo_group_n_sampler import check_positive

__all__ = ["StreamingTokenBudgetSampler"]

logger = logging.getLogger(__name__)


class StreamingTokenBudgetSampler(BaseSampler):
    """Batches bounded in tokens, for samples that arrive in a stream.

    Ready groups are taken in order. Each goes, whole, to the least loaded rank that has room for
    it: up to ``token_budget`` tokens and ``batch_size`` samples a rank. The batch is closed when
    the next group fits on no rank, which leaves it to the next batch, or when all ranks are full.
    Until then there is no answer, and ``get_meta`` waits; so every rank gets as much as the stream
    could give it, and none is left empty.

        sampler = StreamingTokenBudgetSampler(token_budget=100, dp_size=2)
        # ready: samples 0 to 4 of 60, 30, 50, 40 and 30 tokens
        client.get_meta(..., batch_size=8, sampling_config={"dp_rank": 0, "batch_index": 0})
        # samples 0 and 3, 100 tokens; rank 1 gets 1 and 2; sample 4 opens the next batch

    Each (partition, task, rank, batch index) has one answer. What a batch has promised to a rank
    that has yet to ask is in no other batch. A sample is ready only when it has the length tag.
    What is left at the end of a stream closes no batch; ask for it with a smaller ``batch_size``.

    Args:
        token_budget: the most tokens of one rank in one batch.
        n_samples_per_prompt: samples of a group, of consecutive global indexes.
        dp_size: ranks that ask. With more than one, requests must name ``dp_rank`` and
            ``batch_index``.
        length_tag: the tag with the tokens of a sample.

    Raises:
        InvalidArgumentError: a number is not positive.
    """

    _memories = ("_promised",)

    def __init__(
        self,
        token_budget: int,
        n_samples_per_prompt: int = 1,
        dp_size: int = 1,
        length_tag: str = "total_lengths",
    ) -> None:
        super().__init__()
        check_positive("token_budget", token_budget)
        check_positive("n_samples_per_prompt", n_samples_per_prompt)
        check_positive("dp_size", dp_size)
        self.token_budget = token_budget
        self.n_samples_per_prompt = n_samples_per_prompt
        self.dp_size = dp_size
        self.length_tag = length_tag
        #: Samples of shares that their ranks have yet to ask for, by partition and task.
        self._promised: dict[tuple[str, str], set[int]] = {}

    def sample(
        self,
        ready_indexes: list[int],
        batch_size: int,
        task_name: str = "",
        partition_id: str = "",
        *args: Any,  # noqa: ARG002
        **kwargs: Any,
    ) -> tuple[list[int], list[int]]:
        """The share of a rank, or nothing while the batch is not closed.

        Args:
            ready_indexes: the ready samples, in any order.
            batch_size: the most samples of one rank.
            task_name: the task; tasks have batches of their own.
            partition_id: the partition; likewise.
            *args: ignored.
            **kwargs: ``dp_rank`` and ``batch_index``, and ``partition``, from which the lengths are
                read; without it every sample counts 1.

        Returns:
            The share, twice.

        Raises:
            InvalidArgumentError: a group alone exceeds the budget, a length is no number of at
                least 0, or the request does not fit the sampler.
        """
        dp_rank, batch_index = kwargs.get("dp_rank"), kwargs.get("batch_index")
        self._check(batch_size, dp_rank, batch_index)
        named = dp_rank is not None and batch_index is not None
        promised = self._promised.setdefault((partition_id, task_name), set())
        cached = self._cached(partition_id, task_name, dp_rank)
        if named and batch_index in cached:
            answer: tuple[list[int], list[int]] = cached[batch_index]
            promised.difference_update(answer[0])
            return answer
        candidates = [index for index in ready_indexes if index not in promised]
        shares = self._shares(candidates, batch_size, kwargs.get("partition"))
        if shares is None:
            return [], []
        answers = [(share, list(share)) for share in shares]
        if named:
            for rank, answer in enumerate(answers):
                self._answers(partition_id, task_name, rank)[batch_index] = answer
                if rank != dp_rank:
                    promised.update(answer[0])
        return answers[dp_rank or 0]

    def _check(self, batch_size: int, dp_rank: int | None, batch_index: int | None) -> None:
        if batch_size < self.n_samples_per_prompt:
            raise InvalidArgumentError(
                f"batch_size is {batch_size}, but a rank must have room for a group of "
                f"{self.n_samples_per_prompt} samples; ask for at least that many"
            )
        if self.dp_size > 1 and (dp_rank is None or batch_index is None):
            raise InvalidArgumentError(
                f"StreamingTokenBudgetSampler deals to {self.dp_size} ranks and needs dp_rank and "
                "batch_index; name them in sampling_config"
            )
        if dp_rank is not None and not 0 <= dp_rank < self.dp_size:
            raise InvalidArgumentError(
                f"dp_rank is {dp_rank}, but the sampler serves {self.dp_size} ranks, from 0 to "
                f"{self.dp_size - 1}; give it another dp_size"
            )

    def _shares(
        self, candidates: list[int], batch_size: int, partition: Any
    ) -> list[list[int]] | None:
        """The samples of each rank, or None while the batch is not closed."""
        tags = self._length_tags(candidates, partition)
        size = self.n_samples_per_prompt
        tagged = [index for index in candidates if index in tags]
        indexes = _core.grpo_groups(tagged, size, None) or []
        groups = [indexes[start : start + size] for start in range(0, len(indexes), size)]
        lengths: list[float] = []
        refusal = None
        for group in groups:
            try:
                lengths.append(self._tokens(group, tags))
            except InvalidArgumentError as error:
                # It counts only where the groups before it do not close the batch.
                refusal = error
                break
        packed = _core.pack_lengths(lengths, self.dp_size, self.token_budget, batch_size // size)
        if packed is not None:
            return [[index for place in part for index in groups[place]] for part in packed]
        if refusal is not None:
            raise refusal
        return None

    def _length_tags(self, candidates: list[int], partition: Any) -> dict[int, Any]:
        if partition is None:
            logger.warning(
                "StreamingTokenBudgetSampler was given no partition to read lengths from; every "
                "sample counts 1"
            )
            return dict.fromkeys(candidates, 1)
        return {
            index: tags[self.length_tag]
            for index, tags in partition.get_custom_meta(candidates).items()
            if self.length_tag in tags
        }

    def _tokens(self, group: list[int], tags: dict[int, Any]) -> float:
        for index in group:
            length = tags[index]
            number = isinstance(length, (int, float)) and not isinstance(length, bool)
            if not number or not 0 <= length < math.inf:
                raise InvalidArgumentError(
                    f"the sampler needs the length of sample {index}, but its tag "
                    f"{self.length_tag!r} is {length!r}; set it to a number of at least 0"
                )
        tokens: float = sum(tags[index] for index in group)
        if tokens > self.token_budget:
            raise InvalidArgumentError(
                f"the group of samples {group[0]} to {group[-1]} has {tokens} tokens by the tag "
                f"{self.length_tag!r}, more than the token_budget of {self.token_budget} that a "
                "rank may take; clear it or raise the budget"
            )
        return tokens
