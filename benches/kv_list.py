"""Listing 100,000 keys with their tags."""

from __future__ import annotations

from functools import partial

from gateway import gateway
from measure import Results, is_ours, out_path, repeated

KEYS = 100_000
#: Tags are put in pieces, which the PyPI package answers sooner than one batch.
PIECE = 10_000
PARTITION = "listed"


def main() -> None:
    out = out_path(__doc__)
    keys = [f"key_{number}" for number in range(KEYS)]
    with gateway() as tq:
        for start in range(0, KEYS, PIECE):
            tags = [{"row": row} for row in range(start, start + PIECE)]
            tq.kv_batch_put(keys=keys[start : start + PIECE], partition_id=PARTITION, tags=tags)
        listed = tq.kv_list(partition_id=PARTITION)[PARTITION]
        assert listed == {key: {"row": row} for row, key in enumerate(keys)}, "other tags came back"
        del listed
        seconds = repeated(partial(tq.kv_list, partition_id=PARTITION), 7 if is_ours() else 3)

    results = Results("kv_list")
    results.add("kv_list, 100,000 keys", seconds, operations=KEYS)
    results.write(out)


if __name__ == "__main__":
    main()
