"""The benchmarks run and say what they found: on the smallest scale, ours alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[3] / "benches"
SCENARIOS = ("memory", "rl_step", "transfer", "fields", "latency", "keys", "waiting", "clients")


@pytest.fixture
def benches(monkeypatch):
    """The modules of the benchmarks, which are programs and no package."""
    monkeypatch.syspath_prepend(str(BENCHES))


def run(folder, *arguments):
    command = [sys.executable, str(BENCHES / "run.py"), "--scale", "smoke", *arguments]
    record = folder / "record.json"
    done = subprocess.run(
        [*command, "--systems", "ours", "--out", str(record)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(record.read_text()), (folder / "record" / "index.md").read_text()


@pytest.mark.timeout(300)
def test_every_scenario_runs_and_is_written_down(tmp_path):
    record, page = run(tmp_path, "--only", *SCENARIOS, "kv_single", "startup")
    (session,) = record["sessions"]["ours"]
    assert session["left_out"] == {}
    failed = [
        (scenario, name, row["failed"])
        for scenario, rows in session["scenarios"].items()
        for name, row in rows.items()
        if "failed" in row
    ]
    assert failed == []
    assert "with images, step 1: total" in session["scenarios"]["rl_step"]
    assert session["scenarios"]["clients"]["4 clients: lost updates"]["value"] == 0
    assert record["scripts"]["kv_single"]["ours"][0]["kv_put, 1 KiB"]["n"] > 100
    for heading in ("A training step", "Memory", "Inside one process", "What is missing"):
        assert f"## {heading}" in page


def test_a_content_that_changed_is_no_measurement(benches):
    import torch
    from contents import check

    put = {"x": torch.nested.as_nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)}
    check(put, put)
    shorter = [torch.ones(3), torch.ones(2)]
    other = torch.nested.as_nested_tensor(shorter, layout=torch.jagged)
    with pytest.raises(AssertionError, match="other rows of x"):
        check(put, {"x": other})
    with pytest.raises(AssertionError, match="other values of x"):
        check({"x": torch.ones(2, 2)}, {"x": torch.zeros(2, 2)})
    with pytest.raises(AssertionError, match="another value of x in row 1"):
        check({"x": ["a", "b"]}, {"x": ["a", "c"]})


def test_runs_agree_within_a_factor_or_their_spread(benches):
    from compare import compared

    def record(rows, scenario="latency"):
        def session(seconds):
            return {"scenarios": {scenario: seconds}, "left_out": {}}

        ours = {name: {"n": 1, "median": 1.0} for name in rows}
        return {"sessions": {"ours": [session(ours)], "pypi": [session(rows)]}, "missing": {}}

    def put(median, low=None, high=None):
        return record({"put": {"median": median, "min": low or median, "max": high or median}})

    assert compared(put(2.0), put(2.1)).startswith("Of 1 ratios 1 agree within")
    apart = compared(put(2.0), put(9.0))
    assert apart.startswith("Of 1 ratios 0 agree")
    assert "1 do not" in apart
    assert "| TransferQueue 0.1.11 | latency: put | 2 × | 9 × |" in apart
    assert "0 agree within a factor of 1.5, 1 more" in compared(put(2.0, 1.5, 6.0), put(9.0, 5.0))
    rows = ({"put": {"median": 2.0}, "get": {"median": median}} for median in (2.0, 4.0))
    spread = "Half of them differ by less than 1.5, 95 % by less than 1.95, all by no more than 2."
    assert spread in compared(*map(record, rows))
    # Steps are measurements of one row.
    steps = [f"text, step {step}: total" for step in (1, 2, 3)]
    before = record({name: {"median": 2.0 + at} for at, name in enumerate(steps)}, "rl_step")
    after = record({name: {"median": 4.0 - at} for at, name in enumerate(steps)}, "rl_step")
    assert compared(before, after).startswith("Of 1 ratios 1 agree")


class Tensors:
    """What torchstore's client answers, from a dict."""

    def __init__(self):
        self.values = {}

    async def put(self, name, value):
        self.values[name] = value

    async def get(self, name):
        return self.values[name]

    async def delete(self, name):
        del self.values[name]

    async def keys(self, prefix):
        return [name for name in self.values if name == prefix or name.startswith(f"{prefix}.")]


def test_torchstore_gives_back_what_was_put_under_names_with_points(benches):
    import torch
    from contents import check
    from systems.torchstore_values import Loop, TorchstoreStore
    from tensordict import NonTensorStack, TensorDict

    client = Tensors()
    store = TorchstoreStore(client, Loop())
    jagged = [torch.arange(row + 1) for row in range(20)]
    columns = {
        "dense": torch.rand(20, 3),
        "jagged": torch.nested.as_nested_tensor(jagged, layout=torch.jagged),
        "a.text": NonTensorStack(*map(str, range(20))),
        "images": NonTensorStack(*({"pixels": row} for row in jagged)),
    }
    batch = TensorDict(columns, batch_size=20)
    keys = [f"{row}.50%" for row in range(20)]
    store.put("1", keys, batch, None)
    store.put("1.1", keys[:1], batch[:1].select("dense"), None)
    check(batch, store.get("1", keys))
    check(batch[[3, 1]].select("a.text"), store.get("1", [keys[3], keys[1]], ["a.text"]))
    assert store.list("1") == keys
    with pytest.raises(KeyError):
        store.get("1", [*keys, "absent"], ["dense"])
    store.clear("1", keys)
    assert store.list("1") == []
    assert store.list("1.1") == keys[:1]
    # A row is stored without the batch that it is a view of.
    assert [value.untyped_storage().nbytes() for value in client.values.values()] == [12]


def test_a_system_whose_set_up_fails_or_hangs_is_left_out_with_the_reason(benches, monkeypatch):
    import peers

    monkeypatch.setattr(peers, "IMPORT_SECONDS", 0.2)
    for code, reason in (("time.sleep(60)", "timed out"), ("raise OSError('no lib')", "no lib")):

        def prepare(code=code):
            peers._try("torchstore", sys.executable, "-c", f"import time; {code}")

        monkeypatch.setattr(peers, "_torchstore_python", prepare)
        place = peers.places_of(["torchstore"], None)["torchstore"]
        assert place.reason.startswith("torchstore: ")
        assert reason in place.reason


def test_what_a_system_has_no_time_for_is_left_out(benches):
    from types import SimpleNamespace

    from measure import Results
    from payloads import MIB
    from scenarios import fields, keys, transfer

    answers = {
        fields.load: (4, 8),
        fields.put: 3.0,
        fields.get: 3.0,
        keys.put: {"put": 3.0},
        keys.read: {},
        transfer.copy: 1.0,
        transfer.clear: 1.0,
    }

    class Workers:
        def call(self, number, function, *arguments):
            return answers.get(function, {})

        def all(self, function, *arguments):
            return [self.call(number, function, *arguments) for number in (0, 1)]

    def left_out(run):
        scale = SimpleNamespace(
            fields_bytes=8,
            keys={1_000: 1, 10_000: 1},
            sizes={64 * MIB: 1, 512 * MIB: 1},
            large_kinds=("dense",),
        )
        results = Results("one")
        workers = Workers()
        run(SimpleNamespace(workers=workers, results=results, scale=scale, is_gateway=False))
        return [name for name, row in results.rows.items() if "failed" in row]

    assert left_out(fields.run) == ["8 fields", "32 fields", "128 fields"]
    assert left_out(keys.run) == ["10,000 keys"]
    assert left_out(transfer.run) == ["dense, 512 MiB"]


def test_a_scale_leaves_out_what_there_is(benches):
    from scale import SCALES
    from scenarios import SCENARIOS
    from systems import SYSTEMS

    for scale in SCALES.values():
        for system, (scenarios, reason) in scale.left_out.items():
            assert system in SYSTEMS
            assert set(scenarios) < set(SCENARIOS)
            assert reason


def test_what_goes_through_a_backend_is_a_share_of_its_own_calls(benches):
    from findings import Findings
    from raw_table import beside_raw

    def row(size, *medians):
        return [{"n": 1, "median": median, "bytes": size} for median in medians]

    # Two rounds of puts; of gets the raw calls failed.
    rounds = zip(row(4e9, 1.0, 3.0), row(3e9, 1.0, 2.0), strict=True)
    scenarios = [
        {"raw": {"dense: raw put": raw, "dense: put": put, "dense: get": put}}
        for raw, put in rounds
    ]
    sessions = [{"scenarios": found, "left_out": {}} for found in scenarios]
    table = beside_raw(Findings({"sessions": {"ours_mooncake": sessions}, "missing": {}}))
    (line,) = table.splitlines()[2:]
    assert line == "| transferqueue-rs, Mooncake | dense: put | 2 GB/s | 2 GB/s | 1 |"


def test_what_would_take_too_long_is_left_out(benches):
    from measure import Patience

    patience = Patience("a put", 10.0)
    assert patience.reason(1_000_000) == ""
    patience.took(1_000, 0.5)
    assert patience.reason(20_000) == ""
    assert patience.reason(30_000) == "left out: a put would take about 15 s"
