"""netconf-state tells of capabilities, datastores, schemas, sessions and counters, as RFC 6022 has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import load_schema
from rkmp.netconf import Session
from rkmp.netconf.capabilities import NETCONF_MODULES
from rkmp.netconf.monitoring import NETCONF_STATE
from rkmp.netconf.namespaces import MONITORING
from rkmp.netconf.statistics import COUNTER_MODULUS
from tests.netconf.agents import NET, Agent, data_of, edit, get, require_ok
from tests.netconf.conftest import MODULES
from tests.netconf.conversation import Peer, nc, rpc
from tests.netconf.judge import require_valid_state

STATE = f'<netconf-state xmlns="{MONITORING}"/>'


def m(*steps: str) -> str:
    return "/".join(f"{{{MONITORING}}}{step}" for step in steps)


async def state_of(peer: Peer) -> etree._Element:
    (state,) = data_of(await peer.call(get(STATE)))
    assert state.tag == NETCONF_STATE
    return state


def texts(state: etree._Element, *steps: str) -> list[str]:
    return [element.text or "" for element in state.iterfind(m(*steps))]


async def test_the_capabilities_are_those_of_the_hello(agent: Agent) -> None:
    peer = await agent.connect()
    assert peer.server_hello is not None
    announced = [element.text for element in peer.server_hello.iter(nc("capability"))]
    assert texts(await state_of(peer), "capabilities", "capability") == announced == list(agent.server.capabilities)


async def test_locks_are_told_with_their_holder_and_time(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call("<lock><target><candidate/></target></lock>"))
    state = await state_of(peer)
    assert texts(state, "datastores", "datastore", "name") == ["running", "candidate", "startup"]
    locks = {
        entry.findtext(m("name")): [leaf.text for leaf in entry.iterfind(m("locks", "global-lock", "*"))]
        for entry in state.iterfind(m("datastores", "datastore"))
    }
    holder = [str(peer.session.id), "2026-01-02T03:04:05Z"]
    assert locks == {"running": [], "candidate": holder, "startup": []}


async def test_sessions_are_told_with_who_and_from_where(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect(username="bob")
    state = await state_of(peer)
    assert texts(state, "sessions", "session", "session-id") == [str(peer.session.id), str(other.session.id)]
    assert texts(state, "sessions", "session", "username") == ["alice", "bob"]
    assert set(texts(state, "sessions", "session", "source-host")) == {"192.0.2.7"}
    assert set(texts(state, "sessions", "session", "login-time")) == {"2026-01-02T03:04:05Z"}
    (first, _) = state.iterfind(m("sessions", "session", "transport"))
    prefix, _, name = (first.text or "").partition(":")
    assert (first.nsmap[prefix], name) == (MONITORING, "netconf-ssh")


async def test_what_each_session_does_is_counted(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call("<discard-changes/>"))
    await peer.call("<bogus/>")
    peer.send(b"<")
    await peer.message()
    agent.server.publish(agent.clock(), etree.fromstring(f'<alarm xmlns="{NET}"/>'))
    state = await state_of(peer)
    session = state.find(m("sessions", "session"))
    assert session is not None
    counters = ("in-rpcs", "in-bad-rpcs", "out-rpc-errors", "out-notifications")
    assert [session.findtext(m(name)) for name in counters] == ["2", "1", "2", "0"]


async def test_the_server_counts_over_all_its_sessions(agent: Agent) -> None:
    closed, dropped, bad, killed = [agent.open() for _ in range(4)]
    for peer in (closed, dropped, killed):
        await peer.hello()
    require_ok(await closed.call("<discard-changes/>"))
    require_ok(await closed.call("<close-session/>"))
    dropped.session.connection_lost()
    bad.send(rpc("<get/>"))
    await bad.ended()
    peer = await agent.connect()
    require_ok(await peer.call(f"<kill-session><session-id>{killed.session.id}</session-id></kill-session>"))
    state = await state_of(peer)
    statistics = {etree.QName(leaf).localname: leaf.text for leaf in state.iterfind(m("statistics", "*"))}
    assert statistics == {
        "netconf-start-time": "2026-01-02T03:04:05Z",
        "in-bad-hellos": "1",
        "in-sessions": "5",
        "dropped-sessions": "1",
        "in-rpcs": "3",
        "in-bad-rpcs": "0",
        "out-rpc-errors": "0",
        "out-notifications": "0",
    }


async def test_counters_start_again_after_their_largest_value(agent: Agent) -> None:
    peer = await agent.connect()
    session: Session = peer.session
    session.counters.in_rpcs = COUNTER_MODULUS + 5
    assert texts(await state_of(peer), "sessions", "session", "in-rpcs") == ["5"]


@pytest.mark.parametrize("content", [None, STATE])
async def test_libyang_finds_the_state_valid(agent: Agent, content: str | None) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call("<lock><target><running/></target></lock>"))
    require_ok(await peer.call(edit("candidate", f'<network xmlns="{NET}"><name>x</name></network>')))
    data = data_of(await peer.call(get(content)))
    # The list of streams of RFC 5277 has no module, and so is not there unless it is asked for by name.
    assert len(data) == (6 if content is None else 1)
    require_valid_state({**NETCONF_MODULES, "example-network": ()}, [MODULES], data)


async def test_a_filter_selects_one_session(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect()
    wanted = f"<sessions><session><session-id>{other.session.id}</session-id></session></sessions>"
    (state,) = data_of(await peer.call(get(f'<netconf-state xmlns="{MONITORING}">{wanted}</netconf-state>')))
    assert texts(state, "sessions", "session", "session-id") == [str(other.session.id)]
    assert state.find(m("schemas")) is None


async def test_modules_that_take_the_servers_prefixes_do_not_confuse_its_values(tmp_path: Path) -> None:
    for name, prefix in (("first", "ncm"), ("second", "ds")):
        (tmp_path / f"{name}.yang").write_text(
            f'module {name} {{ yang-version 1.1; namespace "urn:{name}"; prefix {prefix}; revision 2026-01-01; '
            f"leaf {name} {{ type identityref {{ base b; }} }} identity b; identity c {{ base b; }} }}"
        )
    implemented = {**NETCONF_MODULES, "first": (), "second": ()}
    agent = Agent(load_schema(implemented, [tmp_path]))
    peer = await agent.connect()
    require_ok(await peer.call(edit("running", '<first xmlns="urn:first" xmlns:q="urn:first">q:c</first>')))
    data = data_of(await peer.call(get(), 'xmlns:ncm="urn:other" xmlns:x="urn:first"'))
    require_valid_state(implemented, [tmp_path], data)
    await agent.close()
