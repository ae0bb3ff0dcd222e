"""Starting the openYuanrong worker of this host, through ``dscli``."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_queue.errors import InvalidArgumentError, UnavailableError
from transfer_queue.storage.bootstrap.processes import free_port, is_open, program_path
from transfer_queue.storage.bootstrap.provider import StorageBootstrapProvider

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["YuanrongResources", "start_yuanrong"]

logger = logging.getLogger(__name__)

#: Seconds that a worker may take to start, and to stop.
_START_SECONDS, _STOP_SECONDS = 90.0, 60.0


class YuanrongResources:
    """The worker that was started for one engine.

    Attributes:
        address: where it listens, ``host:port``.
        directory: where it writes logs and sockets.
    """

    def __init__(self, address: str, directory: Path) -> None:
        self.address = address
        self.directory = directory
        self._starter = os.getpid()

    def end(self) -> None:
        """Stops the worker; never raises. A forked child stops nothing."""
        if os.getpid() != self._starter:
            return
        try:
            _dscli(["stop", "--worker_address", self.address], self.directory, _STOP_SECONDS, {})
        except UnavailableError as error:
            logger.warning("the Yuanrong worker at %s was not stopped: %s", self.address, error)
        shutil.rmtree(self.directory, ignore_errors=True)


@StorageBootstrapProvider.register_provider("Yuanrong")
def start_yuanrong(conf: DictConfig) -> YuanrongResources | None:
    """Starts a worker with its metastore where ``auto_init`` says so. A port of 0 is replaced by a
    free one, in ``conf`` too.

    Raises:
        InvalidArgumentError: a setting is wrong.
        UnavailableError: it does not start, or somebody listens on its port already.
    """
    section = conf.backend.Yuanrong
    if not section.get("auto_init", True):
        return None
    ports = {name: _port(section, name) for name in ("worker_port", "metastore_port")}
    for name, port in ports.items():
        if is_open("127.0.0.1", port):
            raise UnavailableError(
                f"somebody listens on {name} {port} already; where that is a Yuanrong worker, use "
                "it with auto_init: false, else choose another port"
            )
    directory = Path(tempfile.mkdtemp(prefix="transferqueue-yuanrong-"))
    address = f"127.0.0.1:{ports['worker_port']}"
    arguments = [
        *("start", "-w", "--worker_address", address),
        *("--metastore_address", f"127.0.0.1:{ports['metastore_port']}"),
        *("--start_metastore_service", "true", "--arena_per_tenant", "1"),
        *("--enable_worker_worker_batch_get", "true"),
        *shlex.split(str(section.get("worker_args", "") or "")),
    ]
    environment = {str(name): str(value) for name, value in (section.ucx_env_vars or {}).items()}
    if section.get("enable_rdma", False):
        arguments += ["--enable_rdma", "true"]
        environment.setdefault("UCX_TLS", "rc_x")
    resources = YuanrongResources(address, directory)
    try:
        said = _dscli(arguments, directory, _START_SECONDS, environment)
        if "[  OK  ]" not in said:
            raise UnavailableError(f"dscli did not start a Yuanrong worker: {said[-1000:]}")
    except BaseException:
        if is_open("127.0.0.1", ports["worker_port"]):
            resources.end()
        shutil.rmtree(directory, ignore_errors=True)
        raise
    logger.info("a Yuanrong worker listens on %s", address)
    return resources


def _port(section: Any, name: str) -> int:
    port = section.get(name, None)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 1 << 16:
        raise InvalidArgumentError(f"{name} is {port!r}; it must be a port, or 0 for any free one")
    if port == 0:
        port = section[name] = free_port()
    return port


def _dscli(
    arguments: list[str], directory: Path, deadline: float, environment: dict[str, str]
) -> str:
    """What dscli says."""
    try:
        done = subprocess.run(
            [program_path("dscli"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **environment},
            timeout=deadline,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"dscli {arguments[0]} did not succeed: {error}") from error
    if done.returncode != 0:
        raise UnavailableError(
            f"dscli {arguments[0]} ended with {done.returncode}: {done.stdout[-1000:]}"
        )
    return done.stdout
