"""The key that seals every secret on the disk, and where it comes from: a file, a systemd credential or a passphrase.

Whoever holds this key and the database holds every key of the agent; a backup needs both, kept apart. It is never
written by this room. The database remembers a check value of the key it was first used with, so that a wrong key is
noticed when the agent starts and not when the first secret fails to open.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Self, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from rkmp.errors import StorageError
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.storage.database import Database
from rkmp.storage.migrations import Migration

KEY_ENCRYPTION_KEY_OCTETS = 32
SALT_OCTETS = 16

_LARGEST_FILE = 4096
# RFC 7914 section 2: 64 MiB of memory and two passes; about half a second, once at start.
_SCRYPT_COST, _SCRYPT_BLOCK_SIZE, _SCRYPT_PARALLELISM = 2**16, 8, 2

_TABLE = """
CREATE TABLE key_encryption_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    check_value BLOB,
    passphrase_salt BLOB
)"""
_MIGRATIONS = (Migration(1, (_TABLE,)),)


@final
class KeyEncryptionKey:
    """32 octets from which the key of each sealing purpose is derived."""

    __slots__ = ("_key",)

    def __init__(self, key: Secret) -> None:
        if len(key) != KEY_ENCRYPTION_KEY_OCTETS:
            raise StorageError(
                f"the key-encryption key has {len(key)} octets; it must have {KEY_ENCRYPTION_KEY_OCTETS}"
            )
        self._key = key

    def __repr__(self) -> str:
        return "KeyEncryptionKey()"

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the key from a file of 64 hexadecimal digits that its owner alone can read.

        Raises :class:`StorageError` when it cannot be read, others can read it, or it holds something else.
        """
        return cls(_key_in(path, private=True))

    @classmethod
    def from_credential(cls, name: str, environment: Mapping[str, str]) -> Self:
        """Read the key from the systemd credential ``name`` (LoadCredential= or LoadCredentialEncrypted=).

        ``environment`` is the process's, in which systemd names the directory. Raises :class:`StorageError`.
        """
        directory = environment.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise StorageError(f"no systemd credentials were passed; the unit needs LoadCredentialEncrypted={name}")
        # systemd guards the directory by other means than the mode of the files in it.
        return cls(_key_in(Path(directory) / name, private=False))

    @classmethod
    def from_passphrase(cls, passphrase: Secret, salt: bytes) -> Self:
        """Derive the key from ``passphrase`` with scrypt (RFC 7914); ``salt`` is the database's own.

        Raises :class:`StorageError` for an empty passphrase.
        """
        if not len(passphrase):
            raise StorageError("the passphrase of the key-encryption key is empty")
        scrypt = Scrypt(
            salt=salt,
            length=KEY_ENCRYPTION_KEY_OCTETS,
            n=_SCRYPT_COST,
            r=_SCRYPT_BLOCK_SIZE,
            p=_SCRYPT_PARALLELISM,
        )
        return cls(Secret(scrypt.derive(passphrase.reveal())))

    def derive(self, purpose: str) -> Secret:
        """Return the 32 octets that serve ``purpose`` and no other (RFC 5869)."""
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"rkmp:" + purpose.encode("utf-8"))
        return Secret(hkdf.derive(self._key.reveal()))


def passphrase_salt(database: Database, random: Random) -> bytes:
    """Return the salt for passphrases of ``database``; the first call makes it, 16 octets from ``random``."""
    database.migrate("sealing", _MIGRATIONS)
    with database.transaction() as transaction:
        found = transaction.rows("SELECT passphrase_salt FROM key_encryption_key")
        if found and found[0][0] is not None:
            return bytes(found[0][0])
        salt = random(SALT_OCTETS)
        transaction.execute(
            "INSERT INTO key_encryption_key (id, passphrase_salt) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET passphrase_salt = excluded.passphrase_salt",
            (salt,),
        )
    return salt


def require_key(database: Database, key: KeyEncryptionKey) -> None:
    """See that the secrets of ``database`` were sealed under ``key``; a new database takes it as its own.

    Call it at start, before anything is opened. Raises :class:`StorageError` when the key is another one.
    """
    database.migrate("sealing", _MIGRATIONS)
    check_value = key.derive("check value").reveal()
    with database.transaction() as transaction:
        found = transaction.rows("SELECT check_value FROM key_encryption_key")
        if not found or found[0][0] is None:
            transaction.execute(
                "INSERT INTO key_encryption_key (id, check_value) VALUES (1, ?) "
                "ON CONFLICT (id) DO UPDATE SET check_value = excluded.check_value",
                (check_value,),
            )
        elif not hmac.compare_digest(bytes(found[0][0]), check_value):
            raise StorageError(
                f"{database.path}: the key-encryption key is not the one that the stored secrets were sealed with; "
                "put the right key in place, or restore the backup that belongs to this one"
            )


def _key_in(path: Path, *, private: bool) -> Secret:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise StorageError(f"{path}: the key-encryption key cannot be read: {error.strerror}") from error
    if private and mode & 0o077:
        raise StorageError(
            f"{path}: the key-encryption key can be read by others (mode {mode:04o}); replace it if it may have been "
            f"seen, or run: chmod 600 {path}"
        )
    try:
        key = Secret(bytes.fromhex(content.decode("ascii")))
    except ValueError:
        key = Secret(b"")
    if len(key) != KEY_ENCRYPTION_KEY_OCTETS:
        # Not the exception of fromhex, whose text may show what was there.
        raise StorageError(f"{path}: the key-encryption key must be {2 * KEY_ENCRYPTION_KEY_OCTETS} hexadecimal digits")
    return key
