"""A subscription that begins in the past: from the event log first, live once it has caught up (RFC 5277 3.3).

Events are read a page at a time, as fast as their reader takes them: a slow one costs a page of memory, not a queue
of everything since, and nobody waits for it. What the log lets go of before the reader comes to it is lost to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from lxml import etree

from rkmp.netconf.event_log import EventLog, LoggedEvent
from rkmp.netconf.namespaces import STREAMS
from rkmp.netconf.notifications import Deliver, EventFilter, NotificationHub, Subscription, notification_of

REPLAY_COMPLETE = f'<replayComplete xmlns="{STREAMS}"/>'.encode()
NOTIFICATION_COMPLETE = f'<notificationComplete xmlns="{STREAMS}"/>'.encode()


class ReplaySubscription(Subscription):
    """A subscription from ``start`` on, and until ``stop`` where there is one."""

    def __init__(
        self,
        hub: NotificationHub,
        deliver: Deliver,
        event_filter: EventFilter | None,
        *,
        log: EventLog,
        clock: Callable[[], datetime],
        start: datetime,
        stop: datetime | None,
    ) -> None:
        super().__init__(hub, deliver, event_filter, stop=stop)
        self._log = log
        self._clock = clock
        self._start = start
        self._next = log.first(start)
        self._last_of_replay = log.last
        self._cancelled = False

    def cancel(self) -> None:
        """Receive nothing more."""
        self._cancelled = True
        super().cancel()

    async def past(self) -> AsyncIterator[bytes]:
        """Yield what was, replayComplete, and what has been since; when that ends, events are delivered live."""
        async for message in self._logged(lambda: self._last_of_replay):
            yield message
        yield notification_of(self._clock(), REPLAY_COMPLETE)
        async for message in self._logged(lambda: self._log.last):
            yield message
        if not self._cancelled:
            # Nothing has been waited for since the log was found to hold no more.
            self.join()

    def seconds_left(self) -> float | None:
        """Return for how long events may still come; None for ever, nothing left is 0 or less."""
        return None if self.stop is None else (self.stop - self._clock()).total_seconds()

    def complete(self) -> bytes:
        """Return the notification that ends a subscription with a stop time."""
        return notification_of(self._clock(), NOTIFICATION_COMPLETE)

    async def _logged(self, last: Callable[[], int]) -> AsyncIterator[bytes]:
        while self._next <= last() and not self._cancelled:
            page, self._next = self._log.page(self._next, until=last(), start=self._start, stop=self.stop)
            for event in page:
                if self._is_wanted(event):
                    yield notification_of(event.event_time, event.content)
            if self._next <= last():
                await asyncio.sleep(0)

    def _is_wanted(self, event: LoggedEvent) -> bool:
        # Looked at again for each: who may see it may have changed since it happened.
        return not self.has_filter or self.wants(etree.fromstring(event.content))
