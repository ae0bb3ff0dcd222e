"""Programs that the measurements start."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

__all__ = ["tq_program"]


def tq_program() -> list[str]:
    """The program `tq` of this interpreter's environment."""
    beside = Path(sys.executable).with_name("tq")
    found = str(beside) if beside.exists() else shutil.which("tq")
    if found is None:
        raise RuntimeError("the program tq is not installed beside this interpreter")
    return [found]
