"""The ``rkmp`` command as people use it at a terminal: shells that complete, and a screen that outlives its agent."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.agents import USER, AgentProcess, make_user_key, peer_configuration
from tests.real_parts import program
from tests.terminal import CONTROL_C, Terminal

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set show-all-if-ambiguous on'; source <(rkmp completion bash)"),
    "zsh": (["-f", "-i"], "source <(rkmp completion zsh)"),
    "fish": (["--no-config", "-i"], "rkmp completion fish | source"),
}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    directory = tmp_path_factory.mktemp("terminal")
    agent = AgentProcess("r1", directory / "r1", make_user_key(directory))
    agent.initialise()
    agent.start()
    with agent.connect() as session:
        session.edit_config(target="running", config=peer_configuration("r1", "r2", port=9, initiate="never"))
    yield agent
    agent.kill()


@pytest.fixture
def environment(agent: AgentProcess, tmp_path: Path) -> dict[str, str]:
    """Return that of somebody who has a profile, and an ``rkmp`` that writes down how it is called."""
    (tmp_path / ".config" / "rkmp").mkdir(parents=True)
    (tmp_path / ".config" / "rkmp" / "config.toml").write_text(
        f'[profile.lab]\nport = {agent.netconf_port}\nuser = "{USER}"\nkey = "{agent.user_key}"\n'
    )
    wrapper = tmp_path / "bin" / "rkmp"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"""#!/bin/sh
case $1 in complete|completion) exec {sys.executable} -m rkmp.cli "$@";; esac
echo "called with: $*"
"""
    )
    wrapper.chmod(0o755)
    result = agent.run_client("show", "peers", home=tmp_path)
    assert result.returncode == 0, result.stderr
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": "",
        "PATH": f"{wrapper.parent}:{os.environ['PATH']}",
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete(environment: dict[str, str], shell: str) -> None:
    arguments, prepare = SHELLS[shell]
    with Terminal([program(shell), *arguments], environment) as terminal:
        terminal.type(f"{prepare}; echo is''ready\r")
        terminal.expect("isready", seconds=60)
        # Command, option, profile, peer and protocol, each from its beginning. Of it, shells draw the rest.
        for keys, drawn in (("rkmp --pro\t", "le"), ("l\t", "ab"), ("rek\t", "ey"), ("\t", "r2"), ("\t", "gp")):
            before = len(terminal.text)
            terminal.type(keys)
            terminal.expect(drawn, after=before)
        terminal.type("\r")
        terminal.expect("called with: --profile lab rekey r2 bgp")
        before = len(terminal.text)
        terminal.type("rkmp show \t")
        for subject in ("peers", "associations", "config"):
            terminal.expect(subject, after=before)


def test_a_watched_agent_may_go_and_come_back(agent: AgentProcess, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "rkmp.cli", "--profile", "lab", "watch"]
    with Terminal(command, environment) as terminal:
        terminal.expect("Events")
        before = len(terminal.text)
        terminal.resize(15, 100)
        terminal.expect("Events", after=before)
        agent.kill()
        terminal.expect("no answer since .* UTC, trying again: ")
        agent.start()
        terminal.expect("UTC   Ctrl-C ends *[\r\n]+Peers", after=len(terminal.text))
        before = len(terminal.text)
        with agent.connect():
            terminal.expect("netconf-session-start", after=before)
        terminal.type(CONTROL_C)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
        # The screen before is there again.
        assert terminal.shown.rfind("\x1b[?1049l") > terminal.shown.rfind("\x1b[?1049h")


def test_an_agent_that_falls_silent_is_noticed(agent: AgentProcess, environment: dict[str, str]) -> None:
    watch = [sys.executable, "-m", "rkmp.cli", "--profile", "lab", "watch"]
    with Terminal(watch, environment) as screen, Terminal([*watch, "--lines"], environment) as lines:
        screen.expect("Events")
        with agent.connect():
            lines.expect("netconf-session-start")
        # Its connections stay, as those over a link that is cut.
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            screen.expect(r"no answer since 20.* UTC, trying again: the agent did not answer in time", seconds=20)
            lines.expect("the agent did not answer in time", seconds=10)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        assert lines.end() == 3
        screen.expect("UTC   Ctrl-C ends *[\r\n]+Peers", after=len(screen.text))
        screen.type(CONTROL_C)
        assert screen.end() == 130


def test_long_work_says_what_is_under_way(agent: AgentProcess, environment: dict[str, str], tmp_path: Path) -> None:
    file, printed = tmp_path / "file.yaml", tmp_path / "printed"
    file.write_text("rkmp:rkmp:\n  ike-policy:\n    - name: another\n")
    for words, stages in (
        (
            f"apply {file}",
            (
                "reading the configuration",
                "sending \\d+ octets",
                "having it validated and committed",
                "logging in again",
            ),
        ),
        ("doctor", ("connecting to 127.0.0.1 port", "agent: asking")),
    ):
        command = f"{sys.executable} -m rkmp.cli --profile lab {words}"
        with Terminal(["sh", "-c", f"{command} >{printed}"], environment) as terminal:
            for stage in stages:
                terminal.expect(stage)
            terminal.end()
        assert not any(re.search(stage, printed.read_text()) for stage in stages)
        # The line is erased, and the cursor is there again.
        assert re.search(r"\x1b\[2K[^a-z]*$", terminal.shown)
        assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")
        # For whoever has no terminal there is nothing on standard error.
        assert agent.run_client(*words.split(), home=tmp_path).stderr == ""


def test_a_new_key_is_waited_for_and_not_longer_than_wanted(environment: dict[str, str], tmp_path: Path) -> None:
    rkmp = f"{sys.executable} -m rkmp.cli --profile lab"
    with Terminal([*rkmp.split(), "rekey", "r2", "bgp"], environment) as terminal:
        terminal.expect("waiting for r2 to agree on a new key for bgp")
        terminal.type(CONTROL_C)
        # Its four messages take longer, and so would their answer.
        assert terminal.end(seconds=2.5) == 130
        assert "Traceback" not in terminal.text
    # What is waited for is told in the place of what is printed, and does not get in its way.
    errors = tmp_path / "printed"
    with Terminal(
        ["sh", "-c", f"{rkmp} rekey r2 bgp >{errors}; {rkmp} --json clear r2 >{errors}"], environment
    ) as both:
        both.expect("operation-failed: no answer from the peer", seconds=60)
        assert both.end() == 0
    assert errors.read_text() == '{"ok": true}\n'


def test_colour_is_for_terminals_and_can_be_left_away(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "rkmp.cli", "--profile", "lab", "show", "peers"]
    for more, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        plain = {name: value for name, value in environment.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        with Terminal(command, {**plain, **more}) as terminal:
            assert terminal.end() == 0
            assert "r2" in terminal.text
            assert ("\x1b[33mdown" in terminal.shown) is is_coloured
