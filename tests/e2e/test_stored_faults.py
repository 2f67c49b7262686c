"""A stored configuration that this release cannot use, and an earlier one has taken: the agent comes up and says so."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ncclient.operations import RPCError

from tests.e2e.agents import RKMP, AgentProcess, make_user_key, peer_configuration, wait_for
from tests.e2e.test_agent_management import agent_netconf, can_log_in, edit, state, user
from tests.netconf.certificates import AUTHORITY
from tests.netconf.over_ssh import PASSWORD
from tests.netconf.test_doors import free_port

ANCHOR = f"<trust-anchor><name>unused</name><certificate>{AUTHORITY.pem.decode()}</certificate></trust-anchor>"
MENDED = '<trust-anchor nc:operation="delete"><name>unused</name></trust-anchor>'
LINE = AUTHORITY.pem.decode().splitlines()[5]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    made = AgentProcess("r1", tmp_path / "state", make_user_key(tmp_path))
    made.initialise()
    made.start()
    yield made
    made.kill()


def start_with_a_damaged_certificate(agent: AgentProcess) -> None:
    """Stop the agent, make every stored certificate one that cannot be read, and start it anew."""
    agent.stop()
    with contextlib.closing(sqlite3.connect(agent.directory / "rkmp.db")) as database:
        changed = database.execute(
            "UPDATE datastore_rows SET content = replace(content, ?, ?)", (LINE, "A" * len(LINE))
        ).rowcount
        found = database.execute("SELECT count(*) FROM datastore_rows WHERE instr(content, ?)", ("A" * len(LINE),))
        assert changed
        assert found.fetchone()[0] == 1
        database.commit()
    agent.start()


def test_a_damaged_certificate_for_tls_keeps_neither_users_nor_ike_out(agent: AgentProcess) -> None:
    port = free_port()
    endpoint = f"<endpoint><name>inside</name><address>127.0.0.1</address><ssh><port>{port}</port></ssh></endpoint>"
    with agent.connect() as session:
        session.edit_config(target="running", config=peer_configuration("r1", "r2", port=9, initiate="never"))
        edit(session, user("alice", f"<password>$0${PASSWORD}</password>"), agent_netconf(endpoint + ANCHOR))
    start_with_a_damaged_certificate(agent)
    # It has said where it can be reached: the address of the command line, since no endpoint is in force.
    assert can_log_in(agent.netconf_port, "alice", password=PASSWORD)
    log = agent.log.read_text()
    assert "how the agent is managed is not in force" in log
    assert "trust-anchor" in log
    assert "Traceback" not in log
    with agent.connect() as session:
        assert state(agent, session, "netconf/endpoint", "inside", "status") == "failed"
        assert "certificate" in (state(agent, session, "netconf/endpoint", "inside", "last-error") or "")
        assert agent.get(session, f'<rkmp xmlns="{RKMP}"><in-force/></rkmp>').xpath("string(.)").strip() == "true"
        with pytest.raises(RPCError, match="trust anchor cannot be read"):
            edit(session, agent_netconf("<limits><idle-timeout>100</idle-timeout></limits>"))
        edit(session, agent_netconf(MENDED))
        wait_for("the endpoint", lambda: state(agent, session, "netconf/endpoint", "inside", "status") == "listening")
    assert can_log_in(port, "alice", password=PASSWORD)


def test_a_damaged_certificate_for_ike_keeps_nobody_from_mending_it(agent: AgentProcess) -> None:
    def credentials(content: str) -> str:
        return f'<rkmp xmlns="{RKMP}"><credentials>{content}</credentials></rkmp>'

    with agent.connect() as session:
        edit(session, credentials(ANCHOR))
    start_with_a_damaged_certificate(agent)
    assert "the stored configuration is not in force" in agent.log.read_text()
    assert "Traceback" not in agent.log.read_text()
    with agent.connect() as session:
        leaves = f'<rkmp xmlns="{RKMP}"><in-force/><why-not-in-force/></rkmp>'
        shown = agent.get(session, leaves)
        assert shown.findtext(f".//{{{RKMP}}}in-force") == "false"
        assert "certificate" in (shown.findtext(f".//{{{RKMP}}}why-not-in-force") or "")
        edit(session, credentials(MENDED))
        assert agent.get(session, leaves).findtext(f".//{{{RKMP}}}in-force") == "true"
    assert agent.stop() == 0
