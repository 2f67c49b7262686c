"""One dynamic subscription: its state, the records that wait for its reader, and what it counts (RFC 8639 2.4.1).

Active, or suspended while its reader cannot keep up or its data cannot be had; a suspended one resumes by itself, or
is terminated after a time. The session takes records out as fast as its client reads. What the records are is the
business of the two kinds below this class. It must not know sessions or the event loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rkmp.datastore.schema import Schema
from rkmp.instant import Instant
from rkmp.netconf.access_control import Access
from rkmp.netconf.subscriptions.limits import SubscriptionLimits
from rkmp.netconf.subscriptions.messages import state_change
from rkmp.netconf.subscriptions.terms import FilterTerms, Terms
from rkmp.netconf.transport import Client

ASK_AGAIN = b""
"""What ``take`` returns where it has looked for a record for long enough and found none yet."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who receives a subscription; ``wake`` is called when there is something to take."""

    session_id: int
    client: Client
    wake: Callable[[], None]

    @property
    def name(self) -> str:
        """What tells the receiver from all others."""
        return f"{self.client.username} session {self.session_id}"


@dataclass(slots=True)
class Backlog:
    """The octets that wait for the readers of all subscriptions of a server."""

    octets: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all subscriptions of a server share."""

    schema: Schema
    limits: SubscriptionLimits
    clock: Callable[[], Instant]
    access_of: Callable[[Client], Access]
    when_due: Callable[[], None]
    """Called when a subscription has become due sooner than it has said."""
    backlog: Backlog = field(default_factory=Backlog)


class Subscription(ABC):
    """One subscription. ``on_end`` is called once, when it has ended in whichever way."""

    def __init__(
        self,
        number: int,
        subscriber: Subscriber,
        surroundings: Surroundings,
        stop: datetime | None,
        on_end: Callable[[Subscription], None],
    ) -> None:
        self.number = number
        self.subscriber = subscriber
        self.sent = 0
        """Event records queued for the receiver (sent-event-records)."""
        self.excluded = 0
        """Event records that the filter or access control took away (excluded-event-records)."""
        self._surroundings = surroundings
        self._stop = stop
        self._on_end = on_end
        self._queue: deque[bytes] = deque()
        self._octets = 0
        self._suspended_at: float | None = None
        self._waits_for_reader = False
        self._modified: bytes | None = None
        self._ended = False

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """The terms in effect."""

    @property
    @abstractmethod
    def filter_terms(self) -> FilterTerms | None:
        """The filter in effect, of the subscription's own or a configured one."""

    @property
    def is_suspended(self) -> bool:
        """Whether no records are made now."""
        return self._suspended_at is not None

    # What the session calls.

    def take(self) -> bytes | None:
        """Return the next notification to send, None where there is none now, or ``ASK_AGAIN``."""
        if not self._queue:
            return None
        record = self._queue.popleft()
        self._count(-len(record))
        if not self._queue and self.is_suspended:
            self._surroundings.when_due()
        return record

    @property
    def is_over(self) -> bool:
        """Whether there will never be anything to take again."""
        return self._ended and not self._queue

    # What the publisher calls.

    @abstractmethod
    def start(self) -> None:
        """Begin, now that the subscriber knows of it."""

    def delay(self) -> float | None:
        """Return after how many seconds ``handle_time`` is to be called; None: not before something happens."""
        now = self._surroundings.clock()
        delays = [] if self._stop is None or not self._can_stop else [(self._stop - now.wall).total_seconds()]
        if self._suspended_at is None:
            own = self._own_delay(now)
        elif self._waits_for_reader and not self._queue:
            own = self._suspended_at + self._surroundings.limits.resumption_seconds - now.monotonic
        else:
            own = self._suspended_at + self._surroundings.limits.suspension_seconds - now.monotonic
            retry = None if self._waits_for_reader else self._own_delay(now)
            own = own if retry is None else min(own, retry)
        if own is not None:
            delays.append(own)
        return max(0.0, min(delays)) if delays else None

    def handle_time(self) -> None:
        """Do what is due."""
        now = self._surroundings.clock()
        limits = self._surroundings.limits
        if self._suspended_at is not None:
            if self._waits_for_reader and not self._queue:
                if now.monotonic >= self._suspended_at + limits.resumption_seconds:
                    self._resume()
            elif now.monotonic >= self._suspended_at + limits.suspension_seconds:
                self.terminate("suspension-timeout")
                return
        if not self._ended and not (self.is_suspended and self._waits_for_reader):
            self._do_own(now)
        if self._stop is not None and self._can_stop and now.wall >= self._stop and not self._ended:
            # RFC 8639 2.7.6: only a configured subscription is told that it is completed.
            self.end()

    def terminate(self, reason: str) -> None:
        """End it before its time, and tell the receiver why."""
        if not self._ended:
            self.end()
            self._tell("subscription-terminated", reason)

    def end(self) -> None:
        """Make no more records; what is queued may still be taken."""
        if not self._ended:
            self._ended = True
            self._stop_making()
            self._on_end(self)

    def discard(self) -> None:
        """End it, and let nothing be taken any more."""
        self._queue.clear()
        self._count(-self._octets)
        self.end()

    # For the two kinds.

    @abstractmethod
    def _own_delay(self, now: Instant) -> float | None:
        """Return after how many seconds there is something to make, None for not before something happens."""

    @abstractmethod
    def _do_own(self, now: Instant) -> None:
        """Make what is due."""

    @abstractmethod
    def _stop_making(self) -> None:
        """Let go of everything that leads to records."""

    @abstractmethod
    def _resumed(self) -> None:
        """Take note that records are wanted again."""

    @property
    def _can_stop(self) -> bool:
        """Whether every record of before the stop time has been made once that time has come."""
        return True

    def _put(self, record: bytes) -> bool:
        """Queue an event record; return whether there was room, without which it is suspended."""
        limits = self._surroundings.limits
        if self._ended or self.is_suspended:
            return False
        if self._queue and (
            len(self._queue) >= limits.queued_records or self._octets + len(record) > limits.queued_octets
        ):
            # RFC 8639 2.7.4: the bandwidth that is needed exceeds what its reader has.
            self._suspend("unsupportable-volume", waits_for_reader=True)
            return False
        if self._surroundings.backlog.octets + len(record) > limits.all_queued_octets:
            self._suspend("insufficient-resources", waits_for_reader=True)
            return False
        self.sent += 1
        self._queue_octets(record)
        return True

    def _suspend(self, reason: str, *, waits_for_reader: bool = False) -> None:
        if not self.is_suspended and not self._ended:
            self._suspended_at = self._surroundings.clock().monotonic
            self._waits_for_reader = waits_for_reader
            self._tell("subscription-suspended", reason)
            self._surroundings.when_due()

    def _resume(self) -> None:
        if self.is_suspended:
            self._suspended_at = None
            if self._modified is None:
                self._tell("subscription-resumed")
            else:
                # RFC 8639 2.7.2: it says that the subscription has been both modified and resumed.
                self._queue_octets(self._modified)
                self._modified = None
            self._resumed()

    def _reactivate(self) -> None:
        """Be active again under other terms, which the reply to the request has told (RFC 8639 2.7.5)."""
        self._suspended_at = self._modified = None

    def _tell_modified(self, message: bytes) -> None:
        """Queue subscription-modified, or keep it until a suspension is over."""
        if self.is_suspended:
            self._modified = message
        else:
            self._queue_octets(message)

    def _tell(self, name: str, reason: str | None = None) -> None:
        """Queue a subscription state change notification, for which there is always room."""
        self._queue_octets(state_change(self._surroundings.clock().wall, name, self.number, reason))

    def _queue_octets(self, message: bytes) -> None:
        self._queue.append(message)
        self._count(len(message))
        self.subscriber.wake()

    def _count(self, octets: int) -> None:
        self._octets += octets
        self._surroundings.backlog.octets += octets
