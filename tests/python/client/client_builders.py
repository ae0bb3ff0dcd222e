"""Batches for clients, and a package that polls."""

import torch
from tensordict import NonTensorStack, TensorDict


def batch(rows, start=0, **more):
    """`rows` rows of a field `x`, two numbers each, and more columns."""
    first = 2 * start
    x = torch.arange(first, first + 2 * rows).view(rows, 2)
    return TensorDict({"x": x, **more}, batch_size=rows)


def rows_of(data, field="x"):
    column = data.get(field)
    if isinstance(column, NonTensorStack):
        return column.tolist()
    return [row.tolist() for row in column.unbind(0)]


def fetch(client, batch_size, fields=("x",), partition="p", task="t", **more):
    return client.get_meta(list(fields), batch_size, partition, task_name=task, **more)


def everything(client, fields=("x",), partition="p"):
    return client.get_meta(list(fields), 0, partition, mode="force_fetch")
