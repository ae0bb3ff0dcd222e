"""1 GiB at once: put and get of dense rows, many fields, jagged rows, strings and image dicts.

Each kind is put into a new partition, read, and cleared, in turns with a plain copy of as many
bytes into warm memory. A get that hands out views has moved nothing yet; the row "get and touch"
also reads one byte of every page of the result.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import numpy as np
import torch

from gateway import gateway
from measure import Results, is_ours, out_path, timed
from payloads import GIB, MIB, Payload, dense_fields, jagged, nested_images, rows_of, texts
from regions import copy_all

ROWS = 1024
#: Dicts of 1 to 4 MB that make 1 GiB together.
IMAGES = 430
PAGE = 4096
TURNS = 5 if is_ours() else 2

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
    results = Results("kv_large")
    with gateway() as tq:
        for kind, make in KINDS.items():
            measure(tq, results, kind, make())
        measure_copies(results)
    results.write(out)


def measure(tq: Any, results: Results, kind: str, payload: Payload) -> None:
    """Puts and gets one kind; adds its rows."""
    batch, size = payload
    rows = batch.batch_size[0]
    keys = [f"key_{row}" for row in range(rows)]
    puts: list[float] = []
    gets: list[float] = []
    touched_gets: list[float] = []
    for turn in range(TURNS + 1):
        where = f"{kind}_{turn}"
        put = timed(lambda where=where: tq.kv_batch_put(keys=keys, partition_id=where, fields=batch))
        get = timed(lambda where=where: tq.kv_batch_get(keys=keys, partition_id=where))
        touched_get = timed(
            lambda where=where: touch(tq.kv_batch_get(keys=keys, partition_id=where))
        )
        if turn == 0:
            check(tq.kv_batch_get(keys=keys, partition_id=where), batch)
        tq.kv_clear(keys=keys, partition_id=where)
        gc.collect()
        if turn:
            puts.append(put)
            gets.append(get)
            touched_gets.append(touched_get)
    results.add(f"put, {kind}", puts, size=size)
    results.add(f"get, {kind}", gets, size=size)
    results.add(f"get and touch, {kind}", touched_gets, size=size)


def measure_copies(results: Results) -> None:
    """Adds plain copies of 1 GiB into warm memory."""
    source, target = (np.full(GIB, value, np.uint8) for value in (1, 2))
    for threads in (1, 2):
        taken = [timed(partial(copy_all, [target], [source], threads)) for _ in range(6)][1:]
        results.add(f"copy, {threads} thread{'s'[: threads - 1]}", taken, size=GIB)


def touch(batch: Any) -> int:
    """Reads one byte of every page of what a get returned; Python strings are in memory anyway."""
    total = 0
    for column in batch.values():
        if isinstance(column, torch.Tensor):
            tensors = [column.values() if column.is_nested else column]
        else:
            values = rows_of(column)
            dicts = values if isinstance(values[0], dict) else []
            tensors = [tensor for one in dicts for tensor in one.values()]
        for tensor in tensors:
            pages = tensor.detach().contiguous().view(-1).view(torch.uint8)[::PAGE]
            total += int(pages.numpy().sum())
    return total


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
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


if __name__ == "__main__":
    main()
