"""close-session ends one's own session in good order, kill-session another's at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from lxml import etree

from rkmp.netconf import Invocation, TerminationReason
from tests.netconf.agents import NET, Agent, Fault, fault_of, net, require_ok
from tests.netconf.conversation import rpc


def kill(session_id: object) -> str:
    return f"<kill-session><session-id>{session_id}</session-id></kill-session>"


async def test_close_session_is_answered_and_then_the_session_ends(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call("<close-session/>"))
    assert await peer.octets() is None
    await peer.ended()
    assert peer.session.ended is TerminationReason.CLOSED
    assert not agent.server.sessions


async def test_kill_session_ends_the_other_session(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect()
    require_ok(await peer.call(kill(other.session.id)))
    assert await other.octets() is None
    assert other.transport.aborted
    assert other.session.ended is TerminationReason.KILLED
    assert agent.server.sessions == (peer.session,)


async def test_kill_session_stops_what_the_other_session_is_doing(agent: Agent) -> None:
    started = asyncio.Event()
    stopped = asyncio.Event()

    async def hang(invocation: Invocation) -> Sequence[etree._Element] | None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return None

    agent.server.handle((net("forget"),), hang)
    peer, other = await agent.connect(), await agent.connect()
    other.send(rpc(f'<forget xmlns="{NET}"/>'))
    await started.wait()
    require_ok(await peer.call(kill(other.session.id)))
    await other.ended()
    assert stopped.is_set()


@pytest.mark.parametrize("which", ["own", "none"])
async def test_a_session_that_cannot_be_killed_is_an_invalid_value(agent: Agent, which: str) -> None:
    peer = await agent.connect()
    session_id = peer.session.id if which == "own" else 4711
    fault = Fault("protocol", "invalid-value", info=(("bad-element", "session-id"),))
    assert fault_of(await peer.call(kill(session_id))) == fault
    assert peer.session.ended is None


@pytest.mark.parametrize("session_id", ["0", "x", "", "4294967296"])
async def test_what_is_no_session_id_is_an_invalid_value(agent: Agent, session_id: str) -> None:
    peer = await agent.connect()
    assert fault_of(await peer.call(kill(session_id))).tag == "invalid-value"


async def test_kill_session_needs_a_session_id(agent: Agent) -> None:
    peer = await agent.connect()
    fault = Fault("application", "missing-element", None, "/nc:kill-session", (("bad-element", "session-id"),))
    assert fault_of(await peer.call("<kill-session/>")) == fault
