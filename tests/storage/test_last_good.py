"""The last good copy: there is always one that is sound, and what is corrupt is kept for examination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rkmp.errors import CorruptStoreError, StorageError
from rkmp.storage import Database, LastGood
from tests.storage.notes import fill, numbers, open_notes


def test_a_copy_holds_what_was_committed_when_it_was_made(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "rkmp.db")
    assert last_good.made_at is None
    with open_notes(last_good.database) as database:
        fill(database, 0, 10)
        last_good.keep(database)
        fill(database, 10, 20)
    assert last_good.made_at is not None
    assert last_good.path.stat().st_mode & 0o777 == 0o600
    last_good.put_back()
    with open_notes(last_good.database) as database:
        assert numbers(database) == list(range(10))
        last_good.keep(database)
    assert last_good.path.exists()


def test_a_copy_is_made_where_the_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    last_good = LastGood(Path("rkmp.db"))
    with open_notes(last_good.database) as database:
        last_good.keep(database)
    last_good.put_back()
    assert (tmp_path / last_good.path.name).exists()


def test_what_was_corrupt_is_set_aside_with_its_write_ahead_file(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "rkmp.db")
    with open_notes(last_good.database) as database:
        last_good.keep(database)
    last_good.database.write_bytes(b"rubbish")
    Path(f"{last_good.database}-wal").write_bytes(b"more rubbish")
    last_good.put_back()
    assert last_good.set_aside.read_bytes() == b"rubbish"
    assert Path(f"{last_good.set_aside}-wal").read_bytes() == b"more rubbish"
    with open_notes(last_good.database) as database:
        assert numbers(database) == []


def test_a_copy_of_a_damaged_database_does_not_replace_a_good_one(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "rkmp.db")
    with open_notes(last_good.database) as database:
        fill(database, 0, 100)
        last_good.keep(database)
        database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(last_good.database.read_bytes())
        content[4096 * 3 : 4096 * 4] = os.urandom(4096)
        last_good.database.write_bytes(content)
        database._connection.execute("PRAGMA cache_size = 1")
        before = last_good.path.read_bytes()
        with pytest.raises(StorageError, match=r"damaged|corrupt"):
            last_good.keep(database)
        assert last_good.path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.glob("*fresh*")) == []


def test_a_damaged_copy_is_not_put_back(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "rkmp.db")
    with open_notes(last_good.database) as database:
        fill(database, 0, 100)
        last_good.keep(database)
    content = bytearray(last_good.path.read_bytes())
    content[4096 * 3 : 4096 * 4] = os.urandom(4096)
    last_good.path.write_bytes(content)
    before = last_good.database.read_bytes()
    with pytest.raises(StorageError, match="restore a backup"):
        last_good.put_back()
    assert last_good.database.read_bytes() == before


def test_an_empty_file_is_no_database_where_there_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    path.touch()
    with pytest.raises(CorruptStoreError, match="is empty; restore a backup"):
        Database(path, must_exist=True)
    assert path.read_bytes() == b""
    with open_notes(path) as database:
        fill(database, 0, 1)
    with Database(path, must_exist=True) as database:
        assert numbers(database) == [0]
