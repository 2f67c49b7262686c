"""An event is wrapped once, filtered for each subscriber, and never shows what is secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from rkmp.datastore.redaction import Redactor
from rkmp.datastore.schema import Schema
from rkmp.netconf.documents import parse_document
from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.notifications import NotificationHub, date_and_time

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
NET = "{urn:example:network}"


@pytest.fixture
def hub(schema: Schema) -> NotificationHub:
    return NotificationHub(schema, Redactor(schema))


def alarm(text: str = "link down") -> etree._Element:
    return etree.fromstring(f'<alarm xmlns="urn:example:network"><text>{text}</text><secret>hunter2</secret></alarm>')


def lost() -> etree._Element:
    """A notification inside data: the element is the top-level node of its path (RFC 7950 7.16.2)."""
    return etree.fromstring(
        '<network xmlns="urn:example:network"><peer><name>a</name><password>hunter2</password>'
        "<lost><reason>silence</reason></lost></peer></network>"
    )


def test_a_subscriber_gets_the_event_with_its_time(hub: NotificationHub) -> None:
    received: list[bytes] = []
    hub.subscribe(received.append)
    hub.publish(NOON, alarm())
    (message,) = received
    root = parse_document(message)
    assert root.tag == f"{{{NOTIFICATION}}}notification"
    assert [element.tag for element in root] == [f"{{{NOTIFICATION}}}eventTime", f"{NET}alarm"]
    assert root[0].text == "2026-01-02T12:00:00Z"
    assert root[1].findtext(f"{NET}text") == "link down"


def test_a_notification_inside_data_comes_with_its_path(hub: NotificationHub) -> None:
    received: list[bytes] = []
    hub.subscribe(received.append)
    hub.publish(NOON, lost())
    root = parse_document(received[0])
    assert root[1].findtext(f"{NET}peer/{NET}lost/{NET}reason") == "silence"
    assert root[1].findtext(f"{NET}peer/{NET}name") == "a"
    assert b"hunter2" not in received[0]


def test_the_event_that_was_published_stays_the_publishers_own(hub: NotificationHub) -> None:
    holder = etree.fromstring("<holder/>")
    event = alarm()
    event.tail = "\n"
    holder.append(event)
    hub.subscribe(lambda message: None)
    before = etree.tostring(holder)
    hub.publish(NOON, event)
    assert etree.tostring(holder) == before


def test_every_subscriber_has_its_own_filter(hub: NotificationHub) -> None:
    all_events: list[bytes] = []
    link_events: list[bytes] = []
    hub.subscribe(all_events.append)
    hub.subscribe(link_events.append, lambda event: "link" in (event.findtext(f"{NET}text") or ""))
    for text in ("link down", "fan broken", "link up"):
        hub.publish(NOON, alarm(text))
    assert len(all_events) == 3
    assert [message for message in all_events if b"link" in message] == link_events


def test_neither_subscribers_nor_filters_see_secrets(hub: NotificationHub) -> None:
    received: list[bytes] = []
    guesses: list[bytes] = []
    hub.subscribe(received.append)
    hub.subscribe(guesses.append, lambda event: event.findtext(f"{NET}secret") == "hunter2")
    hub.publish(NOON, alarm())
    assert len(received) == 1
    assert b"hunter2" not in received[0]
    assert not guesses


def test_an_event_of_which_everything_is_secret_is_not_sent(hub: NotificationHub) -> None:
    received: list[bytes] = []
    hub.subscribe(received.append)
    hub.publish(NOON, etree.fromstring('<vault xmlns="urn:example:network"><combination>1</combination></vault>'))
    assert not received


def test_what_no_module_defines_cannot_be_published(hub: NotificationHub) -> None:
    hub.subscribe(lambda message: None)
    with pytest.raises(ValueError, match="no module defines"):
        hub.publish(NOON, etree.fromstring('<alarm xmlns="urn:example:other"/>'))


def test_a_cancelled_subscription_receives_nothing_more(hub: NotificationHub) -> None:
    received: list[bytes] = []
    subscription = hub.subscribe(received.append)
    assert hub.has_subscribers
    subscription.cancel()
    subscription.cancel()
    hub.publish(NOON, alarm())
    assert not received
    assert not hub.has_subscribers


def test_a_subscriber_that_leaves_while_an_event_is_sent_harms_no_other(hub: NotificationHub) -> None:
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
