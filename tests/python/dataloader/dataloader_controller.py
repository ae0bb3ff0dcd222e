"""A controller of plain numbers, in this process or shared by several through a manager."""

import multiprocessing
import threading
from multiprocessing.managers import BaseManager


class FakeController:
    """Samples of partitions in order of creation, claimed in that order by task.

    As a rank-aware sampler does, it gives one answer for each (partition, task, rank, batch index).
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._samples = {}
        self._consumed = {}
        self._answers = {}
        self._activity = 0
        self._next = 0
        self._asked = []
        self._waits = 0

    def add(self, partition, count):
        with self._changed:
            self._samples.setdefault(partition, []).extend(range(self._next, self._next + count))
            self._next += count
            self._note_change()

    def touch(self):
        with self._changed:
            self._note_change()

    def claim(self, partition, task, batch_size, rank, batch_index, timeout):
        """Global indexes; None where data lacks for `timeout` seconds."""
        with self._changed:
            self._asked.append(batch_index)
            key = (partition, task, rank, batch_index)
            self._changed.wait_for(lambda: self._answer(key, batch_size), timeout)
            return self._answers.get(key)

    def is_consumed(self, partition, task):
        with self._changed:
            samples = self._samples.get(partition)
            return bool(samples) and not self._ready(partition, task)

    def activity(self, partition):
        with self._changed:
            return self._activity

    def wait(self, partition, since, timeout):
        with self._changed:
            self._waits += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._activity != since, timeout)
            return self._activity

    def wait_until_waiting(self, times):
        """Until `wait` was called so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waits >= times, 60)

    def asked(self):
        """Batch indexes asked for, in order."""
        with self._changed:
            return list(self._asked)

    def waits(self):
        with self._changed:
            return self._waits

    def _answer(self, key, batch_size):
        if key in self._answers:
            return True
        ready = self._ready(key[0], key[1])[:batch_size]
        if len(ready) < batch_size:
            return False
        self._answers[key] = ready
        self._consumed.setdefault(key[:2], set()).update(ready)
        self._note_change()
        return True

    def _ready(self, partition, task):
        consumed = self._consumed.get((partition, task), set())
        return [index for index in self._samples.get(partition, []) if index not in consumed]

    def _note_change(self):
        self._activity += 1
        self._changed.notify_all()


class SharedControllers(BaseManager):
    """Holds a controller in a process of its own."""


SharedControllers.register("FakeController", FakeController)


def start_shared():
    manager = SharedControllers(ctx=multiprocessing.get_context("fork"))
    manager.start()
    return manager
