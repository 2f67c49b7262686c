"""``rkmpd init`` makes a whole state directory that only its owner can read, or leaves nothing behind."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from rkmp.daemon.__main__ import main
from rkmp.daemon.initialise import add_administrator, initialise
from rkmp.daemon.state_directory import KEY_ENCRYPTION_KEY_OCTETS, StateDirectory
from rkmp.daemon.users import Users
from rkmp.errors import CommandError
from rkmp.secret import Secret
from rkmp.storage import Database
from tests.real_parts import program

PASSWORD = b"correct horse battery staple"


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def test_everything_in_the_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    initialise(directory, user="ops", password=Secret(PASSWORD), random=os.urandom)
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    for file in directory.path.iterdir():
        if file.suffix != ".pub":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_the_first_administrator_can_log_in(tmp_path: Path) -> None:
    directory, key = StateDirectory(tmp_path / "state"), public_key()
    initialise(directory, user="ops", authorized_keys=[key], password=Secret(PASSWORD), random=os.urandom)
    users = Users(Database(directory.database))
    assert users.authorized_keys("ops") == [key]
    assert await users.check_password("ops", Secret(PASSWORD))
    assert not await users.check_password("ops", Secret(PASSWORD + b"!"))
    assert not await users.check_password("nobody", Secret(PASSWORD))
    assert users.authorized_keys("nobody") == []


async def test_a_user_without_a_password_has_none_that_works(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    initialise(directory, user="ops", authorized_keys=[public_key()], random=os.urandom)
    users = Users(Database(directory.database))
    assert not await users.check_password("ops", Secret(b""))


def test_the_password_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    initialise(directory, user="ops", password=Secret(PASSWORD), random=os.urandom)
    for file in directory.path.iterdir():
        assert PASSWORD not in file.read_bytes()


def test_a_directory_that_holds_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    initialise(directory, user="ops", password=Secret(PASSWORD), random=os.urandom)
    before = {file.name: file.read_bytes() for file in directory.path.iterdir()}
    with pytest.raises(CommandError, match="already holds"):
        initialise(directory, user="other", password=Secret(PASSWORD), random=os.urandom)
    assert {file.name: file.read_bytes() for file in directory.path.iterdir()} == before


@pytest.mark.parametrize(
    ("user", "keys"),
    [("", ["valid"]), ("-rf", ["valid"]), ("a b", ["valid"]), ("x" * 65, ["valid"]), ("ops", ["ssh-ed25519 nonsense"])],
)
def test_what_cannot_be_an_administrator_leaves_nothing_behind(tmp_path: Path, user: str, keys: list[str]) -> None:
    directory = StateDirectory(tmp_path / "state")
    lines = [public_key() if key == "valid" else key for key in keys]
    with pytest.raises(CommandError):
        initialise(directory, user=user, authorized_keys=lines, random=os.urandom)
    assert not directory.holds_state


def test_a_directory_that_others_use_is_not_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(CommandError, match="not empty"):
        initialise(StateDirectory(tmp_path), user="ops", password=Secret(PASSWORD), random=os.urandom)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["somebody's"]


def test_no_agent_starts_on_what_an_interrupted_init_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = StateDirectory(tmp_path / "state")

    def power_cut_at_the_last_key(octets: int) -> bytes:
        if octets == KEY_ENCRYPTION_KEY_OCTETS:
            raise KeyboardInterrupt
        return os.urandom(octets)

    # A power cut leaves no time to clean up.
    monkeypatch.setattr(StateDirectory, "discard", lambda _self: None)
    with pytest.raises(KeyboardInterrupt):
        initialise(directory, user="ops", authorized_keys=[public_key()], random=power_cut_at_the_last_key)
    with pytest.raises(CommandError, match="key-encryption-key"):
        directory.require({})


def test_only_one_agent_may_run_on_a_directory(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    with directory.locked(), pytest.raises(CommandError, match="another rkmpd"), directory.locked():
        pass


def give_input(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


def test_keys_can_come_by_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, key = StateDirectory(tmp_path / "state"), public_key()
    give_input(monkeypatch, f"# mine\n{key}\n")
    assert main(["init", "--state-dir", str(directory.path), "--user", "ops", "--authorized-key", "-"]) == 0
    assert Users(Database(directory.database)).authorized_keys("ops") == [key]


def test_the_fingerprint_is_told_that_a_client_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory, operator = StateDirectory(tmp_path / "state"), tmp_path / "operator.pub"
    operator.write_text(public_key())
    command = ["init", "--state-dir", str(directory.path), "--user", "ops", "--authorized-key", str(operator)]
    assert main(command) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "host key" in line]
    listed = subprocess.run(
        [program("ssh-keygen"), "-lf", directory.host_key.with_suffix(".pub")],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    _, fingerprint, *_, kind = listed.stdout.split()
    assert f"{fingerprint} {kind};" in told


def test_whoever_has_the_directory_can_be_let_in_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, lost, key = StateDirectory(tmp_path / "state"), public_key(), public_key()
    initialise(directory, user="ops", authorized_keys=[lost], random=os.urandom)
    give_input(monkeypatch, key)
    command = ["add-administrator", "--state-dir", str(directory.path), "--user", "rescue", "--authorized-key", "-"]
    assert main(command) == 0
    users = Users(Database(directory.database))
    assert users.authorized_keys("rescue") == [key]
    assert users.is_recovery("rescue")
    assert users.authorized_keys("ops") == [lost]


@pytest.mark.parametrize(
    ("user", "reason"), [("ops", "already a user ops"), ("two words", "not a user name")], ids=["taken", "no name"]
)
def test_an_administrator_who_cannot_be_added_changes_nothing(tmp_path: Path, user: str, reason: str) -> None:
    directory, key = StateDirectory(tmp_path / "state"), public_key()
    initialise(directory, user="ops", authorized_keys=[key], random=os.urandom)
    with pytest.raises(CommandError, match=reason):
        add_administrator(directory, user=user, authorized_keys=[public_key()], random=os.urandom)
    assert Users(Database(directory.database)).authorized_keys("ops") == [key]


def test_no_administrator_is_added_where_no_agent_is_or_while_it_runs(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    with pytest.raises(CommandError, match="rkmpd init"):
        add_administrator(directory, user="rescue", random=os.urandom)
    assert not directory.path.exists()
    initialise(directory, user="ops", authorized_keys=[public_key()], random=os.urandom)
    with directory.locked(), pytest.raises(CommandError, match="another rkmpd is running"):
        add_administrator(directory, user="rescue", random=os.urandom)
