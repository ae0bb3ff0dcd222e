"""The controller's part of the configuration of :func:`transfer_queue.init`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from transfer_queue.errors import InvalidArgumentError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "ControllerSettings",
    "controller_settings",
    "deadline_of",
    "deadline_of_environment",
    "pre_allocated_samples",
]

_DEADLINE_VARIABLE = "TQ_DEADLINE"
_TIMEOUT_VARIABLE = "TQ_CONTROLLER_GET_METADATA_TIMEOUT"
_PRE_ALLOC_VARIABLE = "TQ_PRE_ALLOC_SAMPLE_NUM"
_DEFAULT_TIMEOUT = 60.0
_DEFAULT_DEADLINE = 60.0


class ControllerSettings(NamedTuple):
    """How fetches and calls wait."""

    polling: bool = False
    """Whether a fetch that lacks data answers with an empty batch at once."""
    get_meta_timeout: float = _DEFAULT_TIMEOUT
    """Seconds a fetch waits for data where it does not poll."""
    sampler_timeout: float = 30.0
    """Seconds a sampler written in Python may take for one batch."""
    deadline: float = _DEFAULT_DEADLINE
    """Seconds that one call to another process may take, and :func:`transfer_queue.init`."""


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
        deadline_of(controller.deadline),
    )


def deadline_of(value: object) -> float:
    """Seconds that one call may take, by ``controller.deadline``; None: by the environment.

    Raises:
        InvalidArgumentError: it is no positive number.
    """
    if value is None:
        return deadline_of_environment()
    return _seconds("controller.deadline", value, zero=False)


def deadline_of_environment() -> float:
    """Seconds that one call may take, by ``TQ_DEADLINE``; 60 where it is not set.

    Raises:
        InvalidArgumentError: it is no positive number.
    """
    value = _of_environment(_DEADLINE_VARIABLE, _DEFAULT_DEADLINE)
    return _seconds(_DEADLINE_VARIABLE, value, zero=False)


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


def _seconds(name: str, value: object, *, zero: bool = True) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        in_range = value >= 0 if zero else value > 0  # NaN is neither
        if in_range:
            return float(value)
    least = "0 or more" if zero else "more than 0"
    raise InvalidArgumentError(f"{name} is {value!r}; it must be a number of seconds, {least}")
