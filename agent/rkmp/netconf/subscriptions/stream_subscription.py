"""A subscription to an event stream: live events, or those of the log first (RFC 8639 sections 2.4.2 and 2.4.2.1).

Events of the past are read from the log as fast as the reader takes them, a page at a time. It must not know sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from lxml import etree

from rkmp.errors import StorageError
from rkmp.instant import Instant
from rkmp.netconf.event_log import EventLog
from rkmp.netconf.notifications import NotificationHub, notification_of
from rkmp.netconf.notifications import Subscription as LiveEvents
from rkmp.netconf.subscriptions.filters import EventFilter
from rkmp.netconf.subscriptions.messages import state_change
from rkmp.netconf.subscriptions.subscription import ASK_AGAIN, Subscriber, Subscription, Surroundings
from rkmp.netconf.subscriptions.terms import FilterTerms, StreamTerms


class _Phase(Enum):
    """Where the events come from."""

    REPLAY = "replay"
    """The log, up to what was in it when the subscription started."""
    CATCHING_UP = "catching up"
    """The log, with what has come since."""
    LIVE = "live"


class StreamSubscription(Subscription):
    """One subscription to the events of ``hub``."""

    def __init__(
        self,
        number: int,
        subscriber: Subscriber,
        surroundings: Surroundings,
        on_end: Callable[[Subscription], None],
        *,
        terms: StreamTerms,
        event_filter: EventFilter,
        hub: NotificationHub,
    ) -> None:
        super().__init__(number, subscriber, surroundings, terms.stop, on_end)
        self._terms = terms
        self._filter = event_filter
        self._hub = hub
        self._live: LiveEvents | None = None
        self._phase = _Phase.LIVE if terms.replay_start is None else _Phase.REPLAY
        self._page: deque[bytes] = deque()
        self._next = self._last_of_replay = 0

    @property
    def terms(self) -> StreamTerms:
        """The terms in effect."""
        return self._terms

    @property
    def filter_terms(self) -> FilterTerms | None:
        """The filter in effect, of the subscription's own or a configured one."""
        return self._filter.terms

    def start(self) -> None:
        """Begin with the events of now, or with those of the log."""
        if self._terms.replay_start is None or self._hub.log is None:
            self._join()
            return
        self._next = self._hub.log.first(self._terms.replay_start)
        self._last_of_replay = self._hub.log.last
        self.subscriber.wake()

    def modify(self, terms: StreamTerms, event_filter: EventFilter) -> None:
        """Go on under other terms."""
        self._terms, self._filter, self._stop = terms, event_filter, terms.stop
        if self._live is not None:
            self._live.stop = terms.stop
        self._reactivate()
        self._surroundings.when_due()

    def tell_modified(self, message: bytes, event_filter: EventFilter) -> None:
        """Go on with what the configured filter holds now, once the receiver has been told so."""
        self._tell_modified(message)
        self._filter = event_filter

    def take(self) -> bytes | None:
        """Return the next notification to send, None where there is none now, or ``ASK_AGAIN``."""
        if self._phase is _Phase.LIVE or self._ended or self._hub.log is None:
            return super().take()
        try:
            return self._take_from(self._hub.log)
        except StorageError:
            # Better an end than a gap that nobody knows of.
            self.terminate("stream-unavailable")
            return super().take()

    def _take_from(self, log: EventLog) -> bytes | None:
        if self._queue:
            # What is told about the subscription itself.
            return super().take()
        if self._page:
            self.sent += 1
            return self._page.popleft()
        last = self._last_of_replay if self._phase is _Phase.REPLAY else log.last
        if self._next <= last:
            start = self._terms.replay_start or log.creation_time
            events, self._next = log.page(self._next, until=last, start=start, stop=self._stop)
            for event in events:
                if self._wants(etree.fromstring(event.content)):
                    self._page.append(notification_of(event.event_time, event.content))
            return ASK_AGAIN
        if self._phase is _Phase.REPLAY:
            self._phase = _Phase.CATCHING_UP
            return state_change(self._surroundings.clock().wall, "replay-completed", self.number)
        # The log holds no more, and nothing has been waited for since it was asked.
        self._phase = _Phase.LIVE
        self._join()
        self._surroundings.when_due()
        return super().take()

    def _join(self) -> None:
        self._live = LiveEvents(self._hub, self._deliver, self._wants, stop=self._stop)
        self._live.join()

    def _deliver(self, message: bytes) -> None:
        self._put(message)

    def _wants(self, event: etree._Element) -> bool:
        if self.is_suspended:
            return False
        access = self._surroundings.access_of(self.subscriber.client)
        if self._filter.matches(access.reader, event) and access.delivers(event):
            return True
        self.excluded += 1
        return False

    def _own_delay(self, now: Instant) -> float | None:  # noqa: ARG002
        return None

    def _do_own(self, now: Instant) -> None:
        """Events come by themselves."""

    def _stop_making(self) -> None:
        if self._live is not None:
            self._live.cancel()

    def _resumed(self) -> None:
        """RFC 8639 2.7.5: events since the resumption follow; those before can be replayed."""

    @property
    def _can_stop(self) -> bool:
        """Whether every event of before the stop time has been looked at once that time has come."""
        return self._phase is _Phase.LIVE
