"""Starting and ending the engine, and its configuration."""

import asyncio
import os
from importlib import resources

import pytest
import torch
from kv_builders import MIB, batch, usage
from omegaconf import DictConfig, OmegaConf

import transfer_queue
import transfer_queue.sampler
from transfer_queue.errors import (
    CapacityExceededError,
    ClosedError,
    InvalidArgumentError,
    UnsupportedValueError,
)

KV_NAMES = {"kv_put", "kv_batch_put", "kv_batch_get", "kv_batch_get_by_meta", "kv_list", "kv_clear"}
OTHER_NAMES = {
    "init",
    "close",
    "get_client",
    "KVBatchMeta",
    "BatchMeta",
    "TransferQueueClient",
    "StorageKeyNotFoundError",
}

# Every setting of 0.1.11 that has a default.
DEFAULTS = {
    "metrics.enabled": False,
    "metrics.port": 0,
    "controller.sampler": "SequentialSampler",
    "controller.polling_mode": False,
    "controller.zmq_info": None,
    "backend.storage_backend": "SimpleStorage",
    "backend.SimpleStorage.total_storage_size": None,
    "backend.SimpleStorage.num_data_storage_units": 2,
    "backend.SimpleStorage.required_node_resource": None,
    "backend.SimpleStorage.zmq_info": None,
    "backend.SimpleStorage.ssd_offload.enabled": False,
    "backend.SimpleStorage.ssd_offload.path": None,
    "backend.SimpleStorage.ssd_offload.threshold_bytes": MIB,
    "backend.SimpleStorage.ssd_offload.glibc_mmap_threshold_bytes": MIB,
    "backend.MooncakeStore.auto_init": True,
    "backend.MooncakeStore.metadata_server": "localhost:50050",
    "backend.MooncakeStore.master_server_address": "localhost:50051",
    "backend.MooncakeStore.local_hostname": "",
    "backend.MooncakeStore.protocol": "tcp",
    "backend.MooncakeStore.global_segment_size": 4294967296,
    "backend.MooncakeStore.local_buffer_size": 1073741824,
    "backend.MooncakeStore.device_name": "",
    "backend.MooncakeStore.hard_pin": None,
    "backend.MooncakeStore.offload.enabled": False,
    "backend.MooncakeStore.offload.file_storage_path": "/tmp/mooncake_offload",
    "backend.MooncakeStore.offload.local_buffer_size_bytes": 2147483648,
    "backend.MooncakeStore.offload.use_uring": False,
    "backend.MooncakeStore.offload.heartbeat_interval_seconds": 2,
    "backend.MooncakeStore.offload.client_port": 42052,
    "backend.MooncakeStore.offload.eviction_high_watermark_ratio": 0.9,
    "backend.MooncakeStore.offload.eviction_ratio": 0.1,
    "backend.MooncakeStore.use_gdr": False,
    "backend.MooncakeStore.gdr_staging_buffer_mb": 1024,
    "backend.Yuanrong.auto_init": True,
    "backend.Yuanrong.worker_port": 31501,
    "backend.Yuanrong.metastore_port": 2379,
    "backend.Yuanrong.enable_yr_npu_transport": False,
    "backend.Yuanrong.ds_max_workers": 1,
    "backend.Yuanrong.enable_rdma": False,
    "backend.Yuanrong.ucx_env_vars": {},
    "backend.Yuanrong.worker_args": "--shared_memory_size_mb 8192",
    "backend.RayStore": None,
}


@pytest.fixture
def ended():
    """The package without an engine, before and after."""
    transfer_queue.close()
    yield transfer_queue
    transfer_queue.close()


def storage(**settings):
    return {"backend": {"SimpleStorage": settings}}


def test_names_of_the_package():
    public = set(transfer_queue.__all__)
    assert public >= OTHER_NAMES | KV_NAMES | {f"async_{name}" for name in KV_NAMES}
    for name in public:
        assert hasattr(transfer_queue, name)


def test_the_version_is_in_a_file_and_new_enough():
    text = (resources.files("transfer_queue") / "version" / "version").read_text()
    assert transfer_queue.__version__ == text.strip()
    assert tuple(map(int, transfer_queue.__version__.split(".")[:3])) >= (0, 1, 10)


def test_init_returns_the_merged_configuration(ended):
    merged = ended.init()
    assert isinstance(merged, DictConfig)
    assert merged.backend.storage_backend == "SimpleStorage"


def test_a_second_init_changes_nothing_and_returns_its_argument(tq):
    tq.kv_put("a", "p", tag={})
    client = tq.get_client()
    conf = storage(total_storage_size=1)
    assert tq.init() is None
    assert tq.init(conf) is conf
    assert tq.init({"backend": {"storage_backend": "nonsense"}}) is not None
    assert tq.get_client() is client
    assert tq.kv_list() == {"p": {"a": {}}}


@pytest.mark.parametrize(
    "conf",
    [
        storage(total_storage_size=1),
        OmegaConf.create(storage(total_storage_size=1)),
        OmegaConf.create(storage(total_storage_size=1), flags={"allow_objects": True}),
    ],
    ids=["dict", "DictConfig", "objects"],
)
def test_a_configuration_names_what_differs(ended, conf):
    merged = ended.init(conf)
    assert merged.backend.SimpleStorage.total_storage_size == 1
    assert merged.backend.SimpleStorage.num_data_storage_units == 2
    ended.kv_put("a", "p", {"x": 1})
    with pytest.raises(CapacityExceededError):
        ended.kv_put("b", "p", {"x": 1})


@pytest.mark.parametrize("conf", [None, {}, OmegaConf.create({})], ids=repr)
def test_an_empty_configuration_is_the_default(ended, conf):
    merged = ended.init(conf)
    assert merged.controller.zmq_info is not None
    (unit,) = merged.backend.SimpleStorage.zmq_info.values()
    assert unit.ports == merged.controller.zmq_info.ports
    merged.controller.zmq_info = merged.backend.SimpleStorage.zmq_info = None
    assert OmegaConf.to_container(merged) == OmegaConf.to_container(packaged())


def test_objects_may_stand_in_a_configuration(ended):
    sampler = transfer_queue.sampler.GRPOGroupNSampler(4)
    conf = OmegaConf.create({"controller": {"sampler": sampler}}, flags={"allow_objects": True})
    assert ended.init(conf).controller.sampler is sampler


def packaged():
    return OmegaConf.load(resources.files("transfer_queue") / "config.yaml")


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_packaged_configuration_has_every_setting(name):
    missing = object()
    value = OmegaConf.select(packaged(), name, default=missing)
    assert value is not missing or DEFAULTS[name] is None
    parent, _, last = name.rpartition(".")
    assert last in OmegaConf.select(packaged(), parent)
    assert (None if value is missing else value) == DEFAULTS[name]


def test_the_packaged_configuration_can_be_merged_and_given(ended):
    conf = OmegaConf.merge(packaged(), storage(total_storage_bytes=MIB))
    ended.init(conf)
    assert usage(ended)["capacity_bytes"] == MIB


@pytest.mark.parametrize("name", ["simplestorage", "SIMPLESTORAGE"])
def test_the_backend_is_named_in_any_case(ended, name):
    ended.init({"backend": {"storage_backend": name}})
    ended.kv_put("a", "p", tag={})


@pytest.mark.parametrize("name", ["nonsense", None, 7])
def test_another_backend_is_refused(ended, name):
    with pytest.raises(UnsupportedValueError, match="SimpleStorage"):
        ended.init({"backend": {"storage_backend": name}})
    assert_not_started(ended)


@pytest.mark.parametrize(
    "name", ["total_storage_size", "total_storage_bytes", "retain_bytes", "segment_bytes"]
)
@pytest.mark.parametrize("value", [-1, "many", 1.5, True, [1]], ids=repr)
def test_a_size_out_of_range_is_refused(ended, name, value):
    with pytest.raises(InvalidArgumentError, match=name):
        ended.init(storage(**{name: value}))
    assert_not_started(ended)


@pytest.mark.parametrize("name", ["total_storage_size", "total_storage_bytes", "segment_bytes"])
def test_a_size_of_nothing_is_refused(ended, name):
    with pytest.raises(InvalidArgumentError, match=name):
        ended.init(storage(**{name: 0}))
    assert_not_started(ended)


@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_a_number_of_threads_out_of_range_is_refused(ended, monkeypatch, value):
    monkeypatch.setenv("TQ_NUM_THREADS", value)
    with pytest.raises(InvalidArgumentError, match="TQ_NUM_THREADS"):
        ended.init()
    assert_not_started(ended)


def test_one_thread_is_enough(ended, monkeypatch):
    monkeypatch.setenv("TQ_NUM_THREADS", "1")
    ended.init()
    ended.kv_batch_put(["a", "b"], "p", batch(x=torch.ones(2, MIB)))
    assert (ended.kv_batch_get(["b", "a"], "p").get("x").values() == 1).all()


def test_an_engine_starts_after_a_refused_configuration(ended):
    with pytest.raises(InvalidArgumentError):
        ended.init(storage(segment_bytes=-1))
    ended.init()
    ended.kv_put("a", "p", tag={})


def assert_not_started(tq):
    with pytest.raises(AssertionError, match="has not been initialized"):
        tq.kv_list()
    with pytest.raises(AssertionError, match="Please initialize the TransferQueue first"):
        tq.get_client()


def test_before_init_and_after_close_every_call_says_so(ended):
    calls = [
        lambda: ended.kv_put("a", "p", {"x": 1}),
        lambda: ended.kv_batch_put(["a"], "p", batch(x=torch.arange(1))),
        lambda: ended.kv_batch_get("a", "p"),
        lambda: ended.kv_batch_get_by_meta(ended.KVBatchMeta(["a"], [{}], "p")),
        lambda: ended.kv_list(),
        lambda: ended.kv_clear("a", "p"),
        lambda: asyncio.run(ended.async_kv_put("a", "p", {"x": 1})),
        lambda: asyncio.run(ended.async_kv_batch_get("a", "p")),
        lambda: asyncio.run(ended.async_kv_list()),
        lambda: asyncio.run(ended.async_kv_clear("a", "p")),
    ]
    for _ in range(2):
        for call in calls:
            with pytest.raises(AssertionError, match="has not been initialized"):
                call()
        assert_not_started(ended)
        ended.init()
        ended.close()


def test_close_may_be_called_at_any_time(ended):
    assert ended.close() is None
    ended.init()
    assert ended.close() is None
    assert ended.close() is None


def test_a_new_engine_knows_nothing_of_the_old_one(tq):
    tq.kv_put("a", "p", {"x": 1}, {"t": 1})
    tq.close()
    tq.init()
    assert tq.kv_list() == {}
    assert usage(tq)["committed_bytes"] == 0


def test_a_client_that_outlives_its_engine_is_refused(tq):
    client = tq.get_client()
    tq.close()
    tq.init()
    for call in (client.kv_list, client.usage, client.get_partition_list):
        with pytest.raises(ClosedError, match="init"):
            call()
    client.close()
    assert tq.kv_list() == {}


async def test_the_client_has_coroutines_too(tq):
    tq.kv_put("a", "p", tag={"t": 1})
    client = tq.get_client()
    assert isinstance(client, tq.TransferQueueClient)
    assert await client.async_kv_list() == {"p": {"a": {"t": 1}}}
    assert await client.async_get_partition_list() == ["p"]
    await client.async_clear_partition("p")
    assert client.kv_list("p") == {}


def test_the_client_is_named_after_its_process(tq):
    assert tq.get_client().client_id == f"TransferQueueClient_{os.getpid()}"
