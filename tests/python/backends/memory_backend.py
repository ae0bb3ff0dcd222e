"""A client of objects in a dict, which fails as it is told to."""

import threading

import numpy as np

from transfer_queue import _core
from transfer_queue.errors import StorageKeyNotFoundError
from transfer_queue.storage.clients.base import ObjectClient, StorageClientFactory
from transfer_queue.storage.managers.base import KVStorageManager, StorageManagerFactory


@StorageClientFactory.register("MemoryClient")
class MemoryClient(ObjectClient):
    """Attributes that a test sets: ``spoil`` is called with each read and its memory, ``refuse``
    with the keys of each write or clear. ``is_local``: objects are handed over as buffers, and not
    copied to where they are wanted. ``is_mapped``: these lie in memory files of this process, and
    all are handed over together. ``is_backwards``: the last read arrives first.
    """

    is_local = is_mapped = is_backwards = False

    def __init__(self, config):
        super().__init__(config)
        self.region = _core.Region(segment_bytes=16 << 20)
        self.files = _core.Region(segment_bytes=64 << 20)
        self.objects = {}
        self.reads = []
        self.spoil = self.refuse_write = self.refuse_clear = lambda *_: None
        self.lock = threading.Lock()

    def write_objects(self, keys, sizes, write):
        for number, (key, size) in enumerate(zip(keys, sizes, strict=True)):
            self.refuse_write(key)
            buffer = bytearray(size)
            write(number, buffer)
            assert key not in self.objects, "an object was written twice"
            self.objects[key] = bytes(buffer)

    def read_objects(self, reads, landing):
        if self.is_mapped:
            landing.take([(number, self.in_file(read)) for number, read in enumerate(reads)])
            return
        memory = np.frombuffer(landing.loan.buffer, np.uint8)
        numbers = range(len(reads))
        for number in reversed(numbers) if self.is_backwards else numbers:
            read = reads[number]
            self.reads.append(read)
            if read.key not in self.objects:
                raise StorageKeyNotFoundError(read.key)
            content = np.frombuffer(self.objects[read.key], np.uint8)
            assert len(content) == read.size
            wanted = slice(read.offset, read.offset + read.length)
            if self.is_local:
                buffer = content.copy()
                self.spoil(read, buffer[wanted])
                landing.take([(number, buffer)])
                continue
            target = memory[read.at : read.at + read.length]
            target[:] = content[wanted]
            self.spoil(read, target)
            landing.arrived([number])

    def in_file(self, read):
        """An object as a buffer of a memory file that is free when nobody has the buffer."""
        self.reads.append(read)
        if read.key not in self.objects:
            raise StorageKeyNotFoundError(read.key)
        content = np.frombuffer(self.objects[read.key], np.uint8)
        buffer = np.frombuffer(self.files.loan(len(content)).buffer, np.uint8)
        buffer[:] = content
        self.spoil(read, buffer[read.offset : read.offset + read.length])
        return buffer

    def clear_objects(self, keys):
        left = [key for key in keys if self.refuse_clear(key)]
        for key in set(keys) - set(left):
            self.objects.pop(key, None)
        return left

    def put(self, keys, values):
        raise AssertionError("values were put one by one")

    get = clear = put


@StorageManagerFactory.register("Memory")
class MemoryManager(KVStorageManager):
    def __init__(self, controller_info, config, zmq_context=None):
        super().__init__(controller_info, {"client_name": "MemoryClient"}, zmq_context)
