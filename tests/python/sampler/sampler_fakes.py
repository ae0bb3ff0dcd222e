"""A partition and an engine for samplers, without either."""

import threading
from typing import Any, NamedTuple

from transfer_queue.errors import NotReadyError


class Partition:
    """What samplers read lengths from."""

    def __init__(self, tags):
        self.tags = tags

    def get_custom_meta(self, indexes):
        return {index: self.tags[index] for index in indexes if index in self.tags}


def partition_of_lengths(*lengths):
    return Partition({index: {"total_lengths": length} for index, length in enumerate(lengths)})


class Request(NamedTuple):
    """A request, as the client makes it."""

    batch_size: int = 2
    partition_id: str = "p"
    task_name: str = "t"
    sampling_config: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, never changed


class Engine:
    """The samples of one task, claimed as the engine claims them."""

    def __init__(self, ready, tags=None):
        self.available = set(ready)
        self.ready_now = sorted(ready)
        self.tags = tags or {}
        self.claims = []
        self._lock = threading.Lock()

    def ready(self, at_least):
        with self._lock:
            return list(self.ready_now) if len(self.ready_now) >= at_least else None

    def claim(self, sampled, consumed, again):
        with self._lock:
            allowed = self.available if again else set(self.ready_now)
            if not allowed.issuperset(sampled):
                raise NotReadyError(f"{sampled} are not all ready")
            self.ready_now = [index for index in self.ready_now if index not in set(consumed)]
            self.claims.append((sampled, consumed, again))
            return sampled

    def tags_of(self, indexes):
        return [self.tags.get(index, {}) for index in indexes]

    def run(self, sampler, request=None, timeout=60.0):
        return sampler.run(request or Request(), self.ready, self.claim, self.tags_of, timeout)
