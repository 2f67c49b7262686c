"""Configured filters are used by name, and whoever uses one is told when it changes (RFC 8639 2.7.2, RFC 8641 3.6)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.subscriptions import SubscriptionLimits
from tests.netconf.subscriptions.requests import SHOP, SN, YP, on_change, periodic, push, shop, sn, stream, yp
from tests.netconf.subscriptions.stage import Stage, events, names

WANTED = (
    '<stream-subtree-filter><closing xmlns="urn:example:shop"><reason>{}</reason></closing></stream-subtree-filter>'
)
BY_NAME = "<stream-filter-name>f</stream-filter-name>"
BY_REFERENCE = "<yp:selection-filter-ref>f</yp:selection-filter-ref>"


def configure(stage: Stage, content: str) -> None:
    """Have one filter of each kind, or none; ``content`` is inside of one of them."""
    stage.edit(f'<filters xmlns="{SN}" xmlns:yp="{YP}">{content}</filters>', "merge")


def stream_filter(content: str) -> str:
    return f"<stream-filter><name>f</name>{content}</stream-filter>"


def selection_filter(content: str) -> str:
    return f"<yp:selection-filter><yp:filter-id>f</yp:filter-id>{content}</yp:selection-filter>"


def test_events_pass_a_configured_filter(stage: Stage) -> None:
    configure(stage, stream_filter(WANTED.format("b")))
    subscription = stage.establish(stream(BY_NAME))
    for text in ("a", "b"):
        stage.publish(text)
    assert [event.findtext(shop("reason")) for event in events(subscription)] == ["b"]


def test_a_filter_that_changes_is_told_with_its_content(stage: Stage) -> None:
    configure(stage, stream_filter(WANTED.format("b")))
    subscription = stage.establish(stream(BY_NAME))
    stage.publish("b")
    configure(stage, stream_filter("<stream-xpath-filter>//example-shop:reason = 'a'</stream-xpath-filter>"))
    for text in ("a", "b"):
        stage.publish(text)
    before, modified, after = events(subscription)
    assert before.findtext(shop("reason")) == "b"
    assert modified.tag == sn("subscription-modified")
    assert [(child.tag, child.text) for child in modified] == [
        (sn("id"), str(subscription.number)),
        (sn("stream-xpath-filter"), '/descendant-or-self::node()/shop:reason = "a"'),
        (sn("stream"), "NETCONF"),
        (sn("encoding"), "sn:encode-xml"),
    ]
    assert after.findtext(shop("reason")) == "a"


@pytest.mark.parametrize(
    "content",
    [
        f'<yp:datastore-subtree-filter><shop xmlns="{SHOP}"><queue/></shop></yp:datastore-subtree-filter>',
        "<yp:datastore-xpath-filter>/example-shop:shop/example-shop:queue</yp:datastore-xpath-filter>",
    ],
)
def test_data_is_selected_by_a_configured_filter(stage: Stage, content: str) -> None:
    configure(stage, selection_filter(content))
    stage.edit_shop("<name>x</name><queue>ann</queue>")
    subscription = stage.establish(push(periodic(100), BY_REFERENCE))
    (event,) = events(subscription)
    assert [etree.QName(child).localname for child in event.findall("*/*/*")] == ["queue"]


def test_a_selection_that_changes_is_told_and_so_is_what_it_selects_now(stage: Stage) -> None:
    xpath = "<yp:datastore-xpath-filter>/example-shop:shop/example-shop:{}</yp:datastore-xpath-filter>"
    configure(stage, selection_filter(xpath.format("queue")))
    stage.edit_shop("<name>x</name><queue>ann</queue>")
    subscription = stage.establish(push(on_change(sync=False), BY_REFERENCE))
    configure(stage, selection_filter(xpath.format("name")))
    stage.advance()
    modified, change = events(subscription)
    assert modified.findtext(yp("datastore-xpath-filter")) == "/shop:shop/shop:name"
    assert modified.findtext(f"{yp('on-change')}/{yp('sync-on-start')}") == "false"
    assert [(edit[1].text, edit[2].text) for edit in change.iter(yp("edit"))] == [
        ("delete", "/example-shop:shop/queue=ann"),
        ("create", "/example-shop:shop/name"),
    ]


def test_a_filter_that_changes_while_its_reader_is_slow_is_told_in_place_of_the_resumption(
    shop_schema: Schema,
) -> None:
    stage = Stage(shop_schema, SubscriptionLimits(queued_records=1))
    configure(stage, stream_filter(WANTED.format("b")))
    subscription = stage.establish(stream(BY_NAME))
    for _ in range(2):
        stage.publish("b")
    configure(stage, stream_filter(WANTED.format("c")))
    assert names(subscription) == ["closing", "subscription-suspended"]
    stage.advance(1)
    # RFC 8639 2.7.2.
    (event,) = events(subscription)
    assert event.tag == sn("subscription-modified")
    stage.publish("c")
    assert names(subscription) == ["closing"]


def test_other_filters_and_other_terms_change_nothing(stage: Stage) -> None:
    configure(stage, stream_filter(WANTED.format("b")))
    stage.establish(stream(BY_NAME))
    own = stage.establish(stream(WANTED.format("b")))
    configure(stage, "<stream-filter><name>g</name></stream-filter>")
    configure(stage, stream_filter(WANTED.format("c")))
    assert events(own) == []
    by_name = next(each for each in stage.publisher if each is not own)
    assert names(by_name) == ["subscription-modified"]


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        (stream(BY_NAME), stream_filter(WANTED.format("b"))),
        (
            push(on_change(sync=False), BY_REFERENCE),
            selection_filter("<yp:datastore-xpath-filter>/example-shop:shop</yp:datastore-xpath-filter>"),
        ),
    ],
)
def test_a_filter_that_is_gone_ends_what_refers_to_it(stage: Stage, operation: str, content: str) -> None:
    configure(stage, content)
    subscription = stage.establish(operation)
    stage.edit("", "replace")
    (event,) = events(subscription)
    assert event.tag == sn("subscription-terminated")
    assert event.findtext(sn("reason")) == "filter-unavailable"
    assert subscription.is_over
    assert list(stage.publisher) == []
