"""`chunk_batch_fn`: pieces of a batch, data and metadata by the same rows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import NonTensorData, NonTensorStack, TensorDict

from transfer_queue.dataloader.streaming_dataset import chunk_batch_fn
from transfer_queue.metadata import BatchMeta


def meta(rows):
    return BatchMeta(list(range(100, 100 + rows)), ["p"] * rows)


def ragged(rows, layout):
    return torch.nested.as_nested_tensor(
        [torch.full((row % 4,), float(row)) for row in range(rows)], layout=layout
    )


def column_pieces(column, rows=7, micro=3):
    td = TensorDict({"f": column}, batch_size=[rows])
    return [piece.get("f") for piece, _ in chunk_batch_fn(td, meta(rows), micro)]


@given(rows=st.integers(1, 30), data=st.data())
def test_every_row_comes_once_with_its_sample(rows, data):
    micro = data.draw(st.integers(1, rows))
    td = TensorDict({"x": torch.arange(100, 100 + rows)}, batch_size=[rows])
    pieces = chunk_batch_fn(td, meta(rows), micro)
    assert len(pieces) == -(-rows // micro)
    for piece, piece_meta in pieces:
        assert piece["x"].tolist() == piece_meta.global_indexes
        assert piece.batch_size == (piece_meta.size,)
    assert all(piece_meta.size == micro for _, piece_meta in pieces[:-1])
    assert [i for _, m in pieces for i in m.global_indexes] == list(range(100, 100 + rows))


def test_seven_rows_by_three_are_three_three_one_in_data_and_metadata():
    td = TensorDict({"x": torch.arange(7)}, batch_size=[7])
    pieces = chunk_batch_fn(td, meta(7), 3)
    assert [(piece.batch_size[0], piece_meta.size) for piece, piece_meta in pieces] == [
        (3, 3),
        (3, 3),
        (1, 1),
    ]


def test_the_default_is_one_row_a_piece():
    td = TensorDict({"x": torch.arange(3)}, batch_size=[3])
    assert [piece["x"].tolist() for piece, _ in chunk_batch_fn(td, meta(3))] == [[0], [1], [2]]


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_columns_keep_their_layout(layout):
    pieces = column_pieces(ragged(7, layout))
    assert all(piece.is_nested and piece.layout == layout for piece in pieces)
    found = [row.tolist() for piece in pieces for row in piece.unbind()]
    assert found == [[float(row)] * (row % 4) for row in range(7)]
    assert [piece.size(0) for piece in pieces] == [3, 3, 1]


def test_rows_that_are_ragged_in_their_last_dimension():
    column = torch.nested.as_nested_tensor(
        [torch.full((2, row + 1), row) for row in range(7)], layout=torch.jagged
    )
    rows = [row for piece in column_pieces(column) for row in piece.unbind()]
    assert [row.tolist() for row in rows] == [[[n] * (n + 1)] * 2 for n in range(7)]


def test_rows_with_holes_between_them():
    column = torch.nested.nested_tensor_from_jagged(
        torch.arange(21), torch.arange(0, 22, 3), torch.tensor([1, 2, 3, 1, 2, 3, 1])
    )
    rows = [row.tolist() for piece in column_pieces(column) for row in piece.unbind()]
    assert rows == [list(range(3 * n, 3 * n + n % 3 + 1)) for n in range(7)]


def test_jagged_pieces_share_memory_with_the_batch():
    column = ragged(7, torch.jagged)
    column_pieces(column)[1].values().fill_(-1.0)
    assert [row.tolist() for row in column.unbind()][3:6] == [[-1.0] * 3, [], [-1.0]]


def test_non_tensor_columns():
    values = ["a", None, {"b": 1}, [2], "c", 3, "d"]
    by_stack = column_pieces(NonTensorStack(*values))
    by_data = column_pieces(NonTensorData(data=values, batch_size=(7,)))
    for pieces in (by_stack, by_data):
        assert [value for piece in pieces for value in piece.tolist()] == values
        assert [len(piece.tolist()) for piece in pieces] == [3, 3, 1]


def test_arrays_of_text():
    column = NonTensorData(data=np.array(list("abcdefg")), batch_size=(7,))
    assert [list(piece.tolist()) for piece in column_pieces(column)] == [
        ["a", "b", "c"],
        ["d", "e", "f"],
        ["g"],
    ]


def test_one_value_for_all_rows_stays_one_for_each_piece():
    pieces = column_pieces(NonTensorData(data="same", batch_size=(7,)))
    assert [(piece.data, piece.batch_size) for piece in pieces] == [
        ("same", (3,)),
        ("same", (3,)),
        ("same", (1,)),
    ]


def test_text_as_long_as_the_batch_is_one_value():
    pieces = column_pieces(NonTensorData(data="1234567", batch_size=(7,)))
    assert [piece.data for piece in pieces] == ["1234567"] * 3


def test_a_tensordict_with_a_nested_column_inside():
    inner = TensorDict({"n": ragged(7, torch.strided), "d": torch.arange(7)}, batch_size=[7])
    pieces = column_pieces(inner)
    assert [piece["d"].tolist() for piece in pieces] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(piece.get("n").unbind()) for piece in pieces] == [3, 3, 1]


def test_further_batch_dimensions_stay():
    td = TensorDict({"x": torch.zeros(4, 5, 6)}, batch_size=[4, 5])
    assert [piece.batch_size for piece, _ in chunk_batch_fn(td, meta(4), 3)] == [(3, 5), (1, 5)]


@pytest.mark.parametrize("td", [{"x": torch.arange(2)}, None, [1, 2]])
def test_other_than_a_tensordict_is_refused(td):
    with pytest.raises(TypeError, match="TensorDict"):
        chunk_batch_fn(td, meta(2), 1)


@pytest.mark.parametrize("micro", [0, -1, 1.0, "1", None, True])
def test_a_micro_batch_size_that_is_no_positive_integer_is_refused(micro):
    td = TensorDict({"x": torch.arange(2)}, batch_size=[2])
    with pytest.raises(ValueError, match="micro_batch_size"):
        chunk_batch_fn(td, meta(2), micro)


def test_more_rows_than_there_are_is_refused():
    td = TensorDict({"x": torch.arange(2)}, batch_size=[2])
    with pytest.raises(ValueError, match="larger than the batch of 2"):
        chunk_batch_fn(td, meta(2), 3)


def test_no_batch_size_is_refused():
    with pytest.raises(ValueError, match="empty batch_size"):
        chunk_batch_fn(TensorDict({}, batch_size=[]), meta(0), 1)


def test_metadata_of_other_samples_is_refused():
    td = TensorDict({"x": torch.arange(2)}, batch_size=[2])
    with pytest.raises(ValueError, match="2 rows, batch_meta 3 samples"):
        chunk_batch_fn(td, meta(3), 1)
