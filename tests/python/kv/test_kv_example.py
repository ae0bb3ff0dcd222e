"""The example of the documentation runs as it stands."""

import runpy
from pathlib import Path

import pytest

import transfer_queue

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart.py"


def test_the_quickstart_runs(capsys):
    transfer_queue.close()
    runpy.run_path(str(QUICKSTART), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "advantage: [-0.5, 0.5, 0.0]",
        "response lengths: [5, 3, 7]",
        "tags: {'a': {'step': 7}, 'b': {'step': 7}, 'c': {'step': 7}}",
        "left: {'train': {}}",
    ]
    with pytest.raises(AssertionError, match="has not been initialized"):
        transfer_queue.kv_list()
