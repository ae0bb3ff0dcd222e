"""A storage backend of your own: one file per sample and field, in a directory.

A client needs `put`, `get` and `clear`; the manager comes with the package. Run it to see it work:

    python examples/directory_backend.py
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

import transfer_queue as tq
from transfer_queue.storage.clients.base import StorageClientFactory, StorageKVClient
from transfer_queue.storage.managers.base import KVStorageManager, StorageManagerFactory
from transfer_queue.utils.serial_utils import batch_decode_from, batch_encode_into


@StorageClientFactory.register("DirectoryClient")
class DirectoryClient(StorageKVClient):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.directory = Path(config["path"])

    def put(self, keys: list[str], values: list[Any]) -> None:
        buffers, _ = batch_encode_into(values, lambda sizes: [bytearray(n) for n in sizes])
        for key, buffer in zip(keys, buffers, strict=True):
            (self.directory / key).write_bytes(buffer)

    def get(self, keys: list[str], *_: Any, **__: Any) -> list[Any]:
        return batch_decode_from([bytearray((self.directory / key).read_bytes()) for key in keys])

    def clear(self, keys: list[str], *_: Any, **__: Any) -> None:
        for key in keys:
            (self.directory / key).unlink(missing_ok=True)


@StorageManagerFactory.register("Directory")
class DirectoryManager(KVStorageManager):
    def __init__(self, controller_info: Any, config: Any, zmq_context: Any = None) -> None:
        config = {**config, "client_name": "DirectoryClient"}
        super().__init__(controller_info, config, zmq_context)


def main() -> None:
    with tempfile.TemporaryDirectory() as path:
        tq.init({"backend": {"storage_backend": "Directory", "Directory": {"path": path}}})
        fields = TensorDict({"prompt_ids": torch.arange(8).view(2, 4)}, batch_size=2)
        tq.kv_batch_put(["a", "b"], "train", fields, tags=[{"step": 1}, {"step": 2}])
        print("files:", sorted(file.name for file in Path(path).iterdir()))
        print("b:", tq.kv_batch_get(["b"], "train")["prompt_ids"].unbind()[0].tolist())
        tq.kv_clear(["a", "b"], "train")
        print("left after the clear:", list(Path(path).iterdir()))
        tq.close()


if __name__ == "__main__":
    main()
