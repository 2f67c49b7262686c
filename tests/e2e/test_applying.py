"""``rkmp apply``: what it asks, what it undoes, and what it does where the server offers less than the agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.agents import NETCONF, RKMP, USER, AgentProcess
from tests.e2e.relay import Relay
from tests.terminal import CONTROL_C, Terminal

pytestmark = pytest.mark.usefixtures("one_peer")

AGENT = "urn:rkmp:yang:rkmp-agent"
CANDIDATE = ("candidate", "confirmed-commit")


def applied(agent: AgentProcess, file: str) -> subprocess.CompletedProcess[str]:
    """Apply a YAML document."""
    path = agent.directory.parent / "file.yaml"
    path.write_text(file)
    return agent.run_client("apply", str(path))


def on_terminal(agent: AgentProcess, *words: str) -> Terminal:
    environment = dict(os.environ, HOME=str(agent.directory.parent), XDG_CONFIG_HOME="")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "rkmp.cli", "--port", str(agent.netconf_port)]
    return Terminal([*command, "--user", USER, "--key", str(agent.user_key), *words], environment)


def policies(agent: AgentProcess) -> set[str]:
    shown = json.loads(agent.run_client("--json", "show", "config").stdout)
    return {policy["name"] for policy in shown["rkmp"]["ike-policy"]}


SECOND = "rkmp:rkmp:\n  ike-policy:\n    - name: second\n"
DELETED = SECOND + '      "@": {ietf-netconf:operation: delete}\n'


@pytest.mark.parametrize(
    "delete",
    [
        DELETED,
        '{"rkmp:rkmp": {"ike-policy": [\n{"name": "second", "@": {"ietf-netconf:operation": "delete"}}]}}',
        f"""<rkmp xmlns="{RKMP}" xmlns:nc="{NETCONF}">
        <ike-policy nc:operation="delete"><name>second</name></ike-policy></rkmp>""",
    ],
    ids=["yaml", "json", "xml"],
)
def test_what_a_file_deletes_is_gone_and_cannot_be_deleted_twice(
    agent: AgentProcess, tmp_path: Path, delete: str
) -> None:
    assert applied(agent, SECOND).returncode == 0
    path = tmp_path / "delete"
    path.write_text(delete)
    done = agent.run_client("apply", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "-      <name>second</name>" in done.stdout
    again = agent.run_client("apply", str(path))
    assert again.returncode == 1
    line = 3 if delete == DELETED else 2
    assert again.stderr.startswith(f"rkmp: {path} line {line}: data-missing: ")


def test_whoever_is_at_the_terminal_sees_what_changes_and_is_asked(agent: AgentProcess, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(SECOND)
    for answer, status in (("n\r", 1), ("\x04", 1), (CONTROL_C, 130), ("y\r", 0)):
        with on_terminal(agent, "apply", str(path)) as terminal:
            terminal.expect("commit this")
            assert "\x1b[32m+      <name>second</name>" in terminal.shown
            assert "second" not in policies(agent)
            terminal.type(answer)
            assert terminal.end() == status, terminal.text
            assert ("nothing was changed" in terminal.text) is (status == 1)
            assert "Traceback" not in terminal.text
    assert "second" in policies(agent)
    with on_terminal(agent, "apply", "--no-ask", str(path)) as terminal:
        assert terminal.end() == 0
        assert "nothing to change" in terminal.text


def test_a_change_after_which_nobody_could_log_in_is_undone(agent: AgentProcess) -> None:
    one = f"rkmp-agent:agent:\n  netconf:\n    limits:\n      sessions-per-user: 1\n{SECOND}"
    done = applied(agent, one)
    assert done.returncode == 1, done.stdout
    assert "it was undone, because nobody could have logged in afterwards" in done.stderr
    assert "second" not in policies(agent)


def test_a_server_without_a_candidate_has_running_edited(agent: AgentProcess, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(SECOND)
    with Relay(agent, CANDIDATE) as relay:
        behind = AgentProcess("r1", agent.directory, agent.user_key)
        behind.netconf_port = relay.port
        refused = behind.run_client("diff", str(path))
        assert (refused.returncode, "no candidate" in refused.stderr) == (2, True)
        refused = behind.run_client("apply", "--confirm-within", "9", str(path))
        assert (refused.returncode, "no confirmed commits" in refused.stderr) == (2, True)
        assert "second" not in policies(agent)
        done = behind.run_client("apply", str(path))
        assert done.returncode == 0, done.stderr
        assert "no candidate: what changes can only be told afterwards" in done.stderr
        assert "+      <name>second</name>" in done.stdout
        assert b"candidate/>" not in relay.asked
        path.write_text(SECOND + "      lifetime: soon\n")
        wrong = behind.run_client("apply", str(path))
        assert (wrong.returncode, f"{path} line 4: invalid-value" in wrong.stderr) == (1, True)
    assert "second" in policies(agent)


def test_a_server_without_confirmed_commits_commits_at_once(agent: AgentProcess, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(SECOND)
    with Relay(agent, CANDIDATE[1:]) as relay:
        behind = AgentProcess("r1", agent.directory, agent.user_key)
        behind.netconf_port = relay.port
        assert behind.run_client("apply", str(path)).returncode == 0
        assert b"<confirmed" not in relay.asked
    assert "second" in policies(agent)
