"""TensorDicts, their stacks and their values that are no tensors."""

import numpy as np
import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_classes import Rollout
from codec_sameness import assert_same
from tensordict import (
    NonTensorData,
    NonTensorStack,
    TensorDict,
    TensorDictParams,
    lazy_stack,
)

from transfer_queue.utils.serial_utils import batch_decode_from

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")


def jagged(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def nested():
    return TensorDict({"a": torch.ones(2, 3), "n": TensorDict({"x": torch.zeros(2, 1)}, [2])}, [2])


TENSORDICTS = {
    "nested": nested(),
    "nested, locked": nested().lock_(),
    "without batch dimension": TensorDict({"a": torch.tensor(1.0)}, []),
    "of no rows": TensorDict({"a": torch.ones(0, 3)}, [0]),
    "without entries": TensorDict({}, [4]),
    "of two batch dimensions with names": TensorDict(
        {"a": torch.ones(2, 3)}, [2, 3], names=["r", "c"]
    ),
    "with one dimension named": TensorDict({"a": torch.ones(2, 3)}, [2, 3], names=["r", None]),
    "on the CPU by name": TensorDict({"a": torch.ones(2)}, [2], device="cpu"),
    "with jagged entries": TensorDict({"a": jagged(torch.ones(2), torch.ones(3))}, [2]),
    "with text": TensorDict({"s": NonTensorStack("a", "b")}, [2]),
    "with one text for all": TensorDict({"d": NonTensorData("x", batch_size=[2])}, [2]),
    "with entries that require grad": TensorDict({"a": torch.ones(2, requires_grad=True)}, [2]),
    "with inner batch dimensions": TensorDict(
        {"n": TensorDict({"x": torch.ones(2, 3)}, [2, 3])}, [2]
    ),
    "with keys like paths": TensorDict({"a/b": torch.ones(1), "": torch.ones(1)}, [1]),
    "holding a TensorDict that is locked": TensorDict(
        {"n": TensorDict({"x": torch.zeros(2)}, [2]).lock_()}, [2]
    ),
    "a lazy stack of ragged rows": lazy_stack(
        [TensorDict({"a": torch.ones(2)}, []), TensorDict({"a": torch.ones(3)}, [])]
    ),
    "a lazy stack along 1": lazy_stack([TensorDict({"a": torch.ones(4, 2)}, [4])] * 2, 1),
    "a lazy stack with text": lazy_stack([TensorDict({"s": "a"}, []), TensorDict({"s": "b"}, [])]),
    "a lazy stack of differing keys": lazy_stack(
        [TensorDict({"a": torch.ones(2)}, []), TensorDict({"b": torch.ones(3)}, [])]
    ),
    "inside a TensorDict": TensorDict({"z": lazy_stack([nested(), nested()])}, [2]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TENSORDICTS)
def test_tensordicts_survive(name, way):
    assert_same(way(TENSORDICTS[name]), TENSORDICTS[name])


@pytest.mark.parametrize("name", TENSORDICTS)
def test_tensordicts_need_no_pickle(name):
    packed(TENSORDICTS[name], allow_pickle=False)


NON_TENSORS = {
    "text": NonTensorData("hey"),
    "a dict for a batch": NonTensorData({"k": 1}, batch_size=[2, 3]),
    "a tensor": NonTensorData(torch.ones(2)),
    "a row of all kinds": NonTensorStack("a", 1, None, [1, 2], {"k": torch.ones(1)}),
    "a single row": NonTensorStack("a"),
    "rows of None": NonTensorStack(None, None),
    "arrays": NonTensorStack(np.arange(2), np.arange(3)),
    "a 2-D stack": NonTensorStack(NonTensorStack("a", "b"), NonTensorStack("c", "d")),
    "a 2-D stack along 1": NonTensorStack(
        NonTensorStack("a", "b"), NonTensorStack("c", "d"), stack_dim=1
    ),
    "rows that are batches": NonTensorStack(
        NonTensorData("a", batch_size=[3]), NonTensorData("b", batch_size=[3])
    ),
    "part of a stack": NonTensorStack("a", "b", "c")[1:],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NON_TENSORS)
def test_values_that_are_no_tensors_survive(name, way):
    assert_same(way(NON_TENSORS[name]), NON_TENSORS[name])
    inside = TensorDict({"s": NON_TENSORS[name]}, NON_TENSORS[name].batch_size)
    assert_same(way(inside), inside)


def test_a_stack_of_text_keeps_its_text():
    back = by_batch(TensorDict({"s": NonTensorStack("a", "b")}, [2]))
    assert list(back["s"]) == ["a", "b"]
    assert back[1]["s"] == "b"


def test_a_locked_tensordict_comes_back_locked():
    back = by_batch(nested().lock_())
    with pytest.raises(RuntimeError, match="lock"):
        back["b"] = torch.ones(2)
    unlocked = by_batch(nested())
    unlocked["b"] = torch.ones(2)
    assert unlocked["n"].is_locked is False


def test_tensors_in_a_tensordict_are_views_of_the_buffer():
    buffer = packed(TensorDict({"a": torch.arange(3), "s": NonTensorStack(*"abc")}, [3]))
    first = batch_decode_from([buffer])[0]
    first["a"][0] = 99
    assert batch_decode_from([buffer])[0]["a"].tolist() == [99, 1, 2]


def test_a_tensorclass_of_the_user_survives():
    rollout = Rollout(torch.ones(2, 3), torch.zeros(2), "here", batch_size=[2])
    back = by_batch({"r": rollout})["r"]
    assert_same(back, rollout)
    assert back.source == "here"
    assert torch.equal(back.tokens, rollout.tokens)


def test_a_stack_of_tensorclasses_survives():
    rows = [Rollout(torch.ones(n), torch.zeros(()), "s", batch_size=[]) for n in (2, 3)]
    back = by_batch(lazy_stack(rows))
    assert [row.tokens.shape for row in back.unbind(0)] == [(2,), (3,)]


def test_tensordict_parameters_survive():
    parameters = TensorDictParams(TensorDict({"w": torch.ones(2)}, []))
    back = by_batch(parameters)
    assert type(back) is TensorDictParams
    assert isinstance(back["w"], torch.nn.Parameter)
    assert torch.equal(back["w"], parameters["w"])


def test_a_dict_with_the_old_codecs_marker_stays_a_dict():
    value = {"__tq_tensordict__": True, "batch_size": [2], "data": {}}
    assert_same(by_batch(value), value)
