"""RFC 6470: the server tells who changed what, who came, who went and why; libyang agrees that it does so correctly."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf import ServerLimits, SessionLimits, base_notifications
from rkmp.netconf.capabilities import NETCONF_MODULES
from rkmp.netconf.namespaces import NOTIFICATION, NOTIFICATIONS
from rkmp.netconf.session import TerminationReason
from tests.netconf.agents import NET, SECRET, Agent, edit, faults_of, require_ok
from tests.netconf.conftest import MODULES
from tests.netconf.conversation import Peer, settle
from tests.netconf.judge import require_valid_notification

SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION}"/>'
ALICE = [("username", "alice"), ("session-id", "1"), ("source-host", "192.0.2.7")]


def ncn(name: str) -> str:
    return f"{{{NOTIFICATIONS}}}{name}"


def plain(element: etree._Element) -> list[tuple[str, str | list[tuple[str, str]]]]:
    return [
        (etree.QName(child).localname, [(etree.QName(leaf).localname, leaf.text or "") for leaf in child])
        if len(child)
        else (etree.QName(child).localname, child.text or "")
        for child in element
    ]


class Watch:
    """A session that sees everything, and has each event judged by libyang."""

    def __init__(self, peer: Peer, judged: bool) -> None:
        self.peer = peer
        self.judged = judged

    async def event(self) -> etree._Element:
        message = await self.peer.message()
        if self.judged:
            require_valid_notification(message[1], ("example-network", MODULES))
        return message[1]


async def watch(agent: Agent, *, judged: bool = True) -> Watch:
    peer = await agent.connect(username="watcher")
    require_ok(await peer.call(SUBSCRIBE))
    return Watch(peer, judged)


def edits_of(event: etree._Element) -> list[tuple[str, str]]:
    assert event.tag == ncn("netconf-config-change")
    return [(edit.findtext(ncn("target")) or "", edit.findtext(ncn("operation")) or "") for edit in event[2:]]


async def change(agent: Agent, content: str) -> list[tuple[str, str]]:
    """Return the edits that subscribers are told of when ``content`` is edited into running."""
    editor = await agent.connect()
    seen = await watch(agent)
    require_ok(await editor.call(edit("running", content)))
    return edits_of(await seen.event())


async def test_a_change_of_running_names_who_made_it_and_what_changed(agent: Agent) -> None:
    editor = await agent.connect()
    seen = await watch(agent)
    require_ok(await editor.call(edit("running", f'<network xmlns="{NET}"><peer><name>c</name></peer></network>')))
    event = await seen.event()
    assert event.tag == ncn("netconf-config-change")
    assert plain(event) == [
        ("changed-by", ALICE),
        ("datastore", "running"),
        ("edit", [("target", "/net:network"), ("operation", "create")]),
    ]
    require_ok(await editor.call(edit("running", f'<network xmlns="{NET}"><peer><name>d</name></peer></network>')))
    assert edits_of(await seen.event()) == [("/net:network/net:peer[net:name='d']", "create")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<name>other</name>", [("/net:network/net:name", "replace")]),
        (
            "<peer><name>a</name><mtu>1300</mtu></peer><peer><name>b</name><mtu>1200</mtu></peer>",
            [
                ("/net:network/net:peer[net:name='a']/net:mtu", "replace"),
                ("/net:network/net:peer[net:name='b']/net:mtu", "create"),
            ],
        ),
        ('<peer nc:operation="delete"><name>b</name></peer>', [("/net:network/net:peer[net:name='b']", "delete")]),
        (
            "<peer><name>it's</name></peer>",
            [('/net:network/net:peer[net:name="it\'s"]', "create")],
        ),
    ],
)
async def test_each_edit_has_its_path_and_operation(
    agent: Agent, content: str, expected: list[tuple[str, str]]
) -> None:
    await agent.load()
    namespace = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
    assert await change(agent, f'<network xmlns="{NET}" {namespace}>{content}</network>') == expected


async def test_a_changed_secret_is_named_and_not_shown(agent: Agent) -> None:
    await agent.load()
    editor = await agent.connect()
    seen = await watch(agent)
    secret = SECRET.decode() + "z"
    content = f'<network xmlns="{NET}"><peer><name>a</name><password>{secret}</password></peer></network>'
    require_ok(await editor.call(edit("running", content)))
    event = await seen.event()
    assert edits_of(event) == [("/net:network/net:peer[net:name='a']/net:password", "replace")]
    assert SECRET not in etree.tostring(event)


async def test_the_prefixes_of_a_path_are_bound_where_it_stands(agent: Agent) -> None:
    await agent.load()
    editor = await agent.connect()
    seen = await watch(agent)
    require_ok(await editor.call(edit("running", f'<network xmlns="{NET}"><name>x</name></network>')))
    (target,) = (await seen.event()).iter(ncn("target"))
    assert target.nsmap["net"] == NET


async def test_a_commit_is_one_change(agent: Agent) -> None:
    await agent.load()
    editor = await agent.connect()
    seen = await watch(agent)
    for name in "xy":
        peer = f'<network xmlns="{NET}"><peer><name>{name}</name></peer></network>'
        require_ok(await editor.call(edit("candidate", peer)))
    await settle()
    assert not seen.peer.transport.sent
    require_ok(await editor.call("<commit/>"))
    assert sorted(edits_of(await seen.event())) == [
        (f"/net:network/net:peer[net:name='{name}']", "create") for name in "xy"
    ]


async def test_what_changes_nothing_is_not_told(agent: Agent) -> None:
    await agent.load()
    editor = await agent.connect()
    seen = await watch(agent)
    require_ok(await editor.call(edit("running", f'<network xmlns="{NET}"><name>lab</name></network>')))
    require_ok(await editor.call("<commit/>"))
    faults_of(await editor.call(edit("running", f'<network xmlns="{NET}"><peer/></network>')))
    await settle()
    assert not seen.peer.transport.sent


async def test_a_change_of_startup_is_told(agent: Agent) -> None:
    editor = await agent.connect()
    seen = await watch(agent)
    copy = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
    for operation in (copy, "<delete-config><target><startup/></target></delete-config>"):
        require_ok(await editor.call(operation))
        assert plain(await seen.event()) == [("changed-by", ALICE), ("datastore", "startup")]


async def test_a_change_by_the_agent_itself_is_told_as_such(agent: Agent) -> None:
    seen = await watch(agent)
    agent.server._notices.running_changed(None, [])
    assert plain(await seen.event()) == [("changed-by", [("server", "")]), ("datastore", "running")]


async def test_a_change_too_large_to_list_is_told_by_what_it_is_in(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.load()
    monkeypatch.setattr(base_notifications, "TARGET_CHARACTERS", 200)
    peers = "".join(f"<peer><name>p{number}</name></peer>" for number in range(20))
    assert await change(agent, f'<network xmlns="{NET}">{peers}</network>') == [("/net:network", "merge")]
    monkeypatch.setattr(base_notifications, "TARGET_CHARACTERS", 5)
    assert await change(agent, f'<network xmlns="{NET}"><name>z</name></network>') == []


SECRET_KEYS = """module m { yang-version 1.1; namespace "urn:m"; prefix m; import ietf-netconf-acm { prefix nacm; }
  container c { list door { key code; leaf code { type string; nacm:default-deny-all; } leaf open { type boolean; } }
    leaf-list pin { type string; nacm:default-deny-all; }
    container safe { nacm:default-deny-all; list box { key id; leaf id { type string; } leaf v { type string; } } } } }
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<door><code>hunter2</code></door>", "/m:c"),
        ("<pin>hunter2</pin>", "/m:c"),
        ("<safe><box><id>hunter2</id><v>1</v></box></safe>", "/m:c/m:safe"),
    ],
)
async def test_no_path_shows_a_secret(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "m.yang").write_text(SECRET_KEYS)
    agent = Agent(load_schema({**NETCONF_MODULES, "m": ()}, [tmp_path]))
    editor = await agent.connect()
    seen = await watch(agent, judged=False)
    first = "<door><code>x</code></door><pin>1</pin><safe><box><id>y</id></box></safe>"
    for sent in (first, content):
        require_ok(await editor.call(edit("running", f'<c xmlns="urn:m">{sent}</c>')))
        event = await seen.event()
        assert SECRET not in etree.tostring(event)
    assert edits_of(event) == [(expected, "merge")]
    await agent.close()


async def test_a_session_is_told_from_its_start_to_its_end(agent: Agent) -> None:
    seen = await watch(agent)
    peer = await agent.connect()
    session = [("username", "alice"), ("session-id", "2"), ("source-host", "192.0.2.7")]
    event = await seen.event()
    assert (event.tag, plain(event)) == (ncn("netconf-session-start"), session)
    require_ok(await peer.call("<close-session/>"))
    event = await seen.event()
    assert (event.tag, plain(event)) == (ncn("netconf-session-end"), [*session, ("termination-reason", "closed")])


async def test_a_killed_session_is_told_with_its_killer(agent: Agent) -> None:
    victim = await agent.connect()
    seen = await watch(agent)
    require_ok(await seen.peer.call(f"<kill-session><session-id>{victim.session.id}</session-id></kill-session>"))
    event = await seen.event()
    assert plain(event)[3:] == [("killed-by", str(seen.peer.session.id)), ("termination-reason", "killed")]


@pytest.mark.parametrize("reason", list(TerminationReason))
async def test_every_end_has_its_reason(agent: Agent, reason: TerminationReason) -> None:
    peer = await agent.connect()
    seen = await watch(agent)
    peer.session.end(reason)
    assert plain(await seen.event())[-1] == ("termination-reason", reason.value)


async def test_a_dropped_reader_is_told_after_what_dropped_it(schema: Schema) -> None:
    agent = Agent(schema, limits=ServerLimits(session=SessionLimits(queued_notifications=4)))
    slow = await agent.connect(username="slow")
    require_ok(await slow.call(SUBSCRIBE))
    slow.session.pause_writing()
    seen = await watch(agent)
    told = []
    for _ in range(3):
        peer = await agent.connect()
        told.append(await seen.event())
    assert slow.session.ended is None
    peer.session.end(TerminationReason.CLOSED)
    told += [await seen.event(), await seen.event()]
    assert [(etree.QName(event).localname, event.findtext(ncn("username"))) for event in told] == [
        *[("netconf-session-start", "alice")] * 3,
        ("netconf-session-end", "alice"),
        ("netconf-session-end", "slow"),
    ]
    await agent.close()


async def test_a_large_change_costs_little_more_when_it_is_told(schema: Schema) -> None:
    """Calls of functions are counted, which is exact; making 1,000 entries takes many calls for each of them."""
    counts = []
    entries = "".join(
        f"<peer><name>p{number}</name><address>10.0.0.{number % 250}</address><mtu>1400</mtu></peer>"
        for number in range(1000)
    )
    for is_watched in (False, True):
        agent = Agent(schema)
        await agent.load()
        editor = await agent.connect()
        if is_watched:
            await watch(agent)
        counts.append(await calls(editor.call(edit("running", f'<network xmlns="{NET}">{entries}</network>'))))
        await agent.close()
    assert counts[1] < 1.25 * counts[0]


async def calls(work: Coroutine[Any, Any, etree._Element]) -> int:
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        require_ok(await work)
    finally:
        sys.setprofile(None)
    return count
