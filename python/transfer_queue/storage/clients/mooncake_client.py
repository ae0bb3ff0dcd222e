"""The client of Mooncake Store, on `mooncake-transfer-engine`.

All bytes move between the store and one region of memory: its segments are registered once, and
objects are packed into ranges of it or read into them. Return codes are looked at key by key, and
what arrives is checked by whoever asked for it, because a code alone has been seen to lie.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_queue import _core
from transfer_queue.errors import InvalidArgumentError, UnavailableError
from transfer_queue.storage.clients.base import (
    Landing,
    ObjectClient,
    ObjectRead,
    StorageClientFactory,
    WriteObject,
    plain,
    use_library,
)
from transfer_queue.storage.clients.mooncake_calls import (
    NOT_FOUND,
    Patience,
    all_stored,
    code_of_read,
    retried,
)
from transfer_queue.storage.clients.mooncake_settings import MooncakeSettings, quiet_environment
from transfer_queue.utils import serial_utils

if TYPE_CHECKING:
    from transfer_queue.storage.clients.mooncake_staging import StagedStore

__all__ = [
    "BATCH_SIZE_LIMIT",
    "MAX_BATCH_WORKER_THREADS",
    "MAX_RETRIES",
    "MAX_SERIAL_WORKER_THREADS",
    "MOONCAKE_STORE_IMPORTED",
    "RETRY_DELAY_SECONDS",
    "MooncakeStoreClient",
]

logger = logging.getLogger(__name__)

#: The most keys of one call; calls are cut by bytes first.
BATCH_SIZE_LIMIT = 400
#: Threads that pack, and calls under way at once.
MAX_BATCH_WORKER_THREADS = 2
#: Threads that pack one batch of values.
MAX_SERIAL_WORKER_THREADS = 4
#: How often what failed is tried again, and how long after.
MAX_RETRIES = 3
RETRY_DELAY_SECONDS = 1.0

#: Bytes of one call: enough to fill the connection, little enough to overlap with packing.
_CALL_BYTES = 32 << 20
#: Mooncake asks without a pause whether a transfer has ended. Where cores are short, that must not
#: hold up the transfer itself, nor what is done beside it. With more niceness (15 was tried), who
#: asks would be late on a host whose cores are all busy.
_CALLER_NICENESS = 10
#: By how much the region grows.
_SEGMENT_BYTES = 256 << 20


def _is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("mooncake") is not None


#: Whether the package is there; it is imported when a client is made.
MOONCAKE_STORE_IMPORTED = _is_installed()


@StorageClientFactory.register("MooncakeStoreClient")
class MooncakeStoreClient(ObjectClient):
    """Stores values and objects in Mooncake Store.

    Args:
        config: the ``MooncakeStore`` section of the configuration.

    Raises:
        ImportError: the package is not installed, or a system library that it needs.
        ValueError: a setting is wrong; the message names it.
        UnavailableError: no master answers.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.settings = MooncakeSettings.of(config)
        use_library("Mooncake")
        store_class, replica_class = _imported()
        self._store: Any = store_class()
        _set_up(self._store, self.settings)
        self.replica_config: Any = replica_class()
        self.replica_config.with_hard_pin = self.settings.hard_pin
        if self.settings.global_segment_size > 0:
            # Else Mooncake takes any segment: a transfer where a copy would do.
            self.replica_config.preferred_segment = self._store.get_hostname()
        self.region = _core.Region(segment_bytes=_SEGMENT_BYTES)
        #: What moves bytes.
        self._transfers: Any = self._staged_store() or self._store
        self._registered: dict[int, int] = {}
        self._lock = threading.Lock()
        self._packers = ThreadPoolExecutor(MAX_BATCH_WORKER_THREADS, "tq-mooncake-pack")
        self._callers = ThreadPoolExecutor(
            MAX_BATCH_WORKER_THREADS, "tq-mooncake", initializer=_be_nice
        )
        # Apart from those that call: checking what came must not wait for another batch's calls.
        self._checkers = ThreadPoolExecutor(1, "tq-mooncake-check")

    # --- objects ---

    def write_objects(self, keys: list[str], sizes: list[int], write: WriteObject) -> None:
        """See :meth:`ObjectClient.write_objects`: packing one object overlaps with sending another.

        Raises:
            CapacityExceededError: the store has no room.
            UnavailableError: the store does not answer; the message names what is not stored.
            DeadlineExceededError: not all were stored in time.
        """
        patience = Patience()

        def packed(number: int) -> _core.RegionLoan:
            loan = self._loan(sizes[number])
            write(number, loan.buffer)
            return loan

        def send(number: int, loan: _core.RegionLoan) -> None:
            self._batch_upsert_with_retry(
                [keys[number]], [_address(loan)], [sizes[number]], patience=patience
            )

        def store(number: int) -> None:
            patience.check()
            try:
                self._callers.submit(send, number, packed(number)).result()
            except BaseException:
                patience.end()
                raise

        if len(keys) == 1:
            send(0, packed(0))
            return
        stored = [self._packers.submit(store, number) for number in range(len(keys))]
        all_stored(stored, keys, patience)

    def read_objects(self, reads: Sequence[ObjectRead], landing: Landing) -> None:
        """See :meth:`ObjectClient.read_objects`: checking what came overlaps with the next calls.

        Raises:
            StorageKeyNotFoundError: an object is not there.
            UnavailableError: the store does not answer; the message names what is not read.
            DeadlineExceededError: not all were read in time.
        """
        loan = landing.loan
        self._register(loan)
        patience = Patience()

        def fetch(numbers: list[int]) -> list[int]:
            patience.check()
            # A call that is still under way when another has failed keeps the loan to itself.
            base = _address(loan)
            chosen = [reads[number] for number in numbers]
            if chosen[0].is_whole:
                self._batch_get_into_with_retry(
                    [read.key for read in chosen],
                    [base + read.at for read in chosen],
                    [read.length for read in chosen],
                    patience=patience,
                )
            else:
                self._get_ranges(chosen, base, patience)
            return numbers

        calls = list(_calls(reads))
        if len(calls) == 1:
            landing.arrived(fetch(calls[0]))
            return
        under_way = [self._callers.submit(fetch, numbers) for numbers in calls]
        try:
            came = (done.result() for done in as_completed(under_way))
            checks = [self._checkers.submit(landing.arrived, numbers) for numbers in came]
            for check in checks:
                check.result()
        except BaseException:
            patience.end()
            for call in under_way:
                call.cancel()
            raise

    def clear_objects(self, keys: list[str]) -> list[str]:
        """See :meth:`ObjectClient.clear_objects`."""
        left: list[str] = []
        for start in range(0, len(keys), BATCH_SIZE_LIMIT):
            chosen = keys[start : start + BATCH_SIZE_LIMIT]
            codes = self._store.batch_remove(chosen, True)
            left += [
                key for key, code in zip(chosen, codes, strict=True) if code not in (0, NOT_FOUND)
            ]
        return left

    # --- values ---

    def put(self, keys: list[str], values: list[Any]) -> list[Any]:
        """Stores each value as one packed buffer.

        Returns:
            For each key ``{"packed_size": bytes}``, which :meth:`get` needs.

        Raises:
            ValueError: no lists, or of different lengths.
        """
        _check_lists(keys=keys, values=values)
        metas: list[Any] = []
        for start in range(0, len(keys), BATCH_SIZE_LIMIT):
            chosen = keys[start : start + BATCH_SIZE_LIMIT]
            packed: list[Any] = [plain(value) for value in values[start : start + BATCH_SIZE_LIMIT]]
            loans: list[_core.RegionLoan] = []

            def allocate(sizes: list[int], loans: list[_core.RegionLoan] = loans) -> list[Any]:
                loan = self._loan(sum(sizes))
                loans.append(loan)
                return list(_cut(loan.buffer, sizes))

            _, sizes = serial_utils.batch_encode_into(
                packed, allocate, num_workers=MAX_SERIAL_WORKER_THREADS, checksum=True
            )
            places = _address(loans[0]) + np.cumsum([0, *sizes[:-1]])
            self._batch_upsert_with_retry(chosen, [int(place) for place in places], list(sizes))
            metas += [{"packed_size": size} for size in sizes]
        return metas

    def get(
        self,
        keys: list[str],
        shapes: list[Any] | None = None,
        dtypes: list[Any] | None = None,
        custom_backend_meta: list[Any] | None = None,
    ) -> list[Any]:
        """The values of ``keys``; tensors are views of memory of the region.

        Raises:
            ValueError: lists are missing or of different lengths, or a key has no ``packed_size``.
            CorruptBufferError: what came back is not what was put.
        """
        _check_lists(keys=keys, shapes=shapes, dtypes=dtypes)
        sizes = _packed_sizes(keys, custom_backend_meta)
        values: list[Any] = []
        for start in range(0, len(keys), BATCH_SIZE_LIMIT):
            chosen = slice(start, start + BATCH_SIZE_LIMIT)
            loan = self._loan(sum(sizes[chosen]))
            places = _address(loan) + np.cumsum([0, *sizes[chosen][:-1]])
            self._batch_get_into_with_retry(
                keys[chosen], [int(place) for place in places], sizes[chosen]
            )
            values += serial_utils.batch_decode_from(list(_cut(loan.buffer, sizes[chosen])))
        return values

    def clear(self, keys: list[str], custom_backend_meta: list[Any] | None = None) -> None:  # noqa: ARG002
        """Deletes ``keys``; what cannot be deleted is logged."""
        left = self.clear_objects(keys)
        if left:
            logger.error("remove failed for %d keys: %s", len(left), left[:5])

    def close(self) -> None:
        """Leaves the store; what this process contributed to it goes with it."""
        self._packers.shutdown(wait=True, cancel_futures=True)
        self._callers.shutdown(wait=True, cancel_futures=True)
        self._checkers.shutdown(wait=True, cancel_futures=True)
        if self._transfers is not self._store:
            self._transfers.close()
        self._store.close()

    # --- calls ---

    def _batch_upsert_with_retry(
        self,
        keys: list[str],
        places: list[int],
        sizes: list[int],
        *,
        patience: Patience | None = None,
    ) -> None:
        """Stores ranges of the region, and what failed again: storing the same bytes under the same
        key twice does no harm.
        """

        def call(chosen: list[int]) -> list[int]:
            codes = self._transfers.batch_upsert_from(
                [keys[one] for one in chosen],
                [places[one] for one in chosen],
                [sizes[one] for one in chosen],
                self.replica_config,
            )
            return [0 if code == 0 else min(code, -1) for code in codes]

        self._retried(call, keys, "stored", patience)

    def _batch_get_into_with_retry(
        self,
        keys: list[str],
        places: list[int],
        sizes: list[int],
        *,
        patience: Patience | None = None,
    ) -> None:
        """Reads whole objects into ranges of the region, and what failed or was short again."""

        def call(chosen: list[int]) -> list[int]:
            codes = self._transfers.batch_get_into(
                [keys[one] for one in chosen],
                [places[one] for one in chosen],
                [sizes[one] for one in chosen],
            )
            wanted = (sizes[one] for one in chosen)
            return [code_of_read(code, size) for code, size in zip(codes, wanted, strict=True)]

        self._retried(call, keys, "read", patience)

    def _get_ranges(self, reads: list[ObjectRead], base: int, patience: Patience) -> None:
        """Reads ranges of objects."""

        def call(chosen: list[int]) -> list[int]:
            by_key: dict[str, list[int]] = {}
            for one in chosen:
                by_key.setdefault(reads[one].key, []).append(one)
            of_key = list(by_key.values())
            answer = self._transfers.get_into_ranges(
                [base],
                [list(by_key)],
                [[[reads[one].at for one in ones] for ones in of_key]],
                [[[reads[one].offset for one in ones] for ones in of_key]],
                [[[reads[one].length for one in ones] for ones in of_key]],
            )
            codes = {
                one: code_of_read(code, reads[one].length)
                for ones, found in zip(of_key, answer[0], strict=True)
                for one, code in zip(ones, found, strict=True)
            }
            return [codes[one] for one in chosen]

        self._retried(call, [read.key for read in reads], "read", patience)

    @staticmethod
    def _retried(
        call: Callable[[list[int]], list[int]],
        keys: list[str],
        done: str,
        patience: Patience | None,
    ) -> None:
        # The constants are looked up at each call: users set them.
        retried(call, keys, done, patience or Patience(), MAX_RETRIES, RETRY_DELAY_SECONDS)

    # --- memory ---

    def _staged_store(self) -> StagedStore | None:
        if not self.settings.use_gdr or self.settings.gdr_staging_buffer_mb == 0:
            return None
        from transfer_queue.storage.clients.mooncake_staging import staged

        return staged(self._store, self.settings.gdr_staging_buffer_mb)

    def _loan(self, size: int) -> _core.RegionLoan:
        loan = self.region.loan(size)
        self._register(loan)
        return loan

    def _register(self, loan: _core.RegionLoan) -> None:
        """Registers the segment that a loan lies in, once."""
        if loan.segment in self._registered:
            return
        with self._lock:
            if loan.segment in self._registered:
                return
            start = _address(loan) - loan.offset
            code = self._store.register_buffer(start, loan.segment_bytes)
            if code != 0:
                raise UnavailableError(
                    f"Mooncake does not take {loan.segment_bytes} bytes of memory for transfers "
                    f"(code {code}); see whether its metadata server runs, and for rdma the limit "
                    "of locked memory (ulimit -l)"
                )
            self._registered[loan.segment] = start


def _be_nice() -> None:
    """Lets the other threads go first; on Linux each thread has a niceness of its own."""
    own = threading.get_native_id()
    with contextlib.suppress(OSError):
        niceness = os.getpriority(os.PRIO_PROCESS, own) + _CALLER_NICENESS
        os.setpriority(os.PRIO_PROCESS, own, niceness)


def _imported() -> tuple[Any, Any]:
    quiet_environment()
    try:
        from mooncake.store import MooncakeDistributedStore, ReplicateConfig
    except ImportError as error:
        raise ImportError(
            "MooncakeStore needs the package mooncake-transfer-engine (with CUDA) or "
            "mooncake-transfer-engine-non-cuda, and libibverbs1, libnuma1 and libcurl4 of the "
            f"system: {error}"
        ) from error
    return MooncakeDistributedStore, ReplicateConfig


def _set_up(store: Any, settings: MooncakeSettings) -> None:
    code = store.setup(
        settings.local_hostname,
        settings.metadata_server,
        settings.global_segment_size,
        settings.local_buffer_size,
        settings.protocol,
        settings.device_name,
        settings.master_server_address,
    )
    if code != 0:
        raise UnavailableError(
            f"Mooncake's client cannot be set up (code {code}) with master "
            f"{settings.master_server_address}, metadata server {settings.metadata_server}, "
            f"protocol {settings.protocol} and {settings.global_segment_size} bytes of memory; see "
            "whether the master runs, and MC_TCP_BIND_ADDRESS where the host has only loopback"
        )


def _address(loan: _core.RegionLoan) -> int:
    address: int = np.frombuffer(loan.buffer, np.uint8).ctypes.data
    return address


def _cut(buffer: memoryview, sizes: Sequence[int]) -> Iterator[memoryview]:
    start = 0
    for size in sizes:
        yield buffer[start : start + size]
        start += size


def _calls(reads: Sequence[ObjectRead]) -> Iterator[list[int]]:
    """The reads of each call: of one kind, and of not too many bytes."""
    numbers: list[int] = []
    size = 0
    for number, read in enumerate(reads):
        other = bool(numbers) and reads[numbers[0]].is_whole != read.is_whole
        full = size + read.length > _CALL_BYTES or len(numbers) >= BATCH_SIZE_LIMIT
        if numbers and (other or full):
            yield numbers
            numbers, size = [], 0
        numbers.append(number)
        size += read.length
    if numbers:
        yield numbers


def _check_lists(**lists: list[Any] | None) -> None:
    lengths = {}
    for name, given in lists.items():
        if not isinstance(given, list):
            raise InvalidArgumentError(f"{name} must be a list, not a {type(given).__name__}")
        lengths[name] = len(given)
    if len(set(lengths.values())) > 1:
        raise InvalidArgumentError(f"lists of different lengths: {lengths}")


def _packed_sizes(keys: list[str], metas: list[Any] | None) -> list[int]:
    if metas is None or len(metas) != len(keys):
        raise InvalidArgumentError(
            "get needs custom_backend_meta, what put returned for each key; without its "
            "packed_size a value cannot be read"
        )
    for key, meta in zip(keys, metas, strict=True):
        if not isinstance(meta, dict) or "packed_size" not in meta:
            raise InvalidArgumentError(f"there is no packed_size for {key} in custom_backend_meta")
    return [int(meta["packed_size"]) for meta in metas]
