"""A call that fails has changed nothing."""

import threading

import pytest
import torch
from kv_builders import batch, column, names, usage
from tensordict import NonTensorData, TensorDict

from transfer_queue.errors import TransferQueueError


def two():
    return batch(x=torch.arange(2))


def ragged_batch():
    """A batch that claims more rows than its column has."""
    wrong = batch(x=torch.arange(2), y=["a", "b"])
    wrong._tensordict["y"] = NonTensorData(data=["a", "b", "c"], batch_size=(3,))
    wrong._tensordict["x"] = torch.arange(3)
    return wrong


REFUSED = {
    "nothing": (lambda tq: tq.kv_batch_put(["a"], "p"), ValueError, "at least one parameter"),
    "nothing_one": (lambda tq: tq.kv_put("a", "p"), ValueError, "at least one parameter"),
    "no_keys": (
        lambda tq: tq.kv_batch_put([], "p", TensorDict({}, [0])),
        ValueError,
        "Received an empty list as keys",
    ),
    "fewer_rows": (lambda tq: tq.kv_batch_put(names(3), "p", two()), ValueError, "does not match"),
    "more_rows": (lambda tq: tq.kv_batch_put(["a"], "p", two()), ValueError, "does not match"),
    "no_rows": (lambda tq: tq.kv_batch_put(["a"], "p", two()[0]), ValueError, "does not match"),
    "more_tags": (
        lambda tq: tq.kv_batch_put(["a", "b"], "p", two(), [{}, {}, {}]),
        ValueError,
        "do not match",
    ),
    "fewer_tags": (lambda tq: tq.kv_batch_put(["a", "b"], "p", tags=[{}]), ValueError, "match"),
    "tag_type": (lambda tq: tq.kv_batch_put(["a", "b"], "p", two(), [{}, 7]), ValueError, "dict"),
    "repeated_keys": (lambda tq: tq.kv_batch_put(["a", "a"], "p", two()), ValueError, "`a`"),
    "repeated_tags": (
        lambda tq: tq.kv_batch_put(["a", "b", "a"], "p", tags=[{}, {}, {}]),
        ValueError,
        "`a`",
    ),
    "tuple": (lambda tq: tq.kv_batch_put(("a", "b"), "p", two()), TypeError, "list of strings"),
    "text": (lambda tq: tq.kv_batch_put("ab", "p", two()), TypeError, "list of strings"),
    "number": (lambda tq: tq.kv_batch_put(["a", 7], "p", two()), TypeError, None),
    "number_one": (lambda tq: tq.kv_put(7, "p", {"x": 1}), TypeError, None),
    "partition": (lambda tq: tq.kv_put("a", 7, {"x": 1}), TypeError, None),
    "plain_dict": (lambda tq: tq.kv_batch_put(["a"], "p", {"x": 1}), AttributeError, None),
    "field_name": (lambda tq: tq.kv_put("a", "p", {7: 1}), TypeError, None),
    "no_pickle": (lambda tq: tq.kv_put("a", "p", {"x": 1, "y": threading.Lock()}), TypeError, None),
    "no_pickle_tag": (
        lambda tq: tq.kv_put("a", "p", {"x": 1}, {"t": threading.Lock()}),
        TypeError,
        None,
    ),
    "surrogate": (lambda tq: tq.kv_put("\ud800", "p", {"x": 1}), ValueError, None),
    "column_length": (
        lambda tq: tq.kv_batch_put(["a", "b"], "p", ragged_batch()),
        ValueError,
        "rows",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_put_leaves_nothing(tq, name):
    call, error, message = REFUSED[name]
    before = usage(tq)
    with pytest.raises(error, match=message):
        call(tq)
    assert tq.kv_list() == {}
    assert usage(tq) == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_put_leaves_what_was_there(tq, name):
    tq.kv_batch_put(["a", "b"], "p", batch(x=torch.tensor([10, 20])), [{"t": 1}, {}])
    call, error, _ = REFUSED[name]
    before = usage(tq)
    with pytest.raises(error):
        call(tq)
    assert tq.kv_list() == {"p": {"a": {"t": 1}, "b": {}}}
    assert column(tq.kv_batch_get(["a", "b"], "p")).tolist() == [10, 20]
    assert usage(tq) == before


def test_errors_share_a_base_and_say_what_to_do(tq):
    with pytest.raises(TransferQueueError, match="name each key once"):
        tq.kv_batch_put(["a", "a"], "p", two())
    with pytest.raises(TransferQueueError, match="give one per key"):
        tq.kv_batch_put(["a", "b"], "p", two(), [{}])
