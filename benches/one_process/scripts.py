"""The scripts that measure inside one process, ours embedded beside the PyPI package as it starts
by default, with the rounds of each: more where a process is quick.
"""

from __future__ import annotations

__all__ = ["SCRIPTS"]

SCRIPTS = {
    "codec_large": 3,
    "codec_small": 3,
    "kv_single": 3,
    "kv_batch": 3,
    "control": 3,
    "kv_large": 2,
}
