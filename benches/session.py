"""One session: a system is started, scenarios run on it one after the other, and it is stopped.

Run by `run.py`, in a process of its own and under the system's own interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import tensordict  # noqa: F401 - what every system needs is imported before a clock starts
import torch
from measure import Results
from scale import SCALES
from scenarios import SCENARIOS
from session_state import Session
from systems import SYSTEMS
from systems.base import NotOfferedError
from systems.gateways import Gateway, quiet
from workers import Workers

WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", required=True, choices=SYSTEMS)
    parser.add_argument("--scenarios", nargs="+", required=True, choices=SCENARIOS)
    parser.add_argument("--scale", choices=SCALES, default="quick")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    quiet()
    # Arrays of Ray's object store are read-only; nothing writes to them here.
    warnings.filterwarnings("ignore", message=".*not writable.*")
    torch.set_num_threads(1)

    scale = SCALES[options.scale]
    names, reason = scale.left_out.get(options.system, ((), ""))
    left_out = {name: reason for name in names if name in options.scenarios}
    found: dict[str, Any] = {"scenarios": {}, "left_out": left_out, "seconds_of": {}}
    system = SYSTEMS[options.system]()
    store = system.start()
    if isinstance(system, Gateway):
        found["init_seconds"] = system.init_seconds
    workers = Workers(options.system, system.joining, WORKERS)
    try:
        for name in [name for name in options.scenarios if name not in left_out]:
            started = time.monotonic()
            results = Results(name)
            session = Session(options.system, store, workers, results, scale)
            try:
                SCENARIOS[name](session)
            except NotOfferedError as problem:
                left_out[name] = str(problem)
            except Exception:  # noqa: BLE001 - the other scenarios still count
                left_out[name] = traceback.format_exc(limit=-3)
                print(traceback.format_exc(), file=sys.stderr, flush=True)
            if results.rows:
                found["scenarios"][name] = results.rows
            found["seconds_of"][name] = round(time.monotonic() - started, 1)
            print(f"  {name}: {found['seconds_of'][name]} s", flush=True)
            options.out.write_text(json.dumps(found))
    finally:
        workers.end()
        system.stop()
    options.out.write_text(json.dumps(found))


if __name__ == "__main__":
    status = 0
    try:
        main()
    except Exception:  # noqa: BLE001 - ends with a status, like every other
        traceback.print_exc()
        status = 1
    # Threads of a backend must not keep a session that is done, or has failed, from ending.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
