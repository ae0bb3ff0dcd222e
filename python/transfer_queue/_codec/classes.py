"""References to a user's classes by module and qualified name.

A reference says where a class is, not what it is: reading one runs no code of the class beyond
importing its module, and the reader checks that the class is of the stated kind before it uses it.
Where pickle is switched off, only modules that are already imported are looked at, so that bytes
cannot make a process import anything.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from transfer_queue.errors import CorruptBufferError

__all__ = ["class_reference", "find_class"]


def class_reference(cls: type[Any]) -> tuple[str, str] | None:
    """Module and qualified name of ``cls``, or None where another process would not find it there
    (classes of functions, of the main module, or replaced ones).
    """
    module, name = cls.__module__, cls.__qualname__
    if module == "__main__" or "<locals>" in name:
        return None
    try:
        return (module, name) if _walk(sys.modules[module], name) is cls else None
    except (KeyError, TypeError):
        return None


def find_class(module: str, name: str, allow_import: bool) -> type[Any]:
    """The class of a reference.

    Raises:
        CorruptBufferError: the class is not there, or (without ``allow_import``) its module is not
            imported yet.
    """
    try:
        found = sys.modules.get(module)
        if found is None:
            if not allow_import:
                raise CorruptBufferError(
                    f"the value is of class {module}.{name}; import {module} first, or allow pickle"
                )
            found = importlib.import_module(module)
        cls = _walk(found, name)
    except ImportError as error:
        raise CorruptBufferError(f"there is no module {module} here: {error}") from error
    except (KeyError, TypeError) as error:
        raise CorruptBufferError(f"there is no class {module}.{name} here") from error
    if not isinstance(cls, type):
        raise CorruptBufferError(f"{module}.{name} is not a class")
    return cls


def _walk(root: Any, name: str) -> Any:
    # Not by getattr: a module's __getattr__ may import others, and a property run anything.
    for part in name.split("."):
        root = vars(root)[part]
    return root
