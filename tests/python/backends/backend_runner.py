"""A process with one backend's system, which runs the cases it is asked for, one by one."""

import os
import sys
import threading
import traceback


def run(pipe, name):
    """Answers each name of a case with None, or with what failed."""
    from backend_cases import CASES, Kit
    from backend_systems import BACKENDS

    import transfer_queue as tq

    backend = BACKENDS[name]
    try:
        with backend.system() as config:
            backend.prepare(config)
            pipe.send(None)
            while (asked := pipe.recv()) is not None:
                watch = threading.Timer(100, _give_up)
                watch.start()
                try:
                    tq.init({"backend": config})
                    CASES[asked][0](Kit(backend, config))
                    pipe.send(None)
                except BaseException:  # noqa: BLE001 - raised by whoever asked
                    pipe.send(traceback.format_exc())
                finally:
                    tq.close()
                    watch.cancel()
    except BaseException:  # noqa: BLE001
        pipe.send(traceback.format_exc())


def _give_up():
    import faulthandler

    faulthandler.dump_traceback(file=sys.stderr)
    os._exit(1)
