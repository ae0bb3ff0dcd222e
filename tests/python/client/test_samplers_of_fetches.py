"""Which sampler a fetch uses, and what reaches it."""

import pytest
from client_builders import batch, fetch
from omegaconf import OmegaConf

import transfer_queue
from transfer_queue import BaseSampler, GRPOGroupNSampler
from transfer_queue.errors import InvalidArgumentError, SamplerError


@pytest.fixture
def start():
    def with_sampler(sampler, **controller):
        transfer_queue.close()
        conf = {"controller": {"sampler": sampler, "polling_mode": True, **controller}}
        transfer_queue.init(OmegaConf.create(conf, flags={"allow_objects": True}))
        return transfer_queue.get_client()

    yield with_sampler
    transfer_queue.close()


class Last(BaseSampler):
    """The last samples, as the configuration wants them."""

    def sample(self, ready_indexes, batch_size, *, step=1, **given):
        self.given = given
        chosen = ready_indexes[::-1][:batch_size]
        return chosen, chosen[::step]


@pytest.mark.parametrize("sampler", [Last, Last()], ids=["class", "instance"])
def test_a_sampler_written_in_python_chooses(start, sampler):
    client = start(sampler)
    client.put(batch(5), partition_id="p")
    assert fetch(client, 2).global_indexes == [4, 3]
    assert fetch(client, 4).size == 0
    assert fetch(client, 3, sampling_config={"step": 2}).global_indexes == [2, 1, 0]
    assert client.get_consumption_status("t", "p")[1].tolist() == [1, 0, 1, 1, 1]


def test_a_sampler_is_told_partition_task_and_tags(start):
    sampler = Last()
    client = start(sampler)
    meta = client.put(batch(2), partition_id="p")
    meta.update_custom_meta([{"n": 1}, {}])
    client.set_custom_meta(meta)
    fetch(client, 1, sampling_config={"extra": 5})
    partition = sampler.given.pop("partition")
    assert partition.get_custom_meta([0, 1]) == {0: {"n": 1}, 1: {}}
    assert sampler.given == {"task_name": "t", "partition_id": "p", "extra": 5}


async def test_a_sampler_serves_coroutines(start):
    client = start(Last)
    client.put(batch(3), partition_id="p")
    assert (await client.async_get_meta(["x"], 3, "p", task_name="t")).global_indexes == [2, 1, 0]


class Failing(BaseSampler):
    def sample(self, ready_indexes, batch_size, **given):
        raise LookupError("no idea")


class Inventing(BaseSampler):
    def sample(self, ready_indexes, batch_size, **given):
        return [77], [77]


@pytest.mark.parametrize(
    ("sampler", "message"), [(Failing, "LookupError: no idea"), (Inventing, "77")]
)
def test_a_sampler_that_fails_consumes_nothing(start, sampler, message):
    client = start(sampler)
    client.put(batch(2), partition_id="p")
    with pytest.raises(SamplerError, match=message) as caught:
        fetch(client, 1)
    assert isinstance(caught.value, RuntimeError)
    assert client.get_consumption_status("t", "p")[1].tolist() == [0, 0]


def test_a_built_in_sampler_by_instance(start):
    client = start(GRPOGroupNSampler(3))
    client.put(batch(7), partition_id="p")
    assert fetch(client, 6).global_indexes == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="must be a multiple of n_samples_per_prompt"):
        fetch(client, 1)


def test_an_answer_is_given_again_for_the_same_rank_and_batch(start):
    client = start("RankAwareSampler")
    client.put(batch(6), partition_id="p")

    def batch_of(rank, index):
        config = {"dp_rank": rank, "batch_index": index}
        return fetch(client, 2, sampling_config=config).global_indexes

    assert [batch_of(0, 0), batch_of(1, 0), batch_of(0, 0)] == [[0, 1], [2, 3], [0, 1]]
    assert [batch_of(0, 1), batch_of(1, 0)] == [[4, 5], [2, 3]]


@pytest.mark.parametrize(
    "config",
    [None, {"dp_rank": 0}, {"dp_rank": -1, "batch_index": 0}, {"dp_rank": "a", "batch_index": 0}],
)
def test_a_sampler_that_needs_ranks_says_so(start, config):
    client = start("RankAwareSampler")
    client.put(batch(2), partition_id="p")
    with pytest.raises(RuntimeError, match=r"dp_rank|batch_index"):
        fetch(client, 2, sampling_config=config)


def test_an_unknown_sampler_starts_nothing(start):
    with pytest.raises(InvalidArgumentError, match="Nonesuch"):
        start("Nonesuch")
    with pytest.raises(TypeError, match="BaseSampler"):
        start(object())
    with pytest.raises(AssertionError):
        transfer_queue.get_client()
