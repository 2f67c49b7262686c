"""One SQLite file per agent, in write-ahead mode, synchronised to the disk before a transaction is acknowledged.

The promises that other rooms build on:

- a ``transaction()`` block that ended without an exception is on the disk; one that raised has changed nothing;
- blocks nest by joining: the outermost commits for all of them, so that several rooms can act as one, and no part
  can fail while the rest is kept;
- what a room keeps in memory follows the disk by ``after_commit`` and ``after_rollback``;
- a fault of the disk is a :class:`StorageError` with a reason that an operator can act on. A wrong statement or a
  wrong binding is a bug and stays what sqlite3 raised.

The file, and with it SQLite's ``-wal``, is readable by its owner alone and open in one process at a time: rooms keep
what they have read in memory, so a second writer would go unseen. Use from one thread only.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from rkmp.errors import CorruptStoreError, RkmpError, StorageError
from rkmp.storage.faults import CORRUPT, explain_os, explained
from rkmp.storage.migrations import Migration, migrate

SqlValue = str | bytes | int | float | None
Row = tuple[Any, ...]
"""One row of a result, in the order of the columns asked for."""

IN_MEMORY = ":memory:"
"""The path of a database that lives in memory and forgets everything when it is closed (simulations, tests)."""

APPLICATION_ID = 0x524B4D50  # "RKMP": SQLite keeps it in the file's header, where file(1) finds it.
LAYOUT_VERSION = 1
"""Version of this room's own table, kept as SQLite's user_version."""

_FILE_MODE = 0o600
_LOCK_TIMEOUT = 1.0
"""Seconds for which opening waits for another process to let go of the file."""
_WAL_LIMIT = 4 * 1024 * 1024
"""Octets to which SQLite cuts the write-ahead file back after a checkpoint."""

_SETTINGS = (
    # First: the write-ahead index then lives on the heap, and every later transaction takes no file lock.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    # A removed key, though sealed, leaves no copy in free pages.
    "PRAGMA secure_delete = ON",
    # Intermediate results never reach a file of their own.
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA journal_size_limit = {_WAL_LIMIT}",
)

_Result = TypeVar("_Result")


class Transaction:
    """One open transaction; valid until its outermost ``with`` block ends."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.failure: str | None = None
        """Why the transaction can only end in a rollback; None as long as it can commit."""
        self._connection = connection
        self._path = path
        self._ended = False
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []

    def execute(self, statement: str, parameters: Sequence[SqlValue] = ()) -> int:
        """Run one statement; return the number of rows it changed (-1 when it changes none by nature)."""
        return self._run(lambda: self._connection.execute(statement, parameters)).rowcount

    def execute_many(self, statement: str, parameters: Iterable[Sequence[SqlValue]]) -> int:
        """Run one statement once per element of ``parameters``; return the number of rows changed."""
        return self._run(lambda: self._connection.executemany(statement, parameters)).rowcount

    def insert(self, statement: str, parameters: Sequence[SqlValue] = ()) -> int:
        """Run one INSERT; return the rowid of the row it made."""
        rowid = self._run(lambda: self._connection.execute(statement, parameters)).lastrowid
        return rowid if rowid is not None else 0

    def rows(self, statement: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        """Return every row that a SELECT finds; changes of this transaction are seen."""
        return self._run(lambda: self._connection.execute(statement, parameters).fetchall())

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once everything is on the disk, in the order of registration; it must not raise."""
        self._after_commit.append(callback)

    def after_rollback(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` if nothing of this transaction was kept, the last registered first; it must not raise."""
        self._after_rollback.append(callback)

    def fail(self, reason: str) -> None:
        """Make the outermost block end in a rollback, whatever happens from here on."""
        self.failure = self.failure or reason

    def require_success(self) -> None:
        """Raise :class:`StorageError` if something has failed before."""
        if self.failure is not None:
            # SQLite may have rolled back on its own (full disk): a further statement would stand alone.
            raise StorageError(f"{self._path}: the transaction has failed before: {self.failure}")

    def end(self, *, kept: bool) -> None:
        """Close the transaction for use and tell who asked, all of them even when one has a bug. For Database."""
        self._ended = True
        callbacks = reversed(self._after_commit) if kept else self._after_rollback
        with contextlib.ExitStack() as stack:
            for callback in callbacks:
                stack.callback(callback)

    def _run(self, action: Callable[[], _Result]) -> _Result:
        if self._ended:
            raise RuntimeError("a transaction was used after its block had ended")
        self.require_success()
        try:
            with explained(self._path):
                return action()
        except StorageError as error:
            self.fail(str(error))
            raise
        except sqlite3.Error:
            self.fail("a statement was wrong")
            raise


class Database:
    """The open file at ``path``, made if there is none.

    With ``must_exist`` an empty file, which would be a new database, is what is left of one that has lost everything.
    Raises :class:`StorageError` when it cannot be opened, belongs to another program, is in use by another process or
    was written by a newer release, and CorruptStoreError when it is damaged.
    """

    def __init__(self, path: Path | str, *, must_exist: bool = False) -> None:
        self.path = str(path)
        self._must_exist = must_exist
        self._transaction: Transaction | None = None
        self._is_in_doubt = False
        self._is_synced = True
        if self.path != IN_MEMORY:
            self._require_file()
        with explained(self.path):
            self._connection = sqlite3.connect(
                self.path, timeout=_LOCK_TIMEOUT, isolation_level=None, cached_statements=256
            )
        try:
            with explained(self.path):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Move what is in the write-ahead file into the database and let go of both; may be called again."""
        if self._transaction is not None:
            raise RuntimeError("the database was closed inside a transaction")
        self._connection.close()

    @property
    def in_transaction(self) -> bool:
        """Whether a ``transaction()`` block is open."""
        return self._transaction is not None

    def rows(self, statement: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        """Return every row that a SELECT finds."""
        with explained(self.path):
            return self._connection.execute(statement, parameters).fetchall()

    @contextlib.contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[Transaction]:
        """Open a transaction, or join the one that is open; the outermost block commits when it ends.

        One that is not ``synced`` does not wait for the disk: it survives the loss of the process, and that of power
        from the next synced one on. Nothing that was promised to anyone may be written so, nor a synced one joined
        to it (RuntimeError).

        Raises :class:`StorageError` when the disk refuses; then, as after any exception from the block, nothing was
        changed. An exception that leaves an inner block dooms the outermost one even if it is caught in between.
        """
        if self._transaction is not None:
            if synced and not self._is_synced:
                raise RuntimeError("a synced transaction was opened inside one that is not")
            try:
                yield self._transaction
            except BaseException as error:
                # The message of a foreign exception may hold anything.
                self._transaction.fail(str(error) if isinstance(error, RkmpError) else type(error).__name__)
                raise
            return
        self._begin(synced)
        transaction = self._transaction = Transaction(self._connection, self.path)
        try:
            yield transaction
            transaction.require_success()
            self._commit()
        except BaseException:
            self._roll_back()
            if self._is_in_doubt:
                # At the next transaction again, if the disk still refuses.
                with contextlib.suppress(sqlite3.Error):
                    self._forget_refused_commit()
            self._transaction = None
            transaction.end(kept=False)
            raise
        self._transaction = None
        transaction.end(kept=True)

    def migrate(self, component: str, migrations: Sequence[Migration]) -> None:
        """Bring the tables of ``component`` up to date; see :func:`rkmp.storage.migrations.migrate`."""
        with self.transaction() as transaction:
            migrate(transaction, component, migrations)

    def copy_to(self, path: Path) -> None:
        """Write everything that has been committed to a new database at ``path`` (0600), which is then on the disk.

        Raises :class:`StorageError` where that cannot be done, or something is there already; then nothing is left of
        it. Raises RuntimeError inside a transaction.
        """
        if self._transaction is not None:
            raise RuntimeError("the database was copied inside a transaction")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
        except OSError as error:
            raise explain_os(error, str(path)) from error
        try:
            with explained(str(path)), contextlib.closing(sqlite3.connect(path)) as copy:
                self._connection.backup(copy)
                # One file, without a write-ahead file beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _require_file(self) -> None:
        """Make the file before SQLite would, with its mode, and see that its name survives a power cut."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
            try:
                os.fchmod(descriptor, _FILE_MODE)
            finally:
                os.close(descriptor)
            directory = os.open(Path(self.path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise explain_os(error, self.path) from error

    def _prepare(self) -> None:
        for setting in _SETTINGS:
            self._connection.execute(setting)
        # Before anything is written: a stranger's file is left as it was found.
        application, layout = self._number("application_id"), self._number("user_version")
        is_new = not self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        if is_new and self._must_exist:
            raise CorruptStoreError(f"{self.path}: the database is empty; restore a backup in its place")
        if application != APPLICATION_ID and not (is_new and application == 0):
            raise StorageError(f"{self.path}: the file is the database of another program; nothing was changed")
        if layout > LAYOUT_VERSION:
            raise StorageError(
                f"{self.path}: the database was written by a newer release; upgrade, or restore the backup from "
                "before the upgrade"
            )
        faults = self._connection.execute("PRAGMA quick_check(1)").fetchall()
        if faults != [("ok",)]:
            raise CorruptStoreError(f"{self.path}: {CORRUPT} ({faults[0][0]})")
        mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if self.path != IN_MEMORY and mode != "wal":
            raise StorageError(f"{self.path}: the disk does not support a write-ahead log; use a local one")
        if layout < LAYOUT_VERSION:
            with self.transaction() as transaction:
                transaction.execute(
                    "CREATE TABLE component_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"
                )
                transaction.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                transaction.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")

    def _number(self, pragma: str) -> int:
        return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])

    def _begin(self, synced: bool) -> None:
        with explained(self.path):
            if self._is_in_doubt:
                self._forget_refused_commit()
            if synced is not self._is_synced:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
                self._is_synced = synced
            self._connection.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        try:
            with explained(self.path):
                self._connection.execute("COMMIT")
        except StorageError:
            self._is_in_doubt = self.path != IN_MEMORY
            raise

    def _forget_refused_commit(self) -> None:
        """Empty the write-ahead file after a commit that failed.

        When only the synchronisation failed, that file ends in a valid commit: refused, undone in memory, yet the
        next start would find it and bring it back.
        """
        is_busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        self._is_in_doubt = bool(is_busy)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            # What made us roll back is worth more than what SQLite says of the rollback.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
