"""A part of running can be locked (RFC 5717): others change all but it, and it goes with its session."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf.namespaces import MONITORING, PARTIAL_LOCK
from tests.netconf.agents import NET, Agent, Fault, data_of, edit, fault_of, get, require_ok
from tests.netconf.conversation import Peer

CAPABILITY = "urn:ietf:params:netconf:capability:partial-lock:1.0"
OPERATION = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation'
SELECT = (("bad-element", "select"),)
COPY = f"""<copy-config><target><running/></target>
    <source><config><network xmlns="{NET}"/></config></source></copy-config>"""
PEER_A = "/n:network/n:peer[n:name='a']"


def lock(*selects: str) -> str:
    expressions = "".join(f"<select>{select}</select>" for select in selects)
    return f'<partial-lock xmlns="{PARTIAL_LOCK}" xmlns:n="{NET}">{expressions}</partial-lock>'


def unlock(lock_id: str) -> str:
    return f'<partial-unlock xmlns="{PARTIAL_LOCK}"><lock-id>{lock_id}</lock-id></partial-unlock>'


async def take(peer: Peer, *selects: str) -> tuple[str, list[str]]:
    """Lock; return the id and the paths of the locked nodes."""
    reply = await peer.call(lock(*selects))
    assert reply[0].tag == f"{{{PARTIAL_LOCK}}}lock-id", etree.tostring(reply)
    for node in reply[1:]:
        assert node.tag == f"{{{PARTIAL_LOCK}}}locked-node"
        assert node.text == "/" or NET in node.nsmap.values()
    return reply[0].text or "", [node.text or "" for node in reply[1:]]


def network(content: str) -> str:
    return edit("running", f'<network xmlns="{NET}">{content}</network>')


def mtu(peer: str, value: int) -> str:
    return network(f"<peer><name>{peer}</name><mtu>{value}</mtu></peer>")


@pytest.fixture
async def loaded(agent: Agent) -> Agent:
    await agent.load()
    return agent


def held_by(peer: Peer) -> tuple[tuple[str, str], ...]:
    return (("session-id", str(peer.session.id)),)


async def test_others_change_everything_but_what_is_locked(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    lock_id, nodes = await take(holder, PEER_A)
    assert nodes == ["/net:network/net:peer[net:name='a']"]
    require_ok(await other.call(mtu("b", 1300)))
    require_ok(await holder.call(mtu("a", 1300)))
    fault = fault_of(await other.call(mtu("a", 1200)))
    path = "/net:network/net:peer[net:name='a']/net:mtu"
    assert fault == Fault("protocol", "in-use", "locked", path, held_by(holder))
    require_ok(await holder.call(unlock(lock_id)))
    require_ok(await other.call(mtu("a", 1200)))


@pytest.mark.parametrize(
    "change",
    [
        network(f'<peer {OPERATION}="delete"><name>a</name></peer>'),
        edit("running", f'<network xmlns="{NET}" {OPERATION}="delete"/>'),
        network(f'<peer {OPERATION}="replace"><name>a</name><mtu>1300</mtu></peer>'),
        network("<peer><name>a</name><enabled>false</enabled></peer>"),
        COPY,
    ],
    ids=["delete", "delete above", "replace", "create below", "copy-config"],
)
async def test_whatever_the_change_locked_nodes_stay_as_they_are(loaded: Agent, change: str) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    await take(holder, PEER_A)
    before = etree.tostring(loaded.datastores.tree("running"))
    fault = fault_of(await other.call(change))
    assert (fault.tag, fault.app_tag, fault.info) == ("in-use", "locked", held_by(holder))
    assert etree.tostring(loaded.datastores.tree("running")) == before


async def test_a_commit_is_kept_from_locked_nodes_and_the_candidate_is_free(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    lock_id, _ = await take(holder, PEER_A)
    require_ok(await other.call(mtu("a", 1200).replace("<running/>", "<candidate/>")))
    assert fault_of(await other.call("<commit/>")).app_tag == "locked"
    require_ok(await holder.call(unlock(lock_id)))
    require_ok(await other.call("<commit/>"))


async def test_the_scope_is_found_once_and_shrinks_with_what_its_holder_deletes(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    _, nodes = await take(holder, "/n:network/n:peer", "/n:network/n:name")
    assert len(nodes) == 3
    # A new entry is not in it.
    require_ok(await other.call(mtu("c", 1300)))
    require_ok(await holder.call(network(f'<peer {OPERATION}="delete"><name>a</name></peer>')))
    require_ok(await other.call(mtu("a", 1300)))
    require_ok(await other.call(mtu("a", 1400)))
    assert fault_of(await other.call(mtu("b", 1300))).app_tag == "locked"
    # All of it gone, the lock is still there, and can be given back.
    require_ok(await holder.call(edit("running", f'<network xmlns="{NET}" {OPERATION}="delete"/>')))
    require_ok(await holder.call(unlock("1")))


@pytest.mark.parametrize(
    ("first", "second"),
    [(PEER_A, PEER_A), ("/n:network", PEER_A), (f"{PEER_A}/n:mtu", "/n:network"), ("/", PEER_A), (PEER_A, "/")],
)
async def test_two_sessions_have_no_node_in_common(loaded: Agent, first: str, second: str) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    lock_id, _ = await take(holder, first)
    assert fault_of(await other.call(lock(second))) == Fault("protocol", "lock-denied", info=held_by(holder))
    # One session may.
    inner, _ = await take(holder, second)
    require_ok(await holder.call(unlock(lock_id)))
    assert fault_of(await other.call(lock(second))).tag == "lock-denied"
    require_ok(await holder.call(unlock(inner)))
    await take(other, second)


async def test_what_is_beside_it_can_be_locked_by_another(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    one, _ = await take(holder, PEER_A)
    two, _ = await take(other, "/n:network/n:peer[n:name='b']")
    assert one != two


async def test_the_whole_and_a_part_are_not_locked_together(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    whole = "<lock><target><running/></target></lock>"
    lock_id, _ = await take(holder, PEER_A)
    for peer in (holder, other):
        assert fault_of(await peer.call(whole)) == Fault("protocol", "lock-denied", info=held_by(holder))
    require_ok(await other.call(whole.replace("running", "candidate")))
    require_ok(await holder.call(unlock(lock_id)))
    require_ok(await holder.call(whole))
    for peer in (holder, other):
        assert fault_of(await peer.call(lock(PEER_A))) == Fault("protocol", "lock-denied", info=held_by(holder))


async def test_a_lock_goes_with_its_session_however_that_ends(loaded: Agent) -> None:
    other = await loaded.connect()
    for end in ("close", "drop", "kill"):
        holder = await loaded.connect()
        await take(holder, PEER_A)
        if end == "close":
            require_ok(await holder.call("<close-session/>"))
        elif end == "drop":
            holder.session.connection_lost()
        else:
            require_ok(await other.call(f"<kill-session><session-id>{holder.session.id}</session-id></kill-session>"))
        await holder.ended()
        require_ok(await other.call(mtu("a", 1300)))


async def test_nothing_is_locked_while_a_confirmed_commit_may_be_undone(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    require_ok(await other.call(mtu("a", 1200).replace("<running/>", "<candidate/>")))
    require_ok(await other.call("<commit><confirmed/></commit>"))
    fault = fault_of(await holder.call(lock(PEER_A)))
    assert (fault.tag, fault.app_tag) == ("in-use", "outstanding-confirmed-commit")
    require_ok(await other.call("<commit/>"))
    await take(holder, PEER_A)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lock(), Fault("protocol", "missing-element", info=SELECT)),
        (lock("/n:network["), Fault("application", "invalid-value", info=SELECT)),
        (lock("/x:network"), Fault("application", "invalid-value", info=SELECT)),
        (
            lock("count(//*)"),
            Fault("application", "invalid-value", "not-a-node-set", None, SELECT),
        ),
        (lock("'text'"), Fault("application", "invalid-value", "not-a-node-set", None, SELECT)),
        (lock("/n:network/n:peer[n:name='z']"), Fault("protocol", "operation-failed", "no-matches")),
        # A secret is not there for whoever may not read it.
        (lock("/n:vault/n:combination"), Fault("protocol", "operation-failed", "no-matches")),
        (lock("/n:network/n:peer[n:password='hunter2a']"), Fault("protocol", "operation-failed", "no-matches")),
        (
            lock(PEER_A).replace("select", "target"),
            Fault("protocol", "unknown-element", info=(("bad-element", "target"),)),
        ),
        (unlock("7"), Fault("protocol", "invalid-value", info=(("bad-element", "lock-id"),))),
        (unlock("x"), Fault("protocol", "invalid-value", info=(("bad-element", "lock-id"),))),
        (
            f'<partial-unlock xmlns="{PARTIAL_LOCK}"/>',
            Fault("protocol", "missing-element", info=(("bad-element", "lock-id"),)),
        ),
    ],
)
async def test_bad_requests_get_the_errors_of_the_rfc(loaded: Agent, operation: str, expected: Fault) -> None:
    assert fault_of(await (await loaded.connect()).call(operation)) == expected


async def test_a_lock_is_all_or_nothing_and_anothers_cannot_be_given_back(loaded: Agent) -> None:
    holder, other = await loaded.connect(), await loaded.connect()
    lock_id, _ = await take(holder, PEER_A)
    assert fault_of(await other.call(lock("/n:network/n:peer[n:name='b']", PEER_A))).tag == "lock-denied"
    require_ok(await holder.call(mtu("b", 1300)))
    assert fault_of(await other.call(unlock(lock_id))).tag == "invalid-value"
    # One expression that selects nothing does not hinder the others.
    _, nodes = await take(other, "/n:network/n:peer[n:name='z']", "/n:network/n:name")
    assert nodes == ["/net:network/net:name"]


async def test_state_tells_the_locks(loaded: Agent) -> None:
    holder = await loaded.connect()
    lock_id, _ = await take(holder, PEER_A)
    state = data_of(await holder.call(get(f'<netconf-state xmlns="{MONITORING}"><datastores/></netconf-state>')))
    (told,) = state.iter(f"{{{MONITORING}}}partial-lock")
    assert [(etree.QName(leaf).localname, leaf.text) for leaf in told] == [
        ("lock-id", lock_id),
        ("locked-by-session", str(holder.session.id)),
        ("locked-time", "2026-01-02T03:04:05Z"),
        ("select", PEER_A),
        ("locked-node", "/net:network/net:peer[net:name='a']"),
    ]


async def test_it_is_announced(schema: Schema) -> None:
    agent = Agent(schema)
    assert CAPABILITY in agent.server.capabilities
    await agent.close()
