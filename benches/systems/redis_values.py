"""Redis on a Unix socket, without persistence: a pickled value per sample and field."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensordict import TensorDict

from systems.base import Batch, System, column_of, columns_of, plain, tensors

__all__ = ["RedisValues"]

_READY_SECONDS = 10.0
#: Bytes that one command carries; Redis takes at most 1 GiB.
_COMMAND_BYTES = 64 << 20


class RedisStore:
    """Values under ``partition/key/field``; keys in a hash, fields in a set, per partition."""

    def __init__(self, path: str) -> None:
        import redis

        self._path = path
        self.redis = redis.Redis(unix_socket_path=path)

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        del tags
        columns = columns_of(batch)
        values: dict[str, bytes] = {}
        size = 0
        for name, column in columns.items():
            for key, value in zip(keys, column, strict=True):
                pickled = pickle.dumps(plain(value), protocol=5)
                values[f"{partition}/{key}/{name}"] = pickled
                size += len(pickled)
                if size >= _COMMAND_BYTES:
                    self.redis.mset(values)
                    values, size = {}, 0
        if values:
            self.redis.mset(values)
        self.redis.sadd(f"{partition} fields", *columns)
        self.redis.hset(f"{partition} keys", mapping=dict.fromkeys(keys, b""))

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        if fields is None:
            fields = self._fields(partition)
        columns = {}
        for name in fields:
            found = self.redis.mget([f"{partition}/{key}/{name}" for key in keys])
            columns[name] = column_of([tensors(pickle.loads(one)) for one in found])  # noqa: S301
        return columns

    def list(self, partition: str) -> list[str]:
        return [key.decode() for key in self.redis.hkeys(f"{partition} keys")]

    def clear(self, partition: str, keys: list[str]) -> None:
        fields = self._fields(partition)
        self.redis.delete(*[f"{partition}/{key}/{name}" for key in keys for name in fields])
        self.redis.hdel(f"{partition} keys", *keys)

    def _fields(self, partition: str) -> list[str]:
        return sorted(name.decode() for name in self.redis.smembers(f"{partition} fields"))


class RedisValues(System):
    """A server of its own."""

    def start(self) -> RedisStore:
        self._folder = tempfile.mkdtemp(prefix="bench-redis-")
        path = str(Path(self._folder) / "socket")
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
        self._server = subprocess.Popen(
            [*command, "--dir", self._folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _READY_SECONDS
        while not Path(path).exists():
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.02)
        self.joining = {"path": path}
        return RedisStore(path)

    def join(self, joining: Mapping[str, Any]) -> RedisStore:
        return RedisStore(joining["path"])

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(_READY_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
