"""Subscriptions to event streams: filters, replay, stop times (RFC 8639 sections 2.2, 2.4.2 and 2.4.2.1)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.netconf.subscriptions import Subscription
from tests.netconf.subscriptions.requests import SHOP, shop, stream
from tests.netconf.subscriptions.stage import Stage, events, names


def texts(subscription: Subscription) -> list[str]:
    """Return the reasons of the events that are sent now, or the names of other notifications."""
    return [event.findtext(shop("reason")) or etree.QName(event).localname for event in events(subscription)]


def replay(start: str, more: str = "") -> str:
    return stream(f"<replay-start-time>2026-01-02T03:{start}Z</replay-start-time>{more}")


def stop(time: str) -> str:
    return f"<stop-time>2026-01-02T03:{time}Z</stop-time>"


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """A stage with an event a second: at 1, 2, 3 and 4."""
    for second in (1, 2, 3, 4):
        stage.elapsed = second
        stage.publish(str(second))
    return stage


def test_events_come_from_the_start_of_the_subscription_on(busy: Stage) -> None:
    subscription = busy.establish(stream())
    busy.publish("a")
    busy.publish("b")
    assert texts(subscription) == ["a", "b"]
    assert (subscription.sent, subscription.excluded) == (2, 0)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (f'<stream-subtree-filter><closing xmlns="{SHOP}"><reason>b</reason></closing></stream-subtree-filter>', ["b"]),
        (f'<stream-subtree-filter><other xmlns="{SHOP}"/></stream-subtree-filter>', []),
        (f'<stream-xpath-filter xmlns:s="{SHOP}">/s:closing[s:reason="b"]</stream-xpath-filter>', ["b"]),
        # RFC 8639 section 4: the names of modules are prefixes, and the result is converted to a boolean.
        ('<stream-xpath-filter>/example-shop:closing/example-shop:reason = "b"</stream-xpath-filter>', ["b"]),
        ("<stream-xpath-filter>count(//example-shop:reason)</stream-xpath-filter>", ["a", "b"]),
        ("<stream-xpath-filter>string(//example-shop:in)</stream-xpath-filter>", []),
    ],
)
def test_a_filter_is_a_test_of_each_event(stage: Stage, parameters: str, expected: list[str]) -> None:
    subscription = stage.establish(stream(parameters))
    for text in ("a", "b"):
        stage.publish(text)
    assert texts(subscription) == expected
    assert (subscription.sent, subscription.excluded) == (len(expected), 2 - len(expected))


def test_another_filter_serves_from_its_modification_on(stage: Stage) -> None:
    subscription = stage.establish(stream())
    stage.publish("a")
    stage.modify(subscription, "<stream-xpath-filter>//example-shop:reason = 'b'</stream-xpath-filter>")
    stage.publish("a")
    stage.publish("b")
    assert texts(subscription) == ["a", "b"]


def test_replay_comes_first_and_what_has_happened_meanwhile_after_it(busy: Stage) -> None:
    subscription = busy.establish(replay("04:07"))
    first = subscription.take()
    assert first is not None
    busy.publish("5")
    assert texts(subscription) == ["2", "3", "4", "replay-completed", "5"]
    busy.publish("6")
    assert texts(subscription) == ["6"]
    assert subscription.sent == 5


def test_nothing_to_replay_is_completed_at_once(busy: Stage) -> None:
    busy.elapsed = 10
    assert texts(busy.establish(replay("04:12"))) == ["replay-completed"]


def test_a_replay_can_stop_in_the_past(busy: Stage) -> None:
    subscription = busy.establish(replay("04:07", stop("04:08")))
    assert texts(subscription) == ["2", "3", "replay-completed"]
    busy.advance()
    assert subscription.is_over


def test_a_replay_can_go_on_to_its_stop_time(busy: Stage) -> None:
    subscription = busy.establish(replay("04:08", stop("04:11")))
    assert texts(subscription) == ["3", "4", "replay-completed"]
    busy.advance(1)
    busy.publish("5")
    busy.advance(2)
    busy.publish("7")
    assert texts(subscription) == ["5"]
    assert subscription.is_over
    assert list(busy.publisher) == []


def test_a_live_subscription_stops_in_silence(stage: Stage) -> None:
    subscription = stage.establish(stream(stop("04:08")))
    stage.publish("a")
    stage.advance(5)
    stage.publish("b")
    # RFC 8639 2.7.6 tells of completion to receivers of configured subscriptions only.
    assert texts(subscription) == ["a"]
    assert subscription.is_over


def test_events_that_a_filter_stops_are_not_replayed(busy: Stage) -> None:
    subscription = busy.establish(
        replay("04:00", "<stream-xpath-filter>//example-shop:reason &gt; 2</stream-xpath-filter>")
    )
    assert texts(subscription) == ["3", "4", "replay-completed"]
    assert subscription.excluded == 2


def test_a_log_that_cannot_be_read_ends_the_subscription(busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from rkmp.errors import StorageError

    subscription = busy.establish(replay("04:00"))

    def fail(*_: object, **__: object) -> None:
        raise StorageError("the disk refused")

    monkeypatch.setattr(busy.log, "page", fail)
    (event,) = events(subscription)
    assert etree.QName(event).localname == "subscription-terminated"
    assert event[1].text == "stream-unavailable"
    assert subscription.is_over


def test_a_long_log_is_read_while_its_reader_takes_it(stage: Stage) -> None:
    for number in range(500):
        stage.publish(str(number))
    stage.elapsed = 1
    subscription = stage.establish(replay("04:00"))
    taken = 0
    while (message := subscription.take()) is not None:
        taken += bool(message)
        assert len(subscription._queue) == 0, "what is in the log does not wait in memory"
    assert taken == 501
    assert names(subscription) == []
