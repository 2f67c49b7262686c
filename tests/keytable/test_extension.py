"""A key whose life may be extended: what it is worth past that, and what is told of it and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rkmp.errors import StorageError
from rkmp.keytable import (
    Direction,
    KeyActivated,
    KeyEvent,
    KeyExpired,
    KeyExpiring,
    KeyExtended,
    KeyExtensionEnded,
    KeyInstalled,
    KeyRemoved,
    KeyRow,
    KeyState,
    KeyTable,
    KeyUpdated,
    key_state,
)
from rkmp.storage import Database
from tests.keytable.rows import NOON, PEER, after, lifetime, memory_table, negotiated_row, open_table, recorded

LIFE = 1000


def extendable(**changes: Any) -> KeyRow:
    """Return a key for a thousand seconds that is used for longer where nothing takes its place."""
    fields: dict[str, Any] = {
        "send_lifetime": lifetime(0),
        "accept_lifetime": lifetime(0),
        "extended_from": after(LIFE),
    }
    return negotiated_row(**(fields | changes))


def with_row(row: KeyRow) -> tuple[KeyTable, list[KeyEvent]]:
    table = memory_table()
    events = recorded(table)
    with table.transaction(NOON) as change:
        change.install(row)
    assert [type(event) for event in events] == [KeyInstalled, KeyActivated]
    events.clear()
    return table, events


def told(table: KeyTable, events: list[KeyEvent], until: float) -> list[tuple[datetime, type[KeyEvent]]]:
    """Let time pass from one change of the table to the next, and return what is told when."""
    found, wall = [], NOON
    while (due := table.next_change(wall)) is not None and due <= after(until):
        table.handle_time(wall := due)
        found += [(wall, type(event)) for event in events]
        events.clear()
    return found


def test_an_extended_key_is_sent_with_and_told_of_every_hour() -> None:
    table, events = with_row(extendable())
    tick = timedelta(microseconds=1)
    assert told(table, events, LIFE + 3 * 3600 - 1) == [
        (after(900), KeyExpiring),
        (after(LIFE) + tick, KeyExtended),
        (after(LIFE + 3600), KeyExtended),
        (after(LIFE + 7200), KeyExtended),
    ]
    (row,) = table.rows()
    assert key_state(row, after(LIFE * 100)) is KeyState.ACTIVE
    assert table.select_for_sending(PEER, "bgp", after(LIFE * 100)) == row
    assert [row.is_extended(after(seconds)) for seconds in (0, LIFE, LIFE + 1)] == [False, False, True]


def test_the_alarm_tells_since_when_and_the_warning_how_long_until_then() -> None:
    table, events = with_row(extendable())
    table.handle_time(after(LIFE - 50))
    table.handle_time(after(LIFE + 60))
    warning, alarm = events
    assert isinstance(warning, KeyExpiring)
    assert warning.seconds_left == 50
    assert isinstance(alarm, KeyExtended)
    assert (alarm.at, alarm.since) == (after(LIFE + 60), after(LIFE))


def test_an_extension_that_has_an_end_ends_with_the_key() -> None:
    row = extendable(send_lifetime=lifetime(0, LIFE + 300), accept_lifetime=lifetime(0, LIFE + 400))
    table, events = with_row(row)
    tick = timedelta(microseconds=1)
    assert told(table, events, LIFE * 10)[1:] == [
        (after(LIFE) + tick, KeyExtended),
        (after(LIFE + 300) + tick, KeyExtensionEnded),
        (after(LIFE + 400) + tick, KeyExpired),
    ]
    assert not row.is_extended(after(LIFE + 301))


def test_the_alarm_is_over_when_a_successor_is_there_or_the_key_is_gone() -> None:
    table, events = with_row(extendable())
    table.handle_time(after(LIFE + 1))
    events.clear()
    (row,) = table.rows()
    ended = lifetime(0, LIFE + 20)
    with table.transaction(after(LIFE + 10)) as change:
        change.update(replace(row, send_lifetime=ended, accept_lifetime=ended, extended_from=None))
    assert [type(event) for event in events] == [KeyUpdated, KeyExtensionEnded]
    assert table.extended(after(LIFE + 11)) == 0
    events.clear()
    table.remove(row.admin_key_name, after(LIFE + 12), "replaced")
    assert [type(event) for event in events] == [KeyRemoved]


def test_extended_keys_are_counted_also_by_a_table_that_is_behind() -> None:
    table, _ = with_row(extendable())
    assert [table.extended(after(seconds)) for seconds in (0, LIFE, LIFE + 1)] == [0, 0, 1]
    table.handle_time(after(LIFE + 1))
    assert table.extended(after(LIFE + 2)) == table.counts(after(LIFE + 2))[KeyState.ACTIVE] == 1
    # The clock is set back, and then the key is removed.
    table.handle_time(after(LIFE - 1))
    assert table.extended(after(LIFE - 1)) == 0
    table.handle_time(after(LIFE + 1))
    table.remove("negotiated", after(LIFE + 2), "replaced")
    assert table.extended(after(LIFE + 2)) == 0


def test_what_is_only_accepted_is_not_extended() -> None:
    row = extendable(direction=Direction.IN)
    assert not row.is_extended(after(LIFE + 1))
    assert key_state(row, after(LIFE + 1)) is KeyState.ACCEPT_ONLY


def test_an_extension_survives_the_disk_and_is_told_of_again_within_the_hour(tmp_path: Path) -> None:
    path = tmp_path / "rkmp.db"
    with Database(path) as database, open_table(database).transaction(NOON) as change:
        change.install(extendable())
    with Database(path) as database:
        table = open_table(database)
        assert table.rows() == (extendable(),)
        events = recorded(table)
        table.handle_time(after(LIFE + 60))
        # Who subscribes at a start reads the table.
        assert events == []
        assert table.extended(after(LIFE + 60)) == 1
        table.handle_time(after(LIFE + 3600))
        assert [type(event) for event in events] == [KeyExtended]


@pytest.mark.parametrize("value", ["NULL", "extended_from + 1"])
def test_nobody_extends_a_key_on_the_disk_who_cannot_open_it(tmp_path: Path, value: str) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        with open_table(database).transaction(NOON) as change:
            change.install(extendable())
        with database.transaction() as transaction:
            transaction.execute(f"UPDATE negotiated_keys SET extended_from = {value}")  # noqa: S608
        with pytest.raises(StorageError, match="cannot be used"):
            open_table(database)


def test_a_table_of_before_there_were_extensions_is_read(tmp_path: Path) -> None:
    with Database(tmp_path / "rkmp.db") as database:
        with open_table(database).transaction(NOON) as change:
            change.install(negotiated_row())
        with database.transaction() as transaction:
            # What the first version of the table had.
            transaction.execute("ALTER TABLE negotiated_keys DROP COLUMN extended_from")
            transaction.execute("UPDATE component_versions SET version = 1 WHERE component = 'keytable'")
        assert open_table(database).rows() == (negotiated_row(),)
