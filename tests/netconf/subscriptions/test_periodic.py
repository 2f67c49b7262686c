"""Periodic subscriptions: an update at each multiple of the period from the anchor (RFC 8641 section 4.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lxml import etree

from rkmp.netconf.documents import parse_document
from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.subscriptions import Subscription, SubscriptionLimits
from rkmp.netconf.subscriptions.terms import DatastoreTerms, Periodic
from tests.netconf.subscriptions.requests import SHOP, periodic, push, shop, subtree, xpath, yp
from tests.netconf.subscriptions.stage import START, Stage, events, names

ALL = subtree(f'<shop xmlns="{SHOP}"/>')


def times(subscription: Subscription) -> list[float]:
    """Return when the updates that are sent now were made, in seconds from the start."""
    found = []
    while (message := subscription.take()) is not None:
        notification = parse_document(message)
        assert notification[1].tag == yp("push-update")
        text = notification.findtext(f"{{{NOTIFICATION}}}eventTime", "")
        at = START.fromisoformat(text)
        found.append((at - START).total_seconds())
    return found


def trigger(subscription: Subscription) -> Periodic:
    terms = subscription.terms
    assert isinstance(terms, DatastoreTerms)
    assert isinstance(terms.trigger, Periodic)
    return terms.trigger


def test_the_first_update_comes_at_once_and_is_the_anchor(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(150), ALL))
    assert trigger(subscription).anchor == START
    stage.advance(4.6)
    assert times(subscription) == [0, 1.5, 3, 4.5]


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("2026-01-02T03:00:00Z", [5, 15, 25]),
        ("2026-01-02T03:04:07.25Z", [2.25, 12.25, 22.25]),
        ("2036-01-02T03:04:08+00:00", [3, 13, 23]),
        ("2026-01-02T03:04:05Z", [10, 20]),
    ],
)
def test_an_anchor_fixes_the_moments_before_and_after_it(stage: Stage, anchor: str, expected: list[float]) -> None:
    subscription = stage.establish(push(periodic(1000, anchor), ALL))
    assert events(subscription) == []
    stage.advance(26)
    assert times(subscription) == expected


def test_updates_that_were_missed_are_not_made_up_for(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), ALL))
    stage.elapsed += 10.5
    stage.advance(1)
    assert times(subscription) == [0, 10.5, 11]


def test_a_clock_that_is_set_moves_the_moments_with_it(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), ALL))
    stage.advance(0.5)
    stage.shift = timedelta(hours=-1)
    stage.publisher.handle_time()
    stage.advance(0)
    assert times(subscription) == [0]
    # The alarm looks at the clock again from time to time.
    for each in stage.publisher:
        each.handle_time()
    stage.advance(1)
    assert times(subscription) == [-3599]


def test_an_update_holds_what_is_selected_at_its_time_and_is_sent_when_that_is_nothing(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), xpath("/s:shop/s:queue")))
    stage.edit_shop("<name>x</name><queue>ann</queue>")
    stage.advance(1)
    empty, full = events(subscription)
    # RFC 8641 3.9: so that no client thinks that an update was lost.
    assert [child.tag for child in empty] == [yp("id"), yp("datastore-contents")]
    assert len(empty[1]) == 0
    (found,) = full[1]
    assert [etree.QName(child).localname for child in found] == ["queue"]
    # What is not on-change capable is part of it.
    stage.footfall = {"ever": 5}
    everything = stage.establish(push(periodic(100), ALL))
    (event,) = events(everything)
    assert event.findtext(f"*/*/*/{shop('ever')}") == "5"


def test_a_new_period_counts_from_the_same_anchor(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(300), ALL))
    stage.advance(1)
    stage.modify(subscription, periodic(200))
    stage.advance(4)
    assert times(subscription) == [0, 2, 4]
    stage.modify(subscription, xpath("/s:shop/s:name"))
    assert trigger(subscription) == Periodic(200, START)


def test_updates_end_at_the_stop_time(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), ALL, parameters="<stop-time>2026-01-02T03:04:07.5Z</stop-time>"))
    stage.advance(10)
    assert times(subscription) == [0, 1, 2]
    assert subscription.is_over
    assert list(stage.publisher) == []


def test_a_subscription_can_go_over_to_changes(stage: Stage) -> None:
    subscription = stage.establish(push(periodic(100), ALL))
    stage.advance(0.5)
    stage.modify(subscription, "<yp:on-change/>")
    stage.advance(5)
    assert names(subscription) == ["push-update", "push-update"]
    stage.edit_shop("<name>x</name>")
    stage.advance()
    assert names(subscription) == ["push-change-update"]


def test_many_that_are_due_at_a_time_are_served_one_by_one(stage: Stage) -> None:
    stage = Stage(stage.schema, SubscriptionLimits())
    subscriptions = [stage.establish(push(periodic(100), ALL), session=each) for each in range(3)]
    for subscription in subscriptions:
        events(subscription)
    stage.elapsed += 1
    for served in range(1, 4):
        stage.publisher.handle_time()
        assert sum(each.sent == 2 for each in subscriptions) == served
