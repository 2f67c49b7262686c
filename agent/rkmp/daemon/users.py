"""Who may log in: the administrators that ``rkmpd init`` made, kept in the database, and the users of configuration.

A name that is in both has what configuration says of it and nothing else; an administrator whom configuration does
not mention has what ``rkmpd init`` was given. Only those administrators' sessions are recovery sessions. A name that
does not exist takes as long to refuse as a wrong password. Knows nothing else of sessions and permissions.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from rkmp.crypto.crypt_hash import ROUNDS, password_matches
from rkmp.errors import CommandError
from rkmp.instant import Random
from rkmp.netconf.accounts import Accounts
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
        self._accounts: Accounts = {}
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

    def admit(self, accounts: Accounts) -> None:
        """Let the users of configuration in."""
        self._accounts = accounts

    def locked_out(self, accounts: Accounts) -> str | None:
        """Return the name of an administrator who could not log in, if with ``accounts`` none could any more."""
        rows = self._database.rows("SELECT name FROM users WHERE is_recovery = 1 ORDER BY name")
        names = [str(name) for (name,) in rows]
        if any(name not in accounts or accounts[name].can_log_in for name in names):
            return None
        return names[0] if names else None

    def authorized_keys(self, user: str) -> list[str]:
        """Return the public keys of ``user``, lines in OpenSSH format; none for a name that does not exist."""
        account = self._accounts.get(user)
        if account is not None:
            return list(account.authorized_keys)
        rows = self._database.rows("SELECT line FROM authorized_keys WHERE user = ? ORDER BY line", (user,))
        return [str(line) for (line,) in rows]

    async def check_password(self, user: str, password: Secret) -> bool:
        """Return whether ``password`` (UTF-8 octets) is that of ``user``."""
        rows = self._database.rows("SELECT salt, password_hash FROM users WHERE name = ?", (user,))
        salt, expected = rows[0] if rows else (bytes(_SALT_OCTETS), None)
        account = self._accounts.get(user)
        crypt = _NOBODYS if account is None or account.password_hash is None else account.password_hash
        async with self._hashing:
            # Away from the event loop: other sessions must not wait for a guess. And always both, so that how long
            # it takes does not tell who there is.
            digest, is_configured = await asyncio.to_thread(_judge, password, salt, crypt)
        if account is not None:
            return is_configured and crypt is not _NOBODYS and len(password) > 0
        return expected is not None and hmac.compare_digest(digest, expected)


_NOBODYS = Secret(f"$6$rounds={ROUNDS}${'.' * 16}${'.' * 86}".encode())
"""A hash that takes as long as those that we make, and that is of no password that anybody knows."""


def _judge(password: Secret, salt: bytes, crypt: Secret) -> tuple[bytes, bool]:
    return _hash(password, salt), password_matches(password, crypt.reveal().decode())


def _hash(password: Secret, salt: bytes) -> bytes:
    return hashlib.scrypt(password.reveal(), salt=salt, **_SCRYPT)
