"""Agents have names in a file, the command line goes first, and a file that is wrong is told where."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.cli.__main__ import main
from rkmp.cli.profiles import Profile, profile, profile_names
from rkmp.errors import CommandError

FILE = """
default-profile = "r1"
[profile.r1]
host = "192.0.2.1"
port = 8301
user = "ops"
key = "~/keys/ops"
strict-host-key = true
[profile.r2]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "rkmp" / "config.toml"
    path.parent.mkdir()
    return path


def test_profiles_have_what_they_say_and_defaults(file: Path, tmp_path: Path) -> None:
    file.write_text(FILE)
    assert profile(None) == profile("r1") == Profile("192.0.2.1", 8301, "ops", tmp_path / "keys" / "ops", True)
    assert profile("r2") == Profile()
    assert profile_names() == ["r1", "r2"]


def test_without_a_file_there_are_none(file: Path) -> None:
    assert profile(None) == Profile()
    assert profile_names() == []
    with pytest.raises(CommandError, match="has no profile 'r1'"):
        profile("r1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("\n[profile\n", "line 2"),
        ("hosts = 1", "more than default-profile"),
        ("default-profile = 1", "more than default-profile"),
        ("profile = 1", "more than default-profile"),
        ("profile.r1 = 1", "profile.r1 is not a table"),
        ('[profile.r1]\nport = "830"', "profile.r1.port is none of"),
        ("[profile.r1]\nport = true", "profile.r1.port is none of"),
        ("[profile.r1]\nport = 70000", "profile.r1.port is not a port number"),
        ("[profile.r1]\nstrict-host-key = 1", "profile.r1.strict-host-key is none of"),
        ('[profile.r1]\npassword = "x"', "profile.r1.password is none of"),
        ('default-profile = "r2"\n[profile.r1]', "no profile 'r2'; there are r1"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    file: Path, content: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(content)
    assert main(["show", "peers"]) == 2
    assert reason in capsys.readouterr().err


def test_the_command_line_goes_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[profile.r1]\nhost = "127.0.0.1"\nport = 1\nuser = "ops"')
    assert main(["--profile", "r1", "show", "peers"]) == 3
    assert "cannot connect to 127.0.0.1 port 1" in capsys.readouterr().err
    assert main(["--profile", "r1", "--port", "2", "show", "peers"]) == 3
    assert "cannot connect to 127.0.0.1 port 2" in capsys.readouterr().err
