"""Batches as few large objects: how many, which bytes are read, and what failures do."""

import gc
import threading
import time
from pathlib import Path

import memory_backend  # noqa: F401 - registers the backend
import pytest
import torch
from tensordict import NonTensorStack, TensorDict

import transfer_queue
from transfer_queue import _core
from transfer_queue.errors import CorruptBufferError, StorageKeyNotFoundError, UnavailableError


@pytest.fixture
def tq():
    transfer_queue.close()
    transfer_queue.init({"backend": {"storage_backend": "memory", "Memory": {}}})
    yield transfer_queue
    transfer_queue.close()


@pytest.fixture(params=["fetched", "local", "mapped"])
def store(tq, request):
    client = tq.get_client().storage_manager.storage_client
    client.is_local = request.param == "local"
    return in_own_files(client) if request.param == "mapped" else client


@pytest.fixture
def mapped(tq):
    return in_own_files(tq.get_client().storage_manager.storage_client)


def in_own_files(client):
    """Has a client hand over objects in memory files of this process, which are mapped again."""
    client.is_mapped = True
    client.mapped = _core.MappedFiles(Path("/proc/self/comm").read_text().strip())
    return client


def batch(rows, **fields):
    return TensorDict(fields, batch_size=rows)


def keys(rows):
    return [f"k{row}" for row in range(rows)]


def small(rows, value=0):
    return batch(
        rows, a=torch.full((rows, 4), value), b=NonTensorStack(*["text"] * rows), c=torch.ones(rows)
    )


def test_a_batch_of_small_fields_is_one_object(tq, store):
    tq.kv_batch_put(keys(1000), "p", small(1000))
    assert len(store.objects) == 1
    tq.kv_batch_get(keys(1000), "p")
    assert len(store.reads) == 1


def test_a_large_column_is_few_objects_and_lies_alone(tq, store):
    tq.kv_batch_put(keys(40), "p", batch(40, x=torch.zeros(40, 1 << 18), y=torch.zeros(40)))
    assert sorted(map(len, store.objects.values())) == [160, 8 << 20, 16 << 20, 16 << 20]


def test_one_row_brings_its_blocks_and_no_more(tq, store):
    rows = torch.arange(40.0).repeat_interleave(1 << 18).view(40, -1)
    tq.kv_batch_put(keys(40), "p", batch(40, x=rows))
    got = tq.kv_batch_get(["k17"], "p")["x"].unbind()[0]
    assert torch.equal(got, rows[17])
    assert sum(read.length for read in store.reads) <= (1 << 20) + 2 * (64 << 10)


def test_objects_go_with_their_last_row(tq, store):
    tq.kv_batch_put(keys(4), "p", small(4))
    tq.kv_clear(keys(3), "p")
    assert len(store.objects) == 1
    tq.kv_clear("k3", "p")
    assert not store.objects


def test_overwritten_objects_go_and_those_beside_them_stay(tq, store):
    large = torch.zeros(8, 1 << 18)
    tq.kv_batch_put(keys(8), "p", batch(8, x=large, y=large))
    before = len(store.objects)
    tq.kv_batch_put(keys(8), "p", batch(8, x=large + 1))
    assert len(store.objects) == before
    got = tq.kv_batch_get(keys(8), "p")
    assert got["x"].values().min() == 1
    assert got["y"].values().max() == 0


@pytest.mark.parametrize("how", ["partition", "samples", "evict"])
def test_objects_go_however_their_samples_do(tq, store, how):
    client = tq.get_client()
    meta = client.put(small(4), partition_id="p")
    tq.kv_batch_put(keys(2), "p", small(2), tags=[{"s": 1}, {"s": 1}])
    if how == "samples":
        client.clear_samples(meta)
        tq.kv_clear(keys(2), "p")
    elif how == "evict":
        client.clear_samples(meta)
        tq.kv_evict("p", "s == 1")
    else:
        client.clear_partition("p")
    assert not store.objects


def test_what_cannot_be_deleted_now_is_deleted_later(tq, store):
    store.refuse_clear = lambda key: True
    tq.kv_batch_put(keys(2), "p", small(2))
    tq.kv_clear(keys(2), "p")
    assert len(store.objects) == 1
    store.refuse_clear = lambda key: False
    tq.kv_batch_put(keys(2), "p", small(2))
    tq.kv_clear(keys(2), "p")
    assert not store.objects


def test_a_put_that_fails_leaves_nothing_behind(tq, store):
    def refuse(key):
        if key.endswith(":1"):
            raise UnavailableError(f"{key} was not stored")

    store.refuse_write = refuse
    with pytest.raises(UnavailableError, match=":1 was not stored"):
        tq.kv_batch_put(keys(40), "p", batch(40, x=torch.zeros(40, 1 << 18)))
    assert not store.objects
    assert tq.kv_list() == {}


def test_a_put_that_is_refused_takes_its_objects_along(tq, store):
    with pytest.raises(ValueError, match="name each key once"):
        tq.kv_batch_put(["a", "a"], "p", small(2))
    client = tq.get_client()
    meta = client.put(small(2), partition_id="p")
    client.clear_samples(meta.select_samples([0]))
    with pytest.raises(StorageKeyNotFoundError):
        client.put(batch(2, z=torch.zeros(2)), meta)
    client.clear_partition("p")
    assert not store.objects


@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_wrong_bytes_never_go_unnoticed(tq, store, how):
    tq.kv_batch_put(keys(40), "p", batch(40, x=torch.rand(40, 1 << 18), s=torch.rand(40)))

    def spoil(read, target):
        if how == "flipped":
            target[len(target) // 2] ^= 1
        elif how == "cut":
            target[-7:] = 255
        else:
            target[:] = 0

    store.spoil = spoil
    with pytest.raises(CorruptBufferError, match="put the samples again"):
        tq.kv_batch_get(keys(40), "p")
    with pytest.raises(CorruptBufferError):
        tq.kv_batch_get("k3", "p", select_fields="s")


def test_a_buffer_that_is_too_short_is_wrong(tq, store):
    store.is_local = True
    tq.kv_batch_put(keys(4), "p", small(4))
    (key,) = store.objects
    whole = store.objects[key]

    class Short:
        """Seems whole, and is not: only what is handed over counts."""

        def __init__(self, landing):
            self.loan, self.arrived = landing.loan, landing.arrived
            self.take = lambda buffers: landing.take([(one, whole[:-9]) for one, _ in buffers])

    read_objects = store.read_objects
    store.read_objects = lambda reads, landing: read_objects(reads, Short(landing))
    with pytest.raises(CorruptBufferError):
        tq.kv_batch_get(keys(4), "p")


def test_what_arrived_wrong_once_is_read_again(tq, store):
    rows = torch.rand(40, 1 << 18)
    tq.kv_batch_put(keys(40), "p", batch(40, x=rows))
    spoiled = []

    def spoil(read, target):
        if read.key.endswith(":1") and not spoiled:
            target[5] ^= 255
            spoiled.append(read)

    store.spoil = spoil
    got = tq.kv_batch_get(keys(40), "p")["x"]
    assert torch.equal(got.values().view(40, -1), rows)
    assert [read.key[-2:] for read in store.reads] == [":0", ":1", ":2", ":1"]


def test_rows_that_are_replaced_while_they_are_read_are_found_anew(tq, store):
    tq.kv_batch_put(keys(4), "p", small(4, 1))
    replaced = []

    def spoil(read, target):
        if not replaced:
            replaced.append(read)
            tq.kv_batch_put(keys(4), "p", small(4, 2))
            raise StorageKeyNotFoundError("it went meanwhile")

    store.spoil = spoil
    assert tq.kv_batch_get(keys(4), "p")["a"].values().min() == 2


def test_an_object_that_is_lost_is_named(tq, store):
    tq.kv_batch_put(keys(4), "p", small(4))
    store.objects.clear()
    with pytest.raises(StorageKeyNotFoundError, match="tq-"):
        tq.kv_batch_get(keys(4), "p")


def test_many_getters_at_once(tq, store):
    rows = torch.rand(64, 1 << 14)
    images = NonTensorStack(*[{"pixels": rows[row].clone()} for row in range(64)])
    tq.kv_batch_put(keys(64), "p", batch(64, x=rows, images=images))
    failures = []

    def work(number):
        for turn in range(4):
            row = (7 * number + turn) % 64
            got = tq.kv_batch_get([f"k{row}", f"k{63 - row}"], "p")
            image = got.get("images").tolist()[1]["pixels"]
            if not (
                torch.equal(got["x"].unbind()[0], rows[row]) and torch.equal(image, rows[63 - row])
            ):
                failures.append(row)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_key_value_manager_reads_as_users_check_it(tq):
    import inspect

    from transfer_queue.storage.managers.base import KVStorageManager

    text = inspect.getsource(KVStorageManager.put_data)
    assert text.index("self.storage_client.put") < text.index("self.notify_data_update")


LETTERS = ["a", "é", "中", "😀"]


def long_texts(rows):
    return [f"{row}{LETTERS[row % 4] * (300_000 + row)}" for row in range(rows)]


@pytest.mark.parametrize("order", ["as sent", "backwards"])
def test_texts_of_many_objects(tq, store, order):
    texts = long_texts(100)
    pictures = [{"p": b"i" * 500_000, "t": torch.full((9,), row)} for row in range(100)]
    fields = {"t": NonTensorStack(*texts), "b": NonTensorStack(*pictures)}
    tq.kv_batch_put(keys(100), "p", batch(100, **fields))
    assert len(store.objects) > 5
    store.is_backwards = order == "backwards"
    got = tq.kv_batch_get(keys(100), "p")
    assert got["t"].tolist() == texts
    for row, value in enumerate(got["b"].tolist()):
        assert value["p"] == b"i" * 500_000
        assert value["t"].tolist() == [row] * 9
    some = [97, 3, 4, 5, 3, 50]
    got = tq.kv_batch_get([f"k{row}" for row in some], "p", select_fields=["t"])
    assert got["t"].tolist() == [texts[row] for row in some]


def test_texts_that_did_not_arrive_whole_are_made_from_the_second_reading(tq, store):
    texts = long_texts(100)
    tq.kv_batch_put(keys(100), "p", batch(100, t=NonTensorStack(*texts)))
    spoilt = []

    def spoil(read, target):
        if read.key.endswith(":1") and not spoilt:
            spoilt.append(read)
            target[1000:1010] = 0

    store.spoil = spoil
    assert tq.kv_batch_get(keys(100), "p")["t"].tolist() == texts
    assert spoilt


def images(rows, bytes_each=3 << 20):
    """Packed buffers that fill several objects."""
    values = [
        {"pixels": torch.full((bytes_each // 4,), float(row)), "number": row} for row in range(rows)
    ]
    return batch(rows, image=NonTensorStack(*values), s=torch.ones(rows))


def in_files(store):
    return store.files.usage()[0]


def wait_until(holds):
    """What is let go is let go by another thread."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


def check_images(got, rows):
    found = got["image"].tolist()
    assert [image["number"] for image in found] == list(rows)
    for row, image in zip(rows, found, strict=True):
        assert (image["pixels"] == row).all()


def test_large_objects_stay_where_they_are_while_they_are_used(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    got = tq.kv_batch_get(keys(12), "p")
    check_images(got, range(12))
    # The images are not copied, and what is small is.
    assert in_files(mapped) >= 12 * (3 << 20)
    assert mapped.region.usage()[0] < 1 << 20
    del got
    wait_until(lambda: in_files(mapped) == 0)


def test_what_is_written_to_objects_in_place_stays_private(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    first = tq.kv_batch_get(keys(12), "p")
    for image in first["image"].tolist():
        image["pixels"][:7] = -1
    check_images(tq.kv_batch_get(keys(12), "p"), range(12))
    del first, image
    wait_until(lambda: in_files(mapped) == 0)
    # The same memory again, whose written pages were reverted.
    for _ in range(3):
        check_images(tq.kv_batch_get(keys(12), "p"), range(12))


def test_any_rows_of_objects_in_place(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    for rows in ([11], [5, 4, 0], [7, 7, 1, 7], range(3, 9)):
        check_images(tq.kv_batch_get([f"k{row}" for row in rows], "p"), rows)


def test_rows_of_several_puts_in_place_and_copied(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    tq.kv_batch_put(["small"], "p", images(1, 64))
    tq.kv_batch_put(["large"], "p", images(1))
    names = ["k3", "small", "k11", "large"]
    check_images(tq.kv_batch_get(names, "p"), [3, 0, 11, 0])
    tensors = torch.rand(4, 1 << 19)
    tq.kv_batch_put(["k1", "k2", "k3", "k4"], "p", batch(4, x=tensors, y=tensors.repeat(1, 4)))
    got = tq.kv_batch_get(["k1", "k2", "k3", "k4"], "p")
    check_images(got, range(1, 5))
    assert torch.equal(torch.stack(got["x"].unbind()), tensors)
    assert torch.equal(torch.stack(got["y"].unbind()), tensors.repeat(1, 4))


def test_wrong_objects_in_place_are_read_again_and_copied(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    spoiled = []

    def spoil(read, target):
        if read.length > 4 << 20 and not spoiled:
            target[len(target) // 2] ^= 1
            spoiled.append(read)

    mapped.spoil = spoil
    got = tq.kv_batch_get(keys(12), "p")
    check_images(got, range(12))
    assert len(spoiled) == 1
    assert in_files(mapped) == 0
    assert mapped.region.usage()[0] > 12 * (3 << 20)
    mapped.spoil = lambda read, target: target.fill(7)
    with pytest.raises(CorruptBufferError):
        tq.kv_batch_get(keys(12), "p")


def test_buffers_elsewhere_are_copied(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    mapped.mapped = _core.MappedFiles("no such program")
    got = tq.kv_batch_get(keys(12), "p")
    check_images(got, range(12))
    assert mapped.region.usage()[0] > 12 * (3 << 20)


def test_files_go_while_buffers_in_them_are_let_go(tq, mapped):
    tq.kv_batch_put(keys(12), "p", images(12))
    for _ in range(20):
        in_own_files(mapped)
        got = tq.kv_batch_get(keys(12), "p")
        del got
        # Its threads end here, and need the interpreter for what they let go.
        mapped.mapped = None
    wait_until(lambda: in_files(mapped) == 0)
