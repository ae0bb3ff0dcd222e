"""Many threads on one engine; each checks everything it reads."""

import contextlib
import threading

import torch
from kv_builders import batch, column, names, numbered, rows, same, stacked, usage

from transfer_queue.errors import NotReadyError, StorageKeyNotFoundError

THREADS = 16


def together(work):
    """Runs `work(number)` in sixteen threads at once; returns what they raised."""
    start, failures = threading.Barrier(THREADS), []

    def run(number):
        try:
            start.wait()
            work(number)
        except BaseException as failure:  # noqa: BLE001 - shown by the test
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_threads_with_keys_of_their_own(tq):
    def work(number):
        keys = names(8, f"t{number}_")
        for step in range(15):
            width = (3, 9000)[step % 2]
            put = numbered(8, width, 100 * number + step)
            text = [f"{number}/{step}/{row}" for row in range(8)]
            tq.kv_batch_put(keys, "p", batch(x=put, s=text), [{"step": step}] * 8)
            wanted = range(8) if step % 3 else [6, 1, 4]
            got = tq.kv_batch_get([keys[row] for row in wanted], "p")
            assert same(stacked(got.get("x")), put[list(wanted)])
            assert rows(got.get("s")) == [text[row] for row in wanted]
            got.get("x").values().fill_(-1)
            assert tq.kv_list("p")["p"][keys[0]] == {"step": step}
            if step % 4 == 0:
                tq.kv_clear(keys, "p")
        tq.kv_clear(keys, "p")

    assert together(work) == []
    assert tq.kv_list() == {"p": {}}
    used = usage(tq)
    assert used["samples"] == used["committed_bytes"] == used["loaned_bytes"] == 0


def test_threads_on_the_same_keys_see_whole_puts(tq):
    """Both fields of a row always come from one put, and so do all rows."""
    keys, width = names(4), 3000

    def put(stamp):
        # A key that is cleared before its put is visible takes the put along.
        with contextlib.suppress(StorageKeyNotFoundError):
            x = torch.full((4, width), stamp)
            tq.kv_batch_put(keys, "p", batch(x=x, y=torch.full((4,), stamp)))

    def check():
        try:
            got = tq.kv_batch_get(keys, "p")
        except (StorageKeyNotFoundError, NotReadyError):
            return
        stamps = got.get("y").tolist()
        assert stamps == stamps[:1] * 4
        assert (got.get("x").values() == stamps[0]).all()

    def work(number):
        for step in range(30):
            if number % 2:
                put(1000 * number + step)
            elif number % 8 == 4 and step % 5 == 4:
                tq.kv_clear(keys, "p")
            else:
                check()

    put(0)
    assert together(work) == []
    tq.kv_clear(keys, "p")
    used = usage(tq)
    assert used["samples"] == used["committed_bytes"] == used["loaned_bytes"] == 0
    assert tq.kv_list() == {"p": {}}


def test_threads_that_create_the_same_keys_agree(tq):
    def work(number):
        tq.kv_batch_put(names(50), "p", batch(**{f"f{number}": torch.full((50,), number)}))

    assert together(work) == []
    assert list(tq.kv_list()["p"]) == names(50)
    got = tq.kv_batch_get(names(50), "p")
    assert set(got.keys()) == {f"f{number}" for number in range(THREADS)}
    for number in range(THREADS):
        assert (column(got, f"f{number}") == number).all()
    assert usage(tq)["samples"] == 50


def test_closing_while_others_work_ends_them_with_an_error(tq):
    def work(number):
        if number == 0:
            tq.kv_list()
            tq.close()
            return
        put = numbered(8, 3000)
        for _ in range(1000):
            tq.kv_batch_put(names(8), f"p{number}", batch(x=put))
            got = column(tq.kv_batch_get(names(8), f"p{number}"))
            assert same(stacked(got), put)

    failures = together(work)
    assert len(failures) == THREADS - 1
    for failure in failures:
        closed = type(failure).__name__ == "ClosedError"
        assert closed or "has not been initialized" in str(failure), repr(failure)
