"""Random histories of calls, against a dict that is obviously right."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from kv_builders import rows, same
from tensordict import NonTensorStack, TensorDict

import transfer_queue as tq

KEYS = st.sampled_from(["a", "b", "c", "d"])
SOME_KEYS = st.lists(KEYS, min_size=1, max_size=4, unique=True)
PARTITIONS = st.sampled_from(["p", "q"])
FIELDS = st.sampled_from(["x", "y", "z"])
TAGS = st.dictionaries(st.sampled_from(["s", "t"]), st.integers() | st.text(max_size=3), max_size=2)
FORMS = st.sampled_from(["scalar", "dense", "ragged", "object", "mixed", "float"])


def values_of(form, count, seed):
    """One value per row. The numbers tell the puts apart."""
    numbers = [1000 * seed + row for row in range(count)]
    match form:
        case "scalar":
            return [torch.tensor(number) for number in numbers]
        case "dense":
            return [torch.full((3,), number) for number in numbers]
        case "ragged":
            return [torch.full((seed % 3 + row,), number) for row, number in enumerate(numbers)]
        case "float":
            return [torch.full((2, 2), float(number)) for number in numbers]
        case "object":
            return [{"n": number, "s": (number,)} for number in numbers]
    return [torch.tensor(number) if number % 2 else str(number) for number in numbers]


def column_of(form, values):
    if form in ("scalar", "dense", "float"):
        return torch.stack(values)
    return NonTensorStack(*values)


class Model(RuleBasedStateMachine):
    """`{partition: {key: (tag, {field: value})}}` says what every call returns."""

    def __init__(self):
        super().__init__()
        self.model = {}
        self.puts = 0
        self.held = []
        for partition in tq.get_client().get_partition_list():
            tq.get_client().clear_partition(partition)

    def sample(self, partition, key):
        return self.model.setdefault(partition, {}).setdefault(key, ({}, {}))

    @rule(
        partition=PARTITIONS, keys=SOME_KEYS, forms=st.dictionaries(FIELDS, FORMS), data=st.data()
    )
    def put(self, partition, keys, forms, data):
        tags = data.draw(st.none() | st.lists(TAGS, min_size=len(keys), max_size=len(keys)))
        self.puts += 1
        values = {
            field: values_of(form, len(keys), self.puts + number)
            for number, (field, form) in enumerate(forms.items())
        }
        columns = {field: column_of(forms[field], of_field) for field, of_field in values.items()}
        meta = tq.kv_batch_put(keys, partition, TensorDict(columns, [len(keys)]), tags)
        for row, key in enumerate(keys):
            tag, fields = self.sample(partition, key)
            tag.update(tags[row] if tags else {})
            fields.update({field: values[field][row] for field in values})
        samples = [self.model[partition][key] for key in keys]
        assert meta.keys == keys
        assert meta.tags == [tag for tag, _ in samples]
        assert meta.fields == sorted(set.intersection(*(set(fields) for _, fields in samples)))

    @rule(partition=PARTITIONS, key=KEYS, tag=TAGS, form=st.none() | FORMS, field=FIELDS)
    def put_one(self, partition, key, tag, form, field):
        self.puts += 1
        value = None if form is None else values_of(form, 1, self.puts)[0]
        meta = tq.kv_put(key, partition, None if form is None else {field: value}, tag)
        known_tag, fields = self.sample(partition, key)
        known_tag.update(tag)
        if form is not None:
            fields[field] = value
        assert (meta.keys, meta.tags, meta.fields) == ([key], [known_tag], sorted(fields))

    @rule(partition=PARTITIONS, keys=st.lists(KEYS, min_size=1, max_size=6), hold=st.booleans())
    def get(self, partition, keys, hold):
        found = [key for key in keys if key in self.model.get(partition, {})]
        if not found:
            with pytest.raises(tq.StorageKeyNotFoundError, match="were not found!"):
                tq.kv_batch_get(keys, partition)
            return
        stored = [self.model[partition][key][1] for key in found]
        common = set.intersection(*(set(fields) for fields in stored))
        if not common:
            with pytest.raises(ValueError, match="not ready"):
                tq.kv_batch_get(keys, partition)
            return
        got = tq.kv_batch_get(keys, partition)
        expected = {field: [fields[field] for fields in stored] for field in common}
        check(got, len(found), expected)
        if hold:
            self.held = [*self.held[-1:], (got, len(found), expected)]

    @rule(partition=PARTITIONS, key=KEYS, select=st.lists(FIELDS, max_size=2))
    def get_fields(self, partition, key, select):
        fields = self.model.get(partition, {}).get(key, ({}, {}))[1]
        if not fields:
            with pytest.raises((KeyError, ValueError)):
                tq.kv_batch_get(key, partition, select)
            return
        expected = {field: [fields[field]] for field in select if field in fields}
        check(tq.kv_batch_get(key, partition, select), 1 if expected else 0, expected)

    @rule(partition=PARTITIONS, keys=SOME_KEYS)
    def clear(self, partition, keys):
        tq.kv_clear(keys, partition)
        for key in keys:
            self.model.get(partition, {}).pop(key, None)

    @rule(partition=PARTITIONS)
    def clear_partition(self, partition):
        tq.get_client().clear_partition(partition)
        self.model.pop(partition, None)

    @rule(partition=PARTITIONS, key=KEYS)
    def put_twice_in_one_call(self, partition, key):
        with pytest.raises(ValueError):  # noqa: PT011 - a test of its own has the text
            tq.kv_batch_put([key, key], partition, TensorDict({"x": torch.arange(2)}, [2]))

    @precondition(lambda self: self.held)
    @rule()
    def write_into_what_was_held(self):
        got, count, expected = self.held.pop()
        check(got, count, expected)
        for field in expected:
            column = got.get(field)
            if isinstance(column, torch.Tensor):
                (column.values() if column.is_nested else column).fill_(-1)

    @invariant()
    def lists_agree(self):
        listed = tq.kv_list()
        expected = {
            partition: {key: tag for key, (tag, _) in samples.items()}
            for partition, samples in self.model.items()
        }
        assert listed == expected
        for partition, samples in expected.items():
            assert list(listed[partition]) == list(samples)

    @invariant()
    def samples_are_counted(self):
        used = tq.get_client().usage()
        stored = sum(bool(f) for samples in self.model.values() for _, f in samples.values())
        assert used["samples"] == stored
        assert used["loaned_bytes"] == 0
        # A row without elements takes no bytes.
        assert stored or not used["committed_bytes"]

    @invariant()
    def what_is_held_stays(self):
        for got, count, expected in self.held:
            check(got, count, expected)


def check(got, count, expected):
    assert got.batch_size == torch.Size([count])
    assert set(got.keys()) == set(expected)
    for field, values in expected.items():
        assert same(rows(got.get(field)), values)


@pytest.mark.usefixtures("tq")
def test_random_histories():
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            # Not `explain`, which traces every line.
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
