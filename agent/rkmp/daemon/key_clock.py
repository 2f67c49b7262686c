"""The alarm of the key table: its keys begin and end by civil time, so somebody has to look at the clock for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from rkmp.keytable import KeyTable

LONGEST_SLEEP = 30.0
"""Seconds after which the clock is looked at again at the latest: it may have been set, and nobody else may tell."""
_SHORTEST_SLEEP = 0.001


class KeyClock:
    """Tells the key table when its next moment has come; ``close`` ends it.

    ``clock`` returns the time now, aware, in UTC. Needs a running event loop.
    """

    def __init__(self, key_table: KeyTable, clock: Callable[[], datetime]) -> None:
        self._key_table = key_table
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.longest_sleep = LONGEST_SLEEP
        # A row that comes, goes or changes moves the next moment.
        self._unsubscribe = key_table.subscribe(lambda _event: self._arm())
        self._wake()

    def look(self) -> None:
        """Look at the clock now: it has been set."""
        self._wake()

    def close(self) -> None:
        """Wake the key table no more."""
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._key_table.handle_time(self._clock())
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        moment = self._key_table.next_change(now)
        delay = self.longest_sleep if moment is None else (moment - now).total_seconds()
        self._timer = self._loop.call_later(min(max(delay, _SHORTEST_SLEEP), self.longest_sleep), self._wake)
