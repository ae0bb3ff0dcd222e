"""Python in a process of its own, for what must be seen from outside or might take it down."""

import os
import pathlib
import subprocess
import sys
import textwrap

HERE = pathlib.Path(__file__).parent


def run_python(script, *, timeout=60, **environment):
    """Runs a script beside these files; fails with its output unless it ends well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
