"""The confirmed commit that waits to be confirmed, and what running was before it (RFC 6241 section 8.4).

Durable, and as cheap as what has changed: while one is pending, triggers of the database keep every row of running
the first time that it changes, whatever changes it. What is pending and what it changed are committed together, so
that a crash at any instant leaves a commit that is either not there or can be undone.

This room knows rows and tokens. Who may confirm is decided by ``Datastores``, which also carries out what is undone
while the agent runs; what has to be undone because the agent ended is undone here, before anything is loaded.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from rkmp.storage import Database, Migration, Transaction

DEFAULT_CONFIRM_TIMEOUT = 600
"""Seconds (RFC 6241 section 8.4.5.1)."""

_COMPONENT = "confirmed commit"
_MIGRATIONS = (
    Migration(
        1,
        (
            """
            CREATE TABLE confirmed_commit (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                token BLOB,
                deadline INTEGER NOT NULL
            )
            """,
            """
            CREATE TABLE confirmed_commit_rows (
                path TEXT PRIMARY KEY,
                parent TEXT,
                containers TEXT,
                depth INTEGER,
                position INTEGER,
                content TEXT
            ) WITHOUT ROWID
            """,
        ),
    ),
)

_COLUMNS = "path, parent, containers, depth, position, content"
_OLD = "OLD.path, OLD.parent, OLD.containers, OLD.depth, OLD.position, OLD.content"
_UNKNOWN = "NOT EXISTS (SELECT 1 FROM confirmed_commit_rows WHERE path ="
_TRIGGERS = {
    # A row that was not there is kept as one without content.
    "confirmed_commit_insert": f"""
        AFTER INSERT ON datastore_rows WHEN NEW.datastore = 'running' AND {_UNKNOWN} NEW.path)
        BEGIN INSERT INTO confirmed_commit_rows (path) VALUES (NEW.path); END""",  # noqa: S608
    "confirmed_commit_update": f"""
        BEFORE UPDATE ON datastore_rows WHEN OLD.datastore = 'running' AND {_UNKNOWN} OLD.path)
        BEGIN INSERT INTO confirmed_commit_rows ({_COLUMNS}) VALUES ({_OLD}); END""",  # noqa: S608
    "confirmed_commit_delete": f"""
        BEFORE DELETE ON datastore_rows WHEN OLD.datastore = 'running' AND {_UNKNOWN} OLD.path)
        BEGIN INSERT INTO confirmed_commit_rows ({_COLUMNS}) VALUES ({_OLD}); END""",  # noqa: S608
}

ROWS_BEFORE = f"""
    SELECT {_COLUMNS} FROM datastore_rows
    WHERE datastore = 'running' AND path NOT IN (SELECT path FROM confirmed_commit_rows)
    UNION ALL SELECT {_COLUMNS} FROM confirmed_commit_rows WHERE content IS NOT NULL"""  # noqa: S608
"""The rows of running as they were before the confirmed commit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ConfirmEvent(Enum):
    """What has happened to a confirmed commit; the names of RFC 6470's netconf-confirmed-commit."""

    START = "start"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    EXTEND = "extend"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class ConfirmedCommitChange:
    """``session_id`` is who did it, None for the agent itself; ``timeout`` is in seconds, of a start or extension."""

    event: ConfirmEvent
    session_id: int | None
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """What a commit with ``<confirmed/>`` asks for: the timeout in seconds, and the token of a persistent one."""

    timeout: int = DEFAULT_CONFIRM_TIMEOUT
    persist: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The commit that is to be confirmed until ``deadline``.

    ``session_id`` is the session that issued it, None when that was a session of an earlier process. ``token`` is the
    digest of the token of a persistent one, None for one that only its session can confirm.
    """

    session_id: int | None
    token: bytes | None
    deadline: datetime

    def is_named_by(self, persist_id: str | None) -> bool:
        """Whether ``persist_id`` is the token; false where there is none."""
        return (
            self.token is not None and persist_id is not None and hmac.compare_digest(self.token, _digest(persist_id))
        )


class ConfirmedCommit:
    """The pending confirmed commit of one database, if there is one. Its tables of rows must exist already."""

    def __init__(self, database: Database) -> None:
        self.pending: Pending | None = None
        self._database = database
        database.migrate(_COMPONENT, _MIGRATIONS)

    def recover(self, clock: Callable[[], datetime], *, keep_persistent: bool) -> ConfirmedCommitChange | None:
        """Take up what an earlier process left pending, or undo it; return what there is to tell. For the start.

        A persistent one within its time stays pending, unless ``keep_persistent`` is false: another release may not
        be able to undo it later. Raises StorageError.
        """
        found = self._database.rows("SELECT token, deadline FROM confirmed_commit")
        if not found:
            return None
        now = clock()
        token, deadline = found[0][0], _EPOCH + timedelta(microseconds=found[0][1])
        if token is not None and deadline > now and keep_persistent:
            self.pending = Pending(None, bytes(token), deadline)
            return None
        with self._database.transaction() as transaction:
            _drop_triggers(transaction)
            transaction.execute(
                "DELETE FROM datastore_rows WHERE datastore = 'running' "
                "AND path IN (SELECT path FROM confirmed_commit_rows)"
            )
            transaction.execute(
                f"INSERT INTO datastore_rows (datastore, {_COLUMNS}) "  # noqa: S608
                f"SELECT 'running', {_COLUMNS} FROM confirmed_commit_rows WHERE content IS NOT NULL"
            )
            self._forget(transaction)
        return ConfirmedCommitChange(ConfirmEvent.TIMEOUT if deadline <= now else ConfirmEvent.CANCEL, None)

    def begin(self, transaction: Transaction, session_id: int, confirm: Confirm, now: datetime) -> None:
        """Wait for a confirmation of what ``transaction`` goes on to write, or for longer where one is pending."""
        token = None if confirm.persist is None else _digest(confirm.persist)
        if token is None and self.pending is not None:
            # RFC 6241 8.4.1: a follow-up is named by the token of the one before, which goes on to hold.
            token = self.pending.token
        deadline = now + timedelta(seconds=confirm.timeout)
        if self.pending is None:
            for name, trigger in _TRIGGERS.items():
                transaction.execute(f"CREATE TRIGGER {name} {trigger}")
        transaction.execute(
            "INSERT INTO confirmed_commit (id, token, deadline) VALUES (1, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET token = excluded.token, deadline = excluded.deadline",
            (token, (deadline - _EPOCH) // timedelta(microseconds=1)),
        )
        self._follow(transaction, Pending(session_id, token, deadline))

    def end(self, transaction: Transaction) -> None:
        """Wait no more: what is there stays, with what ``transaction`` goes on to write."""
        _drop_triggers(transaction)
        self._forget(transaction)
        self._follow(transaction, None)

    def _forget(self, transaction: Transaction) -> None:
        transaction.execute("DELETE FROM confirmed_commit_rows")
        transaction.execute("DELETE FROM confirmed_commit")

    def _follow(self, transaction: Transaction, pending: Pending | None) -> None:
        def committed() -> None:
            self.pending = pending

        transaction.after_commit(committed)


def _drop_triggers(transaction: Transaction) -> None:
    for name in _TRIGGERS:
        transaction.execute(f"DROP TRIGGER IF EXISTS {name}")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
