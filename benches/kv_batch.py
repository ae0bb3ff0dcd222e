"""10,000 samples of four small fields with tags: the cost per sample of a batch."""

from __future__ import annotations

from typing import Any

import torch

from gateway import gateway
from measure import Results, is_ours, out_path, timed
from payloads import dense_fields

ROWS = 10_000
FIELDS = 4
FIELD_BYTES = 256
TURNS = 7 if is_ours() else 2


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    batch, size = dense_fields(ROWS, FIELDS * FIELD_BYTES, FIELDS)
    keys = [f"key_{row}" for row in range(ROWS)]
    # Read back against the order, so that no shortcut for a whole partition applies.
    backwards = keys[::-1]
    puts: list[float] = []
    gets: list[float] = []
    reversed_gets: list[float] = []
    lists: list[float] = []
    clears: list[float] = []

    with gateway() as tq:
        for turn in range(TURNS + 1):
            where = f"batch_{turn}"
            tags = [{"turn": turn, "row": row} for row in range(ROWS)]
            put = timed(
                lambda where=where, tags=tags: tq.kv_batch_put(
                    keys=keys, partition_id=where, fields=batch, tags=tags
                )
            )
            get = timed(lambda where=where: tq.kv_batch_get(keys=keys, partition_id=where))
            reversed_get = timed(
                lambda where=where: tq.kv_batch_get(keys=backwards, partition_id=where)
            )
            listing = timed(lambda where=where: tq.kv_list(partition_id=where))
            if turn == 0:
                check(tq, where, keys, batch, tags)
            clear = timed(lambda where=where: tq.kv_clear(keys=keys, partition_id=where))
            if turn:
                puts.append(put)
                gets.append(get)
                reversed_gets.append(reversed_get)
                lists.append(listing)
                clears.append(clear)

    results = Results("kv_batch")
    results.add("kv_batch_put, 4 fields and tags", puts, size=size, operations=ROWS)
    results.add("kv_batch_get, 4 fields", gets, size=size, operations=ROWS)
    results.add("kv_batch_get, 4 fields, reversed", reversed_gets, size=size, operations=ROWS)
    results.add("kv_list, 10,000 keys", lists, operations=ROWS)
    results.add("kv_clear, 10,000 keys", clears, operations=ROWS)
    results.write(out)


def check(tq: Any, where: str, keys: list[str], batch: Any, tags: list[dict[str, int]]) -> None:
    """Refuses to go on where another content came back."""
    for names, rows in ((keys, range(ROWS)), (keys[::-1], range(ROWS - 1, -1, -1))):
        read = tq.kv_batch_get(keys=names, partition_id=where)
        for name, column in batch.items():
            for position in range(0, ROWS, 997):
                expected = column[rows[position]]
                assert torch.equal(read[name].unbind()[position], expected), "another row came back"
    listed = tq.kv_list(partition_id=where)[where]
    assert listed == dict(zip(keys, tags, strict=True)), "other tags came back"


if __name__ == "__main__":
    main()
