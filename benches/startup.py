"""How long a new interpreter takes to import the package, beyond PyTorch and tensordict."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import tensordict  # noqa: F401
import torch  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    started = time.perf_counter()
    import transfer_queue  # noqa: F401

    out.write_text(json.dumps({"import": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
