"""10,000 samples of four small fields with tags, and a listing of 100,000: the cost per sample."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import torch
from gateway import gateway
from measure import Results, is_ours, out_path, repeated, timed
from payloads import dense_fields

ROWS = 10_000
FIELDS = 4
FIELD_BYTES = 256
TURNS = 7 if is_ours() else 2
LISTED = 100_000


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    results = Results("kv_batch")
    with gateway() as tq:
        measure_batches(tq, results)
        measure_listing(tq, results)
    results.write(out)


def measure_batches(tq: Any, results: Results) -> None:
    """Puts, gets, lists and clears a batch, a new partition each time."""
    batch, size = dense_fields(ROWS, FIELDS * FIELD_BYTES, FIELDS)
    keys = [f"key_{row}" for row in range(ROWS)]
    tags = [{"turn": 0, "row": row} for row in range(ROWS)]
    # Also against the order, so that no shortcut for a run of samples applies.
    backwards = keys[::-1]
    seconds: dict[str, list[float]] = defaultdict(list)
    for turn in range(TURNS + 1):
        where = f"batch_{turn}"
        works = {
            "kv_batch_put, 4 fields": partial(
                tq.kv_batch_put, keys=keys, partition_id=where, fields=batch, tags=tags
            ),
            "kv_batch_get, 4 fields": partial(tq.kv_batch_get, keys=keys, partition_id=where),
            "kv_batch_get, reversed": partial(tq.kv_batch_get, keys=backwards, partition_id=where),
            "kv_list, 10,000 keys": partial(tq.kv_list, partition_id=where),
            "kv_clear, 10,000 keys": partial(tq.kv_clear, keys=keys, partition_id=where),
        }
        for name, work in works.items():
            if turn == 0 and name.startswith("kv_clear"):
                check(tq, where, keys, batch, tags)
            taken = timed(work)
            if turn:
                seconds[name].append(taken)
    for name, taken_all in seconds.items():
        results.add(name, taken_all, operations=ROWS, size=size if "fields" in name else None)


def check(tq: Any, where: str, keys: list[str], batch: Any, tags: list[dict[str, int]]) -> None:
    """Refuses to go on where another content came back."""
    for order in (1, -1):
        read = tq.kv_batch_get(keys=keys[::order], partition_id=where)
        for name, column in batch.items():
            for written, found in list(
                zip(list(column)[::order], read[name].unbind(), strict=True)
            )[::997]:
                assert torch.equal(written, found), f"another row of {name} came back"
    listed = tq.kv_list(partition_id=where)[where]
    assert listed == dict(zip(keys, tags, strict=True)), "other tags came back"


def measure_listing(tq: Any, results: Results) -> None:
    """Lists a large partition of keys and tags, put in pieces of 10,000."""
    keys = [f"key_{row}" for row in range(LISTED)]
    tags = [{"row": row} for row in range(LISTED)]
    for start in range(0, LISTED, ROWS):
        piece = slice(start, start + ROWS)
        tq.kv_batch_put(keys=keys[piece], partition_id="listed", tags=tags[piece])
    work = partial(tq.kv_list, partition_id="listed")
    expected = dict(zip(keys, tags, strict=True))
    assert work()["listed"] == expected, "other tags came back"
    seconds = repeated(work, TURNS)
    results.add("kv_list, 100,000 keys", seconds, operations=LISTED)


if __name__ == "__main__":
    main()
