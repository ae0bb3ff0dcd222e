"""What is measured on every system, in two worker processes and their driver.

| name | measures |
|---|---|
| `memory` | bytes resident per byte stored, after a clear, after many cycles |
| `rl_step` | the four stages of a training step, text only and with images |
| `transfer` | put, get and clear of one batch, by kind and size, beside a plain copy |
| `raw` | a batch through Mooncake beside Mooncake's own calls |
| `fields` | the same bytes as 1, 8, 32 and 128 fields |
| `latency` | one small sample |
| `keys` | many small samples, and calls about their metadata |
| `waiting` | from a put to the process that waits for it; what a wait costs |
| `clients` | many threads, and for our own program many connections |
| `growth` | the cost per sample as a partition grows |

Start and import times are measured by `startup.py`, and what happens inside one process by the
scripts in `one_process/`.
"""

from __future__ import annotations

from collections.abc import Callable

from session_state import Session

from scenarios import (
    clients,
    fields,
    growth,
    keys,
    latency,
    memory,
    raw,
    rl_step,
    transfer,
    waiting,
)

__all__ = ["SCENARIOS"]

SCENARIOS: dict[str, Callable[[Session], None]] = {
    # First, because it counts memory that no scenario has warmed before.
    "memory": memory.run,
    "rl_step": rl_step.run,
    "transfer": transfer.run,
    "raw": raw.run,
    "fields": fields.run,
    "latency": latency.run,
    "keys": keys.run,
    "waiting": waiting.run,
    "clients": clients.run,
    "growth": growth.run,
}
