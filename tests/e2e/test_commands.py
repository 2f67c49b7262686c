"""The ``rkmp`` command before a running agent: what it does and refuses, its exit statuses, and never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from tests.e2e.agents import KEY_TABLE, NETCONF, RKMP, USER, AgentProcess, make_user_key, peer_configuration

pytestmark = pytest.mark.usefixtures("one_peer")

SECRET = "0123456789abcdefghij"
MANUAL_KEY = f"""
<config xmlns="{NETCONF}" xmlns:ckt="{KEY_TABLE}"><ckt:key-table><ckt:key>
  <ckt:admin-key-name>by hand</ckt:admin-key-name><ckt:local-key-name>01</ckt:local-key-name>
  <ckt:peer-key-name>02</ckt:peer-key-name><ckt:peer>192.0.2.9</ckt:peer><ckt:protocol>ckt:bgp</ckt:protocol>
  <ckt:kdf>ckt:hmac-sha-1</ckt:kdf><ckt:alg-id>ckt:hmac-sha-1-96</ckt:alg-id><ckt:keystring>{SECRET}</ckt:keystring>
</ckt:key></ckt:key-table></config>"""


def done_json(result: subprocess.CompletedProcess[str]) -> str:
    """Require success; return what was printed for programs."""
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def done(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Require an exit status and no traceback; return all that was printed."""
    printed = result.stdout + result.stderr
    assert result.returncode == status, printed
    assert "Traceback" not in printed
    return printed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.xml"


def test_apply_says_what_it_changed_and_then_that_there_is_nothing_to_change(agent: AgentProcess, file: Path) -> None:
    file.write_text(f'<rkmp xmlns="{RKMP}"><ike-policy><name>second</name></ike-policy></rkmp>')
    assert "+" in done(agent.run_client("diff", str(file)), 0)
    assert "second" not in done(agent.run_client("show", "config"), 0)
    assert "second" in done(agent.run_client("apply", str(file)), 0)
    assert "second" in done(agent.run_client("show", "config"), 0)
    assert done(agent.run_client("apply", str(file)), 0) == "nothing to change\n"


def test_a_secret_alone_is_not_called_nothing(agent: AgentProcess, file: Path) -> None:
    """The agent shows no secrets, so no difference of them can be seen; to say that there is none would be a lie."""
    config = etree.fromstring(peer_configuration("r1", "r2", port=9, initiate="never", psk="another secret"))
    file.write_bytes(etree.tostring(config))
    printed = done(agent.run_client("apply", str(file)), 0)
    assert printed == "nothing to change that is shown; secrets are not\n"
    assert json.loads(done(agent.run_client("--json", "apply", str(file)), 0)) == {
        "changed": False,
        "diff": [],
        "with-secrets": True,
    }


def test_what_show_config_prints_can_be_applied(agent: AgentProcess, file: Path) -> None:
    file.write_text(MANUAL_KEY)
    done(agent.run_client("apply", str(file)), 0)
    shown = agent.run_client("show", "config")
    done(shown, 0)
    assert SECRET not in shown.stdout
    assert {etree.QName(top).localname for top in etree.fromstring(shown.stdout)} == {"rkmp", "key-table"}
    file.write_text(shown.stdout)
    assert done(agent.run_client("apply", str(file)), 0) == "nothing to change\n"


@pytest.mark.parametrize("command", ["apply", "diff"])
def test_a_refused_configuration_changes_nothing_and_says_where(agent: AgentProcess, file: Path, command: str) -> None:
    file.write_text(f"""<rkmp xmlns="{RKMP}"><peer><name>r2</name><ike-policy>nowhere</ike-policy></peer>
        <ike-policy><name>second</name></ike-policy></rkmp>""")
    printed = done(agent.run_client(command, str(file)), 1)
    assert "data-missing" in printed
    assert "/rkmp:rkmp/rkmp:peer[rkmp:name='r2']/rkmp:ike-policy" in printed
    assert "second" not in done(agent.run_client("show", "config", "--source", "candidate"), 0)


POLICY = {
    ".xml": f"""<rkmp xmlns="{RKMP}">
  <ike-policy><name>second</name>
    <lifetime>7200</lifetime></ike-policy></rkmp>""",
    ".json": """{"rkmp:rkmp": {
  "ike-policy": [{"name": "second",
    "lifetime": 7200}]}}""",
    ".yaml": """rkmp:rkmp:
  ike-policy: [{name: second,
    lifetime: 7200}]""",
}


@pytest.mark.parametrize("ending", POLICY)
def test_files_of_every_notation_are_applied_and_their_faults_have_lines(
    agent: AgentProcess, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"policy{ending}"
    file.write_text(POLICY[ending].replace("7200", '"soon"' if ending == ".json" else "soon"))
    printed = done(agent.run_client("apply", str(file)), 1)
    assert f"{file} line 3: invalid-value" in printed
    file.write_text(POLICY[ending])
    assert "+" in done(agent.run_client("diff", str(file)), 0)
    assert "<lifetime>7200</lifetime>" in done(agent.run_client("apply", str(file)), 0)
    assert done(agent.run_client("diff", str(file)), 0) == "nothing to change\n"


def test_a_change_is_undone_unless_it_is_confirmed(agent: AgentProcess, file: Path) -> None:
    file.write_text(POLICY[".xml"])
    told = json.loads(done_json(agent.run_client("--json", "apply", str(file), "--confirm-within", "600")))
    assert (told["changed"], told["confirm-within"]) == (True, 600)
    assert "second" in done(agent.run_client("show", "config"), 0)
    assert "persist-id" in done(agent.run_client("confirm", "wrong"), 1)
    done(agent.run_client("cancel", told["token"]), 0)
    assert "second" not in done(agent.run_client("show", "config"), 0)
    applied = agent.run_client("apply", str(file), "--confirm-within", "600")
    token = applied.stderr.split("`rkmp confirm ")[1].split("`")[0]
    done(agent.run_client("confirm", token), 0)
    assert "second" in done(agent.run_client("show", "config"), 0)
    assert done(agent.run_client("confirm", token), 1)


def test_nobody_is_asked_where_nobody_is(agent: AgentProcess, file: Path) -> None:
    file.write_text(POLICY[".xml"])
    assert "needs a terminal" in done(agent.run_client("apply", str(file), "--ask"), 2)
    assert "second" not in done(agent.run_client("show", "config"), 0)


def test_several_refusals_are_all_told(agent: AgentProcess, file: Path) -> None:
    file.write_text(f"""<rkmp xmlns="{RKMP}"><peer><name>r2</name><ike-policy>nowhere</ike-policy>
        <association><protocol>bgp</protocol><proposal>nothing</proposal></association></peer></rkmp>""")
    printed = done(agent.run_client("apply", str(file)), 1)
    assert "'nowhere'" in printed
    assert "'nothing'" in printed


@pytest.mark.parametrize("command", ["apply", "diff"])
def test_the_uncommitted_work_of_others_is_left_alone(agent: AgentProcess, file: Path, command: str) -> None:
    file.write_text(f'<rkmp xmlns="{RKMP}"><ike-policy><name>second</name></ike-policy></rkmp>')
    theirs = f"""<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}">
        <ike-policy><name>theirs</name></ike-policy></rkmp></config>"""
    with agent.connect() as session:
        session.edit_config(target="candidate", config=theirs)
        assert "uncommitted" in done(agent.run_client(command, str(file)), 1)
        assert "theirs" in session.get_config("candidate").data_xml
        session.discard_changes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<broken", "line 1"),
        (b"", "empty"),
        (b"\xff\xfe\x00garbage", "line 1"),
        (b"<config/>", "no configuration"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_none_is_noticed_before_the_agent_is_asked(
    agent: AgentProcess, file: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    nobody = AgentProcess("r1", agent.directory, agent.user_key)
    nobody.netconf_port = 1
    assert reason in done(nobody.run_client("apply", str(file)), 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("rekey", "nobody", "bgp"), "does not exist"),
        (("rekey", "r2", "ldp"), "does not exist"),
        (("rekey", "r2", "no such protocol"), "invalid-value"),
        (("initiate", "nobody"), "does not exist"),
        (("clear", "nobody"), "does not exist"),
    ],
)
def test_an_action_on_what_is_not_there_is_refused(
    agent: AgentProcess, arguments: tuple[str, ...], reason: str
) -> None:
    assert reason in done(agent.run_client(*arguments), 1)


def test_actions_answer_in_json_too(agent: AgentProcess) -> None:
    assert json.loads(done(agent.run_client("--json", "clear", "r2"), 0)) == {"ok": True}


@pytest.mark.parametrize("arguments", [("--port", "99999"), ("--port", "0"), ("--port", "x"), ("frobnicate",)])
def test_a_wrong_command_line_is_told_apart(agent: AgentProcess, arguments: tuple[str, ...]) -> None:
    done(agent.run_client(*arguments, "show", "peers"), 2)


def test_an_agent_that_is_not_there_is_told_apart(agent: AgentProcess) -> None:
    nobody = AgentProcess("r1", agent.directory, agent.user_key)
    nobody.netconf_port = 1
    assert "is rkmpd running there" in done(nobody.run_client("show", "peers"), 3)


def test_a_key_file_that_is_not_there_is_not_the_agents_fault(agent: AgentProcess, tmp_path: Path) -> None:
    without = AgentProcess("r1", agent.directory, tmp_path / "no key")
    without.netconf_port = agent.netconf_port
    assert "cannot read the key" in done(without.run_client("show", "peers"), 2)


def test_a_changed_host_key_is_refused_and_an_unknown_one_where_asked(agent: AgentProcess, tmp_path: Path) -> None:
    assert "is not known" in done(agent.run_client("--strict-host-key", "show", "peers", home=tmp_path), 3)
    assert "learnt" in done(agent.run_client("show", "peers", home=tmp_path), 0)
    assert "learnt" not in done(agent.run_client("--strict-host-key", "show", "peers", home=tmp_path), 0)
    other = make_user_key(tmp_path).with_suffix(".pub").read_text().split()[1]
    known = tmp_path / ".config" / "rkmp" / "known_hosts"
    known.write_text(f"[127.0.0.1]:{agent.netconf_port} ssh-ed25519 {other}\n")
    printed = done(agent.run_client("show", "peers", home=tmp_path), 3)
    assert "has changed to SHA256:" in printed
    # Also where a key of another kind is shown: that is what somebody in between would have.
    ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode().strip()
    known.write_text(f"[127.0.0.1]:{agent.netconf_port} {ecdsa}\n")
    assert "has changed to one of another kind" in done(agent.run_client("show", "peers", home=tmp_path), 3)
    # What is said to help does.
    remedy = printed.split("`")[1]
    assert remedy == f"ssh-keygen -f {known} -R '[127.0.0.1]:{agent.netconf_port}'"
    subprocess.run(["ssh-keygen", "-f", known, "-R", f"[127.0.0.1]:{agent.netconf_port}"], check=True, timeout=30)
    assert "learnt" in done(agent.run_client("show", "peers", home=tmp_path), 0)


def test_watch_ends_with_the_agent(make_agent: Callable[[str], AgentProcess]) -> None:
    agent = make_agent("r2")
    killer = threading.Timer(4.0, agent.kill)
    killer.start()
    printed = done(agent.run_client("watch"), 3)
    killer.join()
    assert "agent" in printed or "session" in printed


def test_a_password_that_is_none_is_not_shown(agent: AgentProcess) -> None:
    command = [sys.executable, "-m", "rkmp.cli", "--port", str(agent.netconf_port), "--password-stdin", "show", "peers"]
    asked = subprocess.run(command, input=b"hunter2\xff\n", capture_output=True, timeout=30, check=False)
    assert asked.returncode == 2
    assert b"not UTF-8" in asked.stderr
    assert b"hunter2" not in asked.stderr


def test_a_reader_that_has_left_is_no_error(agent: AgentProcess, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rkmp.cli", "--host", "127.0.0.1", "--port", str(agent.netconf_port)]
    command += ["--user", USER, "--key", str(agent.user_key), "--json", "show", "config"]
    try:
        # Buffered, as it is for most: then nobody notices before the end.
        buffered = dict(os.environ, HOME=str(tmp_path), XDG_CONFIG_HOME="")
        buffered.pop("PYTHONUNBUFFERED", None)
        asked = subprocess.run(
            command, env=buffered, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    finally:
        os.close(writer)
    assert asked.returncode == 0, asked.stderr
    assert "BrokenPipe" not in asked.stderr


def test_a_home_that_cannot_be_written_is_told(agent: AgentProcess, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file where a directory has to be")
    assert "cannot record the host key" in done(agent.run_client("show", "peers", home=tmp_path), 3)


def test_state_and_events_are_shown_as_xml_too(agent: AgentProcess) -> None:
    peers = etree.fromstring(done_json(agent.run_client("show", "peers", "--xml")))
    assert peers.findtext(f"{{{RKMP}}}rkmp/{{{RKMP}}}peer/{{{RKMP}}}name") == "r2"
    events = done_json(agent.run_client("show", "events", "--xml")).splitlines()
    assert {etree.QName(etree.fromstring(event)).localname for event in events} == {"notification"}
    assert "two ways to print one thing" in done(agent.run_client("show", "peers", "--xml", "--json"), 2)


def test_an_event_is_a_line_of_words(agent: AgentProcess) -> None:
    events = done(agent.run_client("show", "events"), 0)
    change = next(line for line in events.splitlines() if " netconf-config-change " in line)
    assert f" username={USER} session-id=" in change
    assert " datastore=running target=/rkmp:rkmp" in change
    assert not set("{}[]'") & set(change)


def test_watch_is_a_screen_on_a_terminal(agent: AgentProcess, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rkmp.cli", "--host", "127.0.0.1", "--port", str(agent.netconf_port)]
    command += ["--user", USER, "--key", str(agent.user_key), "watch"]
    environment = dict(
        os.environ, HOME=str(agent.directory.parent), XDG_CONFIG_HOME="", TERM="xterm", COLUMNS="200", LINES="40"
    )
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        screen = b""
        try:
            deadline = time.monotonic() + 30
            while not (b"Associations" in screen and b"r2" in screen and b"netconf-config-change" in screen):
                assert time.monotonic() < deadline, screen
                if b"Events" in screen and b"netconf-config-change" not in screen:
                    with agent.connect() as session:
                        port = 10 + screen.count(b"Events") % 1000
                        config = peer_configuration("r1", "r2", port=port, initiate="never")
                        session.edit_config(target="running", config=config)
                screen += os.read(ours, 65536)
        finally:
            process.send_signal(signal.SIGINT)
            # It draws its good-bye, for which somebody has to listen.
            with contextlib.suppress(OSError):
                while left := os.read(ours, 65536):
                    screen += left
        assert process.wait(15) == 130
    os.close(ours)
    assert b"Traceback" not in screen
