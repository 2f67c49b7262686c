"""An event is wrapped once, filtered for each subscriber, and never shows what has to stay concealed."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from rkmp.netconf.documents import parse_document
from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.notifications import NotificationHub, date_and_time

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
ALARMS = "{urn:example:alarms}"


def alarm(text: str = "link down") -> etree._Element:
    return etree.fromstring(
        f'<alarm xmlns="urn:example:alarms"><text>{text}</text><password>hunter2</password></alarm>'
    )


def without_password(event: etree._Element) -> etree._Element:
    event = copy.deepcopy(event)
    for element in event.findall(f"{ALARMS}password"):
        event.remove(element)
    return event


def test_a_subscriber_gets_the_event_with_its_time() -> None:
    hub = NotificationHub()
    received: list[bytes] = []
    hub.subscribe(received.append)
    hub.publish(NOON, alarm())
    (message,) = received
    root = parse_document(message)
    assert root.tag == f"{{{NOTIFICATION}}}notification"
    assert [element.tag for element in root] == [f"{{{NOTIFICATION}}}eventTime", f"{ALARMS}alarm"]
    assert root[0].text == "2026-01-02T12:00:00Z"
    assert root[1].findtext(f"{ALARMS}text") == "link down"


def test_the_event_that_was_published_stays_the_publishers_own() -> None:
    holder = etree.fromstring("<holder/>")
    event = alarm()
    event.tail = "\n"
    holder.append(event)
    hub = NotificationHub()
    hub.subscribe(lambda message: None)
    before = etree.tostring(holder)
    hub.publish(NOON, event)
    assert etree.tostring(holder) == before


def test_every_subscriber_has_its_own_filter() -> None:
    hub = NotificationHub()
    all_events: list[bytes] = []
    link_events: list[bytes] = []
    hub.subscribe(all_events.append)
    hub.subscribe(link_events.append, lambda event: "link" in (event.findtext(f"{ALARMS}text") or ""))
    for text in ("link down", "fan broken", "link up"):
        hub.publish(NOON, alarm(text))
    assert len(all_events) == 3
    assert [message for message in all_events if b"link" in message] == link_events


def test_neither_subscribers_nor_filters_see_what_is_concealed() -> None:
    hub = NotificationHub(without_password)
    received: list[bytes] = []
    guesses: list[bytes] = []
    hub.subscribe(received.append)
    hub.subscribe(guesses.append, lambda event: event.findtext(f"{ALARMS}password") == "hunter2")
    hub.publish(NOON, alarm())
    assert len(received) == 1
    assert b"hunter2" not in received[0]
    assert not guesses


def test_a_cancelled_subscription_receives_nothing_more() -> None:
    hub = NotificationHub()
    received: list[bytes] = []
    subscription = hub.subscribe(received.append)
    assert hub.has_subscribers
    subscription.cancel()
    subscription.cancel()
    hub.publish(NOON, alarm())
    assert not received
    assert not hub.has_subscribers


def test_a_subscriber_that_leaves_while_an_event_is_sent_harms_no_other() -> None:
    hub = NotificationHub()
    received: list[bytes] = []
    leaving = hub.subscribe(lambda message: leaving.cancel())
    hub.subscribe(received.append)
    hub.publish(NOON, alarm())
    hub.publish(NOON, alarm())
    assert len(received) == 2


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-01-02T12:00:00Z"),
        (NOON + timedelta(microseconds=1500), "2026-01-02T12:00:00.001500Z"),
        (datetime(2026, 1, 2, 14, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T12:00:00Z"),
    ],
)
def test_times_are_written_in_utc(moment: datetime, text: str) -> None:
    assert date_and_time(moment) == text
