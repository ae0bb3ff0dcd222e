"""Every example runs to its end, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

#: What each prints last, after it has asserted its results.
CLOSING_LINES = {
    "directory_backend": "left after the clear: []",
    "metadata": "done: 4 samples trained on, each of them once",
    "quickstart": "left: {'train': {}}",
    "samplers": "done: every batch as its sampler promised",
    "selection": "done: 4 groups used, none stale, none twice",
    "streaming": "done: 2 steps, every sample on one rank",
    "waiting": "done: nobody polled",
}

#: Seconds; most of them pass while torch is imported. An example that waits for ever ends here.
LIMIT = 120


@pytest.mark.parametrize("example", CLOSING_LINES)
def test_the_example_runs_to_its_end(example, tmp_path):
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{example}.py")],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == CLOSING_LINES[example]


def test_no_example_is_left_out():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == CLOSING_LINES.keys()
