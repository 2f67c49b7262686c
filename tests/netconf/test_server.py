"""The server as the daemon has it: how many sessions, what plugs in, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf import Invocation, ServerLimits, SessionLimits, SessionRefused, TerminationReason
from rkmp.netconf.hello import BASE_1_0
from rkmp.netconf.namespaces import NOTIFICATION, SUBSCRIBED_NOTIFICATIONS
from rkmp.netconf.server import _TURNED_AWAY_AT_ONCE
from tests.netconf.agents import NET, NOW, Agent, Fault, data_of, fault_of, get_config, net, require_ok
from tests.netconf.conversation import MemoryTransport, nc, rpc, settle


@pytest.mark.parametrize("version", [None, BASE_1_0])
async def test_a_session_over_the_limit_is_told_so_and_closed(schema: Schema, version: str | None) -> None:
    agent = Agent(schema, ServerLimits(sessions=2))
    first, second = await agent.connect(), await agent.connect()
    third = await (agent.connect() if version is None else agent.connect(version))
    reply = await third.call("<get/>", 'a="b"')
    assert fault_of(reply) == Fault("rpc", "resource-denied")
    assert reply.get("a") == "b"
    assert await third.octets() is None
    require_ok(await first.call("<discard-changes/>"))
    assert third.session not in agent.server.sessions
    require_ok(await second.call("<close-session/>"))
    await second.ended()
    require_ok(await (await agent.connect()).call("<discard-changes/>"))
    await agent.close()


@pytest.mark.parametrize("message", [b"not XML", b"x" * 2000])
async def test_a_session_over_the_limit_is_told_so_whatever_it_sends(schema: Schema, message: bytes) -> None:
    agent = Agent(schema, ServerLimits(sessions=0, session=SessionLimits(message_octets=1000)))
    peer = await agent.connect()
    peer.send(message)
    assert fault_of(await peer.message()) == Fault("rpc", "resource-denied")
    assert await peer.octets() is None
    await agent.close()


async def test_sessions_over_the_limit_are_few(schema: Schema) -> None:
    agent = Agent(schema, ServerLimits(sessions=0))
    waiting = [agent.open() for _ in range(_TURNED_AWAY_AT_ONCE)]
    with pytest.raises(SessionRefused):
        agent.open()
    waiting[0].session.connection_lost()
    agent.open()
    assert not agent.server.sessions
    await agent.close()


async def test_every_session_has_its_own_id(agent: Agent) -> None:
    peers = [await agent.connect() for _ in range(20)]
    assert len({peer.session.id for peer in peers}) == 20


async def test_one_user_cannot_take_every_session(schema: Schema) -> None:
    agent = Agent(schema, ServerLimits(sessions_per_user=2))
    first, _ = await agent.connect(username="alice"), await agent.connect(username="alice")
    third = await agent.connect(username="alice")
    fault = fault_of(await third.call(get_config()))
    assert (fault.type, fault.tag) == ("rpc", "resource-denied")
    await third.ended()
    bob = await agent.connect(username="bob")
    assert data_of(await bob.call(get_config())) is not None
    require_ok(await first.call("<close-session/>"))
    await first.ended()
    fourth = await agent.connect(username="alice")
    assert data_of(await fourth.call(get_config())) is not None
    await agent.close()


async def test_a_session_that_listens_is_not_idle(schema: Schema) -> None:
    agent = Agent(schema, ServerLimits(session=SessionLimits(idle_timeout=0.3)))
    idle, listening, subscribed = await agent.connect(), await agent.connect(), await agent.connect()
    require_ok(await listening.call(f'<create-subscription xmlns="{NOTIFICATION}"/>'))
    establish = (
        f'<establish-subscription xmlns="{SUBSCRIBED_NOTIFICATIONS}"><stream>NETCONF</stream></establish-subscription>'
    )
    assert not (await subscribed.call(establish)).findall(nc("rpc-error"))
    await idle.ended()
    await asyncio.sleep(0.4)
    assert idle.session.ended is TerminationReason.TIMEOUT
    assert agent.server.sessions == (listening.session, subscribed.session)
    await agent.close()


async def test_other_limits_hold_for_the_sessions_that_come(agent: Agent) -> None:
    before = await agent.connect()
    agent.server.limit(ServerLimits(sessions=1, session=SessionLimits(message_octets=100_000)))
    assert fault_of(await (await agent.connect()).call(get_config())).tag == "resource-denied"
    assert data_of(await before.call(get_config(filter_content=f"<x>{'y' * 200_000}</x>"))) is not None
    agent.server.limit(ServerLimits(session=SessionLimits(message_octets=100_000)))
    after = await agent.connect()
    after.send(rpc(get_config(filter_content="y" * 200_000)))
    assert fault_of(await after.message()).tag == "too-big"


async def test_closing_the_server_ends_every_session_and_refuses_new_ones(agent: Agent) -> None:
    started = asyncio.Event()

    async def hang(invocation: Invocation) -> Sequence[etree._Element] | None:
        started.set()
        await asyncio.Event().wait()
        return None

    agent.server.handle((net("forget"),), hang)
    idle, busy, silent = await agent.connect(), await agent.connect(), agent.open()
    busy.send(rpc(f'<forget xmlns="{NET}"/>'))
    await started.wait()
    await agent.server.close()
    for peer in (idle, busy, silent):
        assert peer.session.ended is TerminationReason.OTHER
        assert peer.transport.closed
    assert not agent.server.sessions
    with pytest.raises(SessionRefused):
        agent.server.open_session(agent.client("alice"), MemoryTransport())


async def test_what_has_a_handler_can_be_listed(agent: Agent) -> None:
    async def handler(invocation: Invocation) -> Sequence[etree._Element] | None:
        return None

    agent.server.handle((net("forget"),), handler)
    assert agent.server.handled == ((net("forget"),),)
    with pytest.raises(ValueError, match="a handler already"):
        agent.server.handle((net("forget"),), handler)


async def test_publishing_without_subscribers_and_without_a_log_is_free(schema: Schema) -> None:
    agent = Agent(schema, has_replay=False)
    assert not agent.server.has_subscribers
    agent.server.publish(NOW, etree.Element("{urn:nowhere}event"))
    await agent.close()


async def test_sessions_do_not_hear_of_each_other(agent: Agent) -> None:
    """Requests of many sessions at once: every one gets its own replies, in its own order."""
    peers = [await agent.connect() for _ in range(10)]
    for index, peer in enumerate(peers):
        for number in range(5):
            peer.send(rpc("<discard-changes/>", f"{index}.{number}"))
    for index, peer in enumerate(peers):
        replies = [await peer.message() for _ in range(5)]
        assert [reply.get("message-id") for reply in replies] == [f"{index}.{number}" for number in range(5)]


async def test_nothing_of_a_session_is_kept_when_it_has_ended(agent: Agent) -> None:
    gone: weakref.WeakSet[object] = weakref.WeakSet()
    for end in ("close", "drop", "kill", "bad hello", "framing"):
        for _ in range(5):
            peer = agent.open() if end == "bad hello" else await agent.connect()
            gone.add(peer.session)
            if end == "close":
                require_ok(await peer.call("<close-session/>"))
            elif end == "drop":
                peer.send_octets(b"\n#500\n<rpc")
                peer.session.connection_lost()
            elif end == "kill":
                killer = await agent.connect()
                require_ok(
                    await killer.call(f"<kill-session><session-id>{peer.session.id}</session-id></kill-session>")
                )
                require_ok(await killer.call("<close-session/>"))
                await killer.ended()
            else:
                peer.send_octets(b"x]]>]]>")
            await peer.ended()
    del peer, killer
    await settle()
    gc.collect()
    assert not gone
    assert not agent.server.sessions
