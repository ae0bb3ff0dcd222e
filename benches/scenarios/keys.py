"""Many samples of four small fields with tags, and calls about their metadata: cost per sample."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from contents import check
from measure import TURN_PATIENCE, Patience, repeated, timed, timed_result
from payloads import dense_fields
from session_state import Session
from workers import Worker

__all__ = ["run"]

FIELDS = 4
FIELD_BYTES = 256
#: A batch is left out where a put would take more seconds than this.
LONGEST_PUT = 25.0
FETCHED = 1024
FETCHES = 8


def run(session: Session) -> None:
    patience = Patience("a put", LONGEST_PUT)
    for count, times in session.scale.keys.items():
        label = f"{count:,} keys"
        if reason := patience.reason(count):
            session.results.failed(label, reason)
            continue
        seconds: dict[str, list[float]] = defaultdict(list)
        for turn in range(times + 1):
            where = f"{label} {turn}"
            taken = session.workers.call(0, put, where, count)
            taken |= session.workers.call(1, read, where, count, turn == 0)
            taken |= session.workers.call(0, clear, where, count)
            for what, value in taken.items() if turn else ():
                seconds[what].append(value)
            if turn and sum(taken.values()) > TURN_PATIENCE:
                break
        patience.took(count, max(seconds["put"]))
        for what, values in seconds.items():
            session.results.add(f"{label}: {what}", values, operations=count)
    if session.is_gateway:
        fetch = session.workers.call(1, fetches)
        session.results.add(f"get_meta of {FETCHED:,} among 10,000", fetch, operations=FETCHED)


def keys_of(count: int) -> list[str]:
    return [f"key_{row}" for row in range(count)]


def put(worker: Worker, where: str, count: int) -> dict[str, float]:
    batch, _ = dense_fields(count, FIELDS * FIELD_BYTES, FIELDS)
    tags = [{"row": row} for row in range(count)]
    return {"put": timed(partial(worker.store.put, where, keys_of(count), batch, tags))}


def read(worker: Worker, where: str, count: int, compare: bool) -> dict[str, float]:
    keys = keys_of(count)
    listed, found = timed_result(partial(worker.store.list, where))
    assert sorted(found) == sorted(keys), "other keys were listed"
    got, batch = timed_result(partial(worker.store.get, where, keys))
    if compare:
        check(dense_fields(count, FIELDS * FIELD_BYTES, FIELDS)[0], batch)
    return {"list": listed, "get": got}


def clear(worker: Worker, where: str, count: int) -> dict[str, float]:
    return {"clear": timed(partial(worker.store.clear, where, keys_of(count)))}


def fetches(worker: Worker) -> list[float]:
    count = FETCHED * (FETCHES + 1)
    batch, _ = dense_fields(count, FIELDS * FIELD_BYTES, FIELDS)
    worker.store.put("fetched", keys_of(count), batch, None)
    fetch = partial(
        worker.store.tq.get_client().get_meta,
        data_fields=list(batch.keys()),
        batch_size=FETCHED,
        partition_id="fetched",
        task_name="train",
    )
    seconds = repeated(fetch, FETCHES)
    worker.store.clear("fetched", keys_of(count))
    return seconds
