"""Two users of one agent through ncclient: the one that init made, and one that the rules of the other hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ncclient.manager import Manager
from ncclient.operations import RPCError

from ncclient import manager
from rkmp.daemon.state_directory import StateDirectory
from rkmp.daemon.users import NewUser, Users
from rkmp.storage import Database
from tests.e2e.agents import NETCONF, RKMP, USER, AgentProcess, make_user_key, peer_configuration

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
PSK = "a shared secret that only a test would use"
VIEWER = "viewer"
SECRET_PATH = "/rkmp:rkmp/rkmp:credentials/rkmp:pre-shared-key/rkmp:secret"

Connect = Callable[[str], Manager]


def rules(*content: str) -> str:
    return f"""
<config xmlns="{NETCONF}"><nacm xmlns="{ACM}">
  <groups><group><name>viewers</name><user-name>{VIEWER}</user-name></group></groups>
  <rule-list><name>viewers</name><group>viewers</group>{"".join(content)}</rule-list>
</nacm></config>"""


def rule(name: str, action: str, path: str, operations: str) -> str:
    return (
        f"<rule xmlns:rkmp='{RKMP}'><name>{name}</name><path>{path}</path>"
        f"<access-operations>{operations}</access-operations><action>{action}</action></rule>"
    )


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    agent = AgentProcess("r1", tmp_path / "r1", make_user_key(tmp_path))
    agent.initialise()
    database = Database(StateDirectory(agent.directory).database)
    public_key = Path(f"{agent.user_key}.pub").read_text()
    Users(database).add(NewUser(VIEWER, [public_key.strip()]), os.urandom)
    database.close()
    agent.start()
    yield agent
    agent.kill()


@pytest.fixture
def connect(agent: AgentProcess) -> Connect:
    def connect(username: str) -> Manager:
        parameters: dict[str, Any] = {"hostkey_verify": False, "allow_agent": False, "look_for_keys": False}
        session: Manager = manager.connect(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            port=agent.netconf_port,
            username=username,
            key_filename=str(agent.user_key),
            timeout=30,
            **parameters,
        )
        return session

    return connect


def denied_path(call: Callable[[], Any]) -> str:
    with pytest.raises(RPCError) as caught:
        call()
    assert caught.value.tag == "access-denied"
    return (caught.value.path or "").strip()


def test_a_user_is_held_by_the_rules_of_the_administrator(agent: AgentProcess, connect: Connect) -> None:
    operator, viewer = connect(USER), connect(VIEWER)
    configuration = peer_configuration("r1", "r2", port=4500)
    renamed = (
        f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}"><peer><name>r2</name><port>4501</port></peer></rkmp></config>'
    )

    # Before there are rules nobody but the administrator changes anything.
    assert denied_path(lambda: viewer.edit_config(target="running", config=configuration)).startswith("/rkmp:rkmp")
    operator.edit_config(target="running", config=configuration)
    assert "r2.example.net" in viewer.get_config("running").data_xml
    assert denied_path(lambda: viewer.edit_config(target="candidate", config=renamed)).endswith("/rkmp:port")
    assert denied_path(lambda: viewer.kill_session("1")) == "/nc:rpc/nc:kill-session"
    for session in (operator, viewer):
        assert PSK not in session.get_config("running").data_xml
        assert PSK not in session.get().data_xml

    may_change_ports = rule("ports", "permit", "/rkmp:rkmp/rkmp:peer/rkmp:port", "update")
    hidden = rule("hidden", "deny", "/rkmp:rkmp/rkmp:credentials", "read")
    operator.edit_config(target="running", config=rules(may_change_ports, hidden))
    viewer.edit_config(target="candidate", config=renamed)
    viewer.commit()
    data = viewer.get_config("running").data_xml
    assert "<port>4501</port>" in data
    assert "<credentials>" not in data
    assert "<credentials>" in operator.get_config("running").data_xml
    assert "<nacm" not in data
    assert "<denied-data-writes>2</denied-data-writes>" in operator.get().data_xml

    # After a restart the same rules hold.
    agent.kill()
    agent.start()
    operator, viewer = connect(USER), connect(VIEWER)
    assert "<credentials>" not in viewer.get_config("running").data_xml
    shows = rule("shows", "permit", SECRET_PATH, "read")
    operator.edit_config(target="running", config=rules(shows).replace("viewers", "readers"))
    operator.edit_config(
        target="running",
        config=rules().replace("<rule-list>", f'<rule-list xmlns:nc="{NETCONF}" nc:operation="delete">'),
    )
    assert PSK in viewer.get_config("running").data_xml
    assert PSK not in operator.get_config("running").data_xml
