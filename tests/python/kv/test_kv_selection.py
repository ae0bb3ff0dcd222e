"""Which samples and fields a get returns."""

import logging

import pytest
import torch
from kv_builders import batch, column, names, numbered, rows, same, stacked
from tensordict import NonTensorStack

from transfer_queue.errors import NotReadyError

COUNT = 8


@pytest.fixture(params=[4, 16384], ids=["small", "large"])
def stored(tq, request):
    """What each of eight keys holds, in rows below and above the size that is viewed in place."""
    tokens = numbered(COUNT, request.param)
    text = [f"text{number}" for number in range(COUNT)]
    tq.kv_batch_put(
        names(COUNT),
        "p",
        batch(tokens=tokens, score=torch.arange(COUNT), text=NonTensorStack(*text)),
    )
    return tokens, text


@pytest.mark.parametrize(
    "wanted",
    [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [2, 3, 4],
        [7],
        [0, 7, 3],
        [7, 6, 5, 4, 3, 2, 1, 0],
        [1, 1, 1],
        [3, 0, 3, 5, 0],
        [0, 1, 4, 5],
    ],
    ids=str,
)
def test_row_i_is_the_ith_key(tq, stored, wanted):
    tokens, text = stored
    got = tq.kv_batch_get([f"k{number}" for number in wanted], "p")
    assert got.batch_size == torch.Size([len(wanted)])
    assert same(stacked(got.get("tokens")), tokens[wanted])
    assert got.get("score").tolist() == wanted
    assert rows(got.get("text")) == [text[number] for number in wanted]


def test_a_key_may_be_given_as_text(tq, stored):
    tokens, _ = stored
    assert same(rows(tq.kv_batch_get("k5", "p").get("tokens")), [tokens[5]])


def test_rows_of_several_puts_come_in_the_order_asked_for(tq):
    for start in (6, 0, 3):
        keys = [f"k{number}" for number in range(start, start + 3)]
        tq.kv_batch_put(keys, "p", batch(x=numbered(3, 5, start)))
    got = column(tq.kv_batch_get(names(9), "p"))
    assert same(stacked(got), numbered(9, 5))


def test_unknown_keys_are_left_out_with_a_warning(tq, stored, caplog):
    with caplog.at_level(logging.WARNING, "transfer_queue"):
        got = tq.kv_batch_get(["k3", "nobody", "k1", "nobody"], "p")
    assert got.batch_size == torch.Size([2])
    assert got.get("score").tolist() == [3, 1]
    assert "nobody" in caplog.text


def test_known_keys_warn_of_nothing(tq, stored, caplog):
    with caplog.at_level(logging.DEBUG, "transfer_queue"):
        tq.kv_batch_get(names(COUNT), "p")
    assert caplog.text == ""


@pytest.mark.parametrize(("keys", "partition"), [(["nobody"], "p"), (["k0"], "other")], ids=str)
def test_nothing_found_is_a_value_error(tq, stored, keys, partition):
    with pytest.raises(ValueError, match="keys or partition were not found!"):
        tq.kv_batch_get(keys, partition)


@pytest.mark.parametrize(("keys", "partition"), [(["nobody"], "p"), (["k0"], "other")], ids=str)
def test_nothing_found_is_a_missing_key(tq, stored, keys, partition):
    with pytest.raises(tq.StorageKeyNotFoundError, match="keys or partition were not found!"):
        tq.kv_batch_get(keys, partition)


@pytest.mark.parametrize(
    ("select", "fields"),
    [
        (None, {"tokens", "score", "text"}),
        ("score", {"score"}),
        (["text", "tokens"], {"text", "tokens"}),
        (("score",), {"score"}),
        (["score", "nonsense"], {"score"}),
        (["score", "score"], {"score"}),
    ],
    ids=str,
)
def test_select_fields_keeps_what_is_there(tq, stored, select, fields):
    got = tq.kv_batch_get(["k2", "k1"], "p", select)
    assert set(got.keys()) == fields
    assert got.batch_size == torch.Size([2])


@pytest.mark.parametrize("select", ["nonsense", ["nonsense", "more"], []], ids=str)
def test_none_of_select_fields_is_an_empty_batch(tq, stored, select):
    got = tq.kv_batch_get(["k2", "k1"], "p", select)
    assert got.batch_size == torch.Size([0])
    assert list(got.keys()) == []


def test_fields_that_only_some_have_are_left_out(tq):
    tq.kv_batch_put(["a", "b"], "p", batch(x=torch.arange(2), y=torch.arange(2)))
    tq.kv_batch_put(["b", "c"], "p", batch(x=torch.arange(2), z=torch.arange(2)))
    assert set(tq.kv_batch_get(["a", "b", "c"], "p").keys()) == {"x"}
    assert set(tq.kv_batch_get(["a", "b"], "p").keys()) == {"x", "y"}
    assert set(tq.kv_batch_get(["b"], "p").keys()) == {"x", "y", "z"}
    assert set(tq.kv_batch_get(["a", "c"], "p", ["x", "y"]).keys()) == {"x"}
    assert set(tq.kv_batch_get(["a", "nobody"], "p").keys()) == {"x", "y"}


@pytest.mark.parametrize("select", [None, ["x"], "nonsense"], ids=str)
@pytest.mark.parametrize("keys", [["bare"], ["a", "bare"], ["bare", "a"]], ids=str)
def test_a_key_without_fields_is_not_ready(tq, keys, select):
    tq.kv_batch_put(["a"], "p", batch(x=torch.arange(1)))
    tq.kv_put("bare", "p", tag={"t": 1})
    with pytest.raises(ValueError, match="not ready"):
        tq.kv_batch_get(keys, "p", select)


def test_samples_without_a_common_field_are_not_ready(tq):
    tq.kv_batch_put(["a"], "p", batch(x=torch.arange(1)))
    tq.kv_batch_put(["b"], "p", batch(y=torch.arange(1)))
    with pytest.raises(NotReadyError, match="not ready"):
        tq.kv_batch_get(["a", "b"], "p")


@pytest.mark.parametrize("keys", [[], ()], ids=str)
def test_keys_to_get_are_a_list_with_something_in_it(tq, stored, keys):
    with pytest.raises((ValueError, TypeError)):
        tq.kv_batch_get(keys, "p")


def test_an_empty_list_of_keys_is_refused_by_get_and_clear(tq, stored):
    for call in (tq.kv_batch_get, tq.kv_clear):
        with pytest.raises(ValueError, match="Received an empty list as keys"):
            call([], "p")


@pytest.mark.parametrize("keys", [("k0",), {"k0"}, 7, None, [7], ["k0", None]], ids=str)
def test_keys_of_another_type_are_refused_by_get_and_clear(tq, stored, keys):
    for call in (tq.kv_batch_get, tq.kv_clear):
        with pytest.raises(TypeError):
            call(keys, "p")
    assert list(tq.kv_list("p")["p"]) == names(COUNT)


def test_a_key_exists_once_per_partition(tq):
    for number, partition in enumerate(["p", "q", ""]):
        tq.kv_put("same", partition, {"x": torch.tensor(number)}, {"from": partition})
    for number, partition in enumerate(["p", "q", ""]):
        assert column(tq.kv_batch_get("same", partition)).tolist() == [number]
    tq.kv_clear("same", "q")
    assert tq.kv_list() == {"p": {"same": {"from": "p"}}, "q": {}, "": {"same": {"from": ""}}}


@pytest.mark.parametrize("name", ["", " ", "a/b@c", "ключ", "\0", "x" * 5000], ids=repr)
def test_any_text_is_a_name(tq, name):
    tq.kv_batch_put([name], name, batch(**{name: torch.arange(1)}), [{name: 1}])
    assert tq.kv_list() == {name: {name: {name: 1}}}
    assert tq.kv_batch_get([name], name, [name]).get(name).tolist() == [0]


def by_meta(tq):
    tq.kv_batch_put(names(2), "p", batch(x=torch.arange(2), y=torch.arange(2) * 10))
    return tq.KVBatchMeta(keys=["k1", "k0"], tags=[{}, {}], partition_id="p", fields=["y", "x"])


def test_get_by_meta_reads_the_fields_of_the_meta(tq):
    meta = by_meta(tq)
    got = tq.kv_batch_get_by_meta(meta)
    assert set(got.keys()) == {"x", "y"}
    assert got.get("y").tolist() == [10, 0]
    meta.fields = ["x"]
    assert set(tq.kv_batch_get_by_meta(meta).keys()) == {"x"}
    meta.fields = None
    assert set(tq.kv_batch_get_by_meta(meta).keys()) == {"x", "y"}


@pytest.mark.parametrize("select", ["x", ["x"]], ids=str)
def test_get_by_meta_selects_among_the_fields_of_the_meta(tq, select):
    got = tq.kv_batch_get_by_meta(by_meta(tq), select)
    assert set(got.keys()) == {"x"}
    assert got.get("x").tolist() == [1, 0]


@pytest.mark.parametrize("fields", [["y"], [], None], ids=str)
def test_get_by_meta_refuses_fields_that_are_not_in_the_meta(tq, fields):
    meta = by_meta(tq)
    meta.fields = fields
    with pytest.raises(ValueError, match=r"select_fields.*not found"):
        tq.kv_batch_get_by_meta(meta, ["x"])


def test_get_by_meta_needs_a_partition(tq):
    meta = by_meta(tq)
    meta.partition_id = None
    with pytest.raises(ValueError, match="partition"):
        tq.kv_batch_get_by_meta(meta)


def test_the_meta_of_a_put_can_be_got(tq):
    meta = tq.kv_batch_put(["b", "a"], "p", batch(x=torch.tensor([2, 1])))
    assert tq.kv_batch_get_by_meta(meta).get("x").tolist() == [2, 1]
    assert tq.kv_batch_get_by_meta(meta.select_keys(["a"])).get("x").tolist() == [1]
