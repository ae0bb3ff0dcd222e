"""From `controller.sampler` to a sampler."""

import pytest

from transfer_queue._sampling import CustomSampler, NativeSampler, resolve
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.sampler import (
    BaseSampler,
    GRPOGroupNSampler,
    RankAwareSampler,
    SeqlenBalancedSampler,
    SequentialSampler,
    StreamingTokenBudgetSampler,
)


@pytest.mark.parametrize(
    ("given", "kind", "params"),
    [
        ("SequentialSampler", "sequential", {}),
        (SequentialSampler, "sequential", {}),
        (SequentialSampler(), "sequential", {}),
        ("RankAwareSampler", "rank_aware", {}),
        ("GRPOGroupNSampler", "grpo_group_n", {"n_samples_per_prompt": 1}),
        (GRPOGroupNSampler(4), "grpo_group_n", {"n_samples_per_prompt": 4}),
        (RankAwareSampler(), "rank_aware", {}),
        (
            SeqlenBalancedSampler(2, 8),
            "seqlen_balanced",
            {"n_samples_per_prompt": 2, "dp_size": 8},
        ),
        (
            StreamingTokenBudgetSampler(4096, 2, 8, "tokens"),
            "streaming_token_budget",
            {
                "token_budget": 4096,
                "n_samples_per_prompt": 2,
                "dp_size": 8,
                "length_tag": "tokens",
            },
        ),
    ],
)
def test_built_in_samplers_run_in_the_engine(given, kind, params):
    assert resolve(given) == NativeSampler(kind, params)


class Own(BaseSampler):
    def sample(self, ready_indexes, batch_size, *args, **kwargs):
        return ready_indexes[:batch_size], []


class OwnGroups(GRPOGroupNSampler):
    """Of a built-in class, but not exactly one."""


class NeedsArguments(Own):
    def __init__(self, seed):
        super().__init__()
        self.seed = seed


@pytest.mark.parametrize("given", [Own, Own(), OwnGroups, OwnGroups(3), NeedsArguments(1)])
def test_other_samplers_run_in_python(given):
    assert isinstance(resolve(given), CustomSampler)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(
        InvalidArgumentError, match=r"Could not find sampler Newest.*SequentialSampler, GRPOGroupN"
    ):
        resolve("Newest")


def test_a_class_that_needs_arguments_is_named():
    with pytest.raises(TypeError) as raised:
        resolve(NeedsArguments)
    assert "give an instance" in raised.value.__notes__[0]
    with pytest.raises(TypeError, match="abstract"):
        resolve(BaseSampler)


@pytest.mark.parametrize("given", [None, 5, object, {"name": "SequentialSampler"}, len])
def test_anything_else_is_no_sampler(given):
    with pytest.raises(TypeError, match="give the name of a built-in sampler"):
        resolve(given)
