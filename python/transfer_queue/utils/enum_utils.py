"""Enumerations of the data gateway."""

from __future__ import annotations

from enum import Enum

from transfer_queue.errors import InvalidArgumentError

__all__ = ["ExplicitEnum", "ProductionStatus", "Role"]


class ExplicitEnum(str, Enum):  # noqa: UP042 - the text of a StrEnum's member is its value
    """An enumeration of strings; a value that it does not have is an error that lists those it has.

    Raises:
        InvalidArgumentError: there is no such value.
    """

    @classmethod
    def _missing_(cls, value: object) -> ExplicitEnum:
        raise InvalidArgumentError(
            f"{value!r} is not a valid {cls.__name__}; select one of "
            f"{[member.value for member in cls]}"
        )


class Role(ExplicitEnum):
    """What a process is to the data gateway."""

    CONTROLLER = "TransferQueueController"
    STORAGE = "TransferQueueStorage"
    CLIENT = "TransferQueueClient"


class ProductionStatus(ExplicitEnum):
    """Whether a field of a sample is produced."""

    NOT_PRODUCED = "0"
    READY_FOR_CONSUME = "1"
