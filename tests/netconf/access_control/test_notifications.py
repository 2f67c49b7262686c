"""Each subscriber gets the notifications that it may read (RFC 8341 3.4.6), under the rules of the moment."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.notifications import date_and_time
from tests.netconf.access_control.servers import BOX, Guarded, b, nacm, rule, rules
from tests.netconf.agents import NOW, edit, require_ok
from tests.netconf.conversation import Peer

OPENED = f'<opened xmlns="{BOX}"><by>eve</by></opened>'
STOLEN = f'<stolen xmlns="{BOX}"><by>eve</by></stolen>'


def broken(item: str = "cup") -> str:
    return f'<box xmlns="{BOX}"><item><name>{item}</name><broken><how>fell</how></broken></item></box>'


def subscribe(content: str = "") -> str:
    filtered = f'<filter type="subtree">{content}</filter>' if content else ""
    return f'<create-subscription xmlns="{NOTIFICATION}">{filtered}</create-subscription>'


async def heard(server: Guarded, peer: Peer, *events: str) -> list[str]:
    """Publish ``events``; return which of them came, by their names."""
    for event in events:
        server.server.publish(NOW, etree.fromstring(event))
    server.server.publish(NOW, etree.fromstring(f'<opened xmlns="{BOX}"><by>the last</by></opened>'))
    names = []
    while (message := await peer.message())[1].findtext(b("by")) != "the last":
        innermost = list(message.iterdescendants())[-1].getparent()
        assert innermost is not None
        names.append(etree.QName(innermost).localname)
    return names


LAST = rule("last", notification_name="opened")


@pytest.mark.parametrize(
    ("event", "given", "leaves", "permitted"),
    [
        (broken(), [], {}, True),
        (broken(), [rule("r", "deny", path="/g:box/g:item/g:broken")], {}, False),
        (broken(), [rule("r", "deny", path="/g:box/g:item[g:name='cup']")], {}, False),
        (broken("pen"), [rule("r", "deny", path="/g:box/g:item[g:name='cup']")], {}, True),
        (broken(), [rule("r", "deny", path="/g:box/g:item[g:name='cup']", access_operations="exec")], {}, True),
        (broken(), [rule("r", "deny", notification_name="broken")], {}, True),
        (broken(), [], {"read_default": "deny"}, False),
        (broken(), [rule("r", path="/g:box/g:item/g:broken")], {"read_default": "deny"}, False),
        (broken(), [rule("r", path="/g:box")], {"read_default": "deny"}, True),
        (STOLEN, [], {}, False),
        (STOLEN, [rule("r", notification_name="stolen", access_operations="read")], {}, True),
        (STOLEN, [rule("r", notification_name="*", module_name="ietf-netconf")], {}, False),
        (STOLEN, [rule("r", rpc_name="*")], {}, False),
    ],
)
async def test_rules_decide_what_is_sent(
    server: Guarded, event: str, given: list[str], leaves: dict[str, Any], permitted: bool
) -> None:
    ann = await server.configure(rules(LAST, *given), **leaves)
    require_ok(await ann.call(subscribe()))
    assert len(await heard(server, ann, event)) == permitted
    assert (await server.counters())["notifications"] >= (not permitted)


async def test_an_event_type_that_is_denied_is_counted_for_each_subscription(server: Guarded) -> None:
    ann = await server.configure(rules(rule("r", "deny", notification_name="opened")))
    bob = await server.connect(username="bob")
    for peer in (ann, bob):
        require_ok(await peer.call(subscribe()))
    before = (await server.counters())["notifications"]
    server.server.publish(NOW, etree.fromstring(OPENED))
    server.server.publish(NOW, etree.fromstring(broken()))
    for peer in (ann, bob):
        while (message := await peer.message())[1].tag != b("box"):
            assert message[1].tag != b("opened")
    assert (await server.counters())["notifications"] >= before + 2


async def test_what_a_filter_drops_is_not_counted(server: Guarded) -> None:
    ann = await server.configure(rules(rule("r", "deny", notification_name="stolen")))
    require_ok(await ann.call(subscribe(f'<opened xmlns="{BOX}"/>')))
    assert await heard(server, ann, STOLEN, OPENED) == ["opened"]
    assert (await server.counters())["notifications"] == 0


async def test_a_recovery_session_is_sent_all_but_secrets(server: Guarded) -> None:
    await server.configure(rules(rule("r", "deny"), group="*"), groups=[("all", ["ann"])])
    root = await server.root()
    require_ok(await root.call(subscribe(f'<opened xmlns="{BOX}"/><stolen xmlns="{BOX}"/><box xmlns="{BOX}"/>')))
    assert await heard(server, root, OPENED, STOLEN, broken()) == ["opened", "broken"]


async def test_rules_of_the_moment_hold_for_a_subscription(server: Guarded) -> None:
    ann = await server.configure()
    require_ok(await ann.call(subscribe(f'<opened xmlns="{BOX}"/><box xmlns="{BOX}"/>')))
    assert await heard(server, ann, broken()) == ["broken"]
    root = await server.root()
    require_ok(await root.call(edit("running", nacm(rules(rule("r", "deny", path="/g:box"))))))
    assert await heard(server, ann, broken()) == []


async def test_a_replay_shows_what_may_be_read_now_and_always_its_end(server: Guarded) -> None:
    for event in (OPENED, STOLEN, broken(), broken("pen")):
        server.server.publish(NOW, etree.fromstring(event))
    ann = await server.configure(rules(rule("r", "deny", path="/g:box/g:item[g:name='cup']")))
    wanted = f'<opened xmlns="{BOX}"/><stolen xmlns="{BOX}"/><box xmlns="{BOX}"/>'
    require_ok(
        await ann.call(subscribe(wanted).replace("</create", f"<startTime>{date_and_time(NOW)}</startTime></create"))
    )
    events = [(await ann.message())[1] for _ in range(3)]
    assert [etree.QName(event).localname for event in events] == ["opened", "box", "replayComplete"]
    assert events[1].findtext(f"{b('item')}/{b('name')}") == "pen"
