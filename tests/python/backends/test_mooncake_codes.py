"""The Mooncake client against a store that answers with codes as the real one has been seen to."""

import ctypes
import gc
import logging
import threading

import pytest
import torch

from transfer_queue.errors import (
    CapacityExceededError,
    CorruptBufferError,
    StorageKeyNotFoundError,
    UnavailableError,
)
from transfer_queue.storage.clients import mooncake_client
from transfer_queue.storage.clients.base import Landing, ObjectRead
from transfer_queue.storage.clients.mooncake_client import MooncakeStoreClient
from transfer_queue.storage.clients.mooncake_settings import MooncakeSettings, metadata_url

CONFIG = {"metadata_server": "127.0.0.1:1", "master_server_address": "127.0.0.1:2"}


def landing_in(loan, arrived):
    return Landing(lambda: loan, arrived, None)


class Store:
    """Keeps bytes; ``answer`` may change the code of a key, and so whether it is stored."""

    def __init__(self):
        self.objects, self.calls, self.registered = {}, [], []
        self.answer = lambda call, key, code: code

    def setup(self, *arguments):
        self.calls.append(("setup", arguments))
        return 0

    def get_hostname(self):
        return "127.0.0.1:3"

    def register_buffer(self, address, size):
        self.registered.append((address, size))
        return 0

    def batch_upsert_from(self, keys, places, sizes, config):
        self.calls.append(("put", list(keys)))
        codes = []
        for key, place, size in zip(keys, places, sizes, strict=True):
            assert any(a <= place and place + size <= a + s for a, s in self.registered)
            codes.append(self.answer("put", key, 0))
            if codes[-1] == 0:
                self.objects[key] = ctypes.string_at(place, size)
        return codes

    def batch_get_into(self, keys, places, sizes):
        self.calls.append(("get", list(keys)))
        codes = []
        for key, place, size in zip(keys, places, sizes, strict=True):
            content = self.objects.get(key)
            code = -704 if content is None else len(content)
            codes.append(self.answer("get", key, code))
            if codes[-1] > 0:
                ctypes.memmove(place, content, min(codes[-1], size))
        return codes

    def get_into_ranges(self, bases, keys, places, offsets, lengths):
        codes = []
        for key, *of_key in zip(keys[0], places[0], offsets[0], lengths[0], strict=True):
            codes.append([])
            for place, offset, length in zip(*of_key, strict=True):
                content = self.objects[key][offset : offset + length]
                ctypes.memmove(bases[0] + place, content, len(content))
                codes[-1].append(len(content))
        return [codes]

    def batch_remove(self, keys, force):
        assert force
        return [0 if self.objects.pop(key, None) is not None else -704 for key in keys]

    def close(self):
        self.calls.append(("close", ()))


class Replicas:
    with_hard_pin = None
    preferred_segment = None


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(mooncake_client, "_imported", lambda: (Store, Replicas))
    monkeypatch.setattr(mooncake_client, "RETRY_DELAY_SECONDS", 0.0)
    client = MooncakeStoreClient(CONFIG)
    yield client
    client.close()


VALUES = [torch.arange(6).view(2, 3), "text", {"a": torch.zeros(2), "b": (1, None)}, None]
KEYS = ["0@x", "1@x", "2@x", "3@x"]


def get(client, keys, metas):
    return client.get(keys, [None] * len(keys), [None] * len(keys), metas)


def test_values_come_back_by_the_size_that_put_noted(client):
    metas = client.put(KEYS, VALUES)
    assert [sorted(meta) for meta in metas] == [["packed_size"]] * 4
    assert all(
        len(client._store.objects[k]) == m["packed_size"] for k, m in zip(KEYS, metas, strict=True)
    )
    got = get(client, KEYS[::-1], metas[::-1])
    assert torch.equal(got[3], VALUES[0])
    assert got[2] == "text"
    assert got[1]["b"] == (1, None)
    got[3].zero_()
    assert torch.equal(get(client, KEYS[:1], metas[:1])[0], VALUES[0])


def test_memory_is_registered_once(client):
    for _ in range(5):
        metas = client.put(KEYS, VALUES)
        get(client, KEYS, metas)
    assert len(client._store.registered) == 1


@pytest.mark.parametrize("metas", [None, [{}] * 4, [None] * 4])
def test_a_get_without_the_packed_size_says_so(client, metas):
    client.put(KEYS, VALUES)
    with pytest.raises(ValueError, match="packed_size"):
        get(client, KEYS, metas)


def test_only_what_failed_is_tried_again(client):
    failed = set()

    def answer(call, key, code):
        if key == "1@x" and (call, key) not in failed:
            failed.add((call, key))
            return -800
        return code

    client._store.answer = answer
    metas = client.put(KEYS, VALUES)
    assert get(client, KEYS, metas)[1] == "text"
    asked = [keys for call, keys in client._store.calls if call in ("put", "get")]
    assert asked == [KEYS, ["1@x"], KEYS, ["1@x"]]


def test_a_put_that_fails_in_part_names_keys_and_codes(client):
    client._store.answer = lambda call, key, code: -900 if key in ("1@x", "3@x") else code
    with pytest.raises(UnavailableError, match=r"2 of 4 keys were not stored.*1@x \(-900\), 3@x"):
        client.put(KEYS, VALUES)


def test_a_full_store_is_said_to_be_full(client):
    client._store.answer = lambda call, key, code: -200
    with pytest.raises(CapacityExceededError, match="no room"):
        client.put(KEYS, VALUES)


@pytest.mark.parametrize("code", [0, 1, 63])
def test_a_short_read_is_no_success(client, code):
    metas = client.put(KEYS, VALUES)
    client._store.answer = lambda call, key, found: code if key == "2@x" else found
    with pytest.raises(CorruptBufferError, match="2@x"):
        get(client, KEYS, metas)


def test_bytes_that_changed_are_no_success(client):
    metas = client.put(KEYS, VALUES)
    content = bytearray(client._store.objects["0@x"])
    content[-20] ^= 1
    client._store.objects["0@x"] = bytes(content)
    with pytest.raises(CorruptBufferError):
        get(client, KEYS, metas)


def test_what_is_not_there_is_not_waited_for(client):
    metas = client.put(KEYS, VALUES)
    client.clear(KEYS[:1], metas[:1])
    with pytest.raises(StorageKeyNotFoundError, match="0@x"):
        get(client, KEYS, metas)
    assert [call for call, _ in client._store.calls].count("get") == 1
    client.clear(KEYS, metas)
    assert not client._store.objects


def put_objects(client, count, size):
    """Objects of which each is full of its number."""
    keys = [f"object {number}" for number in range(count)]

    def write(number, buffer):
        buffer[:size] = bytes([number]) * size

    client.write_objects(keys, [size] * count, write)
    return [ObjectRead(key, size, 0, size, at * size) for at, key in enumerate(keys)]


def test_objects_of_several_calls_arrive_each_once(client, monkeypatch):
    monkeypatch.setattr(mooncake_client, "_CALL_BYTES", 2048)
    reads = put_objects(client, 9, 1024)
    loan = client.region.loan(9 * 1024)
    arrived = []
    client.read_objects(reads, landing_in(loan, arrived.extend))
    assert sorted(arrived) == list(range(9))
    assert bytes(loan.buffer) == b"".join(bytes([number]) * 1024 for number in range(9))


def test_a_call_that_goes_on_after_another_failed_keeps_its_memory(client, monkeypatch):
    monkeypatch.setattr(mooncake_client, "_CALL_BYTES", 1024)
    reads = put_objects(client, 6, 1024)
    gone, goes_on, ended = threading.Event(), threading.Event(), threading.Event()
    get = client._store.batch_get_into

    def slow(keys, places, sizes):
        if keys == ["object 0"]:
            assert gone.wait(10)
            return [-704]
        if keys == ["object 1"]:
            gone.set()
            assert goes_on.wait(10)
            codes = get(keys, places, sizes)
            ended.set()
            return codes
        return get(keys, places, sizes)

    client._store.batch_get_into = slow
    loan = client.region.loan(6 * 1024)
    offset = loan.offset
    with pytest.raises(StorageKeyNotFoundError, match="object 0"):
        client.read_objects(reads, landing_in(loan, lambda numbers: None))
    # Somebody else's bytes must not lie where the other call still writes to.
    del loan
    gc.collect()
    other = client.region.loan(6 * 1024)
    assert other.offset != offset
    other.buffer[:] = bytes(6 * 1024)
    goes_on.set()
    assert ended.wait(10)
    assert bytes(other.buffer) == bytes(6 * 1024)


def test_what_cannot_be_removed_is_logged(client, caplog):
    client._store.batch_remove = lambda keys, force: [-900] * len(keys)
    with caplog.at_level(logging.ERROR):
        client.clear(KEYS)
    assert "remove failed" in caplog.text


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("p2pHandshake", "P2PHANDSHAKE"),
        ("host:1", "http://host:1/metadata"),
        ("http://host:1", "http://host:1/metadata"),
        ("https://host:1/metadata", "https://host:1/metadata"),
        ("etcd://host:1", "etcd://host:1"),
    ],
)
def test_metadata_servers(given, wanted):
    assert metadata_url(given) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata_server": None},
        {"metadata_server": "host"},
        {"master_server_address": ""},
        {"master_server_address": "host:port"},
        {"protocol": "udp"},
        {"use_gdr": True},
        {"global_segment_size": -1},
        {"local_buffer_size": "1GB"},
    ],
)
def test_wrong_settings_are_named(wrong):
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=name):
        MooncakeSettings.of({**CONFIG, **wrong})


@pytest.mark.parametrize(("contributes", "preferred"), [(1 << 30, "127.0.0.1:3"), (0, None)])
def test_objects_go_to_the_memory_of_their_own_process(monkeypatch, contributes, preferred):
    monkeypatch.setattr(mooncake_client, "_imported", lambda: (Store, Replicas))
    client = MooncakeStoreClient({**CONFIG, "global_segment_size": contributes})
    assert client.replica_config.preferred_segment == preferred
    client.close()


def test_objects_are_pinned_unless_they_may_go_to_disk():
    def pinned(**config):
        return MooncakeSettings.of({**CONFIG, **config}).hard_pin

    assert pinned()
    assert not pinned(offload={"enabled": True})
    assert pinned(offload={"enabled": True}, hard_pin=True)
    assert not pinned(hard_pin=False)


RDMA = {**CONFIG, "protocol": "rdma", "use_gdr": True}


@pytest.mark.parametrize("config", [RDMA, {**RDMA, "gdr_staging_buffer_mb": 0}, CONFIG])
def test_without_cuda_transfers_use_host_memory(monkeypatch, config):
    monkeypatch.setattr(mooncake_client, "_imported", lambda: (Store, Replicas))
    client = MooncakeStoreClient(config)
    assert client._transfers is client._store
    client.close()


@pytest.fixture(params=[2048, 16 << 20])
def staged(client, request):
    """A client whose bytes go through a buffer in what stands for device memory."""
    from transfer_queue.storage.clients.mooncake_staging import StagedStore
    from transfer_queue.utils.mooncake_utils import GdrStaging

    client._transfers = StagedStore(client._store, GdrStaging(request.param, device="cpu"))
    client._store.unregister_buffer = lambda address: 0
    return client


def test_bytes_travel_by_way_of_the_staging_buffer(staged):
    keys = [str(number) for number in range(len(VALUES))]
    metas = staged.put(keys, VALUES)
    found = staged.get(keys, [None] * 4, [None] * 4, metas)
    assert torch.equal(found[0], VALUES[0])
    assert found[1] == "text"
    assert torch.equal(found[2]["a"], torch.zeros(2))
    buffer = [size for _, size in staged._store.registered if size < 64 << 20]
    assert buffer == [staged._transfers._staging.size], "it is registered once"


def test_objects_and_ranges_by_way_of_the_staging_buffer(staged):
    reads = put_objects(staged, 9, 1024)
    reads[4] = reads[4]._replace(offset=100, length=500)
    reads[7] = reads[7]._replace(offset=0, length=1)
    loan = staged.region.loan(9 * 1024)
    loan.buffer[:] = bytes([255]) * (9 * 1024)
    arrived = []
    staged.read_objects(reads, landing_in(loan, arrived.extend))
    assert sorted(arrived) == list(range(9))
    for number, read in enumerate(reads):
        found = bytes(loan.buffer[read.at : read.at + 1024])
        assert found == bytes([number]) * read.length + bytes([255]) * (1024 - read.length)


def test_what_fails_keeps_its_code_by_way_of_the_staging_buffer(staged):
    staged._store.answer = lambda call, key, code: -200 if key == "2" else code
    with pytest.raises(CapacityExceededError, match=r"1 of 4 keys.*2 \(-200\)"):
        staged.put([str(number) for number in range(4)], VALUES)
