"""The alarm of confirmed commits: what is not confirmed in time is undone, whether or not anyone is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from rkmp.datastore.datastores import Datastores


class CommitClock:
    """Tells the datastores when their deadline has come; ``close`` ends it.

    ``clock`` returns the time now, aware, in UTC. It is asked when a deadline is set, and the wait then goes by the
    monotonic clock: a clock that is set back must not leave an agent alone with a configuration that cut it off.
    Needs a running event loop.
    """

    def __init__(self, datastores: Datastores, clock: Callable[[], datetime]) -> None:
        self._datastores = datastores
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        datastores.on_deadline_change(self._arm)
        self._arm()

    def close(self) -> None:
        """Look at deadlines no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._datastores.next_deadline()
        if deadline is not None and not self._is_closed:
            delay = max((deadline - self._clock()).total_seconds(), 0.0)
            self._timer = self._loop.call_later(delay, self._wake, deadline)

    def _wake(self, deadline: datetime) -> None:
        try:
            self._datastores.handle_time(max(deadline, self._clock()))
        finally:
            self._arm()
