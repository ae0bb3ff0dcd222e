"""What importing the package and decoding do to a fresh process, and what they must not do."""

import json

import pytest
from codec_processes import run_python

SCRIPT = """
    import json, os, sys
    import cloudpickle, numpy, omegaconf, tensordict, torch

    def threads():
        return len(os.listdir("/proc/self/task"))

    report, before = {}, threads()
    import transfer_queue
    from transfer_queue.utils.serial_utils import encode
    report["threads"] = threads() - before
    report["packages"] = sorted({name.partition(".")[0] for name in sys.modules})

    from codec_classes import Plain
    from codec_headers import named, read
    try:
        encode(Plain(1))
    except TypeError as error:
        report["pickle"] = type(error).__name__

    read([1, named("torch.dtype", "float32")])
    loaded, accepted = set(sys.modules), []
    hidden = [("this", "X"), ("torch", "_inductor.X"), ("numpy", "testing.X"), ("xml.dom", "X")]
    for module, name in hidden:
        for kind in ("enum", "namedtuple", "dataclass"):
            try:
                accepted.append(repr(read(named(kind, ((module, name), [1])))))
            except ValueError:
                continue
    report["accepted"] = accepted
    report["imported by names"] = sorted(set(sys.modules) - loaded)
    print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def report():
    """What a fresh process with ``TQ_ALLOW_PICKLE=0`` says about itself."""
    return json.loads(run_python(SCRIPT, TQ_ALLOW_PICKLE="0").stdout)


def test_importing_takes_no_backends(report):
    unwanted = {"ray", "mooncake", "mooncake_store", "yr", "datasystem", "zmq", "msgspec"}
    assert not unwanted & set(report["packages"])


def test_importing_starts_no_threads(report):
    assert report["threads"] == 0


def test_the_environment_switches_pickle_off(report):
    assert report["pickle"] == "PickleRefusedError"


def test_names_in_a_header_make_a_process_import_nothing(report):
    assert report["accepted"] == []
    assert report["imported by names"] == []
