"""How an agent starts, or says why it does not: whatever is wrong, an exit status and a line, never a traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lxml import etree
from ncclient.manager import Manager

from tests.e2e.agents import NETCONF, RKMP, AgentProcess, make_user_key, peer_configuration, wait_for

MakeAgent = Callable[[str], AgentProcess]
ANYWHERE = ("--netconf-listen", "127.0.0.1:0", "--ike-listen", "127.0.0.1:0")


@contextmanager
def taken_port(port: int = 0) -> Iterator[int]:
    """Hold a UDP port of loopback, so that nobody else can listen on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", port))
        yield holder.getsockname()[1]


def rkmpd(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rkmp.daemon", "--state-dir", str(directory), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refused(result: subprocess.CompletedProcess[str], status: int) -> str:
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    assert "ready" not in result.stdout
    return result.stderr


@pytest.fixture
def made(tmp_path: Path) -> AgentProcess:
    """An agent that was made and does not run."""
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    return agent


def listening_on(port: int) -> str:
    listen = f"<listen><name>there</name><address>127.0.0.1</address><port>{port}</port></listen>"
    return peer_configuration("r1", "r2", port=9, initiate="never", top=listen)


def listening(agent: AgentProcess, session: Manager) -> dict[str, str]:
    """Return what the agent shows of its one listener, and of whether it does what it is configured to."""
    leaves = "<in-force/><why-not-in-force/><listen><state/><reason/></listen>"
    data = agent.get(session, f'<rkmp xmlns="{RKMP}">{leaves}</rkmp>')
    names = ("state", "reason", "in-force", "why-not-in-force")
    found = data.iterdescendants(*(f"{{{RKMP}}}{name}" for name in names))
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in found}


def test_an_agent_whose_address_is_not_there_yet_serves_netconf_and_goes_on_trying(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    with taken_port() as port:
        pass
    with agent.connect() as session:
        session.edit_config(target="running", config=listening_on(port))
        before = session.get_config("running").data_xml
    agent.kill()
    with taken_port(port):
        agent.start()
        assert f"cannot listen on 127.0.0.1 port {port}" in agent.log.read_text()
        with agent.connect() as session:
            assert session.get_config("running").data_xml == before
            shown = listening(agent, session)
            assert (shown["state"], shown["in-force"]) == ("closed", "false")
            assert f"cannot listen on 127.0.0.1 port {port}" in shown["reason"]
            assert f"cannot listen on 127.0.0.1 port {port}" in shown["why-not-in-force"]
    wait_for("the configuration is in force", lambda: "is in force now" in agent.log.read_text())
    with agent.connect() as session:
        assert listening(agent, session) == {"state": "listening", "in-force": "true"}
    assert agent.stop() == 0


def test_whoever_gives_it_another_address_need_not_wait(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    with taken_port() as port:
        pass
    with agent.connect() as session:
        session.edit_config(target="running", config=listening_on(port))
    agent.kill()
    with taken_port(port):
        agent.start()
        with agent.connect() as session:
            nowhere = f"""<nc:config xmlns:nc="{NETCONF}"><rkmp xmlns="{RKMP}">
                <listen nc:operation="delete"><name>there</name></listen></rkmp></nc:config>"""
            session.edit_config(target="running", config=nowhere)
            assert "is in force now" in agent.log.read_text()


def test_an_agent_that_waits_for_its_address_stops_in_good_order(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    with taken_port() as port:
        pass
    with agent.connect() as session:
        session.edit_config(target="running", config=listening_on(port))
    agent.kill()
    with taken_port(port):
        agent.start()
        assert agent.stop() == 0
    assert "Traceback" not in agent.log.read_text()


def test_an_address_of_the_command_line_that_cannot_be_had_ends_it(made: AgentProcess) -> None:
    with taken_port() as port:
        ike = ("--netconf-listen", "127.0.0.1:0", "--ike-listen", f"127.0.0.1:{port}")
        assert f"cannot listen on 127.0.0.1 port {port}" in refused(rkmpd(made.directory, *ike), 1)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = f"127.0.0.1:{holder.getsockname()[1]}"
        netconf = ("--netconf-listen", taken, "--ike-listen", "127.0.0.1:0")
        assert f"cannot serve NETCONF on {taken}" in refused(rkmpd(made.directory, *netconf), 1)


def test_a_second_agent_on_the_same_state_is_refused(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    assert "another rkmpd" in refused(rkmpd(agent.directory, *ANYWHERE), 4)


@pytest.mark.parametrize("name", ["rkmp.db", "key-encryption-key", "ssh_host_ed25519_key"])
def test_lost_state_is_not_taken_for_new(made: AgentProcess, name: str) -> None:
    (made.directory / name).unlink()
    before = sorted(path.name for path in made.directory.iterdir())
    assert name in refused(rkmpd(made.directory, *ANYWHERE), 4)
    assert sorted(path.name for path in made.directory.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("rkmp.db", b"this is no database" * 300, 4),
        ("key-encryption-key", b"this is no key", 4),
        ("ssh_host_ed25519_key", b"this is no key", 1),
    ],
)
def test_damaged_state_is_told(made: AgentProcess, name: str, content: bytes, status: int) -> None:
    (made.directory / name).write_bytes(content)
    printed = refused(rkmpd(made.directory, *ANYWHERE), status)
    assert "key" in printed or "database" in printed
    assert content.decode() not in printed


def test_another_key_encryption_key_is_told(make_agent: MakeAgent) -> None:
    agent = make_agent("r1")
    agent.stop()
    (agent.directory / "key-encryption-key").write_text("00" * 32)
    assert "not the one" in refused(rkmpd(agent.directory, *ANYWHERE), 4)


def test_a_state_directory_that_cannot_be_written_is_told(made: AgentProcess) -> None:
    # Modes do not keep root from anything; this does.
    (made.directory / "lock").mkdir()
    assert "cannot use" in refused(rkmpd(made.directory, *ANYWHERE), 4)


def test_no_state_at_all_is_told(tmp_path: Path) -> None:
    assert "rkmpd init" in refused(rkmpd(tmp_path, *ANYWHERE), 4)


def test_an_input_that_cannot_be_watched_is_told(made: AgentProcess) -> None:
    assert "standard input" in refused(rkmpd(made.directory, *ANYWHERE, "--exit-on-stdin-eof"), 2)
