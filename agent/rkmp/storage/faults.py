"""What SQLite's result codes mean to an operator: each becomes a StorageError that says what to do next.

The table follows SQLite's list of primary result codes; a fault that it does not name keeps SQLite's own words.
No message holds a value from a row.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator

from rkmp.errors import CorruptStoreError, StorageError

_PRIMARY_CODE = 0xFF
"""SQLite keeps the primary result code in the low octet of an extended one."""

CORRUPT = "the database is corrupt; keep the file for examination and restore a backup in its place"

_EXPLANATIONS: dict[int, str] = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and repeat what was refused",
    sqlite3.SQLITE_READONLY: "the database is read-only; make the file, its directory and its disk writable",
    sqlite3.SQLITE_BUSY: "the database is locked by another process; stop whatever else has it open",
    sqlite3.SQLITE_LOCKED: "the database is locked by another statement of this process",
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: "the file is not a database, or its first page was overwritten; restore a backup",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened; check that its directory exists and is accessible",
    sqlite3.SQLITE_PERM: "the database may not be accessed; check its owner and permissions",
    sqlite3.SQLITE_AUTH: "the database may not be accessed; check its owner and permissions",
    sqlite3.SQLITE_IOERR: "the disk reported an input/output error; check the disk and the file size limit",
    sqlite3.SQLITE_NOMEM: "there is not enough memory for the database",
    sqlite3.SQLITE_TOOBIG: "a value is too big for the database",
    sqlite3.SQLITE_CONSTRAINT: "a stored row would break a rule of its table",
}


_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# A statement or a binding that is wrong is our own fault: no operator can do anything about it.
_BUGS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISMATCH)


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what sqlite3 raises in the block into a StorageError, unless it shows a bug."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & _PRIMARY_CODE in _BUGS:
            raise
        raise explain(error, path) from error


def explain(error: sqlite3.Error, path: str) -> StorageError:
    """Return the StorageError that tells an operator about ``error``, met while using the database at ``path``."""
    code = error.sqlite_errorcode & _PRIMARY_CODE
    explanation = _EXPLANATIONS.get(code)
    kind = CorruptStoreError if code in _DAMAGES else StorageError
    return kind(f"{path}: {explanation} ({error})" if explanation else f"{path}: {error}")


_SYSTEM_EXPLANATIONS: dict[int, str] = {
    errno.ENOSPC: _EXPLANATIONS[sqlite3.SQLITE_FULL],
    errno.EDQUOT: _EXPLANATIONS[sqlite3.SQLITE_FULL],
    errno.EROFS: "the database is on a disk that cannot be written; make its disk writable",
    errno.ENOENT: _EXPLANATIONS[sqlite3.SQLITE_CANTOPEN],
    errno.EACCES: _EXPLANATIONS[sqlite3.SQLITE_PERM],
    errno.EPERM: _EXPLANATIONS[sqlite3.SQLITE_PERM],
}


def explain_os(error: OSError, path: str) -> StorageError:
    """Return the StorageError for a fault of the operating system, met before SQLite had the file."""
    explanation = _SYSTEM_EXPLANATIONS.get(error.errno or 0)
    return StorageError(f"{path}: {explanation} ({error.strerror})" if explanation else f"{path}: {error.strerror}")
