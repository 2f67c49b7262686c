"""On-change subscriptions tell of every change, once, after their dampening period (RFC 8641 sections 3.1 and 3.3)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.subscriptions import Subscription, SubscriptionLimits
from rkmp.netconf.subscriptions.places import conditions_stay_inside
from tests.netconf.subscriptions.receiver import Receiver, content_of
from tests.netconf.subscriptions.requests import SHOP, on_change, push, shop, subtree, xpath, yp
from tests.netconf.subscriptions.stage import Stage, events, names

ALL = subtree(f'<shop xmlns="{SHOP}"/>')


def edits(subscription: Subscription) -> list[tuple[str, str]]:
    """Return operation and target of every edit that is sent now."""
    found = []
    for event in events(subscription):
        assert event.tag == yp("push-change-update"), etree.tostring(event).decode()
        for edit in event.iter(yp("edit")):
            found.append((edit.findtext(yp("operation"), ""), edit.findtext(yp("target"), "")))
    return found


def test_a_subscription_starts_with_everything_that_is_selected(stage: Stage, shop_schema: Schema) -> None:
    stage.edit_shop("<name>corner</name><safe>12-34-56</safe>")
    stage.footfall = {"now": 3, "ever": 90}
    subscription = stage.establish(push(on_change(), ALL))
    (event,) = events(subscription)
    receiver = Receiver(shop_schema)
    receiver.receive(event)
    assert event.tag == yp("push-update")
    assert event.findtext(yp("id")) == str(subscription.number)
    assert content_of(shop_schema, receiver.tree) == stage.content()
    # Neither a secret nor what changes all the time; the default that is in use is there.
    sent = etree.tostring(event).decode()
    assert "12-34" not in sent
    assert "ever" not in sent
    assert receiver.tree.findtext(f"{shop('shop')}/{shop('open')}") == "true"


def test_without_sync_on_start_only_changes_are_sent(stage: Stage) -> None:
    stage.edit_shop("<name>corner</name>")
    subscription = stage.establish(push(on_change(sync=False), ALL))
    assert events(subscription) == []
    stage.edit_shop("<name>market</name>")
    stage.advance()
    assert edits(subscription) == [("replace", "/example-shop:shop/name")]


def test_each_kind_of_change_has_its_operation(stage: Stage) -> None:
    stage.edit_shop(
        "<name>corner</name><till/><queue>ann</queue><queue>bob</queue>"
        "<shelf><aisle>1</aisle><kind>shop:fruit</kind><item><name>pear</name></item></shelf>"
    )
    subscription = stage.establish(push(on_change(sync=False), ALL))
    stage.edit(
        f'<shop xmlns="{SHOP}" xmlns:shop="{SHOP}" xmlns:yang="urn:ietf:params:xml:ns:yang:1">'
        '<name>market</name><till nc:operation="remove"/><queue yang:insert="first">bob</queue><queue>cid</queue>'
        '<shelf><aisle>1</aisle><kind>shop:fruit</kind><item yang:insert="first"><name>fig</name></item>'
        "<label>ripe</label></shelf>"
        "<shelf><aisle>2/3,4</aisle><kind>shop:bread</kind></shelf></shop>"
    )
    stage.advance()
    assert set(edits(subscription)) == {
        ("replace", "/example-shop:shop/name"),
        ("delete", "/example-shop:shop/till"),
        ("move", "/example-shop:shop/queue=bob"),
        ("insert", "/example-shop:shop/queue=cid"),
        # RFC 8040 3.5.3: an identity with the name of its module, what is reserved percent-encoded.
        ("insert", "/example-shop:shop/shelf=1,example-shop%3Afruit/item=fig"),
        ("create", "/example-shop:shop/shelf=1,example-shop%3Afruit/label=ripe"),
        ("create", "/example-shop:shop/shelf=2%2F3%2C4,example-shop%3Abread"),
    }


def test_an_inserted_entry_says_where(stage: Stage) -> None:
    stage.edit_shop("<queue>ann</queue><queue>bob</queue>")
    subscription = stage.establish(push(on_change(sync=False), ALL))
    stage.edit(
        f'<shop xmlns="{SHOP}" xmlns:yang="urn:ietf:params:xml:ns:yang:1">'
        '<queue yang:insert="after" yang:value="ann">cid</queue></shop>'
    )
    stage.advance()
    (event,) = events(subscription)
    (edit,) = event.iter(yp("edit"))
    assert edit.findtext(yp("where")) == "after"
    assert edit.findtext(yp("point")) == "/example-shop:shop/queue=ann"
    assert edit.findtext(f"{yp('value')}/{shop('queue')}") == "cid"


def test_state_is_told_of_when_its_provider_says_that_it_has_changed(stage: Stage) -> None:
    stage.footfall = {"now": 3, "ever": 90}
    subscription = stage.establish(push(on_change(sync=False), ALL))
    stage.visit(now=4, ever=91)
    stage.advance()
    assert edits(subscription) == [("replace", "/example-shop:shop/footfall/now")]
    # What changes all the time is left out, and leads to no empty record.
    stage.visit(ever=92)
    stage.advance()
    assert edits(subscription) == []


def test_what_no_path_can_name_is_sent_with_what_is_around_it(stage: Stage, shop_schema: Schema) -> None:
    stage.visits = [5, 5]
    stage.footfall = {"now": 1}
    subscription = stage.establish(push(on_change(), ALL))
    receiver = Receiver(shop_schema)
    receiver.receive(events(subscription)[0])
    stage.visits = [5, 5, 7]
    stage.visit()
    stage.advance()
    (event,) = events(subscription)
    assert [each.text for each in event.iter(yp("target"))] == ["/example-shop:shop/footfall"]
    receiver.receive(event)
    assert content_of(shop_schema, receiver.tree) == stage.content()


def test_changes_within_a_dampening_period_come_together_at_its_end(stage: Stage) -> None:
    subscription = stage.establish(push(on_change(500), ALL))
    assert names(subscription) == ["push-update"]
    stage.edit_shop("<name>a</name>")
    stage.advance(4.9)
    assert events(subscription) == []
    stage.edit_shop("<name>b</name><queue>ann</queue>")
    stage.advance(0.1)
    # The period goes into effect with the assembly of the update record before.
    (event,) = events(subscription)
    assert [each.text for each in event.iter(yp("target"))] == [
        "/example-shop:shop/name",
        "/example-shop:shop/queue=ann",
    ]
    assert [each.text for each in event.iter(shop("name"))] == ["b"]
    stage.advance(60)
    stage.edit_shop("<name>c</name>")
    stage.advance()
    assert edits(subscription) == [("replace", "/example-shop:shop/name")], "the period is over: at once"


def test_what_is_not_selected_has_no_effect_on_the_dampening_period(stage: Stage) -> None:
    subscription = stage.establish(push(on_change(500), xpath("/s:shop/s:queue")))
    names(subscription)
    stage.advance(5)
    stage.edit_shop("<name>a</name>")
    stage.advance()
    stage.edit_shop("<queue>ann</queue>")
    stage.advance()
    assert edits(subscription) == [("create", "/example-shop:shop")]


def test_changes_that_cancel_each_other_out_are_told_by_the_last_of_them(stage: Stage) -> None:
    stage.edit_shop("<name>a</name><queue>ann</queue><queue>bob</queue>")
    subscription = stage.establish(push(on_change(500), ALL))
    names(subscription)
    for content in (
        '<name>b</name><queue nc:operation="delete">bob</queue><till/>',
        '<name>a</name><queue>bob</queue><till nc:operation="delete"/>',
    ):
        stage.edit_shop(
            content.replace("nc:operation", 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation')
        )
        stage.advance(1)
    stage.advance(3)
    # RFC 8641 3.3: created and then deleted is a deletion; deleted and then recreated is a creation.
    assert edits(subscription) == [
        ("replace", "/example-shop:shop/name"),
        ("insert", "/example-shop:shop/queue=bob"),
        ("delete", "/example-shop:shop/till"),
    ]


def test_excluded_changes_are_not_told(stage: Stage) -> None:
    stage.edit_shop("<name>a</name>")
    subscription = stage.establish(push(on_change(sync=False, excluded=("replace", "delete")), ALL))
    stage.edit_shop("<name>b</name>")
    stage.advance()
    assert events(subscription) == []
    stage.edit_shop("<name>c</name><till/>")
    stage.advance()
    assert edits(subscription) == [("create", "/example-shop:shop/till")]
    stage.edit("", "replace")
    stage.advance()
    assert edits(subscription) == []


def test_patches_are_counted_from_the_last_full_update(stage: Stage, shop_schema: Schema) -> None:
    subscription = stage.establish(push(on_change(), ALL))
    receiver = Receiver(shop_schema)
    for name in ("a", "b", "c"):
        stage.edit_shop(f"<name>{name}</name>")
        stage.advance()
    for event in events(subscription):
        receiver.receive(event)
    assert receiver.patches == [0, 1, 2]
    stage.publisher.resynchronise(1, subscription.number)
    stage.advance()
    stage.edit_shop("<name>d</name>")
    stage.advance()
    for event in events(subscription):
        receiver.receive(event)
    assert receiver.patches == [0]
    assert content_of(shop_schema, receiver.tree) == stage.content()


def test_other_datastores_can_be_subscribed_to(stage: Stage) -> None:
    running, intended = (
        stage.establish(push(on_change(sync=False), ALL, datastore)) for datastore in ("running", "intended")
    )
    stage.edit_shop("<name>a</name>")
    stage.visit(now=1)
    stage.advance()
    # No default there, and no state.
    for subscription in (running, intended):
        (event,) = events(subscription)
        (value,) = event.iter(yp("value"))
        assert [etree.QName(child).localname for child in value[0]] == ["name"]


def test_another_filter_is_told_as_changes_from_one_selection_to_the_other(stage: Stage, shop_schema: Schema) -> None:
    stage.edit_shop("<name>a</name><queue>ann</queue>")
    subscription = stage.establish(push(on_change(), xpath("/s:shop/s:queue")))
    receiver = Receiver(shop_schema)
    stage.modify(subscription, xpath("/s:shop/s:name"))
    stage.advance()
    for event in events(subscription):
        receiver.receive(event)
    assert content_of(shop_schema, receiver.tree) == ((shop("shop"), ((shop("name"), "a"),)),)


def test_looking_takes_no_more_than_its_share_of_the_time(shop_schema: Schema) -> None:
    stage = Stage(shop_schema, SubscriptionLimits(share=0.25))
    subscription = stage.establish(push(on_change(sync=False), ALL))
    stage.look_seconds = 0.5
    stage.edit_shop("<name>a</name>")
    stage.advance()
    assert len(edits(subscription)) == 1
    stage.edit_shop("<name>b</name>")
    stage.advance(1.9)
    assert edits(subscription) == []
    stage.advance(0.1)
    assert edits(subscription) == [("replace", "/example-shop:shop/name")]


STOCK = ("replace", "/example-shop:shop/stock")
SHELF = "<shelf><aisle>{}</aisle><kind>shop:fruit</kind>{}</shelf>"


@pytest.mark.parametrize("datastore", ["running", "intended", "operational"])
@pytest.mark.parametrize(
    "selection",
    [ALL, "", xpath("/s:shop/s:shelf")],
)
def test_entries_that_have_changed_are_looked_at_and_no_others(
    stage: Stage, datastore: str, selection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.edit_shop("<name>corner</name>" + SHELF.format(1, "") + SHELF.format(2, ""))
    subscription = stage.establish(push(on_change(sync=False), selection, datastore))
    before = stage.looks
    monkeypatch.setattr(stage.publisher._views, "look", None)
    stage.edit_shop(SHELF.format(1, "<item><name>fig</name></item>"))
    stage.advance()
    shelf = "/example-shop:shop/shelf=1,example-shop%3Afruit"
    assert edits(subscription) == [("insert", f"{shelf}/item=fig")]
    if datastore == "operational":
        stage.deliver("1", "shop:fruit", 5)
        stage.advance()
        told = {("create", f"{shelf}/stock")}
        assert set(edits(subscription)) == told | (set() if "shelf" in selection else {STOCK})
    assert stage.looks == before
    assert not subscription.is_suspended


def test_a_condition_that_looks_outside_of_its_entry_takes_a_whole_look(shop_schema: Schema) -> None:
    module = """
    module m { yang-version 1.1; namespace "urn:m"; prefix m;
      container c {
        leaf mode { type string; }
        list inside { key k; leaf k { type string; } leaf a { when "../k = 'x'"; type string; default "d"; } }
        list outside { key k; leaf k { type string; } leaf a { when "../../mode = 'x'"; type string; default "d"; } }
        list far { key k; leaf k { type string; } leaf a { when "/m:c/m:mode = 'x'"; type string; default "d"; } }
      }
    }"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m.yang").write_text(module)
        schema = load_schema({"m": ()}, [Path(folder)])
    lists = ("inside", "outside", "far")
    found = {name: conditions_stay_inside(schema, "{urn:m}c", f"{{urn:m}}{name}") for name in lists}
    assert found == {"inside": True, "outside": False, "far": False}
    assert conditions_stay_inside(shop_schema, shop("shop"), shop("shelf"))
