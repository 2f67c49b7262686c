"""What SQLite's result codes mean to an operator: each becomes a StorageError that says what to do next.

The table follows SQLite's list of primary result codes; a fault that it does not name keeps SQLite's own words.
No message holds a value from a row.
"""

from __future__ import annotations

import errno
import sqlite3

from rkmp.errors import StorageError

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


def explain(error: sqlite3.Error, path: str) -> StorageError:
    """Return the StorageError that tells an operator about ``error``, met while using the database at ``path``."""
    code = getattr(error, "sqlite_errorcode", None)
    explanation = _EXPLANATIONS.get(code & _PRIMARY_CODE) if code is not None else None
    detail = str(error)
    return StorageError(f"{path}: {explanation} ({detail})" if explanation else f"{path}: {detail}")


def explain_os(error: OSError, path: str) -> StorageError:
    """Return the StorageError for a fault of the operating system, met before SQLite had the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{path}: {_EXPLANATIONS[sqlite3.SQLITE_FULL]} ({error.strerror})")
    return StorageError(f"{path}: {error.strerror}")
