"""A subscriber is sent what it may read at the time of each record, and nothing else (RFC 8641 3.9, RFC 8341 3.4.6)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.errors import RpcError
from rkmp.netconf.subscriptions.refusals import Refusal
from tests.netconf.subscriptions.receiver import Receiver
from tests.netconf.subscriptions.requests import (
    SHOP,
    SN,
    YP,
    on_change,
    periodic,
    push,
    shop,
    sn,
    stream,
    subtree,
    xpath,
    yp,
)
from tests.netconf.subscriptions.stage import Stage, events

ALL = subtree(f'<shop xmlns="{SHOP}"/>')
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"


@pytest.fixture
def stage(shop_schema: Schema) -> Stage:
    """A stage on which bob may not read the queue."""
    stage = Stage(shop_schema)
    stage.edit(
        f'<nacm xmlns="{NACM}"><groups><group><name>g</name><user-name>bob</user-name></group></groups>'
        "<rule-list><name>l</name><group>g</group></rule-list></nacm>"
    )
    stage.edit_shop("<name>corner</name><queue>ann</queue>")
    deny(stage, "queue", "/s:shop/s:queue")
    return stage


def deny(stage: Stage, name: str, path: str) -> None:
    stage.edit(rule(name, f'<path xmlns:s="{SHOP}">{path}</path><access-operations>read</access-operations>'))


def allow(stage: Stage, name: str) -> None:
    stage.edit(rule(name, "", 'nc:operation="delete"'))


def rule(name: str, content: str, operation: str = "") -> str:
    action = "" if operation else "<action>deny</action>"
    return (
        f'<nacm xmlns="{NACM}"><rule-list><name>l</name>'
        f"<rule {operation}><name>{name}</name>{content}{action}</rule></rule-list></nacm>"
    )


def texts(event: etree._Element) -> str:
    return etree.tostring(event).decode()


def test_updates_hold_what_may_be_read_alone(stage: Stage) -> None:
    subscriptions = [stage.establish(push(trigger, ALL), user="bob") for trigger in (periodic(100), on_change())]
    stage.edit_shop("<queue>bea</queue>")
    stage.advance(1)
    stage.edit_shop("<name>market</name><queue>cid</queue>")
    stage.advance(1)
    for subscription in subscriptions:
        told = events(subscription)
        assert len(told) >= 2
        assert "market" in texts(told[-1])
        assert not any(name in texts(event) for event in told for name in ("ann", "bea", "cid", "queue"))


def test_changes_of_what_may_not_be_read_lead_to_no_record(stage: Stage) -> None:
    subscription = stage.establish(push(on_change(sync=False), ALL), user="bob")
    stage.edit_shop("<queue>bea</queue>")
    stage.advance()
    assert events(subscription) == []


def test_what_is_hidden_from_now_on_is_deleted_and_what_is_shown_is_created(stage: Stage) -> None:
    subscription = stage.establish(push(on_change(), ALL), user="bob")
    receiver = Receiver(stage.schema)
    deny(stage, "name", "/s:shop/s:name")
    stage.advance()
    told = events(subscription)
    assert [(edit[1].text, edit[2].text) for edit in told[-1].iter(yp("edit"))] == [
        ("delete", "/example-shop:shop/name")
    ]
    allow(stage, "queue")
    stage.advance()
    told += events(subscription)
    for event in told:
        receiver.receive(event)
    assert [element.text for element in receiver.tree.iter(shop("queue"))] == ["ann"]
    assert receiver.tree.find(f"{shop('shop')}/{shop('name')}") is None


@pytest.mark.parametrize(
    "selection",
    [
        subtree(f'<shop xmlns="{SHOP}"><name/><queue>ann</queue></shop>'),
        xpath("/s:shop[s:queue = 'ann']/s:name"),
        xpath("/s:shop[count(s:queue) = 1]"),
    ],
)
def test_a_filter_tells_nothing_of_what_is_hidden(stage: Stage, selection: str) -> None:
    alice = stage.establish(push(periodic(100), selection))
    bob = stage.establish(push(periodic(100), selection), user="bob")
    assert events(alice)[0].find(f".//{shop('name')}") is not None
    assert "corner" not in texts(events(bob)[0])


def test_a_selection_of_what_is_hidden_is_refused_as_of_what_is_not_there(stage: Stage) -> None:
    deny(stage, "shop", "/s:shop")
    with pytest.raises(Refusal) as refusal:
        stage.establish(push(periodic(100), ALL), user="bob")
    assert refusal.value.identity == "unchanging-selection"


def test_events_that_may_not_be_read_are_left_out_and_counted(stage: Stage) -> None:
    subscription = stage.establish(stream(), user="bob")
    stage.publish("a")
    notification = "<module-name>example-shop</module-name><notification-name>closing</notification-name>"
    stage.edit(rule("closing", notification))
    stage.publish("b")
    assert [event.findtext(shop("reason")) for event in events(subscription)] == ["a"]
    assert (subscription.sent, subscription.excluded) == (1, 1)


def test_replay_goes_by_the_rules_of_now(stage: Stage) -> None:
    stage.publish("a")
    notification = "<module-name>example-shop</module-name><notification-name>closing</notification-name>"
    stage.edit(rule("closing", notification))
    stage.elapsed = 1
    start = "<replay-start-time>2026-01-01T00:00:00Z</replay-start-time>"
    (event,) = events(stage.establish(stream(start), user="bob"))
    assert event.tag == sn("replay-completed")


def test_a_configured_filter_that_may_not_be_read_is_not_there(stage: Stage) -> None:
    stage.edit(
        f'<filters xmlns="{SN}"><selection-filter xmlns="{YP}"><filter-id>f</filter-id>'
        "<datastore-xpath-filter>/example-shop:shop</datastore-xpath-filter></selection-filter></filters>"
    )
    operation = push(on_change(sync=False), "<yp:selection-filter-ref>f</yp:selection-filter-ref>")
    subscription = stage.establish(operation, user="bob")
    module = "<module-name>ietf-subscribed-notifications</module-name><access-operations>read</access-operations>"
    stage.edit(rule("filters", module))
    (event,) = events(subscription)
    assert event.findtext(sn("reason")) == "filter-unavailable"
    with pytest.raises(RpcError, match="there is no filter f"):
        stage.establish(operation, user="bob")
