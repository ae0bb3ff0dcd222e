"""A controller and storage units on two hosts, and workers on both."""

import signal
import subprocess
import time

from host_namespaces import SECONDS, Worker

KEYS = [f"k{number}" for number in range(12)]


def workers(cluster):
    first, second = cluster["hosts"]
    address, secret = cluster["address"], cluster["secret"]
    return Worker(first, address, secret), Worker(second, address, secret)


def used(answer):
    return {unit["id"]: unit["samples"] for unit in answer["value"]}


def eventually(happened):
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_each_host_stores_its_own_batches_and_reads_those_of_the_other(cluster):
    near, far = workers(cluster)
    with near, far:
        ours = near.call("put", KEYS[:6], 1)["value"]
        theirs = far.call("put", KEYS[6:], 2)["value"]
        eventually(lambda: used(near.call("units")) == {0: 0, 1: 6, 2: 6})
        for worker in (near, far):
            assert worker.call("get", KEYS)["value"] == ours + theirs
            assert worker.call("get", KEYS[::-2])["value"] == (ours + theirs)[::-2]
        # What a reader writes is his own.
        assert far.call("scribble", KEYS[:6])["value"]
        assert near.call("get", KEYS)["value"] == ours + theirs
        assert far.call("get", KEYS)["value"] == ours + theirs
        near.call("clear", KEYS)
        eventually(lambda: used(far.call("units")) == {0: 0, 1: 0, 2: 0})
        assert far.call("get", KEYS)["error"] == "StorageKeyNotFoundError"


def test_a_storage_unit_that_is_killed_is_named_at_once_and_its_rows_can_be_put_again(cluster):
    near, far = workers(cluster)
    with near, far:
        ours = near.call("put", KEYS[:6], 1)["value"]
        far.call("put", KEYS[6:], 2)
        cluster["processes"][2].send_signal(signal.SIGKILL)
        cluster["processes"][2].wait(SECONDS)
        answer = near.call("get", KEYS)
        assert answer["error"] == "UnavailableError"
        assert "storage unit 2" in answer["text"]
        assert "#6" in answer["text"]
        assert answer["seconds"] < 2
        assert near.call("get", KEYS[:6])["value"] == ours
        lost = near.call("lost")["value"]
        assert {row["field"] for row in lost} == {"dense", "images", "jagged", "score", "text"}
        assert all(row["unit"] == 2 and row["global_indexes"] == [*range(6, 12)] for row in lost)
        assert near.call("reset")["value"] == lost
        assert near.call("lost")["value"] == []
        assert not near.call("produced", ["dense"])["value"]
        # From the host without a unit to the one that has one.
        theirs = far.call("put", KEYS[6:], 3)["value"]
        assert near.call("get", KEYS)["value"] == ours + theirs


def test_a_host_that_is_cut_off_ends_calls_by_their_deadline_and_is_found_again(cluster):
    near, far = workers(cluster)
    link, name = cluster["links"][1], cluster["hosts"][1].name
    with near, far:
        ours = near.call("put", KEYS, 1)["value"]
        assert far.call("get", KEYS)["value"] == ours
        cut = ["ip", "-n", name, "link", "set", link]
        subprocess.run([*cut, "down"], check=True)
        assert far.call("get", KEYS)["error"] in {"UnavailableError", "DeadlineExceededError"}
        assert near.call("get", KEYS)["value"] == ours
        subprocess.run([*cut, "up"], check=True)
        eventually(lambda: far.call("get", KEYS).get("value") == ours)


def test_without_the_secret_nobody_joins(cluster, folder):
    other = folder / "other"
    other.write_text("a secret of some other cluster")
    other.chmod(0o600)
    with Worker(cluster["hosts"][1], cluster["address"], other) as stranger:
        # It ends with the error of init().
        assert stranger.process.wait(SECONDS) != 0
