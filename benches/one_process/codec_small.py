"""10,000 tensors of 1 KiB through the codec: what one value costs beside its bytes."""

from __future__ import annotations

from functools import partial

import torch
from measure import Results, interleaved, out_path
from payloads import tiny_tensors
from regions import WarmRegion

from transfer_queue.utils import serial_utils

COUNT = 10_000
TURNS = 5


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    tensors = tiny_tensors(COUNT)
    size = sum(tensor.nbytes for tensor in tensors)

    region = WarmRegion()
    encode = partial(serial_utils.batch_encode_into, tensors, region)
    buffers, _ = encode(num_workers=1)
    seconds = interleaved(
        {
            "encode, 1 worker": partial(encode, num_workers=1),
            "encode, 2 workers": partial(encode, num_workers=2),
            "decode": partial(serial_utils.batch_decode_from, buffers),
        },
        TURNS,
    )
    decoded = serial_utils.batch_decode_from(buffers)
    assert all(map(torch.equal, decoded, tensors)), "the codec changed a value"

    results = Results("codec_small")
    for name, taken in seconds.items():
        results.add(name, taken, size=size, operations=COUNT)
    results.write(out)


if __name__ == "__main__":
    main()
