"""Batches the metadata tests share."""

from typing import Any

import torch

from transfer_queue.metadata import BatchMeta


def dense(shape: Any = (3,), dtype: Any = torch.float32) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "is_nested": False, "is_non_tensor": False}


def nested(shapes: list[Any], dtype: Any = torch.int64) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": shapes[0] if shapes else None,
        "is_nested": True,
        "is_non_tensor": False,
        "per_sample_shapes": shapes,
    }


def batch(size: int = 4, start: int = 0, **overrides: Any) -> BatchMeta:
    """Samples from `start` on: a dense field `a`; a nested `n`, of shape (i + 1,) for sample i."""
    arguments: dict[str, Any] = {
        "global_indexes": list(range(start, start + size)),
        "partition_ids": ["p"] * size,
        "field_schema": {
            "n": nested([(start + i + 1,) for i in range(size)]),
            "a": dense(),
        },
    }
    return BatchMeta(**(arguments | overrides))
