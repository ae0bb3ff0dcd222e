"""The coroutines, from any loop in any thread, and the plain functions inside a loop."""

import asyncio
import threading

import pytest
import torch
from kv_builders import KIB, batch, column, names, numbered, same, stacked, usage

# Rows small enough to be copied where the call is, and large enough to leave the loop.
WIDTHS = pytest.mark.parametrize("width", [4, 64 * KIB], ids=["small", "large"])


async def life(tq, partition, width, start=0):
    """Everything a batch goes through, checked at each step."""
    keys, put = names(8), numbered(8, width, start)
    meta = await tq.async_kv_batch_put(keys, partition, batch(x=put), [{"n": n} for n in range(8)])
    assert meta.fields == ["x"]
    await tq.async_kv_put("k1", partition, {"y": torch.tensor(1)}, {"m": 1})
    got = await tq.async_kv_batch_get(keys[::-1], partition, "x")
    assert same(stacked(column(got)), put.flip(0))
    got = await tq.async_kv_batch_get_by_meta(meta)
    assert same(stacked(column(got)), put)
    listed = await tq.async_kv_list(partition)
    assert listed[partition]["k1"] == {"n": 1, "m": 1}
    await tq.async_kv_clear(keys, partition)
    assert await tq.async_kv_list(partition) == {partition: {}}


@WIDTHS
def test_a_loop_of_its_own_per_call(tq, width):
    put = numbered(8, width)
    asyncio.run(tq.async_kv_batch_put(names(8), "p", batch(x=put)))
    got = asyncio.run(tq.async_kv_batch_get(names(8), "p"))
    assert same(stacked(column(got)), put)
    asyncio.run(tq.async_kv_put("k0", "p", tag={"t": 1}))
    assert asyncio.run(tq.async_kv_list())["p"]["k0"] == {"t": 1}
    asyncio.run(tq.async_kv_clear(names(8), "p"))
    assert tq.kv_list() == {"p": {}}


@WIDTHS
async def test_many_coroutines_of_one_loop(tq, width):
    await asyncio.gather(*(life(tq, f"p{n}", width, 10 * n) for n in range(6)))
    assert usage(tq)["samples"] == 0


@WIDTHS
def test_loops_of_several_threads(tq, width):
    failures = []

    def work(number):
        async def several():
            await asyncio.gather(*(life(tq, f"{number}-{n}", width, 10 * n) for n in range(3)))

        try:
            asyncio.run(several())
        except BaseException as failure:  # noqa: BLE001 - shown by the test
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert usage(tq)["samples"] == 0


@WIDTHS
async def test_the_plain_functions_work_inside_a_loop(tq, width):
    put = numbered(8, width)
    meta = tq.kv_batch_put(names(8), "p", batch(x=put))
    assert same(stacked(column(tq.kv_batch_get_by_meta(meta))), put)
    assert same(stacked(column(await tq.async_kv_batch_get(names(8), "p"))), put)
    tq.kv_clear(names(8), "p")
    assert await tq.async_kv_list() == {"p": {}}


async def test_coroutines_refuse_what_the_plain_functions_refuse(tq):
    with pytest.raises(ValueError, match="at least one parameter"):
        await tq.async_kv_put("a", "p")
    with pytest.raises(ValueError, match="does not match"):
        await tq.async_kv_batch_put(["a"], "p", batch(x=torch.arange(2)))
    with pytest.raises(ValueError, match="Received an empty list as keys"):
        await tq.async_kv_clear([], "p")
    with pytest.raises(tq.StorageKeyNotFoundError, match="keys or partition were not found"):
        await tq.async_kv_batch_get("a", "p")
    meta = tq.kv_put("a", "p", tag={})
    with pytest.raises(ValueError, match="not ready"):
        await tq.async_kv_batch_get("a", "p")
    with pytest.raises(ValueError, match=r"select_fields.*not found"):
        await tq.async_kv_batch_get_by_meta(meta, "x")
    tq.close()
    with pytest.raises(AssertionError, match="has not been initialized"):
        await tq.async_kv_list()


async def test_the_loop_goes_on_during_a_large_put(tq):
    """A put that held the loop would let the other coroutine run only before and after."""
    put = numbered(8, 1 << 20)  # 64 MiB
    task = asyncio.ensure_future(tq.async_kv_batch_put(names(8), "p", batch(x=put)))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3


async def test_a_cancelled_put_is_done_whole_or_not_at_all(tq):
    put = numbered(8, 1 << 18)
    for _ in range(5):
        task = asyncio.ensure_future(tq.async_kv_batch_put(names(8), "p", batch(x=put)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.get_running_loop().shutdown_default_executor()
    assert list(tq.kv_list().get("p", {})) in ([], names(8))
    tq.kv_batch_put(names(8), "p", batch(x=put))
    assert same(stacked(column(tq.kv_batch_get(names(8), "p"))), put)
