"""A table of notes for the tests of this room, and a child that fills it (``python -m tests.storage.notes``)."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from rkmp.errors import StorageError
from rkmp.storage import Database, Migration

NOTES = (Migration(1, ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",)),)
INSERT = "INSERT INTO notes (text) VALUES (?)"
NOTE = "{:06d}" + "." * 1000


def write_note(database: Database, number: int) -> None:
    with database.transaction() as transaction:
        transaction.execute(INSERT, (NOTE.format(number),))


def numbers(database: Database) -> list[int]:
    return [int(text[:6]) for (text,) in database.rows("SELECT text FROM notes ORDER BY id")]


def open_notes(path: Path) -> Database:
    database = Database(path)
    database.migrate("notes", NOTES)
    return database


def fill(database: Database, first: int, limit: int) -> tuple[int, str]:
    """Write notes until the disk refuses; return the number of the refused one and the reason, or ``limit``, ''."""
    for number in range(first, limit):
        try:
            write_note(database, number)
        except StorageError as error:
            return number, str(error)
    return limit, ""


def main(scenario: str, directory: Path) -> None:
    """Meet a disk that refuses, and print what an operator would read, one line a step."""
    path, ballast = directory / "rkmp.db", directory / "ballast"
    if scenario == "full":
        database = open_notes(path)
        ballast.write_bytes(bytes(200 * 1024))
        refused, reason = fill(database, 0, 10_000)
        print(reason)
        assert 0 < refused < 10_000
        assert numbers(database) == list(range(refused))
        ballast.unlink()
        # Without a restart: the agent goes on as soon as there is room.
        assert fill(database, refused, refused + 5) == (refused + 5, "")
        database.close()
        with open_notes(path) as database:
            assert numbers(database) == list(range(refused + 5))
    elif scenario == "limited":
        database = open_notes(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        refused, reason = fill(database, 0, 10_000)
        print(reason)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert 0 < refused < 10_000
        assert fill(database, refused, refused + 5) == (refused + 5, "")
        database.close()
        with open_notes(path) as database:
            assert numbers(database) == list(range(refused + 5))
    elif scenario == "open":
        try:
            open_notes(path).close()
        except StorageError as error:
            print(error)
    elif scenario == "refused-sync":
        database = open_notes(path)
        refused, reason = fill(database, 100, 110)
        print(refused, reason)
        sys.stdout.flush()
        # As if killed: nothing more is written on the way out.
        os._exit(0)
    elif scenario == "acknowledging":
        database = open_notes(path)
        # So that some are moved into the database on the way.
        database._connection.execute("PRAGMA wal_autocheckpoint = 10")
        for number in range(30):
            write_note(database, number)
            os.write(sys.stdout.fileno(), b"%d\n" % number)
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
