"""What a put does, and what it returns."""

import inspect

import pytest
import torch
from kv_builders import batch, column, jagged, names, rows, same
from tensordict import NonTensorStack, TensorDict

PARAMETERS = {
    "kv_put": ["key", "partition_id", "fields", "tag", "data_parser"],
    "kv_batch_put": ["keys", "partition_id", "fields", "tags", "data_parser"],
    "kv_batch_get": ["keys", "partition_id", "select_fields"],
    "kv_batch_get_by_meta": ["meta", "select_fields"],
    "kv_list": ["partition_id"],
    "kv_clear": ["keys", "partition_id"],
}
OPTIONAL = {"fields", "tag", "tags", "data_parser", "select_fields"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_keep_their_names_and_order(tq, name):
    for function in (getattr(tq, name), getattr(tq, f"async_{name}")):
        parameters = inspect.signature(function).parameters
        assert list(parameters) == PARAMETERS[name]
        for parameter in parameters.values():
            assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            if parameter.name in OPTIONAL or name == "kv_list":
                assert parameter.default is None
            else:
                assert parameter.default is inspect.Parameter.empty


def test_kv_put_returns_what_the_sample_has(tq):
    meta = tq.kv_put("a", "p", {"y": torch.tensor(1), "x": "text"}, {"t": 1})
    assert type(meta) is tq.KVBatchMeta
    assert meta == tq.KVBatchMeta(["a"], [{"t": 1}], "p", ["x", "y"])
    assert (meta.size, len(meta)) == (1, 1)
    meta = tq.kv_put("a", "p", {"w": 0}, {"u": 2})
    assert meta == tq.KVBatchMeta(["a"], [{"t": 1, "u": 2}], "p", ["w", "x", "y"])


def test_a_put_of_tags_alone_creates_a_key_without_fields(tq):
    meta = tq.kv_put("a", "p", tag={"t": 1})
    assert meta == tq.KVBatchMeta(["a"], [{"t": 1}], "p", [])
    assert tq.kv_list() == {"p": {"a": {"t": 1}}}
    meta = tq.kv_batch_put(["b", "c"], "p", tags=[{"t": 2}, {}])
    assert meta == tq.KVBatchMeta(["b", "c"], [{"t": 2}, {}], "p", [])
    assert tq.kv_list("p") == {"p": {"a": {"t": 1}, "b": {"t": 2}, "c": {}}}


def test_a_put_of_tags_alone_leaves_fields_as_they_are(tq):
    tq.kv_put("a", "p", {"x": torch.tensor(1)})
    assert tq.kv_put("a", "p", tag={"t": 1}).fields == ["x"]
    assert column(tq.kv_batch_get("a", "p")).tolist() == [1]


def test_a_dict_of_no_fields_creates_a_key_without_fields(tq):
    assert tq.kv_put("a", "p", {}).fields == []
    assert tq.kv_list() == {"p": {"a": {}}}


def test_kv_batch_put_returns_the_fields_that_all_samples_have(tq):
    meta = tq.kv_batch_put(["b", "a"], "p", batch(y=torch.arange(2), x=["s", "t"]), [{"t": 1}, {}])
    assert meta == tq.KVBatchMeta(["b", "a"], [{"t": 1}, {}], "p", ["x", "y"])
    meta = tq.kv_batch_put(["a", "c"], "p", batch(z=torch.arange(2)))
    assert meta == tq.KVBatchMeta(["a", "c"], [{}, {}], "p", ["z"])


def test_the_meta_is_the_callers_own(tq):
    keys, tag = ["a"], {"t": [1]}
    meta = tq.kv_batch_put(keys, "p", batch(x=torch.arange(1)), [tag])
    keys.append("b")
    tag["t"].append(2)
    meta.tags[0]["u"] = 3
    meta.fields.append("z")
    assert meta.keys == ["a"]
    assert tq.kv_list() == {"p": {"a": {"t": [1]}}}
    assert list(tq.kv_batch_get("a", "p").keys()) == ["x"]


def test_kv_put_takes_a_tensordict_of_one_row(tq):
    fields = TensorDict(
        {"x": torch.rand(1, 3), "y": torch.ones(1), "z": NonTensorStack("text")}, batch_size=[1]
    )
    assert tq.kv_put("a", "p", fields).fields == ["x", "y", "z"]
    got = tq.kv_batch_get("a", "p")
    assert same(rows(got.get("x")), rows(fields["x"]))
    assert same(got.get("y"), fields["y"])
    assert rows(got.get("z")) == ["text"]


@pytest.mark.parametrize("count", [0, 2, 3])
def test_kv_put_refuses_a_tensordict_of_another_length(tq, count):
    with pytest.raises(ValueError, match="batch size mismatch"):
        tq.kv_put("a", "p", TensorDict({"x": torch.arange(count)}, [count]))
    assert tq.kv_list() == {}


def test_kv_put_refuses_a_nested_tensor(tq):
    message = r"Please use \(async\)kv_batch_put for batch operation"
    with pytest.raises(ValueError, match=message):
        tq.kv_put("a", "p", {"x": jagged(torch.arange(2))})
    assert tq.kv_list() == {}


@pytest.mark.parametrize("fields", [[1], "text", 3, torch.ones(1)], ids=repr)
def test_kv_put_refuses_fields_of_another_type(tq, fields):
    with pytest.raises(ValueError, match="`fields` can only be dict or TensorDict"):
        tq.kv_put("a", "p", fields)
    assert tq.kv_list() == {}


def test_a_later_put_extends_and_overwrites_field_by_field(tq):
    tq.kv_batch_put(names(3), "p", batch(x=torch.arange(3), y=torch.arange(3)))
    tq.kv_batch_put(["k2", "k0"], "p", batch(x=torch.tensor([20, 10]), z=torch.tensor([2, 0])))
    got = tq.kv_batch_get(names(3), "p")
    assert set(got.keys()) == {"x", "y"}
    assert got.get("x").tolist() == [10, 1, 20]
    assert got.get("y").tolist() == [0, 1, 2]
    assert tq.kv_batch_get(["k0", "k2"], "p").get("z").tolist() == [0, 2]


def test_keys_are_listed_in_the_order_of_their_creation(tq):
    tq.kv_batch_put(["c", "a"], "p", batch(x=torch.arange(2)))
    tq.kv_put("b", "p", tag={})
    tq.kv_put("a", "p", {"x": torch.tensor(5)}, {"t": 1})
    assert list(tq.kv_list("p")["p"].items()) == [("c", {}), ("a", {"t": 1}), ("b", {})]
    tq.kv_clear("c", "p")
    tq.kv_put("c", "p", tag={})
    assert list(tq.kv_list()["p"]) == ["a", "b", "c"]


def test_a_list_of_keys_is_the_callers_own(tq):
    tq.kv_put("a", "p", tag={"t": 1})
    tq.kv_list()["p"]["a"]["t"] = 2
    assert tq.kv_list() == {"p": {"a": {"t": 1}}}


def test_an_unknown_partition_lists_nothing(tq):
    tq.kv_put("a", "p", tag={})
    assert tq.kv_list("q") == {}
    assert list(tq.kv_list()) == ["p"]


def test_clear_ignores_what_does_not_exist(tq):
    tq.kv_clear("a", "nowhere")
    assert tq.kv_list() == {}
    tq.kv_batch_put(names(3), "p", batch(x=torch.arange(3)))
    assert tq.kv_clear(["k1", "nobody", "k1"], "p") is None
    assert list(tq.kv_list("p")["p"]) == ["k0", "k2"]
    tq.kv_clear("k0", "p")
    tq.kv_clear("k2", "p")
    assert tq.kv_list() == {"p": {}}


def test_a_key_of_tags_alone_can_be_cleared(tq):
    tq.kv_put("a", "p", tag={"t": 1})
    tq.kv_clear("a", "p")
    assert tq.kv_list() == {"p": {}}


def test_a_cleared_key_starts_afresh(tq):
    tq.kv_put("a", "p", {"x": torch.tensor(1), "y": torch.tensor(1)}, {"t": 1})
    tq.kv_clear("a", "p")
    meta = tq.kv_put("a", "p", {"x": torch.tensor(2)})
    assert meta == tq.KVBatchMeta(["a"], [{}], "p", ["x"])
    assert column(tq.kv_batch_get("a", "p")).tolist() == [2]


def test_the_client_clears_a_whole_partition(tq):
    tq.kv_batch_put(names(3), "p", batch(x=torch.arange(3)))
    tq.kv_put("a", "q", tag={})
    client = tq.get_client()
    assert client.get_partition_list() == ["p", "q"]
    client.clear_partition("p")
    client.clear_partition("nowhere")
    assert client.kv_list() == tq.kv_list() == {"q": {"a": {}}}


def test_a_data_parser_changes_what_is_stored(tq):
    seen = {}

    def parser(columns):
        seen.update(columns)
        return {**columns, "x": columns["x"] * 2, "s": [text.upper() for text in columns["s"]]}

    fields = batch(x=torch.arange(2), s=["a", "b"], j=jagged(torch.arange(1), torch.arange(3)))
    tq.kv_batch_put(["a", "b"], "p", fields, data_parser=parser)
    assert isinstance(seen["x"], torch.Tensor)
    assert seen["s"] == ["a", "b"]
    assert same(seen["j"], [torch.arange(1), torch.arange(3)])
    got = tq.kv_batch_get(["a", "b"], "p")
    assert got.get("x").tolist() == [0, 2]
    assert rows(got.get("s")) == ["A", "B"]
    assert same(rows(got.get("j")), [torch.arange(1), torch.arange(3)])


@pytest.mark.parametrize(
    ("parser", "message"),
    [
        (7, "data_parser must be callable"),
        (lambda columns: list(columns), "data_parser must return a dict"),
        (lambda columns: {**columns, "z": 1}, "data_parser must not change dict keys"),
        (lambda columns: {}, "data_parser must not change dict keys"),
        (lambda columns: {"x": [1]}, "data_parser changed the number of elements"),
    ],
    ids=["type", "result", "more", "fewer", "length"],
)
def test_a_data_parser_is_held_to_its_rules(tq, parser, message):
    with pytest.raises(ValueError, match=message):
        tq.kv_batch_put(["a", "b"], "p", batch(x=torch.arange(2)), data_parser=parser)
    assert tq.kv_list() == {}


def test_an_error_of_a_data_parser_reaches_its_caller(tq):
    def parser(columns):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        tq.kv_put("a", "p", {"x": 1}, data_parser=parser)
    assert tq.kv_list() == {}
