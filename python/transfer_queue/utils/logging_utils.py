"""Loggers as 0.1.11 makes them, for programs that take theirs from here. The package itself logs
through plain :mod:`logging`, under the names of its modules.
"""

from __future__ import annotations

import logging
import os

from transfer_queue.errors import InvalidArgumentError

__all__ = ["get_logger"]

_LEVEL_VARIABLE = "TQ_LOGGING_LEVEL"


def get_logger(name: str, default_level: str | int = "WARNING") -> logging.Logger:
    """A logger that writes to the standard error where nothing else has been set up.

    Args:
        name: its name, usually that of a module.
        default_level: the level where ``TQ_LOGGING_LEVEL`` is not set.

    Raises:
        InvalidArgumentError: ``TQ_LOGGING_LEVEL`` or ``default_level`` is no level.
    """
    logger = logging.getLogger(name)
    level = os.environ.get(_LEVEL_VARIABLE, default_level)
    try:
        logger.setLevel(level.upper() if isinstance(level, str) else level)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{level!r} is no logging level ({_LEVEL_VARIABLE} or default_level): {error}"
        ) from error
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s - %(levelname)s - %(name)s - %(message)s")
        )
        logger.addHandler(handler)
    return logger
