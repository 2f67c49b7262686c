"""Shells are told what can come next, by the very parser that reads the line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rkmp.cli.command_line import parser
from rkmp.cli.commands import COMMANDS
from rkmp.cli.completion import SCRIPTS, candidates, names_at_agent
from tests.real_parts import program


@pytest.fixture(autouse=True)
def two_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "rkmp").mkdir()
    (tmp_path / "rkmp" / "config.toml").write_text("[profile.r1]\n[profile.r2]\n")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (["--profile=r"], ["--profile=r1", "--profile=r2"]),
        (["--profile", "=", "r2"], ["r2"]),
        (["--profile", "="], ["r1", "r2"]),
        (["--host", ""], []),
        (["--key", ""], None),
        (["rekey", ""], ["peer of 192.0.2.1"]),
        (["rekey", "peer"], ["peer of 192.0.2.1"]),
        (["--host", "192.0.2.7", "rekey", "r2", ""], ["protocol of r2"]),
        (["keys", "export", "a", ""], ["name of 192.0.2.1"]),
        (["sh"], ["show"]),
        (["show", ""], ["peers", "keys", "associations", "config", "events"]),
        (["show", "k"], ["keys"]),
        (["--host", "192.0.2.1", "--json", "show", "a"], ["associations"]),
        (["--host=192.0.2.1", "keys", ""], ["export", "timeline"]),
        (["keys", "timeline", "--s"], ["--svg"]),
        (["keys", "timeline", "--svg", ""], None),
        (["show", "config", "--source", "c"], ["candidate"]),
        (["show", "events", "--"], ["--help", "--hours", "--json", "--xml"]),
        (["--profile", ""], ["r1", "r2"]),
        (["--profile", "r2", "w"], ["watch"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["apply", ""], None),
        (["nothing", ""], []),
        (["--no-strict"], ["--no-strict-host-key"]),
    ],
)
def test_what_can_come_next(line: list[str], found: list[str] | None) -> None:
    assert candidates(parser(), line, names) == found


def names(argument: str, given: Mapping[str, str]) -> list[str]:
    """Stand for an agent: say what was asked."""
    of = given.get("peer", "192.0.2.1")
    return [f"{argument} of {of}"] if argument in ("peer", "protocol", "name") else []


def test_an_agent_that_does_not_answer_has_no_names() -> None:
    assert names_at_agent("peer", {"host": "127.0.0.1", "port": "1"}) == []
    assert names_at_agent("peer", {"port": "x"}) == []
    assert names_at_agent("peer", {"profile": "nobody"}) == []


def test_every_command_is_offered_and_can_be_run() -> None:
    assert set(candidates(parser(), [""], names) or ()) == set(COMMANDS)
    assert candidates(parser(), [], names) == candidates(parser(), [""], names)


@pytest.mark.parametrize(("words", "found"), [("rkmp show k", "keys"), ("rkmp --profile r1 keys e", "export")])
def test_bash_completes(words: str, found: str, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    program = tmp_path / "bin" / "rkmp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m rkmp.cli "$@"\n')
    program.chmod(0o755)
    line = words.split()
    asked = f"COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _rkmp; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    script = f"{SCRIPTS['bash']}\n{asked}"
    result = subprocess.run(
        [bash, "--norc", "-c", script],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert result.stdout.split() == [found]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_every_shell_is_one(shell: str, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(SCRIPTS[shell])
    assert subprocess.run([program(shell), "-n", str(file)], check=False, timeout=30).returncode == 0
