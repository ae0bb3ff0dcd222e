"""Which batches of a stream are whose."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Numbering"]


@dataclass(frozen=True)
class Numbering:
    """Numbers of the batches of one worker: ``worker``, ``worker + workers``, and so on.

    Distinct workers never ask a sampler for the same batch, which a rank-aware one would hand to
    both.
    """

    worker: int = 0
    workers: int = 1

    def number(self, position: int) -> int:
        """Number, among all workers, of this worker's batch at ``position``."""
        return self.worker + position * self.workers

    def position(self, number: int) -> int:
        """Position of the first batch of this worker that is not before ``number``."""
        return -((self.worker - number) // self.workers)
