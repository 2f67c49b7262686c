"""The agent's disk: one SQLite file for every room that must remember, and the sealing of what must stay secret.

A room describes its tables as :class:`Migration` steps under its own component name, changes them inside
``with database.transaction()``, and seals key material with a :class:`Sealer` before it reaches a row. When a
transaction block has ended without an exception, what it wrote survives the loss of the process and of power.

This room knows neither what is stored nor who asked; it reads no clock and makes no randomness.
"""

from rkmp.errors import CorruptStoreError, StorageError
from rkmp.storage.database import IN_MEMORY, Database, Row, SqlValue, Transaction
from rkmp.storage.key_encryption_key import (
    KEY_ENCRYPTION_KEY_OCTETS,
    KeyEncryptionKey,
    passphrase_salt,
    require_key,
)
from rkmp.storage.last_good import LastGood
from rkmp.storage.migrations import Migration
from rkmp.storage.sealing import BoundField, Sealer

__all__ = [
    "IN_MEMORY",
    "KEY_ENCRYPTION_KEY_OCTETS",
    "BoundField",
    "CorruptStoreError",
    "Database",
    "KeyEncryptionKey",
    "LastGood",
    "Migration",
    "Row",
    "Sealer",
    "SqlValue",
    "StorageError",
    "Transaction",
    "passphrase_salt",
    "require_key",
]
