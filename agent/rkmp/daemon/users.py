"""Who may log in: names with SSH public keys or a password, kept in the agent's database.

Passwords are kept as scrypt hashes (RFC 7914) with a salt of their own, compared in constant time; a name that does
not exist takes as long to refuse as a wrong password. Says of each user whether access control applies to it, and knows
nothing else of sessions and permissions.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from rkmp.errors import CommandError
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.storage import Database, Migration

_COMPONENT = "users"
_MIGRATIONS = (
    Migration(
        1,
        (
            "CREATE TABLE users (name TEXT PRIMARY KEY, salt BLOB, password_hash BLOB) STRICT, WITHOUT ROWID",
            """
            CREATE TABLE authorized_keys (
                user TEXT NOT NULL REFERENCES users (name),
                line TEXT NOT NULL,
                PRIMARY KEY (user, line)
            ) STRICT, WITHOUT ROWID
            """,
        ),
    ),
    # Until here only `rkmpd init` made users, and each of them could do everything.
    Migration(
        2,
        (
            "ALTER TABLE users ADD COLUMN is_recovery INTEGER NOT NULL DEFAULT 0",
            "UPDATE users SET is_recovery = 1",
        ),
    ),
)

_SALT_OCTETS = 16
# RFC 7914 section 2: N, r and p; 16 MiB of memory and some 50 ms a guess.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_CONCURRENT_HASHES = 4
"""Password checks at once: each takes 16 MiB, and whoever tries may have no account at all."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made: SSH public keys in OpenSSH format, a password, or both."""

    name: str
    authorized_keys: Sequence[str] = ()
    password: Secret | None = None
    is_recovery: bool = False
    """Whether access control does not apply to its sessions (RFC 8341 section 3.3.3)."""


class Users:
    """The users of one agent; an :class:`rkmp.netconf.Authenticator`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashing = asyncio.Semaphore(_CONCURRENT_HASHES)
        database.migrate(_COMPONENT, _MIGRATIONS)

    def add(self, user: NewUser, random: Random) -> None:
        """Make ``user``; raises :class:`CommandError` when one of that name exists or a key is unreadable."""
        for line in user.authorized_keys:
            try:
                asyncssh.import_public_key(line)
            except asyncssh.KeyImportError as error:
                raise CommandError(f"not a public key in OpenSSH format: {error}", 2) from error
        salt = random(_SALT_OCTETS)
        digest = _hash(user.password, salt) if user.password is not None else None
        with self._database.transaction() as transaction:
            if transaction.rows("SELECT 1 FROM users WHERE name = ?", (user.name,)):
                raise CommandError(f"there is already a user {user.name}")
            transaction.execute(
                "INSERT INTO users (name, salt, password_hash, is_recovery) VALUES (?, ?, ?, ?)",
                (user.name, salt, digest, int(user.is_recovery)),
            )
            transaction.execute_many(
                "INSERT INTO authorized_keys (user, line) VALUES (?, ?)",
                [(user.name, line) for line in user.authorized_keys],
            )

    def is_recovery(self, user: str) -> bool:
        """Return whether the sessions of ``user`` are recovery sessions: of an administrator whom `rkmpd init` made."""
        rows = self._database.rows("SELECT is_recovery FROM users WHERE name = ?", (user,))
        return bool(rows and rows[0][0])

    def authorized_keys(self, user: str) -> list[str]:
        """Return the public keys of ``user``, lines in OpenSSH format; none for a name that does not exist."""
        rows = self._database.rows("SELECT line FROM authorized_keys WHERE user = ? ORDER BY line", (user,))
        return [str(line) for (line,) in rows]

    async def check_password(self, user: str, password: Secret) -> bool:
        """Return whether ``password`` (UTF-8 octets) is that of ``user``."""
        rows = self._database.rows("SELECT salt, password_hash FROM users WHERE name = ?", (user,))
        salt, expected = rows[0] if rows else (bytes(_SALT_OCTETS), None)
        async with self._hashing:
            # Away from the event loop: other sessions must not wait for a guess.
            digest = await asyncio.to_thread(_hash, password, salt)
        return expected is not None and hmac.compare_digest(digest, expected)


def _hash(password: Secret, salt: bytes) -> bytes:
    return hashlib.scrypt(password.reveal(), salt=salt, **_SCRYPT)
