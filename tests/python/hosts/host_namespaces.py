"""Two hosts on one machine: network namespaces with a cable between them, made and removed here."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

#: Long enough that only what hangs reaches it.
SECONDS = 60
PROGRAM = [sys.executable, "-c", "from transfer_queue_program import main; main()"]
WORKER = Path(__file__).parent / "host_worker.py"


class Host:
    """A network namespace with an address of its own."""

    def __init__(self, name, address, folder):
        self.name, self.address, self.folder = name, address, folder
        folder.mkdir(mode=0o700)

    def start(self, command, **variables):
        """A process on this host, with pipes to talk to it."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TQ_")}
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ours | {"XDG_RUNTIME_DIR": str(self.folder)} | variables,
            text=True,
        )


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=SECONDS)


@contextlib.contextmanager
def two_hosts(folder):
    """Two hosts that reach each other and nothing else."""
    if shutil.which("ip") is None:
        pytest.skip("two hosts need the program `ip` (iproute2)")
    number = os.getpid() % 1000
    names = [f"tq{side}{os.getpid()}" for side in "ab"]
    # Link names have at most 15 characters.
    links = [f"tv{side}{os.getpid()}" for side in "ab"]
    net = f"10.{200 + number // 250}.{number % 250}"
    try:
        try:
            _ip("netns", "add", names[0])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode()}")
        _ip("netns", "add", names[1])
        _ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1],
            "netns", names[1])  # fmt: skip
        hosts = []
        for side, (name, link) in enumerate(zip(names, links, strict=True), 1):
            _ip("-n", name, "addr", "add", f"{net}.{side}/24", "dev", link)
            _ip("-n", name, "link", "set", link, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            hosts.append(Host(name, f"{net}.{side}", folder / name))
        yield (*hosts, links)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextlib.contextmanager
def serving(host, *arguments, **variables):
    """``tq serve`` on a host: its process and what it said when it was ready."""
    process = host.start([*PROGRAM, "serve", *arguments], **variables)
    watch = threading.Timer(SECONDS, process.kill)
    watch.start()
    try:
        line = process.stdout.readline()
        watch.cancel()
        assert line, f"tq serve ended with {process.wait(SECONDS)}"
        yield process, json.loads(line)
    finally:
        watch.cancel()
        process.kill()
        process.wait(SECONDS)
        process.stdin.close()
        process.stdout.close()


class Worker:
    """A process on a host that uses the package; see ``host_worker.py``."""

    def __init__(self, host, address, secret_file, **variables):
        self.process = host.start(
            [sys.executable, str(WORKER)],
            TQ_ADDRESS=address,
            TQ_SECRET_FILE=str(secret_file),
            **variables,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()

    def call(self, what, *arguments, seconds=SECONDS):
        """What the worker answers; fails where it does not in time."""
        self.process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self.process.stdin.flush()
        watch = threading.Timer(seconds, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        assert line, f"the worker did not answer {what} within {seconds} s"
        return json.loads(line)
