"""Clients that we did not write connect to a whole agent, read it and change it, each in its own way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from netconf.client import NetconfSSHSession
from netconf.error import RPCError as NetconfRPCError

from tests.e2e.agents import NAMESPACES, RKMP, USER, AgentProcess, peer_configuration

MakeAgent = Callable[[str], AgentProcess]
PASSWORD = "correct horse battery staple"

# The client has no type annotations.
NetconfSession: Any = NetconfSSHSession


def peers(reply: bytes | str) -> list[str]:
    root = etree.fromstring(reply.encode() if isinstance(reply, str) else reply)
    return [str(name) for name in root.xpath("//rkmp:peer/rkmp:name/text()", namespaces=NAMESPACES)]


@pytest.fixture
def agent(make_agent: MakeAgent) -> AgentProcess:
    return make_agent("r1")


@pytest.fixture
def password_agent(tmp_path: Path) -> Iterator[AgentProcess]:
    """An agent whose administrator logs in with a password."""
    agent = AgentProcess("r1", tmp_path / "r1", tmp_path / "no key")
    agent.initialise(password=PASSWORD)
    agent.start()
    yield agent
    agent.kill()


def test_ncclient_connects_gets_and_edits(agent: AgentProcess) -> None:
    with agent.connect() as session:
        assert ":candidate" in session.server_capabilities
        session.edit_config(target="candidate", config=peer_configuration("r1", "r2", port=9, initiate="never"))
        assert peers(session.get_config("running").data_xml) == []
        session.commit()
        assert peers(session.get_config("running").data_xml) == ["r2"]
        assert peers(session.get(filter=("subtree", f'<rkmp xmlns="{RKMP}"/>')).data_xml) == ["r2"]
        assert "module rkmp" in session.get_schema("rkmp").data


def test_netconf_console2_connects_gets_and_edits(password_agent: AgentProcess, tmp_path: Path) -> None:
    def console(*arguments: str) -> str:
        program = str(Path(sys.executable).parent / "netconf-console2")
        where = ["--host", "127.0.0.1", "--port", str(password_agent.netconf_port)]
        # With a key file it tries to decrypt the key with a password of its own.
        who = ["-u", USER, "-p", PASSWORD]
        done = subprocess.run(
            [program, *where, *who, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    edit = tmp_path / "edit.xml"
    config = etree.fromstring(peer_configuration("r1", "r2", port=9, initiate="never"))
    edit.write_bytes(etree.tostring(config[0]))
    assert "urn:ietf:params:netconf:base:1.1" in console("--hello")
    console("--db", "running", "--edit-config", str(edit))
    assert peers(console("--get-config")) == ["r2"]
    assert peers(console("--get")) == ["r2"]


def test_the_netconf_package_connects_gets_and_edits(password_agent: AgentProcess) -> None:
    session = NetconfSession("127.0.0.1", password_agent.netconf_port, USER, PASSWORD)
    try:
        config = etree.fromstring(peer_configuration("r1", "r2", port=9, initiate="never"))
        newconf = (
            f'<nc:config xmlns:nc="{NAMESPACES["nc"]}">{etree.tostring(config[0], encoding="unicode")}</nc:config>'
        )
        session.edit_config(newconf=newconf)
        assert peers(etree.tostring(session.get_config())) == ["r2"]
        assert peers(etree.tostring(session.get(f'<rkmp xmlns="{RKMP}"/>'))) == ["r2"]
        with pytest.raises(NetconfRPCError):
            session.send_rpc("<nc:there-is-no-such-operation/>")
    finally:
        session.close()


def test_a_wrong_key_and_a_wrong_password_are_refused(agent: AgentProcess, tmp_path: Path) -> None:
    done = agent.run_client("show", "peers")
    assert done.returncode == 0, done.stderr
    stranger = AgentProcess("r1", agent.directory, tmp_path / "stranger")
    stranger.netconf_port = agent.netconf_port
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger.user_key)], check=True)
    refused = stranger.run_client("show", "peers")
    assert refused.returncode == 3
    assert "does not accept" in refused.stderr
