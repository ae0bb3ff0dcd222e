"""Samplers: which of the ready samples a task gets next.

The built-in ones run in the engine; give ``init`` their name, class or an instance. A subclass of
:class:`BaseSampler` runs in the process that hosts the controller.
"""

from transfer_queue.sampler.base import BaseSampler
from transfer_queue.sampler.grpo_group_n_sampler import GRPOGroupNSampler
from transfer_queue.sampler.rank_aware_sampler import RankAwareSampler
from transfer_queue.sampler.seqlen_balanced_sampler import SeqlenBalancedSampler
from transfer_queue.sampler.sequential_sampler import SequentialSampler
from transfer_queue.sampler.streaming_token_budget_sampler import StreamingTokenBudgetSampler

__all__ = [
    "BaseSampler",
    "GRPOGroupNSampler",
    "RankAwareSampler",
    "SeqlenBalancedSampler",
    "SequentialSampler",
    "StreamingTokenBudgetSampler",
]
