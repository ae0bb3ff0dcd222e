"""The controller's part of the configuration of :func:`transfer_queue.init`."""

from __future__ import annotations

import os
from typing import NamedTuple

from omegaconf import DictConfig

from transfer_queue.errors import InvalidArgumentError

__all__ = ["ControllerSettings", "controller_settings", "pre_allocated_samples"]

_TIMEOUT_VARIABLE = "TQ_CONTROLLER_GET_METADATA_TIMEOUT"
_PRE_ALLOC_VARIABLE = "TQ_PRE_ALLOC_SAMPLE_NUM"
_DEFAULT_TIMEOUT = 60.0


class ControllerSettings(NamedTuple):
    """How fetches wait."""

    polling: bool = False
    """Whether a fetch that lacks data answers with an empty batch at once."""
    get_meta_timeout: float = _DEFAULT_TIMEOUT
    """Seconds a fetch waits for data where it does not poll."""
    sampler_timeout: float = 30.0
    """Seconds a sampler written in Python may take for one batch."""


def controller_settings(conf: DictConfig) -> ControllerSettings:
    """Reads ``conf.controller``.

    Raises:
        InvalidArgumentError: a value is out of range.
    """
    controller = conf.controller
    polling = controller.polling_mode
    if not isinstance(polling, bool):
        raise InvalidArgumentError(
            f"controller.polling_mode is {polling!r}; it must be true or false"
        )
    name, timeout = "controller.get_meta_timeout", controller.get_meta_timeout
    if timeout is None:
        name, timeout = _TIMEOUT_VARIABLE, _of_environment(_TIMEOUT_VARIABLE, _DEFAULT_TIMEOUT)
    return ControllerSettings(
        polling,
        _seconds(name, timeout),
        _seconds("controller.sampler_timeout", controller.sampler_timeout),
    )


def pre_allocated_samples() -> int:
    """How many samples a new partition is given in advance, by ``TQ_PRE_ALLOC_SAMPLE_NUM``.

    0 where the variable is not above 1, which has always been its default.

    Raises:
        InvalidArgumentError: the variable is no integer.
    """
    text = os.environ.get(_PRE_ALLOC_VARIABLE)
    if text is None:
        return 0
    try:
        count = int(text)
    except ValueError:
        raise InvalidArgumentError(
            f"{_PRE_ALLOC_VARIABLE} is {text!r}; it must be an integer"
        ) from None
    return count if count > 1 else 0


def _of_environment(variable: str, default: float) -> float | str:
    text = os.environ.get(variable)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        return text


def _seconds(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise InvalidArgumentError(f"{name} is {value!r}; it must be a number of seconds, 0 or more")
