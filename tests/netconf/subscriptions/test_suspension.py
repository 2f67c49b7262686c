"""A slow subscriber is suspended, and resumed or terminated; nothing grows without bound (RFC 8639 2.4.1, 2.7.4)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.subscriptions import Subscription, SubscriptionLimits
from tests.netconf.subscriptions.receiver import Receiver, content_of
from tests.netconf.subscriptions.requests import SHOP, on_change, periodic, push, shop, sn, stream, subtree
from tests.netconf.subscriptions.stage import Stage, events, names

ALL = subtree(f'<shop xmlns="{SHOP}"/>')
LIMITS = SubscriptionLimits(queued_records=3, queued_octets=100_000, suspension_seconds=60)


@pytest.fixture
def stage(shop_schema: Schema) -> Stage:
    return Stage(shop_schema, LIMITS)


def summary(subscription: Subscription) -> list[str]:
    """Return what is sent now in short: reasons of events and of suspension, else names."""
    return [
        event.findtext(shop("reason")) or event.findtext(sn("reason")) or etree.QName(event).localname
        for event in events(subscription)
    ]


def test_a_stream_that_is_not_read_is_suspended_and_resumes_once_it_is(stage: Stage) -> None:
    subscription = stage.establish(stream())
    for text in "abcde":
        stage.publish(text)
    assert subscription.is_suspended
    # In its place among the records, and no record after it.
    assert summary(subscription) == ["a", "b", "c", "unsupportable-volume"]
    stage.publish("lost")
    # Not at once, so that a reader who is a little too slow is not told of it all the time.
    stage.advance(0.9)
    assert summary(subscription) == []
    stage.advance(0.1)
    assert summary(subscription) == ["subscription-resumed"]
    stage.publish("f")
    assert summary(subscription) == ["f"]
    assert subscription.sent == 4


def test_what_waits_is_bounded_however_much_happens(stage: Stage) -> None:
    subscription = stage.establish(stream())
    for _ in range(1000):
        stage.publish("x" * 1000)
    assert len(events(subscription)) == 4
    stage.advance(1)
    large = stage.establish(stream(), session=2)
    for _ in range(3):
        stage.publish("x" * 40_000)
    # By octets as well.
    assert summary(large)[-1] == "unsupportable-volume"


def test_a_suspension_that_lasts_ends_the_subscription(stage: Stage) -> None:
    subscription = stage.establish(stream())
    for text in "abcd":
        stage.publish(text)
    stage.advance(59)
    assert [each.number for each in stage.publisher] == [subscription.number]
    stage.advance(1)
    assert list(stage.publisher) == []
    stage.publish("e")
    assert summary(subscription) == ["a", "b", "c", "unsupportable-volume", "suspension-timeout"]
    assert subscription.is_over


def test_changes_while_suspended_come_in_one_complete_patch(stage: Stage, shop_schema: Schema) -> None:
    subscription = stage.establish(push(on_change(), ALL))
    for number in range(6):
        stage.edit_shop(f"<name>{number}</name><queue>{number}</queue>")
        stage.advance()
    receiver = Receiver(shop_schema)
    told = events(subscription)
    assert etree.QName(told[-1]).localname == "subscription-suspended"
    stage.edit_shop("<till/>")
    stage.advance(1)
    told += events(subscription)
    for event in told:
        receiver.receive(event)
    assert content_of(shop_schema, receiver.tree) == stage.content()
    # Nothing of it is missing, and no patch is either.
    assert receiver.patches == [0, 1, 2]


def test_periodic_updates_go_on_at_the_next_period(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), ALL))
    stage.advance(5)
    assert summary(subscription) == ["push-update"] * 3 + ["unsupportable-volume"]
    stage.advance(1)
    assert summary(subscription) == ["subscription-resumed", "push-update"]


def test_a_modification_makes_a_suspended_subscription_active(stage: Stage) -> None:
    subscription = stage.establish(stream())
    for text in "abcd":
        stage.publish(text)
    names(subscription)
    stage.modify(subscription, "<stream-xpath-filter>//example-shop:reason = 'e'</stream-xpath-filter>")
    assert not subscription.is_suspended
    stage.publish("e")
    stage.advance()
    # RFC 8639 2.7.5: resumed is told only under terms that are not modified.
    assert summary(subscription) == ["e"]


def test_an_update_that_is_too_big_suspends_until_it_is_not(shop_schema: Schema) -> None:
    stage = Stage(shop_schema, SubscriptionLimits(record_octets=2000, suspension_seconds=60))
    periodically = stage.establish(push(periodic(100), ALL))
    changes = stage.establish(push(on_change(), ALL))
    names(periodically), names(changes)
    stage.edit_shop("".join(f"<queue>{'x' * 100}{number}</queue>" for number in range(30)))
    stage.advance(1)
    assert summary(periodically) == ["yp:update-too-big"]
    assert summary(changes) == ["yp:update-too-big"]
    stage.advance(10)
    assert summary(periodically) == []
    stage.edit(f'<shop xmlns="{SHOP}"><name>small</name></shop>', "replace")
    stage.advance(1)
    assert summary(periodically) == ["subscription-resumed", "push-update"]
    # RFC 8641 3.11.1: a patch of everything that has come and gone is still too big, the full contents are not.
    assert summary(changes) == ["subscription-resumed", "push-update"]


def test_slow_readers_together_have_a_bound_as_well(shop_schema: Schema) -> None:
    stage = Stage(shop_schema, SubscriptionLimits(all_queued_octets=10_000))
    slow, quick = stage.establish(stream()), stage.establish(stream(), session=2)
    for _ in range(3):
        stage.publish("x" * 2000)
        assert summary(quick) == ["x" * 2000]
    # There is no room for both, and none is made for one at the cost of the other.
    stage.publish("x" * 4000)
    assert summary(quick) == ["insufficient-resources"]
    assert summary(slow) == ["x" * 2000] * 3 + ["insufficient-resources"]
    assert stage.backlog.octets == 0
    stage.advance(1)
    assert summary(slow) == summary(quick) == ["subscription-resumed"]
    stage.publish("y")
    assert summary(slow) == summary(quick) == ["y"]


@pytest.mark.parametrize("end", ["discard", "terminate"])
def test_what_nobody_takes_any_more_counts_no_longer(stage: Stage, end: str) -> None:
    subscription = stage.establish(stream())
    for text in "abcde":
        stage.publish(text)
    if end == "terminate":
        subscription.terminate("no-such-subscription")
    assert stage.backlog.octets > 0
    subscription.discard()
    assert stage.backlog.octets == 0
    assert subscription.is_over


def test_one_large_update_always_has_room_in_an_empty_queue(shop_schema: Schema) -> None:
    stage = Stage(shop_schema, SubscriptionLimits(queued_octets=10))
    assert names(stage.establish(push(periodic(100), ALL))) == ["push-update"]


def test_a_fault_costs_one_subscription(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = stage.establish(push(periodic(100), ALL))
    whole = stage.establish(push(periodic(100), ALL), session=2)
    names(broken), names(whole)
    monkeypatch.setattr(broken, "_updates", None)
    monkeypatch.setattr(broken, "delay", lambda: 0.0)
    stage.publisher.handle_time()
    assert summary(broken) == ["yp:datastore-not-subscribable"]
    stage.advance(1)
    assert summary(whole) == ["push-update"]
