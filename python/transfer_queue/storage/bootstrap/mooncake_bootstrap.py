"""Starting Mooncake's master, and what it needs beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_queue.errors import InvalidArgumentError, UnavailableError
from transfer_queue.storage.bootstrap.processes import Program, free_port, is_open, program_path
from transfer_queue.storage.bootstrap.provider import StorageBootstrapProvider
from transfer_queue.storage.clients.mooncake_settings import MooncakeSettings, host_and_port

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["MooncakeResources", "start_mooncake"]

logger = logging.getLogger(__name__)

#: Seconds until the master, and the client that offloads, must be ready.
_READY_SECONDS = 30.0
#: Milliseconds after which Mooncake would take back what was read: longer than any job.
_LEASE_MILLISECONDS = 999_999


class MooncakeResources:
    """The programs that were started for one engine.

    Attributes:
        programs: in the order in which they were started.
    """

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def end(self) -> None:
        """Ends them, the last first."""
        for program in reversed(self.programs):
            program.end()


@StorageBootstrapProvider.register_provider("MooncakeStore")
def start_mooncake(conf: DictConfig) -> MooncakeResources | None:
    """Starts ``mooncake_master`` where ``auto_init`` says so. A port of 0 is replaced by a free
    one, in ``conf`` too.

    Raises:
        InvalidArgumentError: a setting is wrong.
        UnavailableError: it does not start, or somebody listens on its port already.
    """
    section = conf.backend.MooncakeStore
    if not section.get("auto_init", True):
        return None
    _choose_ports(section)
    settings = MooncakeSettings.of(section)
    resources = MooncakeResources()
    try:
        resources.programs.append(_master(section, settings))
        offload = section.get("offload", None)
        if offload is not None and offload.get("enabled", False):
            resources.programs.append(_offload_client(section, settings))
    except BaseException:
        resources.end()
        raise
    return resources


def _choose_ports(section: Any) -> None:
    for name in ("master_server_address", "metadata_server"):
        given = str(section.get(name, "") or "")
        host, _, port = given.rpartition(":")
        if port == "0":
            section[name] = f"{host}:{free_port()}"


def _master(section: Any, settings: MooncakeSettings) -> Program:
    host, port = host_and_port("master_server_address", settings.master_server_address)
    waits = [(host, port)]
    command = [
        program_path("mooncake_master"),
        f"--rpc_address={_bound(host)}",
        f"--rpc_port={port}",
        f"--metrics_port={free_port()}",
        f"--default_kv_lease_ttl={_LEASE_MILLISECONDS}",
        f"--default_kv_soft_pin_ttl={_LEASE_MILLISECONDS}",
        "--allow_evict_soft_pinned_objects=false",
        "--client_ttl=30",
        *_eviction(section.get("offload", None)),
    ]
    if settings.metadata_server.startswith("http://"):
        server = settings.metadata_server.removeprefix("http://").partition("/")[0]
        waits.append(host_and_port("metadata_server", server))
        command += [
            "--enable_http_metadata_server=true",
            f"--http_metadata_server_host={_bound(waits[1][0])}",
            f"--http_metadata_server_port={waits[1][1]}",
        ]
    for name, address in zip(("master", "metadata server"), waits, strict=False):
        if is_open(*address):
            raise UnavailableError(
                f"somebody listens on {address[0]}:{address[1]} already; where that is a Mooncake "
                f"{name}, use it with auto_init: false, else choose another port"
            )
    master = Program("mooncake_master", command)
    master.wait_until(lambda: all(is_open(*one) for one in waits), _READY_SECONDS, "ready")
    logger.info("mooncake_master listens on %s:%d", host, port)
    return master


def _eviction(offload: Any) -> list[str]:
    if offload is None or not offload.get("enabled", False):
        # Nothing is thrown away: what does not fit is refused.
        return ["--eviction_high_watermark_ratio=1.0", "--eviction_ratio=0.0"]
    ratios = {}
    for name, default in (("eviction_high_watermark_ratio", 0.9), ("eviction_ratio", 0.1)):
        ratios[name] = float(offload.get(name, default))
        if not 0 < ratios[name] <= 1:
            raise InvalidArgumentError(f"offload.{name} is {ratios[name]}; it must be in (0, 1]")
    return [
        "--enable_offload=true",
        "--offload_on_evict=true",
        "--offload_force_evict=false",
        "--offloading_queue_limit=10000",
        *(f"--{name}={ratio}" for name, ratio in ratios.items()),
    ]


def _offload_client(section: Any, settings: MooncakeSettings) -> Program:
    offload = section.offload
    port = int(offload.get("client_port", 42052)) or free_port()
    path = Path(str(offload.get("file_storage_path", "/tmp/mooncake_offload")))
    path.mkdir(parents=True, exist_ok=True)
    environment = {
        "MOONCAKE_OFFLOAD_FILE_STORAGE_PATH": str(path),
        "MOONCAKE_OFFLOAD_LOCAL_BUFFER_SIZE_BYTES": str(
            offload.get("local_buffer_size_bytes", 2 << 30)
        ),
        "MOONCAKE_OFFLOAD_USE_URING": "1" if offload.get("use_uring", False) else "0",
        "MOONCAKE_OFFLOAD_HEARTBEAT_INTERVAL_SECONDS": str(
            offload.get("heartbeat_interval_seconds", 2)
        ),
    }
    command = [
        program_path("mooncake_client"),
        f"--host={settings.local_hostname}",
        f"--port={port}",
        f"--global_segment_size={settings.global_segment_size}",
        f"--master_server_address={settings.master_server_address}",
        f"--metadata_server={settings.metadata_server}",
        f"--protocol={settings.protocol}",
        "--enable_offload=true",
    ]
    client = Program("mooncake_client", command, environment)
    client.wait_until(lambda: is_open("127.0.0.1", port), _READY_SECONDS, "ready")
    return client


def _bound(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
