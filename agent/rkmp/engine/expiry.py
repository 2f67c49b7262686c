"""Keys that end otherwise than they would have, because the policy for their end has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from rkmp.engine.association import Association
from rkmp.errors import KeyTableError, StorageError
from rkmp.keytable import KeyRow, KeyTable

_log = logging.getLogger(__name__)


def realign(key_table: KeyTable, associations: Iterable[Association], wall: datetime) -> None:
    """Have the keys of ``associations`` end as the policy of each says now; one change of the table for all of them.

    What the table refuses ends as it would have; who asked for another end hears of it in the log.
    """
    rows = [row for each in associations if each.configuration.enabled for row in each.keys.realigned(wall)]
    try:
        _update(key_table, rows, wall)
    except (StorageError, KeyTableError):
        # One that would be mistaken for another key must not keep the rest from their policy.
        for row in rows:
            try:
                _update(key_table, [row], wall)
            except (StorageError, KeyTableError) as error:
                _log.error("key %s ends as it would have: %s", row.admin_key_name, error)


def _update(key_table: KeyTable, rows: list[KeyRow], wall: datetime) -> None:
    if rows:
        with key_table.transaction(wall) as change:
            for row in rows:
                change.update(row)
