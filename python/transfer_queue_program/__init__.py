"""The program ``tq``. It lies beside the package and not in it, because importing that takes torch,
which serves nobody here: probes start this program again and again.
"""

from __future__ import annotations

import signal
import sys
from importlib.machinery import ExtensionFileLoader, PathFinder
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType

__all__ = ["main"]

_CORE = "transfer_queue._core"


def main() -> None:
    """Runs ``tq`` with the arguments of this process, and ends the process."""
    core = sys.modules.get(_CORE) or _core()
    # Ctrl-C is heard by the program itself, and is no exception of Python's afterwards.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(core.main(sys.argv[1:]))


def _core() -> ModuleType:
    """The extension module, without the package around it."""
    package = find_spec("transfer_queue")
    places = package.submodule_search_locations if package is not None else None
    found = PathFinder.find_spec(_CORE, places)
    if found is None or found.origin is None:
        raise ImportError(f"{_CORE} was not found; install transferqueue-rs again")
    loader = ExtensionFileLoader(_CORE, found.origin)
    spec = spec_from_file_location(_CORE, found.origin, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
