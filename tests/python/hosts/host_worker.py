"""A worker on a host of its own: carries out what it reads, a line of JSON each, and answers."""

import hashlib
import json
import sys
import time

import torch
from tensordict import NonTensorStack, TensorDict

import transfer_queue as tq


def batch(rows, seed):
    """A batch of every kind of column, the same wherever it is made."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1000, 60_000, (rows,), generator=generator).tolist()
    jagged = [torch.randint(0, 9, (length,), generator=generator) for length in lengths]
    images = [
        {
            "pixels": torch.rand(300, 400, generator=generator),
            "name": f"{seed}.{row}",
            "at": (row, 1),
        }
        for row in range(rows)
    ]
    return TensorDict(
        {
            "dense": torch.rand(rows, 50_000, generator=generator),
            "jagged": torch.nested.as_nested_tensor(jagged, layout=torch.jagged),
            "images": NonTensorStack(*images),
            "text": NonTensorStack(*[f"text {seed} {row}" * 50 for row in range(rows)]),
            "score": torch.rand(rows, generator=generator),
        },
        batch_size=rows,
    )


def digests(data):
    """One digest per row, over all fields."""
    found = []
    for row in range(data.batch_size[0]):
        digest = hashlib.sha256()
        for name in sorted(data.keys()):
            column = data[name]
            if isinstance(column, torch.Tensor):
                value = column.unbind()[row] if column.is_nested else column[row]
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.contiguous().numpy().tobytes())
            else:
                value = column.tolist()[row]
                if isinstance(value, dict):
                    digest.update(value["pixels"].numpy().tobytes())
                    value = (value["name"], value["at"])
                digest.update(repr(value).encode())
        found.append(digest.hexdigest())
    return found


def put(keys, seed):
    data = batch(len(keys), seed)
    tq.kv_batch_put(keys=keys, partition_id="p", fields=data)
    return digests(data)


def get(keys):
    return digests(tq.kv_batch_get(keys=keys, partition_id="p"))


def scribble(keys):
    """Writes into what it reads, which must change nothing for others."""
    tq.kv_batch_get(keys=keys, partition_id="p")["dense"].values().fill_(7)
    return True


def clear(keys):
    return tq.kv_clear(keys=keys, partition_id="p")


def units():
    return tq.get_client().get_storage_units()


def lost():
    return tq.get_client().get_lost_samples("p")


def reset():
    return tq.get_client().reset_lost_samples("p")


def produced(fields):
    return tq.get_client().check_production_status(data_fields=fields, partition_id="p")


CALLS = {call.__name__: call for call in (put, get, scribble, clear, units, lost, reset, produced)}


def main():
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        begun = time.monotonic()
        try:
            answer = {"value": CALLS[what](*arguments)}
        except Exception as error:  # noqa: BLE001 - told to the test
            answer = {"error": type(error).__name__, "text": str(error)}
        answer["seconds"] = time.monotonic() - begun
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


tq.init()
main()
