"""A cluster on two hosts, for the tests of this folder."""

import shutil
import tempfile
from pathlib import Path

import pytest
from host_namespaces import serving, two_hosts


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="tq-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def cluster(folder):
    """Controller on the first host, a storage unit on each."""
    with two_hosts(folder) as (first, second, links):
        secret = folder / "secret"
        common = ("--secret-file", str(secret), "--memory", "1G")
        with (
            serving(first, "--role", "controller", "--bind", f"{first.address}:0", *common) as
            (controller, told),
            serving(first, "--role", "storage", "--controller", told["tcp_address"],
                    "--bind", f"{first.address}:0", *common) as (near, _),
            serving(second, "--role", "storage", "--controller", told["tcp_address"],
                    "--bind", f"{second.address}:0", *common) as (far, _),
        ):  # fmt: skip
            yield {
                "hosts": (first, second),
                "links": links,
                "secret": secret,
                "address": told["tcp_address"],
                "processes": (controller, near, far),
                "common": common,
            }
