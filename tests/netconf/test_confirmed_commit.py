""":confirmed-commit:1.1 over NETCONF: its parameters, its errors, and what is told of it (RFC 6241 8.4, RFC 6470)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.session import TerminationReason
from tests.netconf.agents import NET, NOW, Agent, Fault, edit, fault_of, require_ok, texts
from tests.netconf.conversation import Peer
from tests.netconf.judge import require_valid_notification

CONFIRMED = "<commit><confirmed/></commit>"
NOTHING_ELSE = f'<create-subscription xmlns="{NOTIFICATION}"/>'


async def change(peer: Peer, name: str = "other") -> None:
    require_ok(await peer.call(edit("candidate", f'<network xmlns="{NET}"><name>{name}</name></network>')))


def name_of(agent: Agent) -> str:
    return texts(agent.datastores.tree("running"), "network", "name")[0]


async def told(peer: Peer) -> list[tuple[str, str]]:
    """Return the leaves of the next netconf-confirmed-commit; other events are passed over."""
    while True:
        event = (await peer.message())[1]
        if etree.QName(event).localname == "netconf-confirmed-commit":
            require_valid_notification(event)
            return [(etree.QName(leaf).localname, leaf.text or "") for leaf in event]


def by(username: str, session_id: int) -> list[tuple[str, str]]:
    return [("username", username), ("session-id", str(session_id)), ("source-host", "192.0.2.7")]


async def test_the_whole_life_is_told(agent: Agent) -> None:
    await agent.load()
    watcher = await agent.connect(username="watcher")
    require_ok(await watcher.call(NOTHING_ELSE))
    peer = await agent.connect()
    alice = by("alice", peer.session.id)
    await change(peer)
    require_ok(await peer.call("<commit><confirmed/><confirm-timeout>30</confirm-timeout></commit>"))
    assert await told(watcher) == [*alice, ("confirm-event", "start"), ("timeout", "30")]
    require_ok(await peer.call(CONFIRMED))
    assert await told(watcher) == [*alice, ("confirm-event", "extend"), ("timeout", "600")]
    require_ok(await peer.call("<cancel-commit/>"))
    assert await told(watcher) == [*alice, ("confirm-event", "cancel")]
    assert name_of(agent) == "lab"
    require_ok(await peer.call("<discard-changes/>"))
    await change(peer)
    require_ok(await peer.call(CONFIRMED))
    require_ok(await peer.call("<commit/>"))
    await told(watcher)
    assert await told(watcher) == [*alice, ("confirm-event", "complete")]
    assert name_of(agent) == "other"
    await change(peer, "third")
    require_ok(await peer.call(CONFIRMED))
    deadline = agent.datastores.next_deadline()
    assert deadline is not None
    agent.datastores.handle_time(deadline)
    await told(watcher)
    assert await told(watcher) == [("confirm-event", "timeout")]
    assert name_of(agent) == "other"


@pytest.mark.parametrize("end", ["close", "kill", "drop"])
async def test_the_end_of_the_session_undoes_it_however_it_ends(agent: Agent, end: str) -> None:
    await agent.load()
    watcher = await agent.connect(username="watcher")
    require_ok(await watcher.call(NOTHING_ELSE))
    peer = await agent.connect()
    await change(peer)
    require_ok(await peer.call(CONFIRMED))
    assert name_of(agent) == "other"
    if end == "close":
        require_ok(await peer.call("<close-session/>"))
        await peer.ended()
    elif end == "kill":
        other = await agent.connect()
        require_ok(await other.call(f"<kill-session><session-id>{peer.session.id}</session-id></kill-session>"))
    else:
        peer.session.connection_lost()
    assert name_of(agent) == "lab"
    await told(watcher)
    assert await told(watcher) == [*by("alice", peer.session.id), ("confirm-event", "cancel")]


async def test_a_token_lets_any_session_go_on(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    await change(peer)
    require_ok(await peer.call("<commit><confirmed/><persist>IQ,d4668</persist></commit>"))
    peer.session.end(TerminationReason.DROPPED)
    assert name_of(agent) == "other"
    second = await agent.connect()
    wrong = Fault("protocol", "invalid-value", info=(("bad-element", "persist-id"),))
    assert fault_of(await second.call("<commit/>")) == wrong
    assert fault_of(await second.call("<cancel-commit/>")) == wrong
    assert fault_of(await second.call("<cancel-commit><persist-id>x</persist-id></cancel-commit>")) == wrong
    denied = Fault("protocol", "lock-denied", info=(("session-id", str(peer.session.id)),))
    assert fault_of(await second.call("<lock><target><running/></target></lock>")) == denied
    require_ok(await second.call("<commit><confirmed/><persist-id>IQ,d4668</persist-id></commit>"))
    require_ok(await second.call("<commit><persist-id>IQ,d4668</persist-id></commit>"))
    assert agent.datastores.next_deadline() is None
    assert name_of(agent) == "other"


async def test_the_server_that_closes_keeps_nothing_unconfirmed(schema: Schema) -> None:
    agent = Agent(schema)
    await agent.load()
    peer = await agent.connect()
    await change(peer)
    require_ok(await peer.call(CONFIRMED))
    await agent.server.close()
    assert name_of(agent) == "lab"
    agent.database.close()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("<cancel-commit/>", Fault("protocol", "operation-failed")),
        (
            "<commit><persist>x</persist></commit>",
            Fault("protocol", "missing-element", info=(("bad-element", "confirmed"),)),
        ),
        (
            "<commit><persist-id>x</persist-id></commit>",
            Fault("protocol", "invalid-value", info=(("bad-element", "persist-id"),)),
        ),
        (
            "<cancel-commit><persist-id>x</persist-id></cancel-commit>",
            Fault("protocol", "invalid-value", info=(("bad-element", "persist-id"),)),
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(agent: Agent, operation: str, fault: Fault) -> None:
    peer = await agent.connect()
    assert fault_of(await peer.call(operation)) == fault
    assert agent.datastores.next_deadline() is None


@pytest.mark.parametrize("seconds", ["0", "-1", "4294967296", "soon"])
async def test_timeouts_are_checked(agent: Agent, seconds: str) -> None:
    peer = await agent.connect()
    commit = f"<commit><confirmed/><confirm-timeout>{seconds}</confirm-timeout></commit>"
    assert fault_of(await peer.call(commit)).tag == "invalid-value"
    assert agent.datastores.next_deadline() is None


async def test_the_longest_timeout_is_taken(agent: Agent) -> None:
    peer = await agent.connect()
    commit = "<commit><confirmed/><confirm-timeout>4294967295</confirm-timeout></commit>"
    require_ok(await peer.call(commit))
    deadline = agent.datastores.next_deadline()
    assert deadline is not None
    assert (deadline - NOW).total_seconds() == 4294967295


async def test_another_session_is_told_whose_commit_is_pending(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect()
    require_ok(await peer.call(CONFIRMED))
    in_use = Fault("protocol", "in-use", info=(("session-id", str(peer.session.id)),))
    assert fault_of(await other.call("<commit/>")) == in_use
    assert fault_of(await other.call("<cancel-commit/>")) == in_use
