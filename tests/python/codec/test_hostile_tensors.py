"""Headers that lie about tensors and arrays: refused before any memory is handed out."""

import numpy as np
import pytest
from codec_headers import (
    BOOL,
    FLOAT32,
    INT32,
    INT64,
    UINT8,
    array,
    named,
    read,
    tensor,
)

from transfer_queue.errors import CorruptBufferError, TransferQueueError

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]


def int64(*values):
    return bytearray(np.array(values, np.int64).tobytes())


def float32(*values):
    return bytearray(np.array(values, np.float32).tobytes())


def test_the_header_writer_of_these_tests_writes_what_the_decoder_reads():
    value = {"a": [tensor(FLOAT32, 0, [2]), (1, -2, None, "x", b"y", 2.5)]}
    back = read(value, float32(1, 2))
    assert back["a"][0].tolist() == [1, 2]
    assert back["a"][1] == (1, -2, None, "x", b"y", 2.5)
    assert read(array("<f4", 0, [2]), float32(1, 2)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("header", "frames"),
    [
        (tensor(FLOAT32, 0, [3]), [float32(1, 2)]),
        (tensor(FLOAT32, 0, [1]), [float32(1, 2)]),
        (tensor(FLOAT32, 0, [2**62]), [float32(1, 2)]),
        (tensor(FLOAT32, 0, [2**63, 2]), [b""]),
        (tensor(UINT8, 0, [2**32, 2**32]), [b""]),
        (tensor(FLOAT32, 1, [2]), [float32(1, 2)]),
        (tensor(FLOAT32, 2**40, [2]), [float32(1, 2)]),
        (tensor(99, 0, [2]), [float32(1, 2)]),
        ([tensor(FLOAT32, 0, [2]), tensor(FLOAT32, 0, [2])], [float32(1, 2)]),
        ([tensor(FLOAT32, 1, [2]), tensor(FLOAT32, 0, [2])], [float32(1, 2), float32(1, 2)]),
        (1, [float32(1)]),
        (array("<f4", 0, [3]), [float32(1, 2)]),
        (array("<f4", 0, [2**63]), [float32(1, 2)]),
        (array("<f4", 0, [2**62, 4]), [float32()]),
    ],
    ids=[
        "longer than the frame", "shorter than the frame", "huge", "bytes beyond 64 bits",
        "elements beyond 64 bits", "a frame that is not there", "a frame number beyond 32 bits",
        "an unknown dtype", "one frame twice", "frames out of order", "a frame nobody names",
        "array longer than the frame", "huge array", "array beyond 64 bits",
    ],
)  # fmt: skip
def test_shapes_and_frames_that_do_not_fit_are_refused(header, frames):
    with pytest.raises(CorruptBufferError):
        read(header, *frames)


@pytest.mark.parametrize(
    "header",
    [
        tensor(UINT8, 0, [0, 2**63]),
        tensor(UINT8, 0, [2**62, 2**62, 0]),
        array("|u1", 0, [0, 2**63]),
        array("|u1", 0, [0] * 65),
        tensor(INT64, 0, [0], flags=1),
        tensor(INT64, 0, [0], flags=3),
    ],
    ids=["wide", "wide product", "wide array", "65 dimensions", "grad of integers", "parameter"],
)
def test_tensors_and_arrays_that_torch_or_numpy_refuse_are_corrupt_buffers(header):
    with pytest.raises(CorruptBufferError):
        read(header, bytearray())


def test_unknown_tensor_flags_are_refused():
    with pytest.raises(CorruptBufferError, match="flag"):
        read(tensor(FLOAT32, 0, [1], flags=128), float32(1))


OBJECT_DTYPES = ["O", "|O", "T", "(2,)O", "f8,O", [("a", "O")], [["a", "O"]], [("a", [("b", "O")])]]


@pytest.mark.parametrize("dtype", OBJECT_DTYPES, ids=repr)
def test_arrays_of_objects_are_never_made_from_bytes(dtype):
    content = (dtype, (1,), array("|u1", 0, [64]))
    with pytest.raises(CorruptBufferError):
        read(named("numpy.array", content), bytearray(64))
    with pytest.raises(CorruptBufferError):
        read(named("numpy.scalar", (dtype, bytes(16))))


@pytest.mark.parametrize("dtype", [dtype for dtype in OBJECT_DTYPES if isinstance(dtype, str)])
@pytest.mark.parametrize("size", [0, 8, 16, 64])
def test_plain_arrays_of_objects_are_never_made_from_bytes(dtype, size):
    with pytest.raises(CorruptBufferError):
        read(array(dtype, 0, [size // 8]), bytearray(size))


@pytest.mark.parametrize("dtype", ["", "nonsense", "f99", "M8[parsec]", "x" * 10_000])
def test_dtypes_that_numpy_does_not_know_are_refused(dtype):
    with pytest.raises(CorruptBufferError):
        read(array(dtype, 0, [1]), bytearray(8))
    with pytest.raises(CorruptBufferError):
        read(named("numpy.array", (dtype, (1,), array("|u1", 0, [8]))), bytearray(8))


@pytest.mark.parametrize(
    "shape", [(9,), (3, 3), (2**62, 8), (2**63, 2**63), None, ("x",), 9, (-5, 2)], ids=repr
)
def test_described_arrays_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(CorruptBufferError):
        read(named("numpy.array", ("M8[s]", shape, array("|u1", 0, [64]))), bytearray(64))


def test_text_scalars_are_not_made_from_bytes_that_are_no_characters():
    with pytest.raises(CorruptBufferError):
        read(named("numpy.scalar", ("<U2", b"\xff" * 8)))


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 2), (2**62,), (1,)])
def test_arrays_of_objects_with_a_wrong_shape_are_refused(shape):
    with pytest.raises(CorruptBufferError):
        read(named("numpy.objects", (shape, [1, 2])))


def jagged(offsets, *, dtype=INT64, ragged=1, grad=False, values=FLOAT32):
    size = {INT64: 8, FLOAT32: 4, INT32: 4, UINT8: 1, BOOL: 1}[dtype]
    parts = (tensor(values, 0, [3]), tensor(dtype, 1, [len(offsets) // size]), ragged, grad)
    return read(named("torch.nested.jagged", parts), float32(1, 2, 3), offsets)


def test_jagged_tensors_with_right_offsets_are_read():
    assert [row.tolist() for row in jagged(int64(0, 1, 3)).unbind()] == [[1], [2, 3]]


@pytest.mark.parametrize(
    "offsets",
    [(0, 1, 9), (0, 3, 1), (-1, 1, 3), (0, -(2**63), 3), (2**62, -(2**62), 3), (0, 2**63 - 1), ()],
    ids=repr,
)
def test_jagged_tensors_with_offsets_outside_their_values_are_refused(offsets):
    with pytest.raises(CorruptBufferError, match="offsets"):
        jagged(int64(*offsets))


@pytest.mark.parametrize(
    ("dtype", "offsets"),
    [
        (FLOAT32, float32(0, 1, 3)),
        (FLOAT32, float32(0, float("nan"), 3)),
        (UINT8, bytearray([0, 1, 3])),
        (BOOL, bytearray([0, 1, 1])),
    ],
    ids=["floats", "NaN", "bytes", "bools"],
)
def test_jagged_tensors_with_offsets_of_another_dtype_are_refused(dtype, offsets):
    with pytest.raises(CorruptBufferError, match="offsets"):
        jagged(offsets, dtype=dtype)


@pytest.mark.parametrize("ragged", [0, 2, -1, 5, -5, 2**63, None, "x", 1.5])
def test_jagged_tensors_with_a_wrong_ragged_dimension_are_refused(ragged):
    with pytest.raises(CorruptBufferError):
        jagged(int64(0, 1, 3), ragged=ragged)


def test_jagged_integers_that_require_grad_are_refused():
    with pytest.raises(CorruptBufferError):
        jagged(int64(0, 1, 3), grad=True, values=INT32)


def coo(indices, shape, *, coalesced=True):
    parts = (tensor(INT64, 0, [1, 2]), tensor(FLOAT32, 1, [2]), coalesced, False)
    return read(named("torch.sparse_coo", (shape, *parts)), int64(*indices), float32(1, 2))


def csr(rows, columns, *, layout="sparse_csr"):
    parts = (tensor(INT64, 0, [3]), tensor(INT64, 1, [2]), tensor(FLOAT32, 2, [2]), False)
    content = (layout, (2, 2), *parts)
    return read(
        named("torch.sparse_compressed", content), int64(*rows), int64(*columns), float32(1, 2)
    )


def test_sparse_tensors_with_right_indices_are_read():
    assert coo((0, 2), (3,)).to_dense().tolist() == [1, 0, 2]
    assert csr((0, 1, 2), (0, 1)).to_dense().tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("indices", [(0, 3), (0, -1), (2**62, 0), (-(2**63), 0)], ids=repr)
def test_sparse_tensors_with_indices_outside_their_shape_are_refused(indices):
    with pytest.raises(CorruptBufferError):
        coo(indices, (3,))


@pytest.mark.parametrize("coalesced", ["x", [1]])
def test_sparse_tensors_with_nonsense_for_flags_are_refused(coalesced):
    with pytest.raises(CorruptBufferError):
        coo((0, 2), (3,), coalesced=coalesced)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ((0, 1, 2), (0, 9)),
        ((0, 1, 2), (0, -1)),
        ((0, 5, 2), (0, 1)),
        ((1, 1, 2), (0, 1)),
        ((0, 1, 9), (0, 1)),
    ],
    ids=repr,
)
def test_compressed_tensors_with_wrong_indices_are_refused(rows, columns):
    with pytest.raises(CorruptBufferError):
        csr(rows, columns)


@pytest.mark.parametrize("layout", ["nn", "sparse_coo", "strided", "jagged", "", "float32"])
def test_compressed_tensors_of_another_layout_are_refused(layout):
    with pytest.raises(CorruptBufferError):
        csr((0, 1, 2), (0, 1), layout=layout)


@pytest.mark.parametrize("dtype", ["nn", "Tensor", "ones", "", "uint9", "float64", "complex128"])
def test_views_as_another_dtype_are_of_a_dtype_of_the_same_size(dtype):
    with pytest.raises(TransferQueueError):
        read(named("torch.view", (dtype, tensor(UINT8, 0, [4]))), bytearray(4))
