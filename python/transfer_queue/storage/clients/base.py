"""What a client of a key-value system is.

A client of your own needs :class:`StorageKVClient` only: a value per key. One that can store large
objects of bytes, and read parts of them, is an :class:`ObjectClient`: then a batch is few objects,
however many samples and fields it has.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch

from transfer_queue import _core
from transfer_queue.errors import ForkedProcessError

__all__ = [
    "ObjectClient",
    "ObjectRead",
    "StorageClientFactory",
    "StorageKVClient",
    "WriteObject",
    "plain",
    "use_library",
]

#: Called with the number of an object and a writable buffer of its size, which it fills. Any number
#: of threads may call it, each for another object, and again for one that has to be sent again.
WriteObject: TypeAlias = Callable[[int, Any], None]


class StorageKVClient(ABC):
    """Stores one value per key. A value is whatever a sample has in a field: tensors, texts, dicts.

    Args:
        config: the backend's section of the configuration.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def put(self, keys: list[str], values: list[Any]) -> list[Any] | None:
        """Stores ``values[i]`` under ``keys[i]``; a key that is there is overwritten.

        Returns:
            None, or for each key what :meth:`get` and :meth:`clear` will want to know of it.

        Raises:
            Exception: not all of them are stored.
        """

    @abstractmethod
    def get(
        self,
        keys: list[str],
        shapes: list[Any] | None = None,
        dtypes: list[Any] | None = None,
        custom_backend_meta: list[Any] | None = None,
    ) -> list[Any]:
        """The values of ``keys``, in order.

        Args:
            keys: the keys.
            shapes: for each key the shape of a tensor; None for another value.
            dtypes: likewise its dtype.
            custom_backend_meta: what :meth:`put` returned for each key.

        Raises:
            Exception: a value is missing.
        """

    @abstractmethod
    def clear(self, keys: list[str], custom_backend_meta: list[Any] | None = None) -> None:
        """Deletes ``keys``; those that are not there are ignored."""

    def close(self) -> None:
        """Gives back what the client holds."""
        return


class ObjectRead(NamedTuple):
    """Bytes of an object, and where they go.

    Attributes:
        key: the object.
        size: bytes of the whole object.
        offset: where the wanted bytes begin in it.
        length: how many are wanted.
        at: where they go in the memory that was lent for the read.
    """

    key: str
    size: int
    offset: int
    length: int
    at: int

    @property
    def is_whole(self) -> bool:
        """Whether the whole object is wanted."""
        return self.length == self.size


class Landing(NamedTuple):
    """Where what is read goes.

    Attributes:
        lend: gives :attr:`loan`.
        arrived: called, in any thread, with the numbers of reads whose bytes are there; checks
            them.
        take: called instead, in any thread, with ``(number, buffer)`` of reads whose whole object
            is a buffer in this host's memory; copies and checks them, or checks them where they are
            (see :attr:`ObjectClient.mapped`).
    """

    lend: Callable[[], _core.RegionLoan]
    arrived: Callable[[list[int]], None]
    take: Callable[[list[tuple[int, Any]]], None]

    @property
    def loan(self) -> _core.RegionLoan:
        """Memory of the client's region, of which reads name parts; the same each time."""
        return self.lend()


class ObjectClient(StorageKVClient):
    """Stores large objects of bytes too. Keys are never written twice by a batch of another put.

    Attributes:
        region: memory for objects on their way.
        mapped: the files in which objects may stay while a batch is used, if there are any.
        writes_in_place: whether ``write`` fills the memory in which objects stay, and not memory
            that they are sent from at once; then it bypasses the cache.
    """

    region: _core.Region
    mapped: _core.MappedFiles | None = None
    writes_in_place: ClassVar[bool] = False

    @abstractmethod
    def write_objects(self, keys: list[str], sizes: list[int], write: WriteObject) -> None:
        """Stores objects of ``sizes`` bytes, which ``write`` fills.

        Raises:
            TransferQueueError: not all are stored; it names the keys that are not.
        """

    @abstractmethod
    def read_objects(self, reads: Sequence[ObjectRead], landing: Landing) -> None:
        """Reads bytes of objects.

        Args:
            reads: what is wanted.
            landing: where it goes.

        Raises:
            StorageKeyNotFoundError: an object is not there.
            TransferQueueError: not all could be read; it names the keys.
        """

    @abstractmethod
    def clear_objects(self, keys: list[str]) -> list[str]:
        """Deletes objects; returns those that could not be deleted. Missing ones are ignored."""


class StorageClientFactory:
    """Clients by name."""

    _registry: ClassVar[dict[str, type[StorageKVClient]]] = {}

    @classmethod
    def register(cls, client_name: str) -> Callable[[type[StorageKVClient]], type[StorageKVClient]]:
        """A class decorator that makes a client known under ``client_name``."""

        def known(client: type[StorageKVClient]) -> type[StorageKVClient]:
            cls._registry[client_name] = client
            return client

        return known

    @classmethod
    def create(cls, client_name: str, config: Any) -> StorageKVClient:
        """The client of that name.

        Raises:
            ValueError: nobody has registered one.
        """
        client = cls._registry.get(client_name)
        if client is None:
            raise ValueError(
                f"Unknown StorageClient {client_name!r}; registered are {sorted(cls._registry)}"
            )
        return client(config)


#: Libraries that run threads of their own, and the process in which each was first used.
_used_in: dict[str, int] = {}


def use_library(name: str) -> None:
    """To be called before a library is used that runs threads of its own: in a forked child they
    are not there, and calls would wait for them for ever.

    Raises:
        ForkedProcessError: it was used in the process that this one was forked from.
    """
    user = _used_in.setdefault(name, os.getpid())
    if user != os.getpid():
        raise ForkedProcessError(
            f"{name} was in use in process {user} when this one ({os.getpid()}) was forked from "
            "it, and cannot be used here; start workers with the `spawn` method"
        )


def plain(value: Any) -> Any:
    """A tensor on the CPU, out of whatever it was recorded in; any other value as it is."""
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value
