"""NumPy arrays of every dtype and memory layout."""

import numpy as np
import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_classes import Plain
from codec_sameness import assert_same

NUMERIC = list("?bhilqBHILQefdgFDG")
RECORD = np.dtype([("a", "i4"), ("b", "f8"), ("s", "S3"), ("u", "U2"), ("t", "M8[s]")])
NESTED = np.dtype([("point", [("x", "u1"), ("y", "f4", (2, 3))]), ("tail", "S3")])
PADDED = np.dtype([("a", "u1"), ("b", "f8")], align=True)
TITLED = np.dtype([(("a title", "n"), "i4")])
SCATTERED = np.dtype(
    {"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [8, 0], "itemsize": 24}
)


def numbers(dtype, count=6):
    return np.frombuffer(bytes(range(200)) * 2, np.uint8)[: count * np.dtype(dtype).itemsize].view(
        dtype
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", NUMERIC)
def test_numeric_arrays_survive(code, way):
    array = np.arange(6).astype(code).reshape(2, 3)
    assert_same(way(array), array)


@pytest.mark.parametrize("code", [code for code in NUMERIC if np.dtype(code).itemsize > 1])
def test_arrays_in_the_other_byte_order_keep_it(code):
    array = np.arange(6).astype(np.dtype(code).newbyteorder(">"))
    back = by_batch(array)
    assert_same(back, array)
    assert back.dtype.byteorder == ">"


@pytest.mark.parametrize("dtype", ["e", "f", "d", "F", "D"])
def test_numeric_arrays_keep_every_bit(dtype):
    array = numbers(dtype)
    assert_same(by_batch(array), array)


BASE = np.arange(24.0).reshape(2, 3, 4)
LAYOUTS = {
    "Fortran order": np.asfortranarray(BASE),
    "transposed": BASE.T,
    "sliced": BASE[:, ::2, 1:],
    "backwards": BASE[::-1],
    "backwards in steps": np.arange(7)[::-2],
    "backwards all over": BASE[::-1, ::-1, ::-1],
    "backwards and transposed": BASE.T[::-1],
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "read-only": np.frombuffer(b"12345678", np.int16),
    "not aligned": np.frombuffer(bytearray(17), np.uint8)[1:].view(np.float64),
    "0-dimensional": np.array(5),
    "empty": np.zeros((3, 0, 2)),
    "a field of records": np.arange(20).view([("a", "i8"), ("b", "f8")])["b"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays_come_back_whatever_their_memory_looks_like(name, way):
    back = way(LAYOUTS[name])
    assert_same(back, LAYOUTS[name])
    assert back.flags.writeable


DESCRIBED = {
    "records": np.array([(1, 2.5, b"abc", "äö", "2024-01-01")] * 2, RECORD),
    "nested records": np.ones(2, NESTED),
    "records with padding": np.ones((2, 2), PADDED),
    "records with titles": np.ones(2, TITLED),
    "records with gaps between": np.ones(4, RECORD)[::2],
    "dates with NaT": np.array(["2024-01-01", "NaT"], "M8[ns]"),
    "dates in the other byte order": np.array(["2024-01-01"], ">M8[D]"),
    "durations of three seconds": np.array([1, -2], "m8[3s]"),
    "durations without unit": np.array([1, 2], "m8"),
    "bytes": np.array([b"a", b"bc\0d"]),
    "empty bytes": np.array([b"", b""]),
    "text": np.array([["ä", "bc"], ["", "日本"]]),
    "text in the other byte order": np.array(["ä", "bc"], ">U4"),
    "no text": np.zeros((2, 0), "U3"),
    "dates, 0-dimensional": np.array("2024-01-01", "M8[D]"),
    "void": np.array([b"abc\0\0", b"12345"], "V5"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DESCRIBED)
def test_dates_text_and_records_survive(name, way):
    array = DESCRIBED[name]
    back = way(array)
    assert_same(back, array)
    assert back.dtype.fields == array.dtype.fields
    assert back.flags.writeable


@pytest.mark.parametrize("name", DESCRIBED)
def test_dates_text_and_records_need_no_pickle(name):
    packed(DESCRIBED[name], allow_pickle=False)


@pytest.mark.parametrize("dtype", [SCATTERED, np.dtype([]), np.dtypes.StringDType()])
def test_dtypes_without_a_plain_description_survive(dtype):
    array = np.zeros(3, dtype)
    assert_same(by_batch(array), array)


OBJECTS = {
    "of all kinds": np.array([1, "a", None, [1, 2], Plain(3)], object),
    "0-dimensional": np.array({"a": 1}, object),
    "empty": np.zeros((0, 3), object),
    "two-dimensional": np.array([[1, [2]], [(3,), {4}]], object),
    "in Fortran order": np.asfortranarray(np.array([[1, 2], [3, 4]], object)),
    "in a record": np.array([(1, [1, "x"])], [("a", "i4"), ("o", "O")]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_arrays_of_objects_survive(name, way):
    assert_same(way(OBJECTS[name]), OBJECTS[name])


def test_elements_that_are_sequences_do_not_become_dimensions():
    array = np.empty(2, object)
    array[:] = [[1, 2], [3, 4]]
    assert_same(by_batch(array), array)


def test_tensors_in_an_array_of_objects_travel_as_frames():
    array = np.array([torch.arange(3), None], object)
    assert_same(by_batch(array), array)
    packed(array, allow_pickle=False)


def test_subclasses_of_ndarray_come_back_as_themselves():
    masked = np.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=9)
    back = by_batch(masked)
    assert type(back) is np.ma.MaskedArray
    assert back.mask.tolist() == [False, True, False]
    assert back.fill_value == 9
    for array in (np.matrix([[1, 2]]), np.rec.array([(1, 2.0)], names="a,b")):
        assert_same(by_batch(array), array)
