"""The alarm of subscriptions: the one timer that has the publisher do what is due, on the running event loop.

Between two subscriptions that are served, everything else on the loop gets its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

LONGEST_SLEEP = 30.0
"""Seconds after which the clock is looked at again at the latest: it may have been set."""


class Timed(Protocol):
    """What has something to do at times."""

    def delay(self) -> float | None:
        """Return after how many seconds to call ``handle_time``; None: not before something happens."""

    def handle_time(self) -> bool:
        """Do a part of what is due; return whether anything was."""


class Alarm:
    """Calls ``handle_time``; ``close`` ends it."""

    def __init__(self, timed: Callable[[], Timed]) -> None:
        self._timed = timed
        self._timer: asyncio.Handle | None = None
        self._is_closed = False

    def when_due(self) -> None:
        """Ask for the time of the next call, soon; needs a running event loop."""
        if not self._is_closed:
            self._set(asyncio.get_running_loop().call_soon(self._arm))

    def close(self) -> None:
        """Call no more."""
        self._is_closed = True
        self._set(None)

    def _set(self, timer: asyncio.Handle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _arm(self) -> None:
        delay = self._timed().delay()
        if delay is None or self._is_closed:
            self._set(None)
            return
        self._set(asyncio.get_running_loop().call_later(min(delay, LONGEST_SLEEP), self._wake))

    def _wake(self) -> None:
        if self._timed().handle_time() and not self._is_closed:
            # What is ready on the loop comes first.
            self._set(asyncio.get_running_loop().call_soon(self._wake))
        else:
            self._arm()
