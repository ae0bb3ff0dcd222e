"""One sample of 1 KiB at a time, and how long a process takes to get there."""

from __future__ import annotations

from functools import partial

import tensordict  # noqa: F401
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

    with gateway(results) as tq:
        put = partial(tq.kv_put, partition_id=PARTITION)
        get = partial(tq.kv_batch_get, partition_id=PARTITION)
        clear = partial(tq.kv_clear, partition_id=PARTITION)
        pairs = list(zip(keys, tensors, strict=True))

        puts = [partial(put, key=key, fields={"field_0": tensor}) for key, tensor in pairs]
        results.add("kv_put, 1 KiB", [timed(work) for work in puts][WARM_UP:])
        gets = [partial(get, keys=[key]) for key in keys]
        results.add("kv_batch_get, 1 KiB", [timed(work) for work in gets][WARM_UP:])
        tags = [partial(put, key=key, tag={"row": row}) for row, key in enumerate(keys)]
        results.add("kv_put, tag only", [timed(work) for work in tags][WARM_UP:])

        for key, tensor in pairs[::37]:
            read = get(keys=[key])["field_0"].unbind()[0]
            assert torch.equal(read, tensor), "another tensor came back"
        clears = [partial(clear, keys=[key]) for key in keys]
        results.add("kv_clear, 1 key", [timed(work) for work in clears][WARM_UP:])
    results.write(out)


if __name__ == "__main__":
    main()
