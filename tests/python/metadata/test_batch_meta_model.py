"""`BatchMeta` against a model that is nothing but a list of rows."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metadata_builders import dense, nested

from transfer_queue.metadata import BatchMeta


@dataclass(frozen=True)
class Sample:
    """One row, with everything a batch may say about it."""

    index: int
    partition: str
    produced: int
    shape: tuple[int, ...]
    tag: Any
    receipt: Any

    @property
    def tags(self):
        return {} if self.tag is None else {"t": self.tag}

    @property
    def receipts(self):
        return {} if self.receipt is None else {"n": self.receipt}


samples = st.lists(
    st.builds(
        Sample,
        index=st.integers(0, 2**63),
        partition=st.sampled_from("pqr"),
        produced=st.integers(0, 1),
        shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
        tag=st.none() | st.integers(),
        receipt=st.none() | st.text(max_size=2),
    ),
    max_size=12,
)


def build(rows, wire=False):
    """A batch of the rows; `wire` gives shapes as lists, the way a decoded message does."""
    return BatchMeta(
        [row.index for row in rows],
        [row.partition for row in rows],
        {
            "n": nested([list(row.shape) if wire else row.shape for row in rows]),
            "a": dense(),
        },
        [row.produced for row in rows],
        {"k": "info"},
        [row.tags for row in rows],
        [row.receipts for row in rows],
    )


def assert_is(meta, rows):
    assert meta.size == len(meta) == len(rows)
    assert meta.global_indexes == [row.index for row in rows]
    assert meta.partition_ids == [row.partition for row in rows]
    assert list(map(tuple, meta.get_shapes("n"))) == [row.shape for row in rows]
    assert meta.get_shapes("a") == [(3,)] * len(rows)
    assert meta.get_dtypes("n") == [torch.int64] * len(rows)
    assert meta.production_status.tolist() == [row.produced for row in rows]
    assert meta.custom_meta == [row.tags for row in rows]
    assert meta._custom_backend_meta == [row.receipts for row in rows]
    assert meta.extra_info == {"k": "info"}
    assert meta.field_names == ["a", "n"]
    assert meta.is_ready == (bool(rows) and all(row.produced for row in rows))


def spoil(meta):
    """Change everything a batch may own, to show that nobody else owns it."""
    for row in (*meta.custom_meta, *meta._custom_backend_meta):
        row["spoiled"] = True
    for entry in meta.field_schema.values():
        for shape in entry.get("per_sample_shapes", ()):
            if isinstance(shape, list):
                shape.append(-1)
        entry.clear()
    meta.global_indexes[:] = [-1] * len(meta)
    meta.partition_ids[:] = ["spoiled"] * len(meta)
    meta.production_status[:] = -1
    meta.extra_info["spoiled"] = True


@given(samples, st.integers(1, 15), st.booleans())
def test_chunks_are_the_rows_in_order_and_independent(rows, chunks, wire):
    meta = build(rows, wire)
    parts = meta.chunk(chunks)
    assert len(parts) == chunks
    sizes = [len(part) for part in parts]
    assert sorted(sizes, reverse=True) == sizes
    assert sizes[0] - sizes[-1] <= 1
    start = 0
    for part in parts:
        assert_is(part, rows[start : start + len(part)])
        start += len(part)
        spoil(part)
    assert start == len(rows)
    assert_is(meta, rows)


@given(samples.filter(bool), st.integers(1, 15), st.booleans())
def test_concatenating_chunks_gives_the_batch_back(rows, chunks, wire):
    parts = build(rows, wire).chunk(chunks)
    whole = BatchMeta.concat(parts)
    assert_is(whole, rows)
    spoil(whole)
    assert_is(parts[0], rows[: len(parts[0])])


@given(st.lists(samples, min_size=1, max_size=4).filter(lambda parts: any(parts)))
def test_concat_is_the_rows_of_all_parts(parts):
    assert_is(BatchMeta.concat([build(rows) for rows in parts]), list(chain.from_iterable(parts)))


@given(samples.filter(bool), st.data())
def test_selecting_is_indexing_row_by_row(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=15))
    meta = build(rows, wire=True)
    selected = meta.select_samples(chosen)
    assert_is(selected, [rows[row] for row in chosen])
    spoil(selected)
    assert_is(meta, rows)


@given(samples, st.data())
def test_slicing_is_slicing_the_rows(rows, data):
    chosen = data.draw(st.slices(len(rows)))
    assert_is(build(rows)[chosen], rows[chosen])


@given(samples, st.data())
def test_reordering_permutes_and_its_inverse_undoes_it(rows, data):
    order = data.draw(st.permutations(range(len(rows))))
    meta = build(rows)
    meta.reorder(order)
    assert_is(meta, [rows[row] for row in order])
    inverse = sorted(range(len(order)), key=order.__getitem__)
    meta.reorder(inverse)
    assert_is(meta, rows)


@given(samples, st.data())
def test_reordering_by_anything_else_is_refused_and_changes_nothing(rows, data):
    any_row = st.integers(-1, len(rows))
    order = data.draw(st.lists(any_row, max_size=len(rows) + 1))
    meta = build(rows)
    if sorted(order) == list(range(len(rows))):
        meta.reorder(order)
        rows = [rows[row] for row in order]
    else:
        with pytest.raises(ValueError, match=r"Indices|indices"):
            meta.reorder(order)
    assert_is(meta, rows)


@given(samples)
def test_chunks_by_partition_hold_every_row_once(rows):
    parts = build(rows).chunk_by_partition()
    partitions = list(dict.fromkeys(row.partition for row in rows))
    assert len(parts) == len(partitions)
    for part, partition in zip(parts, partitions, strict=True):
        assert_is(part, [row for row in rows if row.partition == partition])
