"""A backup is everything or nothing, for its owner alone, and what it is restored to is whole or not there."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rkmp.daemon.__main__ import main
from rkmp.daemon.backup import back_up, restore
from rkmp.daemon.control import ControlSocket, ask
from rkmp.daemon.initialise import initialise
from rkmp.daemon.state_directory import EXIT_STATE, StateDirectory
from rkmp.daemon.users import Users
from rkmp.errors import CommandError, StorageError
from rkmp.secret import Secret
from rkmp.storage import Database, require_key

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path / "state")
    initialise(directory, user="ops", password=Secret(b"correct horse"), random=os.urandom)
    with closing(Database(directory.database)) as database:
        require_key(database, directory.read_key_encryption_key({}))
    return directory


def put_back(
    directory: StateDirectory, source: Path, key: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    return restore(directory, source, key=key, environment=environment or {}, now=NOW, random=os.urandom)


def archive(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w") as written:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("_dot_", "."))
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return path


def test_a_backup_is_for_its_owner_alone_and_makes_the_same_agent(directory: StateDirectory, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", StateDirectory(tmp_path / "other")
    back_up(directory, backup, with_key=True, now=NOW)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert put_back(other, backup) == "2026-11-26T12:00:00+00:00"
    other.require({})
    for name in ("key-encryption-key", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
        assert (other.path / name).read_bytes() == (directory.path / name).read_bytes()
        assert (other.path / name).stat().st_mode == (directory.path / name).stat().st_mode
    assert stat.S_IMODE(other.path.stat().st_mode) == 0o700
    with closing(Database(other.database)) as database:
        assert Users(database).is_recovery("ops")


def test_without_its_key_a_backup_is_of_use_to_whoever_has_it(directory: StateDirectory, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", StateDirectory(tmp_path / "other")
    back_up(directory, backup, with_key=False, now=NOW)
    assert directory.key_encryption_key.read_bytes().strip() not in backup.read_bytes()
    with pytest.raises(CommandError, match="holds no key-encryption key"):
        put_back(other, backup)
    put_back(other, backup, directory.key_encryption_key)
    other.require({})


def test_the_key_can_be_a_credential(directory: StateDirectory, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", StateDirectory(tmp_path / "other")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    directory.key_encryption_key.rename(credentials / "key-encryption-key")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    with pytest.raises(CommandError, match="has lost key-encryption-key"):
        directory.require({})
    directory.require(environment)
    back_up(directory, backup, with_key=False, now=NOW)
    put_back(other, backup, environment=environment)
    assert not other.key_encryption_key.exists()
    other.require(environment)


def test_the_wrong_key_leaves_nothing(directory: StateDirectory, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", StateDirectory(tmp_path / "other")
    back_up(directory, backup, with_key=False, now=NOW)
    wrong = tmp_path / "wrong"
    wrong.write_text("ab" * 32)
    wrong.chmod(0o600)
    with pytest.raises(StorageError, match="put the right key in place"):
        put_back(other, backup, wrong)
    assert list(other.path.iterdir()) == []


def test_neither_a_backup_nor_an_agent_is_overwritten(directory: StateDirectory, tmp_path: Path) -> None:
    backup = tmp_path / "backup.tar"
    back_up(directory, backup, with_key=True, now=NOW)
    before = backup.read_bytes()
    with pytest.raises(CommandError, match="File exists"):
        back_up(directory, backup, with_key=True, now=NOW)
    assert backup.read_bytes() == before
    with pytest.raises(CommandError, match="already holds an agent's state"):
        put_back(directory, backup)
    directory.require({})


def test_a_part_that_is_missing_leaves_no_backup(directory: StateDirectory, tmp_path: Path) -> None:
    directory.host_key.unlink()
    with pytest.raises(CommandError, match="No such file"):
        back_up(directory, tmp_path / "backup.tar", with_key=True, now=NOW)
    assert not (tmp_path / "backup.tar").exists()
    assert [file for file in directory.path.iterdir() if file.name.startswith("backup-")] == []


MANIFEST = json.dumps({"format": 1, "release": "0.1.0", "made": "now"}).encode()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no backup"),
        ({"manifest_dot_json": b"{"}, "no backup"),
        ({"manifest_dot_json": b"[]"}, "no backup"),
        ({"manifest_dot_json": MANIFEST}, "no backup"),
        ({"manifest_dot_json": MANIFEST, "rkmp_dot_db": b"", "../evil": b""}, "no backup"),
        ({"manifest_dot_json": b'{"format": 2, "release": "9", "made": ""}'}, "newer release"),
    ],
    ids=["empty", "no JSON", "no object", "no database", "another file", "newer"],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    other = StateDirectory(tmp_path / "other")
    with pytest.raises(CommandError, match=words):
        put_back(other, archive(tmp_path / "it.tar", **members))
    assert not other.path.exists()


def test_a_cut_or_foreign_file_is_refused(directory: StateDirectory, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", StateDirectory(tmp_path / "other")
    back_up(directory, backup, with_key=True, now=NOW)
    whole = backup.read_bytes()
    for length in (0, 100, 600, len(whole) // 2):
        backup.write_bytes(whole[:length])
        with pytest.raises((CommandError, StorageError)):
            put_back(other, backup)
        assert not other.holds_state
    with pytest.raises(CommandError, match="cannot read"):
        put_back(other, tmp_path / "nothing.tar")


async def test_a_running_agent_copies_its_database_and_answers_what_it_does_not_know(
    directory: StateDirectory,
) -> None:
    assert ask(directory, {}) is None
    with closing(Database(directory.database)) as database:
        control = ControlSocket(directory, database)
        await control.open()
        assert stat.S_IMODE(directory.control_socket.stat().st_mode) == 0o600
        answer = await asyncio.to_thread(ask, directory, {"copy-database": "backup-1.db"})
        assert answer == {"copied": "backup-1.db"}
        for request in ({}, {"copy-database": "../elsewhere.db"}, {"copy-database": 3}):
            answer = await asyncio.to_thread(ask, directory, request)
            assert answer is not None
            assert "error" in answer
        answer = await asyncio.to_thread(ask, directory, {"copy-database": "backup-1.db"})
        assert answer is not None
        assert "File exists" in answer["error"]
        await control.close()
    assert ask(directory, {}) is None
    with closing(Database(directory.path / "backup-1.db")) as copy:
        assert Users(copy).is_recovery("ops")


async def test_the_copy_of_a_backup_that_was_killed_is_gone_with_the_next_start(directory: StateDirectory) -> None:
    copy = directory.path / "backup-4711.db"
    copy.write_bytes(b"half of a database")
    with closing(Database(directory.database)) as database:
        control = ControlSocket(directory, database)
        await control.open()
        assert not copy.exists()
        await control.close()


async def test_a_path_longer_than_a_socket_address_is_no_hindrance(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / ("long" * 30))
    directory.path.mkdir()
    with closing(Database(directory.database)) as database:
        control = ControlSocket(directory, database)
        await control.open()
        assert directory.control_socket.is_socket()
        await control.close()


def test_a_key_that_the_service_alone_has_is_left_out_of_a_backup_knowingly(
    directory: StateDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "backup.tar"
    directory.key_encryption_key.unlink()
    command = ["backup", "--state-dir", str(directory.path), "--output", str(backup)]
    assert main(command) == EXIT_STATE
    assert "--without-key" in capsys.readouterr().err
    assert not backup.exists()
    assert main([*command, "--without-key"]) == 0
    assert backup.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_a_backup_that_root_makes_before_the_first_start_leaves_nothing_that_keeps_the_agent_out(
    directory: StateDirectory, tmp_path: Path
) -> None:
    owner = 12345
    for path in (directory.path, *directory.path.iterdir()):
        os.chown(path, owner, owner)
    back_up(directory, tmp_path / "backup", with_key=True, now=NOW)
    assert {path.name: path.stat().st_uid for path in directory.path.iterdir() if path.stat().st_uid != owner} == {}


def test_the_lock_is_never_a_link_to_something_else(directory: StateDirectory, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (directory.path / "lock").symlink_to(elsewhere)
    with pytest.raises(CommandError, match="cannot use"), directory.locked():
        pass
    assert not elsewhere.exists()
