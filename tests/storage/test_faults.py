"""What a disk can do to us: each fault is told in words that an operator can act on, and nothing is half kept."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rkmp.errors import StorageError
from rkmp.storage import Database, Migration
from rkmp.storage.faults import explain, explain_os
from tests.real_parts import traces
from tests.storage.notes import NOTES, fill, numbers, open_notes, write_note

REPOSITORY = Path(__file__).parents[2]
CHILD = [sys.executable, "-m", "tests.storage.notes"]


def run(command: list[str]) -> str:
    """Run a child from the repository's root; return what it printed."""
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_mount_namespace(script: str) -> list[str]:
    """Return the command that runs a shell script where it may mount file systems; skip the test where none may."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-e", "-c"]
    try:
        subprocess.run([*command, "mount -t tmpfs none /mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets us mount nothing")
    return [*command, script]


def filled(path: Path) -> Path:
    """Make a database of some forty pages."""
    with open_notes(path) as database:
        fill(database, 0, 100)
    return path


def test_a_full_disk_refuses_and_recovers_without_a_restart(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=600k none {tmp_path} && {' '.join(CHILD)} full {tmp_path}"
    assert "the disk is full; free some space" in run(in_mount_namespace(script))


def test_a_limited_file_size_refuses_and_recovers(tmp_path: Path) -> None:
    assert "check the disk and the file size limit" in run([*CHILD, "limited", str(tmp_path)])


def test_a_full_database_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with open_notes(tmp_path / "rkmp.db") as database:
        database._connection.execute("PRAGMA max_page_count = 20")
        refused, reason = fill(database, 0, 1000)
        assert "the disk is full" in reason
        assert numbers(database) == list(range(refused))


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "rkmp.db")
    script = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path} && {{}} open {tmp_path}"
    said = run(in_mount_namespace(script.format(" ".join(CHILD))))
    assert "Read-only file system" in said
    assert "make its disk writable" in said


def test_a_database_that_became_read_only_refuses_to_write(tmp_path: Path) -> None:
    with open_notes(tmp_path / "rkmp.db") as database:
        write_note(database, 0)
        database._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="the database is read-only; make the file"):
            write_note(database, 1)
        database._connection.execute("PRAGMA query_only = OFF")
        assert numbers(database) == [0]


def test_a_refused_commit_does_not_come_back_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path / "rkmp.db")
    inject = [traces(), "-f", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=3"]
    said = run([*inject, *CHILD, "refused-sync", str(tmp_path)])
    assert "input/output error" in said
    with open_notes(tmp_path / "rkmp.db") as database:
        assert numbers(database) == list(range(int(said.split()[0])))


def test_damaged_pages_are_found_at_start(tmp_path: Path) -> None:
    path = filled(tmp_path / "rkmp.db")
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is corrupt; keep the file for examination and restore a backup"):
        Database(path)
    assert path.read_bytes() == content


def test_a_file_that_was_cut_short_is_found_at_start(tmp_path: Path) -> None:
    path = filled(tmp_path / "rkmp.db")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StorageError, match="restore a backup"):
        Database(path)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    path.write_bytes(b"not a database, but somebody's letter" * 100)
    with pytest.raises(StorageError, match="is not a database"):
        Database(path)
    assert path.read_bytes().startswith(b"not a database")


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    stranger = sqlite3.connect(path)
    stranger.execute("CREATE TABLE recipes (name TEXT)")
    stranger.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program; nothing was changed"):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "rkmp.db")
    with (
        open_notes(path) as database,
        pytest.raises(StorageError, match="stored notes has version 1, written by a newer"),
    ):
        database.migrate("notes", ())
    with Database(path) as database:
        database._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="written by a newer release; upgrade, or restore"):
        Database(path)


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "rkmp.db")
    with Database(path):
        assert "locked by another process; stop whatever else has it open" in run([*CHILD, "open", str(tmp_path)])
    with Database(path) as database:
        assert numbers(database) == list(range(100))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "rkmp.db"
    with pytest.raises(StorageError, match=f"{path}: .*No such file or directory"):
        Database(path)


def test_a_disk_without_room_for_the_file_itself_is_named(tmp_path: Path) -> None:
    assert "the disk is full" in str(explain_os(OSError(errno.ENOSPC, "No space left on device"), "rkmp.db"))


def test_a_code_without_an_explanation_keeps_sqlites_words() -> None:
    error = sqlite3.OperationalError("something odd")
    error.sqlite_errorcode = sqlite3.SQLITE_INTERRUPT
    assert str(explain(error, "rkmp.db")) == "rkmp.db: something odd"


def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    later = (*NOTES, Migration(2, ("ALTER TABLE notes ADD COLUMN author TEXT NOT NULL DEFAULT 'us'",)))
    with open_notes(path) as database:
        write_note(database, 7)
    with Database(path) as database:
        database.migrate("notes", later)
        database.migrate("notes", later)
        assert database.rows("SELECT author FROM notes") == [("us",)]
        with pytest.raises(ValueError, match="not numbered"):
            database.migrate("others", (Migration(2, ()),))


def test_a_migration_that_fails_leaves_the_tables_of_before(tmp_path: Path) -> None:
    broken = (*NOTES, Migration(2, ("ALTER TABLE notes ADD COLUMN author TEXT", "UPDATE absent SET a = 1")))
    with open_notes(tmp_path / "rkmp.db") as database:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            database.migrate("notes", broken)
        assert len(database.rows("SELECT * FROM pragma_table_info('notes')")) == 2
