"""Seeded payloads: the same bytes for both packages and in every run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import NonTensorStack, TensorDict

__all__ = [
    "GIB",
    "MIB",
    "PATCH",
    "Payload",
    "batch_of",
    "dense_fields",
    "images",
    "jagged",
    "nested_images",
    "rows_of",
    "size_of_images",
    "texts",
    "tiny_tensors",
]

MIB = 1 << 20
GIB = 1 << 30
#: Width of one flattened image patch of Qwen2-VL: 3 channels x 2 frames x 14 x 14 pixels.
PATCH = 1176
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ."

Image = dict[str, torch.Tensor]
#: A batch, and the bytes of its content.
Payload = tuple[TensorDict, int]


def images(count: int, seed: int = 0) -> list[Image]:
    """``count`` dicts of 1 to 4 MB, as a vision-language processor gives them."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        patches = int(rng.integers(1_000_000 // 4 // PATCH, 4_000_000 // 4 // PATCH + 1))
        pixels = torch.from_numpy(rng.random((patches, PATCH), np.float32))
        grid = torch.tensor([[1, 2, max(1, patches // 2)]])
        made.append({"pixel_values": pixels, "image_grid_thw": grid})
    return made


def size_of_images(made: list[Image]) -> int:
    """Bytes of tensors in a list of images."""
    return sum(tensor.nbytes for image in made for tensor in image.values())


def tiny_tensors(count: int, seed: int = 0) -> list[torch.Tensor]:
    """``count`` tensors of 1 KiB."""
    rng = np.random.default_rng(seed)
    return list(torch.from_numpy(rng.random((count, 256), np.float32)).unbind())


def dense_fields(rows: int, row_bytes: int, fields: int, seed: int = 0) -> Payload:
    """Rows of ``row_bytes``, spread evenly over ``fields`` dense fields."""
    rng = np.random.default_rng(seed)
    width = row_bytes // 4 // fields
    columns = {
        f"field_{number}": torch.from_numpy(rng.random((rows, width), np.float32))
        for number in range(fields)
    }
    return TensorDict(columns, batch_size=[rows]), rows * width * 4 * fields


def jagged(rows: int, mean_bytes: int, seed: int = 0) -> Payload:
    """Rows of half to one and a half ``mean_bytes`` in one jagged field."""
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.5, 1.5, rows)
    lengths = (shares / shares.sum() * (rows * mean_bytes // 4)).astype(int)
    values = [torch.from_numpy(rng.random(int(length), np.float32)) for length in lengths]
    column = torch.nested.as_nested_tensor(values, layout=torch.jagged)
    return TensorDict({"field_0": column}, batch_size=[rows]), int(lengths.sum()) * 4


def texts(rows: int, row_bytes: int, seed: int = 0) -> Payload:
    """Strings of ``row_bytes`` ASCII characters."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(_LETTERS, np.uint8)
    made = []
    for _ in range(rows):
        places = rng.integers(0, len(letters), row_bytes, np.uint8)
        made.append(letters[places].tobytes().decode())
    return TensorDict({"field_0": NonTensorStack(*made)}, batch_size=[rows]), rows * row_bytes


def nested_images(count: int, seed: int = 0) -> Payload:
    """One field of image dicts."""
    made = images(count, seed)
    batch = TensorDict({"field_0": NonTensorStack(*made)}, batch_size=[count])
    return batch, size_of_images(made)


#: Rows of a batch of so many bytes, as they are seen in training: many tokens, few images.
_ROWS = {MIB: 16, 64 * MIB: 256, 512 * MIB: 1024, GIB: 1024, 4 * GIB: 2048}


def batch_of(kind: str, size: int) -> Payload:
    """A batch of about ``size`` bytes: ``dense``, ``jagged``, ``strings``, ``image dicts``,
    ``mixed`` (a quarter of each), or ``<number> fields``, all dense.
    """
    rows = _ROWS.get(size, 256)
    if kind == "dense":
        return dense_fields(rows, size // rows, 1)
    if kind == "jagged":
        return jagged(rows, size // rows)
    if kind == "strings":
        return texts(rows, size // rows)
    if kind == "image dicts":
        # 2.5 MB each on average.
        return nested_images(max(1, round(size / 2.5e6)))
    if kind == "mixed":
        return _mixed(rows, size)
    return dense_fields(rows, size // rows, int(kind.partition(" ")[0]))


def _mixed(rows: int, size: int) -> Payload:
    """A dense, a jagged, a text field and one of small image dicts, a quarter of the bytes each."""
    quarter = size // 4
    row = quarter // rows
    dense, jag, text = (make(rows, row)[0]["field_0"] for make in (_dense_field, jagged, texts))
    patches = max(1, row // 4 // PATCH)
    pixels = np.random.default_rng(1).random((rows, patches, PATCH), np.float32)
    dicts = [
        {"pixel_values": torch.from_numpy(one), "grid": torch.tensor([1, 2])} for one in pixels
    ]
    columns = {"dense": dense, "jagged": jag, "text": text, "images": NonTensorStack(*dicts)}
    return TensorDict(columns, batch_size=[rows]), 3 * quarter + pixels.nbytes + 16 * rows


def _dense_field(rows: int, row_bytes: int) -> Payload:
    return dense_fields(rows, row_bytes, 1)


def rows_of(column: Any) -> list[Any]:
    """The values of a column, one per row, whatever container it came in."""
    if isinstance(column, torch.Tensor):
        return list(column.unbind())
    return list(column.tolist())
