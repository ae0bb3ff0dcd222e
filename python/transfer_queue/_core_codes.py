"""Codes that the extension module and Python share."""

from __future__ import annotations

import torch

__all__ = ["BYTE_DTYPES"]

_CODES = {
    "float8_e4m3fn": 17,
    "float8_e4m3fnuz": 18,
    "float8_e5m2": 19,
    "float8_e5m2fnuz": 20,
    "float8_e8m0fnu": 21,
    "float4_e2m1fn_x2": 22,
}

#: dtypes of one byte that are handed over as bytes, with their codes in ``tq_proto::DType``.
BYTE_DTYPES: dict[torch.dtype, int] = {
    getattr(torch, name): code for name, code in _CODES.items() if hasattr(torch, name)
}
