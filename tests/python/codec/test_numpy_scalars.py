"""NumPy scalars stay NumPy scalars of the same type."""

import numpy as np
import pytest
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

NUMERIC = [np.dtype(code).type for code in "?bhilqBHILQefdgFDG"]
OTHERS = {
    "date and time": np.datetime64("2024-01-01T00:00:01.5"),
    "no date": np.datetime64("NaT"),
    "a date in weeks": np.datetime64("2024-01-04", "W"),
    "duration of 25 microseconds": np.timedelta64(5, "25us"),
    "duration without unit": np.timedelta64(5),
    "text": np.str_("häy"),
    "no text": np.str_(""),
    "text that ends in zeros": np.str_("hey\0\0"),
    "text with a lone surrogate": np.str_("a\ud800"),
    "long text": np.str_("x" * 5_000),
    "bytes": np.bytes_(b"x\0y"),
    "no bytes": np.bytes_(b""),
    "bytes that end in zeros": np.bytes_(b"a\0\0"),
    "void": np.void(b"abc\0"),
    "a record": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")])[0],
    "a record of objects": np.array([(1, [2])], [("a", "i4"), ("o", "O")])[0],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", NUMERIC)
def test_numbers_keep_their_type(kind, way):
    assert_same(way(kind(1)), kind(1))


@pytest.mark.parametrize("kind", NUMERIC)
def test_numbers_need_no_pickle(kind):
    packed(kind(1), allow_pickle=False)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_keep_their_special_values(kind):
    for value in (kind("nan"), kind("-inf"), kind(-0.0)):
        assert_same(by_batch(value), value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_dates_text_and_records_survive(name, way):
    value = OTHERS[name]
    back = way(value)
    assert_same(back, value)
    if isinstance(value, (str, bytes)):
        assert len(back) == len(value)
        assert back == value


def test_a_record_that_was_decoded_can_be_changed():
    record = by_batch(OTHERS["a record"])
    record["a"] = 7
    assert record["a"] == 7


def test_dtypes_come_back():
    for dtype in (np.dtype("f4"), np.dtype(">i8"), np.dtype([("a", "i4"), ("b", "U2")])):
        assert_same(by_batch(dtype), dtype)
