"""A lock keeps other sessions out and goes with its session, however that ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rkmp.netconf import TerminationReason
from tests.netconf.agents import NET, Agent, Fault, edit, fault_of, require_ok
from tests.netconf.conversation import Peer

ALL = ("running", "candidate", "startup")
NAMED = f'<network xmlns="{NET}"><name>x</name></network>'


def lock(name: str) -> str:
    return f"<lock><target><{name}/></target></lock>"


def unlock(name: str) -> str:
    return f"<unlock><target><{name}/></target></unlock>"


def held_by(peer: Peer) -> tuple[tuple[str, str], ...]:
    return (("session-id", str(peer.session.id)),)


@pytest.mark.parametrize("name", ALL)
async def test_one_session_at_a_time_has_a_lock(agent: Agent, name: str) -> None:
    holder, other = await agent.connect(), await agent.connect()
    require_ok(await holder.call(lock(name)))
    for peer in (other, holder):
        assert fault_of(await peer.call(lock(name))) == Fault("protocol", "lock-denied", info=held_by(holder))
    require_ok(await holder.call(unlock(name)))
    require_ok(await other.call(lock(name)))


@pytest.mark.parametrize("name", ALL)
async def test_only_the_holder_can_unlock(agent: Agent, name: str) -> None:
    holder, other = await agent.connect(), await agent.connect()
    assert fault_of(await holder.call(unlock(name))).tag == "operation-failed"
    require_ok(await holder.call(lock(name)))
    assert fault_of(await other.call(unlock(name))).info == held_by(holder)
    require_ok(await holder.call(unlock(name)))


@pytest.mark.parametrize(
    ("locked", "operation"),
    [
        ("running", edit("running", NAMED)),
        ("running", "<commit/>"),
        ("running", "<copy-config><target><running/></target><source><startup/></source></copy-config>"),
        ("candidate", edit("candidate", NAMED)),
        ("candidate", "<commit/>"),
        ("candidate", "<discard-changes/>"),
        ("candidate", "<copy-config><target><candidate/></target><source><running/></source></copy-config>"),
        ("startup", "<copy-config><target><startup/></target><source><running/></source></copy-config>"),
        ("startup", "<delete-config><target><startup/></target></delete-config>"),
    ],
)
async def test_what_is_locked_is_in_use_for_others(agent: Agent, locked: str, operation: str) -> None:
    holder, other = await agent.connect(), await agent.connect()
    require_ok(await holder.call(lock(locked)))
    assert fault_of(await other.call(operation)) == Fault("protocol", "in-use", info=held_by(holder))
    require_ok(await holder.call(operation))


async def test_a_candidate_with_changes_cannot_be_locked(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect()
    require_ok(await peer.call(edit("candidate", NAMED)))
    assert fault_of(await other.call(lock("candidate"))).tag == "lock-denied"
    require_ok(await peer.call("<discard-changes/>"))
    require_ok(await other.call(lock("candidate")))


async def close(peer: Peer, killer: Peer) -> None:
    require_ok(await peer.call("<close-session/>"))


async def kill(peer: Peer, killer: Peer) -> None:
    require_ok(await killer.call(f"<kill-session><session-id>{peer.session.id}</session-id></kill-session>"))


async def drop(peer: Peer, killer: Peer) -> None:
    peer.session.connection_lost()


@pytest.mark.parametrize("end", [close, kill, drop])
async def test_locks_end_with_their_session(agent: Agent, end: Callable[[Peer, Peer], Awaitable[None]]) -> None:
    holder, other = await agent.connect(), await agent.connect()
    for name in ALL:
        require_ok(await holder.call(lock(name)))
    require_ok(await holder.call(edit("candidate", NAMED)))
    await end(holder, other)
    for name in ALL:
        # RFC 6241 8.3.5.2: changes of a locked candidate go with the lock, or this lock would be denied.
        require_ok(await other.call(lock(name)))
    assert len(agent.datastores.tree("candidate")) == 0


async def test_locks_are_gone_when_the_reply_to_kill_session_is_written(agent: Agent) -> None:
    holder, other = await agent.connect(), await agent.connect()
    require_ok(await holder.call(lock("running")))
    await kill(holder, other)
    assert not agent.datastores.locks()
    assert holder.session.ended is TerminationReason.KILLED
