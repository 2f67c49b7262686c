"""An agent is managed over NETCONF itself: users, endpoints, TLS and call home, with ncclient, and after a restart."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest
from ncclient.manager import Manager
from ncclient.operations import RPCError
from ncclient.transport.errors import AuthenticationError, SSHError

from ncclient import manager
from tests.e2e.agents import NETCONF, USER, AgentProcess, make_user_key, wait_for
from tests.netconf.certificates import AUTHORITY, SERVER, issue
from tests.netconf.over_ssh import PASSWORD
from tests.netconf.test_call_home import called_over_ssh
from tests.netconf.test_doors import free_port

AGENT = "urn:rkmp:yang:rkmp-agent"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"
CERT_TO_NAME = "urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    directory = tmp_path_factory.mktemp("management")
    process = AgentProcess("r1", directory / "state", make_user_key(directory))
    process.initialise()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def session(agent: AgentProcess) -> Iterator[Manager]:
    with agent.connect() as connected:
        yield connected


def edit(session: Manager, *tops: str) -> None:
    config = f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}">{"".join(tops)}</config>'
    session.edit_config(target="running", config=config)


def agent_netconf(content: str) -> str:
    return f'<agent xmlns="{AGENT}"><netconf>{content}</netconf></agent>'


def user(name: str, content: str, operation: str = "merge") -> str:
    return (
        f'<system xmlns="{SYSTEM}"><authentication><user nc:operation="{operation}"><name>{name}</name>{content}'
        "</user></authentication></system>"
    )


def authorized_key(line: str, name: str = "k") -> str:
    algorithm, data = line.split()[:2]
    return (
        f"<authorized-key><name>{name}</name><algorithm>{algorithm}</algorithm><key-data>{data}</key-data>"
        "</authorized-key>"
    )


def log_in(port: int, name: str, **credentials: Any) -> Manager:
    connected: Manager = manager.connect(  # type: ignore[no-untyped-call]
        host="127.0.0.1",
        port=port,
        username=name,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=30,
        **credentials,
    )
    return connected


def can_log_in(port: int, name: str, **credentials: Any) -> bool:
    try:
        with log_in(port, name, **credentials) as connected:
            return bool(connected.get_config("running").ok)
    except (SSHError, AuthenticationError):
        return False


def state(agent: AgentProcess, session: Manager, path: str, name: str, leaf: str) -> str | None:
    data = agent.get(session, f'<agent xmlns="{AGENT}"/>')
    for entry in data.iterfind("/".join(f"{{{AGENT}}}{step}" for step in ("agent", *path.split("/")))):
        if entry.findtext(f"{{{AGENT}}}name") == name:
            return entry.findtext(f"{{{AGENT}}}{leaf}")
    return None


def test_a_user_of_configuration_can_log_in_with_password_and_key(agent: AgentProcess, session: Manager) -> None:
    key = agent.directory.with_name("alice_key")
    private = asyncssh.generate_private_key("ssh-ed25519")
    private.write_private_key(str(key))
    line = private.export_public_key().decode()
    edit(session, user("alice", f"<password>$0${PASSWORD}</password>{authorized_key(line)}"))
    assert can_log_in(agent.netconf_port, "alice", password=PASSWORD)
    assert can_log_in(agent.netconf_port, "alice", key_filename=str(key))
    assert not can_log_in(agent.netconf_port, "alice", password="wrong")
    # Neither the password nor its hash is shown, not even to whoever may do everything.
    shown = str(session.get_config("running").data_xml)
    assert base64.b64encode(base64.b64decode(line.split()[1])).decode() in shown
    assert "$6$" not in shown
    with (
        log_in(agent.netconf_port, "alice", password=PASSWORD) as alice,
        pytest.raises(RPCError, match="may not change"),
    ):
        edit(alice, user("mallory", f"<password>$0${PASSWORD}</password>"))
    edit(session, user("alice", "", "delete"))
    assert not can_log_in(agent.netconf_port, "alice", password=PASSWORD)


def test_the_last_administrator_stays(agent: AgentProcess, session: Manager) -> None:
    with pytest.raises(RPCError) as refused:
        edit(session, user(USER, ""))
    assert refused.value.tag == "operation-failed"
    assert refused.value.app_tag == "last-administrator"
    assert f"name='{USER}'" in (refused.value.path or "")
    # Another key in the place of the one that was given to `rkmpd init`.
    other = asyncssh.generate_private_key("ssh-ed25519")
    path = agent.directory.with_name("other_key")
    other.write_private_key(str(path))
    edit(session, user(USER, authorized_key(other.export_public_key().decode())))
    assert can_log_in(agent.netconf_port, USER, key_filename=str(path))
    assert not can_log_in(agent.netconf_port, USER, key_filename=str(agent.user_key))
    with pytest.raises(RPCError, match="no administrator"):
        edit(session, user(USER, '<authorized-key nc:operation="delete"><name>k</name></authorized-key>'))
    edit(session, user(USER, "", "delete"))
    assert can_log_in(agent.netconf_port, USER, key_filename=str(agent.user_key))


def endpoint(name: str, transport: str) -> str:
    return agent_netconf(f"<endpoint><name>{name}</name><address>127.0.0.1</address>{transport}</endpoint>")


def test_endpoints_open_and_close_on_commit_and_one_that_cannot_is_told(agent: AgentProcess) -> None:
    path, original, port, key = "netconf/endpoint", agent.netconf_port, free_port(), str(agent.user_key)
    with socket.create_server(("127.0.0.1", 0)) as squatter, agent.connect() as session:
        taken = squatter.getsockname()[1]
        edit(session, endpoint("taken", f"<ssh><port>{taken}</port></ssh>"))
        wait_for("failure told", lambda: state(agent, session, path, "taken", "status") == "failed")
        assert "in use" in (state(agent, session, path, "taken", "last-error") or "")
        # Whoever would have been locked out is not.
        assert can_log_in(original, USER, key_filename=key)
        edit(session, endpoint("second", f"<ssh><port>{port}</port></ssh>"))
        wait_for("it listens", lambda: state(agent, session, path, "second", "status") == "listening")
        assert can_log_in(port, USER, key_filename=key)
        assert not can_log_in(original, USER, key_filename=key)
        edit(session, agent_netconf('<endpoint nc:operation="delete"><name>taken</name></endpoint>'))
    # A crash and a restart come up with what was configured.
    agent.kill()
    agent.start()
    assert agent.netconf_port == port
    with agent.connect() as session:
        edit(session, agent_netconf('<endpoint nc:operation="delete"><name>second</name></endpoint>'))
    agent.netconf_port = original
    wait_for("the command line's address is served", lambda: can_log_in(original, USER, key_filename=key))


def tls() -> str:
    return f"""
        <certificate><name>own</name><chain>{SERVER.pem.decode()}</chain>
          <private-key>{SERVER.private_key.reveal().decode()}</private-key></certificate>
        <trust-anchor><name>ca</name><certificate>{AUTHORITY.pem.decode()}</certificate></trust-anchor>"""


def test_ncclient_manages_over_tls_as_the_user_of_its_certificate(agent: AgentProcess, session: Manager) -> None:
    port, directory = free_port(), agent.directory.parent
    certificate = issue("carol", AUTHORITY).write(directory, "carol")
    (directory / "ca.pem").write_bytes(AUTHORITY.pem)
    mapping = (
        f"<cert-to-name><id>1</id><fingerprint>{AUTHORITY.fingerprint.hex(':')}</fingerprint>"
        f'<map-type xmlns:x="{CERT_TO_NAME}">x:common-name</map-type></cert-to-name>'
    )
    transport = f"<tls><port>{port}</port><certificate>own</certificate><trust-anchor>ca</trust-anchor>{mapping}</tls>"
    edit(session, agent_netconf(tls()))
    edit(session, endpoint("secure", transport))
    path = "netconf/endpoint"
    wait_for("it listens", lambda: state(agent, session, path, "secure", "status") == "listening")
    with manager.connect_tls(  # type: ignore[no-untyped-call]
        host="127.0.0.1",
        port=port,
        certfile=str(certificate),
        ca_certs=str(directory / "ca.pem"),
        protocol=ssl.PROTOCOL_TLS_CLIENT,
    ) as carol:
        shown = str(carol.get_config("running").data_xml)
        assert "BEGIN CERTIFICATE" in shown
        assert "PRIVATE KEY" not in shown
        with pytest.raises(RPCError, match="may not change"):
            edit(carol, agent_netconf("<limits><sessions>1</sessions></limits>"))
    bad = agent_netconf(tls().replace("BEGIN PRIVATE", "BEGIN NO PRIVATE"))
    with pytest.raises(RPCError) as refused:
        edit(session, bad)
    assert refused.value.tag == "invalid-value"
    edit(session, agent_netconf('<endpoint nc:operation="delete"><name>secure</name></endpoint>'))


def test_a_waiting_client_is_called(agent: AgentProcess, session: Manager) -> None:
    edit(session, user("alice", f"<password>$0${PASSWORD}</password>"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]
        client = (
            "<call-home><netconf-client><name>noc</name><endpoint><name>a</name><address>127.0.0.1</address>"
            f"<ssh><port>{port}</port></ssh></endpoint></netconf-client></call-home>"
        )
        edit(session, agent_netconf(client))
        with called_over_ssh(listener) as called:
            assert called.get_config("running").ok
            path = "netconf/call-home/netconf-client"
            assert state(agent, session, path, "noc", "status") == "connected"
            assert state(agent, session, path, "noc", "connected-endpoint") == "a"
        with called_over_ssh(listener) as again:
            assert again.get_config("running").ok
    edit(session, agent_netconf('<call-home nc:operation="remove"/>'), user("alice", "", "delete"))


def test_limits_hold_for_the_sessions_that_come(agent: AgentProcess, session: Manager) -> None:
    edit(session, agent_netconf("<limits><sessions-per-user>2</sessions-per-user></limits>"))
    with agent.connect() as second:
        assert second.get_config("running").ok
        third = agent.connect()
        with pytest.raises(RPCError) as refused:
            third.get_config("running")
        assert refused.value.tag == "resource-denied"
        wait_for("its session ends", lambda: not third.connected)
        assert second.get_config("running").ok
    edit(session, agent_netconf('<limits nc:operation="remove"/>'))
