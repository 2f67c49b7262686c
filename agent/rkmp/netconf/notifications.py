"""Event streams and their live subscriptions (RFC 5277).

The hub logs an event, wraps it once, filters it for each subscription and hands the octets over; it never waits for a
reader. It must not know sessions or transports: a subscriber is a function that takes octets.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema import NodeKind, Schema
from rkmp.netconf.documents import serialise
from rkmp.netconf.event_log import EventLog
from rkmp.netconf.namespaces import NOTIFICATION, STREAMS

NETCONF_STREAM = "NETCONF"
"""The default stream of RFC 5277 section 3.2.3: every event there is."""

Deliver = Callable[[bytes], None]
"""Takes one serialised ``<notification>``; must not block."""

EventFilter: TypeAlias = "Callable[[etree._Element], bool]"
"""Says whether an event (the element inside ``<notification>``) is wanted."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One event stream as clients see it (RFC 5277 section 3.2.5.1)."""

    name: str
    description: str


STREAMS_OFFERED: Mapping[str, Stream] = {
    NETCONF_STREAM: Stream(NETCONF_STREAM, "Every notification of the agent."),
}


class Subscription:
    """One subscriber of the hub; ``cancel`` ends it at once and may be called twice.

    ``stop`` is the time of the last event that it wants, None for no end.
    """

    def __init__(
        self, hub: NotificationHub, deliver: Deliver, event_filter: EventFilter | None, *, stop: datetime | None = None
    ) -> None:
        self.stop = stop
        self._hub = hub
        self._deliver = deliver
        self._filter = event_filter

    @property
    def has_filter(self) -> bool:
        """Whether there are events that the subscription may not want."""
        return self._filter is not None

    def wants(self, event: etree._Element) -> bool:
        """Return whether the subscription's filter lets ``event`` through."""
        return self._filter is None or self._filter(event)

    def deliver(self, message: bytes) -> None:
        """Hand one serialised notification over."""
        self._deliver(message)

    def join(self) -> None:
        """Receive every event from now on."""
        self._hub.remember(self)

    def cancel(self) -> None:
        """Receive nothing more."""
        self._hub.forget(self)


class NotificationHub:
    """Where events enter and subscriptions hang. One event loop's property: not to be called from threads."""

    def __init__(self, schema: Schema, redactor: Redactor, log: EventLog | None = None) -> None:
        """``log`` keeps what is published, for replay; None for no replay."""
        self.log = log
        self._schema = schema
        self._redactor = redactor
        # A dict keeps the order of subscription, so that tests and readers see one order.
        self._subscriptions: dict[Subscription, None] = {}
        self._waiting: deque[tuple[datetime, etree._Element]] = deque()
        self._publishing = False

    @property
    def has_subscribers(self) -> bool:
        """Whether anyone listens now."""
        return bool(self._subscriptions)

    @property
    def is_wanted(self) -> bool:
        """Whether what is published reaches anyone, now or later; a costly event need not be built otherwise."""
        return self.log is not None or bool(self._subscriptions)

    def subscribe(self, deliver: Deliver, event_filter: EventFilter | None = None) -> Subscription:
        """Deliver every later event that ``event_filter`` wants (None: every event) to ``deliver``."""
        subscription = Subscription(self, deliver, event_filter)
        subscription.join()
        return subscription

    def remember(self, subscription: Subscription) -> None:
        """Deliver every later event to ``subscription``."""
        self._subscriptions[subscription] = None

    def forget(self, subscription: Subscription) -> None:
        """Drop ``subscription``, if it is there."""
        self._subscriptions.pop(subscription, None)

    def publish(self, event_time: datetime, event: etree._Element) -> None:
        """Log ``event``, and send it to whoever subscribed.

        ``event_time`` is when it happened, an aware datetime; ``event`` is the notification's element, or for a
        YANG 1.1 notification inside data the top-level element of its path (RFC 7950 section 7.16.2).
        One that is under nacm:default-deny-all is for the subscriptions' filters to stop (RFC 8341 section 3.4.6).
        The hub keeps no reference to ``event``. Raises ValueError where no module defines it.
        """
        if not self.is_wanted:
            return
        # Filters see what subscribers may see: a filter that matched a secret would tell it.
        node = self._schema.notifications.get(str(event.tag)) or self._schema.top.get(str(event.tag))
        if node is None:
            raise ValueError(f"no module defines {event.tag!s}")
        event = copy.deepcopy(event)
        if not node.default_deny_all:
            self._redactor.remove_secrets(event, node)
        elif node.kind is not NodeKind.NOTIFICATION:
            return
        # Sending an event can cause another, as when a slow reader is dropped; everybody gets them in one order.
        self._waiting.append((event_time, event))
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._waiting:
                self._send(*self._waiting.popleft())
        finally:
            self._publishing = False

    def _send(self, event_time: datetime, event: etree._Element) -> None:
        content: bytes | None = None
        if self.log is not None and not self._is_secret(event):
            content = _serialised(event)
            self.log.append(event_time, content)
        message: bytes | None = None
        for subscription in tuple(self._subscriptions):
            if subscription.stop is not None and event_time > subscription.stop:
                continue
            if not subscription.wants(event):
                continue
            if message is None:
                message = notification_of(event_time, _serialised(event) if content is None else content)
            subscription.deliver(message)

    def _is_secret(self, event: etree._Element) -> bool:
        """Whether all of an event is under nacm:default-deny-all: the log holds nothing of the kind."""
        node = self._schema.notifications.get(str(event.tag))
        return node is not None and node.default_deny_all


def _serialised(event: etree._Element) -> bytes:
    return etree.tostring(event, encoding="UTF-8", with_tail=False)


def notification_of(event_time: datetime, content: bytes) -> bytes:
    """Return the ``<notification>`` message around a serialised event (RFC 5277 section 4).

    The event is not moved into a tree of the message: that would drop declarations of prefixes that only values use.
    """
    message = etree.Element(f"{{{NOTIFICATION}}}notification", nsmap={None: NOTIFICATION})
    etree.SubElement(message, f"{{{NOTIFICATION}}}eventTime").text = date_and_time(event_time)
    end = b"</notification>"
    return b"".join((serialise(message).removesuffix(end), content, end))


def date_and_time(moment: datetime) -> str:
    """Return an aware datetime as yang:date-and-time in UTC, with microseconds where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


NETCONF = f"{{{STREAMS}}}netconf"
"""Top-level node of the list of streams."""


def provide_streams(root: etree._Element, log: EventLog | None) -> None:
    """Add the list of streams, ``/netconf/streams`` of RFC 5277 section 3.4, to the state in ``root``."""
    netconf = etree.SubElement(root, NETCONF, nsmap={None: STREAMS})
    streams = etree.SubElement(netconf, f"{{{STREAMS}}}streams")
    for stream in STREAMS_OFFERED.values():
        entry = etree.SubElement(streams, f"{{{STREAMS}}}stream")
        etree.SubElement(entry, f"{{{STREAMS}}}name").text = stream.name
        etree.SubElement(entry, f"{{{STREAMS}}}description").text = stream.description
        etree.SubElement(entry, f"{{{STREAMS}}}replaySupport").text = "false" if log is None else "true"
        if log is not None:
            created = etree.SubElement(entry, f"{{{STREAMS}}}replayLogCreationTime")
            created.text = date_and_time(log.creation_time)
            if log.aged_time is not None:
                etree.SubElement(entry, f"{{{STREAMS}}}replayLogAgedTime").text = date_and_time(log.aged_time)
