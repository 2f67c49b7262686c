"""A start from the last good copy, where the database is corrupt and whoever starts the agent has asked for it.

Negotiated keys of the copy are left out, as in a backup: the peers may have replaced them since, and with a key that
only one side has nothing gets through.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime

from rkmp.daemon.backup import forget_negotiated_keys
from rkmp.daemon.state_directory import StateDirectory
from rkmp.errors import CorruptStoreError
from rkmp.instant import Random
from rkmp.storage import Database, LastGood

OPTION = "--from-last-good"

_log = logging.getLogger(__name__)


def with_way_out(directory: StateDirectory, error: CorruptStoreError) -> CorruptStoreError:
    """Return ``error`` with what else can be done: start from the last good copy, if there is one."""
    made_at = LastGood(directory.database).made_at
    if made_at is None:
        return error
    moment = made_at.isoformat(timespec="seconds")
    return CorruptStoreError(f"{error}; or start with {OPTION}, from the copy made at {moment}")


def recover(
    directory: StateDirectory,
    error: CorruptStoreError,
    *,
    environment: Mapping[str, str],
    now: datetime,
    random: Random,
) -> None:
    """Put the last good copy in the place of the database that ``error`` tells of.

    Raises StorageError where that cannot be done; the database is then as it was.
    """
    last_good = LastGood(directory.database)
    made_at = last_good.made_at
    last_good.put_back()
    with contextlib.closing(Database(directory.database)) as database:
        forget_negotiated_keys(database, directory.read_key_encryption_key(environment), now, random)
    _log.error(
        "%s; it is kept as %s, and everything is as it was at %s, without the keys that were negotiated",
        error,
        last_good.set_aside,
        "" if made_at is None else made_at.isoformat(timespec="seconds"),
    )
