"""The last good copy: the database as of some moment when it was sound, for when it no longer is.

One file beside the database. A new copy takes the place of the one before only once it has been examined and is on
the disk, so that at any instant, and whatever has happened to the database, there is one that can be started from.
What takes no harm is not touched: a corrupt database is set aside, not overwritten.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rkmp.errors import StorageError
from rkmp.storage.database import Database
from rkmp.storage.faults import explain_os, explained


@dataclass(frozen=True, slots=True)
class LastGood:
    """The copy of the database at ``database``, and what is set aside when it is needed."""

    database: Path

    @property
    def path(self) -> Path:
        """Where the copy is."""
        return self._beside("good")

    @property
    def set_aside(self) -> Path:
        """Where the corrupt database goes; the one before it is given up for it."""
        return self._beside("corrupt")

    @property
    def made_at(self) -> datetime | None:
        """When the copy was made; None where there is none."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except OSError:
            return None

    def keep(self, database: Database) -> None:
        """Make what ``database`` holds now the last good copy.

        Raises StorageError where that cannot be done; the copy of before is then still there.
        """
        fresh = self._beside("fresh")
        fresh.unlink(missing_ok=True)
        database.copy_to(fresh)
        try:
            _require_sound(fresh)
            self._put(fresh, self.path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def put_back(self) -> None:
        """Set the database aside and put the copy, which stays, in its place.

        Raises StorageError where there is no sound copy, or the disk refuses; the database is then as it was.
        """
        if not self.path.exists():
            raise StorageError(f"{self.path}: there is no copy of the database; restore a backup")
        _require_sound(self.path)
        fresh = self._beside("fresh")
        try:
            shutil.copyfile(self.path, fresh)
            fresh.chmod(0o600)
            self._sync(fresh)
            # What is in the write-ahead file belongs to the database that goes.
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    _named(self.database, suffix).replace(_named(self.set_aside, suffix))
            self._put(fresh, self.database)
        except OSError as error:
            raise explain_os(error, str(fresh)) from error

    def _put(self, fresh: Path, place: Path) -> None:
        try:
            fresh.replace(place)
            self._sync(place.parent)
        except OSError as error:
            raise explain_os(error, str(place)) from error

    def _sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _beside(self, suffix: str) -> Path:
        return self.database.with_name(f"{self.database.name}.{suffix}")


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _require_sound(path: Path) -> None:
    with (
        explained(str(path)),
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy,
    ):
        faults = copy.execute("PRAGMA integrity_check(1)").fetchall()
    if faults != [("ok",)]:
        raise StorageError(f"{path}: the copy of the database is damaged ({faults[0][0]}); restore a backup")
