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


def test_runs_agree_within_their_spread_and_a_factor(benches):
    from compare import agrees, compared

    assert agrees([2.0, 2.2], [2.1, 2.9])
    assert not agrees([2.0, 2.2], [4.0, 4.4])

    def record(seconds):
        row = {"put": {"n": 1, "median": seconds}}
        ours = {"scenarios": {"latency": {"put": {"n": 1, "median": 1.0}}}, "left_out": {}}
        theirs = {"scenarios": {"latency": row}, "left_out": {}}
        return {"sessions": {"ours": [ours], "pypi": [theirs]}, "missing": {}}

    assert compared(record(2.0), record(2.1)).startswith("1 of 1 ratios agree")
    apart = compared(record(2.0), record(9.0))
    assert apart.startswith("0 of 1")
    assert "| TransferQueue 0.1.11 | latency: put | 2 × | 9 × |" in apart
