"""512 MiB at once: put and get of dense rows, many fields, jagged rows, strings and image dicts.

Each kind is put into a new partition, read, and cleared, in turns with plain copies of as many
bytes into warm memory. A get that hands out views has moved nothing yet, so the row "get and touch"
adds the time to read one byte of every page of the result. "first put" is the one that finds no
warm memory.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import torch
from gateway import gateway
from measure import Results, is_ours, out_path, timed, timed_result
from payloads import MIB, Payload, dense_fields, jagged, nested_images, rows_of, texts
from regions import copy_all

ROWS = 512
BYTES = ROWS * MIB
#: Image dicts of 1 to 4 MB that make as many bytes together.
IMAGES = 215
PAGE = 4096
TURNS = 3 if is_ours() else 1

KINDS = {
    "dense, 1 field": partial(dense_fields, ROWS, MIB, 1),
    "dense, 8 fields": partial(dense_fields, ROWS, MIB, 8),
    "dense, 32 fields": partial(dense_fields, ROWS, MIB, 32),
    "jagged": partial(jagged, ROWS, MIB),
    "strings": partial(texts, ROWS, MIB),
    "image dicts": partial(nested_images, IMAGES),
}


def main() -> None:
    out = out_path(__doc__)
    torch.set_num_threads(1)
    source, target = (np.full(BYTES, value, np.uint8) for value in (1, 2))
    copies = {
        "copy, 1 thread": partial(copy_all, [target], [source], 1),
        "copy, 2 threads": partial(copy_all, [target], [source], 2),
    }
    results = Results("kv_large")
    with gateway() as tq:
        for kind, make in KINDS.items():
            payload = make()
            seconds: dict[str, list[float]] = defaultdict(list)
            for turn in range(TURNS + 1):
                taken = {name: timed(copy) for name, copy in copies.items()}
                taken |= put_and_get(tq, kind, payload, check_rows=turn == 0)
                if turn == 0 and kind == next(iter(KINDS)):
                    results.add(f"{kind}: first put", [taken["put"]], size=payload[1])
                for name, value in taken.items() if turn else ():
                    seconds[name].append(value)
            for name, values in seconds.items():
                size = BYTES if name in copies else payload[1]
                results.add(f"{kind}: {name}", values, size=size)
            del payload
    results.write(out)


def put_and_get(tq: Any, where: str, payload: Payload, *, check_rows: bool) -> dict[str, float]:
    """Seconds of one put, one get, and one get with a look at every page."""
    batch, _ = payload
    keys = [f"key_{row}" for row in range(batch.batch_size[0])]
    gc.collect()
    put = timed(partial(tq.kv_batch_put, keys=keys, partition_id=where, fields=batch))
    get, read = timed_result(partial(tq.kv_batch_get, keys=keys, partition_id=where))
    touched = timed(partial(touch, read))
    if check_rows:
        check(read, batch)
    tq.kv_clear(keys=keys, partition_id=where)
    return {"put": put, "get": get, "get and touch": get + touched}


def touch(batch: Any) -> None:
    """Reads one byte of every page of the tensors that a get returned. Python strings have been
    written by the get itself.
    """
    for column in batch.values():
        if isinstance(column, torch.Tensor):
            jagged_layout = column.layout == torch.jagged
            tensors = [column.values()] if jagged_layout else list(column.unbind())
        else:
            dicts = [value for value in rows_of(column) if isinstance(value, dict)]
            tensors = [tensor for one in dicts for tensor in one.values()]
        for tensor in tensors:
            tensor.reshape(-1).view(torch.uint8)[::PAGE].sum()


def check(read: Any, batch: Any) -> None:
    """Refuses to go on where another content came back."""
    for name, column in batch.items():
        written, found = rows_of(column), rows_of(read[name])
        assert len(written) == len(found), "another number of rows came back"
        for row in range(0, len(written), 61):
            assert same(written[row], found[row]), f"another value came back in row {row}"


def same(one: Any, other: Any) -> bool:
    """Whether two values of these payloads are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


if __name__ == "__main__":
    main()
