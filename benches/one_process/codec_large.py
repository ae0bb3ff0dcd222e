"""400 image dicts of 1 to 4 MB through the codec, beside plain copies of the same bytes.

The copies go into the very buffers that the codec fills, and take turns with it.
"""

from __future__ import annotations

from functools import partial

import torch
from measure import Results, Work, interleaved, is_ours, out_path
from payloads import images, size_of_images
from regions import WarmRegion, copy_all

from transfer_queue.utils import serial_utils

COUNT = 400
TURNS = 9 if is_ours() else 3


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    dicts = images(COUNT)
    size = size_of_images(dicts)

    region = WarmRegion()
    encode = partial(serial_utils.batch_encode_into, dicts, region)
    buffers, _ = encode(num_workers=1)
    sources = [one["pixel_values"].numpy().reshape(-1).view("uint8") for one in dicts]
    targets = [buffer[-source.nbytes :] for buffer, source in zip(buffers, sources, strict=True)]
    copy = partial(copy_all, targets, sources)
    works: dict[str, Work] = {
        "copy, 1 thread": copy,
        "encode, 1 worker": partial(encode, num_workers=1),
        "copy, 2 threads": partial(copy, 2),
        "encode, 2 workers": partial(encode, num_workers=2),
    }
    if is_ours():
        works["encode and checksum, 1 worker"] = partial(encode, num_workers=1, checksum=True)
        works["encode and checksum, 2 workers"] = partial(encode, num_workers=2, checksum=True)
    seconds = interleaved(works, TURNS)

    # The copies came last or not; the codec has to write once more before anything is read.
    encode(num_workers=2)
    decode = partial(serial_utils.batch_decode_from, buffers)
    seconds |= interleaved({"decode": decode}, TURNS)
    for read, written in zip(decode(), dicts, strict=True):
        same = all(torch.equal(read[name], tensor) for name, tensor in written.items())
        assert same, "the codec changed a value"

    results = Results("codec_large")
    for name, taken in seconds.items():
        results.add(name, taken, size=size)
    results.write(out)


if __name__ == "__main__":
    main()
