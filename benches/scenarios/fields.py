"""The same bytes as 1, 8, 32 and 128 fields: the cost must not follow the number of fields."""

from __future__ import annotations

import statistics

from measure import TURN_PATIENCE
from session_state import Session

from scenarios.transfer import clear, forget, get, load, put

__all__ = ["run"]

FIELDS = (1, 8, 32, 128)
TIMES = 3
#: More fields are left out where a put and a get of fewer took more seconds than this.
PATIENCE = 5.0


def run(session: Session) -> None:
    slowest = 0.0
    for count in FIELDS:
        kind = f"{count} fields"
        if slowest > PATIENCE:
            reason = f"left out: a put and a get of fewer fields took {slowest:.1f} s"
            session.results.failed(kind, reason)
            continue
        (rows, size), _ = session.workers.all(load, kind, session.scale.fields_bytes)
        puts, gets = [], []
        for turn in range(TIMES + 1):
            where = f"{kind} {turn}"
            puts.append(session.workers.call(0, put, where))
            gets.append(session.workers.call(1, get, where, turn == 0))
            session.workers.call(0, clear, where)
            if turn and puts[-1] + gets[-1] > TURN_PATIENCE:
                break
        name = "1 field" if count == 1 else kind
        slowest = statistics.median(puts) + statistics.median(gets)
        session.results.add(f"{name}: put", puts[1:], size=size, operations=rows)
        session.results.add(f"{name}: get", gets[1:], size=size, operations=rows)
        session.workers.all(forget)
