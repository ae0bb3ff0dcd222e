"""Times the transfer calls and nothing else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Direction = Literal["put", "get"]


@dataclass(frozen=True)
class Transfer:
    """One call: what it moved (bytes) and how long the caller waited for it (seconds)."""

    step: int
    stage: str
    direction: Direction
    payload: int
    seconds: float


class Meter:
    """Collects the transfers of a run, each under the step and the stage it was made for."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []
        self.step = 0
        self.stage = ""

    @contextmanager
    def timed(self, direction: Direction, payload: int) -> Iterator[None]:
        """Times its body: keep only the transfer call inside."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.transfers.append(Transfer(self.step, self.stage, direction, payload, seconds))
