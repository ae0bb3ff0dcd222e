"""How long a stream waits before it looks around."""

from __future__ import annotations

import os

from transfer_queue.errors import InvalidArgumentError

__all__ = ["LONGEST_WAIT", "Guardian", "retry_interval"]

#: Seconds after which a wait that nothing ended looks whether somebody still wants its result.
LONGEST_WAIT = 5.0

_RETRY_INTERVAL = "TQ_STREAMING_DATASET_EMPTY_BATCH_SLEEP_INTERVAL"


class Guardian:
    """Tells a worker process whether the process that started it still lives.

    torch's own watch over the parent sleeps while the dataset waits for data; without this one a
    killed trainer would leave its workers behind.
    """

    def __init__(self, *, in_worker: bool) -> None:
        self._parent = os.getppid() if in_worker else None

    def alive(self) -> bool:
        """Whether there is anybody to fetch for."""
        return self._parent is None or os.getppid() == self._parent


def retry_interval() -> float:
    """Seconds after which a user's fetch function that found nothing is asked again at the latest:
    what it looks at may be more than the partition whose changes end the wait.

    Raises:
        InvalidArgumentError: the environment variable is no positive number.
    """
    text = os.environ.get(_RETRY_INTERVAL, "1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise InvalidArgumentError(f"{_RETRY_INTERVAL} is {text!r}; it must be a positive number")
    return seconds
