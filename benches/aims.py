"""What the measurements are held to. Every aim is a ratio of two times of one run, so it holds
for any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["AIMS", "Aim", "Rounds"]

#: Per package (``ours``, ``pypi``) the rows of each round: ``{name: {"median": seconds, ...}}``.
Rounds = dict[str, list[dict[str, dict[str, Any]]]]


@dataclass(frozen=True)
class Aim:
    """``row`` of ours takes at most ``1 / least`` of the time of ``against``."""

    scenario: str
    row: str
    least: float
    #: Another row of ours; the same row of the PyPI package where empty.
    against: str = ""
    statistic: str = "median"

    @property
    def text(self) -> str:
        """The aim in words."""
        tail = f" ({self.statistic})" if self.statistic != "median" else ""
        return f"{self.row}{tail}, beside {self.against or 'the PyPI package'}"

    def ratios(self, rounds: Rounds) -> list[float]:
        """How many times as long the other one takes, per round; empty where it did not run."""
        others = rounds.get("ours" if self.against else "pypi", [])
        name = self.against or self.row
        return [
            other[name][self.statistic] / own[self.row][self.statistic]
            for own, other in zip(rounds["ours"], others, strict=False)
        ]


def _large(kind: str, copies: float) -> list[Aim]:
    copy = f"{kind}: copy, 1 thread"
    return [
        Aim("kv_large", f"{kind}: put", copies, copy),
        Aim("kv_large", f"{kind}: get and touch", 1, copy),
        Aim("kv_large", f"{kind}: put", 1),
        Aim("kv_large", f"{kind}: get and touch", 1),
    ]


AIMS = [
    Aim("codec_large", "encode, 1 worker", 0.9, "copy, 1 thread"),
    Aim("codec_large", "encode, 2 workers", 0.85, "copy, 2 threads"),
    Aim("codec_large", "encode and checksum, 1 worker", 0.6, "copy, 1 thread"),
    Aim("codec_large", "encode and checksum, 2 workers", 0.6, "copy, 2 threads"),
    Aim("codec_large", "decode", 100, "copy, 1 thread"),
    Aim("codec_small", "encode, 1 worker", 10),
    Aim("codec_small", "decode", 4),
    # A tenth of leeway for noise.
    Aim("codec_small", "encode, 2 workers", 0.9, "encode, 1 worker"),
    Aim("kv_single", "kv_put, 1 KiB", 20),
    Aim("kv_single", "kv_put, 1 KiB", 20, statistic="p99"),
    Aim("kv_single", "kv_batch_get, 1 KiB", 20),
    Aim("kv_single", "kv_batch_get, 1 KiB", 20, statistic="p99"),
    Aim("kv_single", "import without PyTorch", 1),
    Aim("kv_single", "init", 1),
    Aim("kv_batch", "kv_batch_put, 4 fields", 20),
    Aim("kv_batch", "kv_batch_get, 4 fields", 100),
    Aim("kv_batch", "kv_clear, 10,000 keys", 1),
    Aim("kv_batch", "kv_list, 100,000 keys", 10),
    Aim("control", "get_meta, 1,024 of 100,000", 20),
    # Ten times the samples may cost half as much again.
    Aim("control", "get_meta, 1,024 of 1,000,000", 2 / 3, "get_meta, 1,024 of 100,000"),
    # Following the changes instead of listing.
    Aim("control", "kv_watch, 1 change of 100,000 keys", 100, "kv_list of the same"),
    *_large("dense, 1 field", 0.7),
    *_large("dense, 8 fields", 0.7),
    *_large("dense, 32 fields", 0.7),
    # The number of fields must not matter; what is left of a fifth.
    Aim("kv_large", "dense, 8 fields: put", 0.8, "dense, 1 field: put"),
    Aim("kv_large", "dense, 32 fields: put", 0.8, "dense, 1 field: put"),
    *_large("jagged", 0.7),
    Aim("kv_large", "strings: put", 1),
    Aim("kv_large", "strings: get", 1),
    Aim("kv_large", "image dicts: put", 1),
    Aim("kv_large", "image dicts: get and touch", 1),
]
