"""Transactions keep all or nothing, join when nested, and tell the rooms above what became of them."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rkmp.errors import KeyTableError, StorageError
from rkmp.storage import IN_MEMORY, Database, Transaction
from tests.storage.notes import INSERT, NOTES


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "rkmp.db") as database:
        database.migrate("notes", NOTES)
        yield database


def texts(database: Database) -> list[str]:
    return [text for (text,) in database.rows("SELECT text FROM notes ORDER BY id")]


def test_what_a_block_wrote_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    with Database(path) as database:
        database.migrate("notes", NOTES)
        with database.transaction() as transaction:
            assert transaction.insert(INSERT, ("one",)) == 1
            assert transaction.execute_many(INSERT, [("two",), ("three",)]) == 2
            assert transaction.rows("SELECT count(*) FROM notes") == [(3,)]
    with Database(path) as database:
        database.migrate("notes", NOTES)
        assert texts(database) == ["one", "two", "three"]


def test_a_block_that_raises_has_changed_nothing(database: Database) -> None:
    def write_and_raise() -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("one",))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_raise()
    assert texts(database) == []
    assert not database.in_transaction


def test_blocks_nest_by_joining_and_the_outermost_commits(database: Database) -> None:
    told: list[str] = []
    with database.transaction() as outer:
        outer.execute(INSERT, ("outer",))
        outer.after_commit(lambda: told.append("first"))
        with database.transaction() as inner:
            inner.execute(INSERT, ("inner",))
            inner.after_commit(lambda: told.append("second"))
            inner.after_rollback(lambda: told.append("never"))
        assert told == []
        assert database.in_transaction
    assert told == ["first", "second"]
    assert texts(database) == ["outer", "inner"]


def test_an_exception_caught_between_two_blocks_still_undoes_both(database: Database) -> None:
    undone: list[str] = []

    def fail_inside(reason: Exception) -> None:
        with database.transaction() as inner:
            inner.execute(INSERT, ("inner",))
            raise reason

    def swallow(reason: Exception) -> None:
        with database.transaction() as outer:
            outer.after_rollback(lambda: undone.append("outer"))
            outer.after_rollback(lambda: undone.append("later"))
            with pytest.raises(type(reason)):
                fail_inside(reason)

    with pytest.raises(StorageError, match="failed before: no such key"):
        swallow(KeyTableError("no such key"))
    assert undone == ["later", "outer"]
    with pytest.raises(StorageError, match=r"failed before: ValueError$"):
        swallow(ValueError("may hold anything"))
    assert texts(database) == []


def test_a_callback_may_open_the_next_transaction(database: Database) -> None:
    def follow_up() -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("second",))

    with database.transaction() as transaction:
        transaction.execute(INSERT, ("first",))
        transaction.after_commit(follow_up)
    assert texts(database) == ["first", "second"]


def test_a_bug_in_one_callback_does_not_silence_the_others(database: Database) -> None:
    told: list[str] = []

    def broken() -> None:
        raise ValueError("bug")

    def write() -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("kept",))
            transaction.after_commit(broken)
            transaction.after_commit(lambda: told.append("told"))

    with pytest.raises(ValueError, match="bug"):
        write()
    assert told == ["told"]
    assert texts(database) == ["kept"]


def test_after_a_failed_statement_nothing_more_is_done(database: Database) -> None:
    def ignore_the_failure() -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("same",))
            with pytest.raises(StorageError, match="would break a rule"):
                transaction.execute(INSERT, ("same",))
            with pytest.raises(StorageError, match="failed before"):
                transaction.rows("SELECT 1")

    with pytest.raises(StorageError, match="failed before"):
        ignore_the_failure()
    assert texts(database) == []


def test_a_wrong_binding_is_a_bug_and_says_so(database: Database) -> None:
    def write() -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("one", "two many"))

    with pytest.raises(sqlite3.ProgrammingError):
        write()
    with pytest.raises(sqlite3.ProgrammingError):
        database.rows("SELECT ?", ())
    assert texts(database) == []


def test_a_transaction_is_of_no_use_after_its_block(database: Database) -> None:
    kept: list[Transaction] = []
    with database.transaction() as transaction:
        kept.append(transaction)
    with pytest.raises(RuntimeError, match="after its block"):
        kept[0].execute(INSERT, ("late",))


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    path.touch(mode=0o644)
    with Database(path) as database:
        database.migrate("notes", NOTES)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"rkmp.db": 0o600, "rkmp.db-wal": 0o600}


def test_a_database_in_memory_works_alike_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Database(IN_MEMORY) as database:
        database.migrate("notes", NOTES)
        with database.transaction() as transaction:
            transaction.execute(INSERT, ("one",))
        assert texts(database) == ["one"]
    assert list(tmp_path.iterdir()) == []


def test_closing_inside_a_transaction_is_a_bug(database: Database) -> None:
    with database.transaction(), pytest.raises(RuntimeError, match="inside a transaction"):
        database.close()


def test_what_was_deleted_is_nowhere_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    with Database(path) as database:
        database.migrate("notes", NOTES)
        with database.transaction() as transaction:
            transaction.execute_many(INSERT, [("a note to keep",), ("a note to forget",)])
        with database.transaction() as transaction:
            assert transaction.execute("DELETE FROM notes WHERE text = ?", ("a note to forget",)) == 1
    content = path.read_bytes()
    assert b"a note to keep" in content
    assert b"a note to forget" not in content


def test_a_commit_is_synchronised_before_it_is_acknowledged(database: Database) -> None:
    full, write_ahead = 2, "wal"
    assert database.rows("PRAGMA synchronous") == [(full,)]
    assert database.rows("PRAGMA journal_mode") == [(write_ahead,)]
