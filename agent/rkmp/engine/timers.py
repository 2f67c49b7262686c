"""When to wake whom: one deadline for each key, the earliest found without looking at the others."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=str | bytes)


class Timers(Generic[Key]):
    """Deadlines on the monotonic clock, one for each key; setting one again replaces it."""

    __slots__ = ("_deadlines", "_heap", "_order")

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: Key, deadline: float | None) -> None:
        """Wake ``key`` at ``deadline``; None means never."""
        current = self._deadlines.get(key)
        if deadline is None:
            self._deadlines.pop(key, None)
        elif current is None or current[0] != deadline:
            # The number keeps keys of different types from being compared, and a replaced entry from being taken for
            # the one that replaced it.
            entry = (deadline, next(self._order))
            self._deadlines[key] = entry
            heapq.heappush(self._heap, (*entry, key))
            if len(self._heap) > 64 and len(self._heap) > 4 * len(self._deadlines):
                self._rebuild()

    def next(self) -> float | None:
        """Return the earliest deadline."""
        self._drop_replaced()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Key]:
        """Return the keys whose deadline has come, earliest first; each has to be set again to be woken again."""
        due: list[Key] = []
        while True:
            self._drop_replaced()
            if not self._heap or self._heap[0][0] > now:
                return due
            key = heapq.heappop(self._heap)[2]
            del self._deadlines[key]
            due.append(key)

    def _drop_replaced(self) -> None:
        # A replaced deadline stays in the heap until it surfaces: cheaper than finding it.
        while self._heap and self._deadlines.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)

    def _rebuild(self) -> None:
        """Forget replaced deadlines that lie far ahead: a liveness timer is moved with every message."""
        self._heap = [(*entry, key) for key, entry in self._deadlines.items()]
        heapq.heapify(self._heap)
