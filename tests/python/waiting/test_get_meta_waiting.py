"""Fetches that wait for data."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch
from omegaconf import OmegaConf
from tensordict import TensorDict

import transfer_queue
from transfer_queue import BaseSampler, BatchMeta
from transfer_queue.errors import ClosedError, WaitTimeoutError


def batch(rows, field="x"):
    return TensorDict({field: torch.ones(rows, 2)}, batch_size=rows)


@pytest.fixture
def client(tq):
    return tq.get_client()


@pytest.fixture
def later():
    """Runs a call on another thread, a little later."""
    timers = []

    def call(function, *arguments, **more):
        timers.append(threading.Timer(0.05, function, arguments, more))
        timers[-1].start()

    yield call
    for timer in timers:
        timer.join()


def fetch(client, size, **more):
    return client.get_meta(["x"], size, "p", task_name="t", **more)


def test_a_fetch_is_woken_by_the_put_that_completes_it(client, later):
    later(client.put, batch(2), partition_id="p")
    assert fetch(client, 2).global_indexes == [0, 1]


def test_rows_that_come_one_by_one_complete_a_batch(client, later):
    def put():
        for _ in range(20):
            client.put(batch(1), partition_id="p")

    later(put)
    assert fetch(client, 20).size == 20


def test_the_last_field_completes_a_batch(client, later):
    meta = client.put(batch(3), partition_id="p")
    later(client.put, batch(3, "y"), meta)
    assert client.get_meta(["x", "y"], 3, "p", task_name="t").size == 3


def test_a_reset_completes_a_batch(client, later):
    client.put(batch(2), partition_id="p")
    fetch(client, 2)
    later(client.reset_consumption, "p", "t")
    assert fetch(client, 2).size == 2


def test_a_put_by_key_completes_a_batch(tq, client, later):
    later(tq.kv_put, "k", "p", {"x": torch.ones(2)})
    assert fetch(client, 1).size == 1


def test_waiters_share_what_comes(client):
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.extend(fetch(client, 2).global_indexes))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for _ in range(16):
        client.put(batch(1), partition_id="p")
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == list(range(16))


def test_a_fetch_gives_up_at_its_timeout(client):
    client.put(batch(1), partition_id="p")
    with pytest.raises(WaitTimeoutError) as caught:
        fetch(client, 2, timeout=0.01)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TimeoutError)
    assert "TimeoutError" in str(caught.value)
    assert "Timeout while waiting for sufficient data" in str(caught.value)
    assert fetch(client, 1, timeout=0).size == 1


@pytest.mark.parametrize("source", ["conf", "environment"])
def test_the_longest_wait_is_configured(monkeypatch, source):
    transfer_queue.close()
    if source == "conf":
        conf = {"controller": {"get_meta_timeout": 0.01}}
    else:
        monkeypatch.setenv("TQ_CONTROLLER_GET_METADATA_TIMEOUT", "0.01")
        conf = None
    transfer_queue.init(conf)
    with pytest.raises(WaitTimeoutError, match=r"0\.01 s"):
        fetch(transfer_queue.get_client(), 1)
    transfer_queue.close()


def test_a_polling_fetch_waits_where_it_is_told_to(later):
    transfer_queue.close()
    transfer_queue.init({"controller": {"polling_mode": True}})
    client = transfer_queue.get_client()
    assert fetch(client, 1, timeout=0.01).size == 0
    later(client.put, batch(1), partition_id="p")
    assert fetch(client, 1, timeout=60).size == 1
    transfer_queue.close()


@pytest.mark.parametrize("timeout", [-1, "soon", float("nan")])
def test_a_timeout_that_is_no_time_is_refused(client, timeout):
    with pytest.raises(ValueError, match="timeout"):
        fetch(client, 1, timeout=timeout)


def test_a_waiter_is_told_that_the_engine_ended(tq, client, later):
    later(tq.close)
    with pytest.raises(ClosedError):
        fetch(client, 1)


def test_waiting_takes_no_processor_time(client):
    before = time.process_time()
    with pytest.raises(WaitTimeoutError):
        fetch(client, 1, timeout=1)
    assert time.process_time() - before < 0.05


async def test_a_coroutine_waits_without_its_loop(client):
    task = asyncio.create_task(client.async_get_meta(["x"], 2, "p", task_name="t"))
    for _ in range(3):
        await asyncio.sleep(0)
        assert not task.done()
        await client.async_put(batch(1), partition_id="p")
    assert (await task).size == 2


async def test_many_coroutines_wait_at_once(client):
    tasks = [
        asyncio.create_task(client.async_get_meta(["x"], 2, "p", task_name="t")) for _ in range(50)
    ]
    await asyncio.sleep(0)
    await asyncio.to_thread(client.put, batch(100), partition_id="p")
    metas = await asyncio.gather(*tasks)
    assert sorted(BatchMeta.concat(metas).global_indexes) == list(range(100))


async def test_a_cancelled_coroutine_takes_nothing(client):
    task = asyncio.create_task(client.async_get_meta(["x"], 1, "p", task_name="t"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    client.put(batch(1), partition_id="p")
    assert client.get_consumption_status("t", "p")[1].tolist() == [0]


def test_a_loop_that_was_closed_is_harmless(client):
    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.async_get_meta(["x"], 1, "p", task_name="t"), 0.01)

    asyncio.run(give_up())
    client.put(batch(1), partition_id="p")
    assert fetch(client, 1).size == 1


class Pairs(BaseSampler):
    """Two at a time, whatever is asked for."""

    def sample(self, ready_indexes, batch_size, **given):
        chosen = ready_indexes[:2] if len(ready_indexes) > 1 else []
        return chosen, chosen


def test_a_sampler_written_in_python_waits_too(later):
    transfer_queue.close()
    conf = OmegaConf.create({"controller": {"sampler": Pairs()}}, flags={"allow_objects": True})
    transfer_queue.init(conf)
    client = transfer_queue.get_client()
    client.put(batch(1), partition_id="p")
    later(client.put, batch(1), partition_id="p")
    assert fetch(client, 1).global_indexes == [0, 1]
    with pytest.raises(WaitTimeoutError):
        fetch(client, 1, timeout=0.01)
    transfer_queue.close()


def test_a_change_is_waited_for(tq, client, later):
    seen = client.activity("p")
    assert client.wait_for_change("p", seen, 0.01) == seen
    later(tq.kv_put, "k", "p", {"x": torch.ones(2)})
    assert client.wait_for_change("p", seen) != seen


def test_a_claim_is_a_change(tq, client, later):
    tq.kv_put("k", "p", {"x": torch.ones(2)})
    seen = client.activity("p")
    later(fetch, client, 1)
    assert client.wait_for_change("p", seen, 60) != seen


def test_ctrl_c_ends_a_wait():
    source = """
        import transfer_queue as tq
        tq.init()
        print("ready")
        tq.get_client().get_meta(["x"], 1, "p", task_name="t")
    """
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "KeyboardInterrupt" in complaints
    assert process.returncode in (-signal.SIGINT, 130)
