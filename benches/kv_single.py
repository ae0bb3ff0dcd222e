"""One sample of 1 KiB at a time: the latency of the smallest put, get, tag and clear."""

from __future__ import annotations

from functools import partial

import torch

from gateway import gateway
from measure import Results, is_ours, out_path, timed
from payloads import tiny_tensors

#: Two thousand calls hold a p99; the PyPI package takes some milliseconds for each.
COUNT = 2_000 if is_ours() else 300
WARM_UP = 50
PARTITION = "single"


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    tensors = tiny_tensors(WARM_UP + COUNT)
    keys = [f"key_{number}" for number in range(len(tensors))]
    results = Results("kv_single")

    with gateway() as tq:
        on_each = {
            "kv_put, 1 KiB": [
                partial(tq.kv_put, key=key, partition_id=PARTITION, fields={"field_0": tensor})
                for key, tensor in zip(keys, tensors, strict=True)
            ],
            "kv_batch_get, 1 KiB": [
                partial(tq.kv_batch_get, keys=[key], partition_id=PARTITION) for key in keys
            ],
            "kv_put, tag only": [
                partial(tq.kv_put, key=key, partition_id=PARTITION, tag={"score": number})
                for number, key in enumerate(keys)
            ],
        }
        for name, works in on_each.items():
            results.add(name, [timed(work) for work in works][WARM_UP:])

        for key, tensor in zip(keys[::97], tensors[::97], strict=True):
            read = tq.kv_batch_get(keys=[key], partition_id=PARTITION)["field_0"]
            assert torch.equal(read.unbind()[0], tensor), "another tensor came back"
        clears = [partial(tq.kv_clear, keys=[key], partition_id=PARTITION) for key in keys]
        results.add("kv_clear, 1 key", [timed(work) for work in clears][WARM_UP:])
    results.write(out)


if __name__ == "__main__":
    main()
