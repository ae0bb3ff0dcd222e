"""The manager of our own storage units, as code of 0.1.11 uses it."""

import asyncio

import pytest
import torch
from tensordict import NonTensorStack, TensorDict

import transfer_queue
from transfer_queue.storage import AsyncSimpleStorageManager
from transfer_queue.storage.managers.base import StorageManagerFactory
from transfer_queue.utils.zmq_utils import ZMQServerInfo


@pytest.fixture
def manager():
    transfer_queue.close()
    conf = transfer_queue.init()
    units = {name: ZMQServerInfo("Storage", f"unit_{name}", "127.0.0.1", {}) for name in "ab"}
    made = StorageManagerFactory.create(
        "SimpleStorage", conf.controller.zmq_info, {"zmq_info": units}, zmq_context=None
    )
    yield made
    made.close()
    transfer_queue.close()


def test_it_puts_gets_and_clears(manager):
    client = transfer_queue.get_client()
    meta = client.get_meta(["x"], 3, "p", mode="insert")
    data = TensorDict({"x": torch.arange(3), "s": NonTensorStack("a", "b", "c")}, batch_size=3)

    async def work():
        await manager.put_data(data, meta)
        return await manager.get_data(meta.select_samples([2, 0]))

    got = asyncio.run(work())
    assert got["x"].tolist() == [2, 0]
    assert got.get("s").tolist() == ["c", "a"]
    asyncio.run(manager.clear_data(meta))
    assert client.get_meta([], 0, "p", mode="force_fetch").size == 0


def test_rows_are_dealt_to_units_by_global_index(manager):
    groups = manager._group_by_hash([4, 7, 2])
    assert {name: tuple(map(list, group)) for name, group in groups.items()} == {
        "unit_a": ([4, 2], [0, 2]),
        "unit_b": ([7], [1]),
    }
    assert list(manager.get_zmq_server_info()) == ["unit_a", "unit_b"]


def test_rows_of_columns():
    select = AsyncSimpleStorageManager._select_by_positions
    dense = torch.arange(8).view(4, 2)
    assert select(dense, [0, 2]).tolist() == [[0, 1], [4, 5]]
    assert select(dense, [3, 0]).tolist() == [[6, 7], [0, 1]]
    assert select(["a", "b", "c"], [2, 0]) == ["c", "a"]
    assert select(NonTensorStack("a", "b"), [1]).tolist() == ["b"]
    jagged = torch.nested.as_nested_tensor([torch.ones(1), torch.ones(2)], layout=torch.jagged)
    assert [row.shape[0] for row in select(jagged, [1, 0])] == [2, 1]
    with pytest.raises(ValueError, match="No positions specified"):
        select(dense, [])


def test_containers_of_columns():
    pack = AsyncSimpleStorageManager._pack_field_values
    assert pack([torch.tensor(1), torch.tensor(2)]).tolist() == [1, 2]
    assert pack([torch.ones(2), torch.ones(2)]).is_nested
    assert pack(["a", None]).tolist() == ["a", None]
    with pytest.raises(ValueError, match="no values"):
        pack([])
