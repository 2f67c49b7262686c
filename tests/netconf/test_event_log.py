"""The event log keeps what it was given, in order, through a kill; it is bounded, and survives a full disk."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from rkmp.errors import StorageError
from rkmp.netconf import EventLog, EventLogLimits
from rkmp.storage import IN_MEMORY, Database
from tests.netconf.logging_until_killed import NOON


def a_log(database: Database | None = None, *, events: int = 100_000, octets: int = 64 * 1024 * 1024) -> EventLog:
    return EventLog(database or Database(IN_MEMORY), lambda: NOON, EventLogLimits(events, octets))


def contents(log: EventLog) -> list[bytes]:
    found = []
    number = 1
    while number <= log.last:
        page, number = log.page(number, until=log.last, start=NOON - timedelta(days=1))
        found += [event.content for event in page]
    return found


def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    with Database(tmp_path / "db") as database:
        log = a_log(database)
        for number in range(200):
            log.append(NOON + timedelta(microseconds=number), b"%d" % number)
        created = log.creation_time
    with Database(tmp_path / "db") as database:
        log = EventLog(database, lambda: NOON + timedelta(days=1))
        assert contents(log) == [b"%d" % number for number in range(200)]
        assert log.creation_time == created
        assert log.aged_time is None
        page, _ = log.page(1, until=5, start=NOON + timedelta(microseconds=2), stop=NOON + timedelta(microseconds=3))
        assert [(event.number, event.event_time.microsecond) for event in page] == [(3, 2), (4, 3)]


@pytest.mark.parametrize(("events", "octets"), [(100, 10_000), (10_000, 300)])
def test_the_oldest_go_when_it_is_full(events: int, octets: int) -> None:
    log = a_log(events=events, octets=octets)
    for number in range(1000):
        log.append(NOON + timedelta(seconds=number), b"%03d" % number)
        kept = contents(log)
        assert kept == [b"%03d" % kept_number for kept_number in range(number + 1 - len(kept), number + 1)]
        assert len(kept) <= 100
        assert len(kept) >= min(number + 1, 90)
        gone = number - len(kept)
        assert log.aged_time == (None if gone < 0 else NOON + timedelta(seconds=gone))


def test_the_bounds_hold_after_a_restart(tmp_path: Path) -> None:
    with Database(tmp_path / "db") as database:
        log = a_log(database, events=100)
        for number in range(100):
            log.append(NOON, b"%d" % number)
    with Database(tmp_path / "db") as database:
        log = a_log(database, events=100)
        log.append(NOON, b"100")
        assert len(contents(log)) <= 100
        aged = log.aged_time
    with Database(tmp_path / "db") as database:
        assert a_log(database).aged_time == aged == NOON


def test_an_event_that_would_push_out_all_others_is_not_kept() -> None:
    log = a_log(octets=800)
    log.append(NOON, b"small")
    log.append(NOON, b"x" * 101)
    assert contents(log) == [b"small"]


def test_a_page_is_bounded_and_holds_at_least_one_event() -> None:
    log = a_log()
    for size in (10, 300_000, 200_000, 100_000, 10):
        log.append(NOON, b"x" * size)
    sizes = []
    number = 1
    while number <= log.last:
        page, number = log.page(number, until=log.last, start=NOON)
        sizes.append([len(event.content) for event in page])
    assert sizes == [[10], [300_000], [200_000], [100_000, 10]]


def test_events_are_found_by_time_even_where_the_clock_was_set_back() -> None:
    log = a_log()
    for second in (10, 20, 5, 30):
        log.append(NOON + timedelta(seconds=second), b"%d" % second)
    first = log.first(NOON + timedelta(seconds=6))
    assert first == 1
    page, _ = log.page(first, until=log.last, start=NOON + timedelta(seconds=6))
    assert [event.content for event in page] == [b"10", b"20", b"30"]
    assert log.first(NOON + timedelta(seconds=31)) == log.last + 1


def test_a_disk_that_refuses_costs_events_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    database = Database(IN_MEMORY)
    log = a_log(database)
    log.append(NOON, b"first")
    database._connection.execute("PRAGMA query_only = ON")
    for _ in range(3):
        log.append(NOON, b"lost")
    assert len(caplog.records) == 1
    database._connection.execute("PRAGMA query_only = OFF")
    log.append(NOON, b"last")
    assert contents(log) == [b"first", b"last"]


def test_one_sync_is_asked_for_until_it_was_made(tmp_path: Path) -> None:
    asked = []
    with Database(tmp_path / "db") as database:
        log = a_log(database)
        log.when_unsynced = lambda: asked.append(log.last)
        for _ in range(3):
            log.append(NOON, b"x")
        assert asked == [1]
        log.sync()
        log.sync()
        log.append(NOON, b"x")
        assert asked == [1, 4]
        assert database.rows("SELECT synced FROM event_log") == [(3,)]


def test_nothing_that_was_promised_is_written_without_a_sync() -> None:
    database = Database(IN_MEMORY)
    with database.transaction(synced=False), pytest.raises(RuntimeError), database.transaction():
        pass
    with database.transaction(), database.transaction(synced=False):
        assert database.rows("PRAGMA synchronous") == [(2,)]
    with database.transaction(synced=False):
        assert database.rows("PRAGMA synchronous") == [(1,)]
    with database.transaction():
        assert database.rows("PRAGMA synchronous") == [(2,)]


def test_what_was_logged_survives_a_kill_in_order(tmp_path: Path) -> None:
    path = tmp_path / "db"
    chance = random.Random(5277)
    said = 0
    command = [sys.executable, "-m", "tests.netconf.logging_until_killed", str(path)]
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            assert first > said
            time.sleep(chance.uniform(0.0, 0.2))
            process.kill()
            lines = process.stdout.read().split()
        said = max([first, *(int(line) for line in lines)])
        with Database(path) as database:
            log = a_log(database)
            # One more may be kept than the process came to say.
            assert log.last in (said, said + 1)
            found = contents(log)
            assert found == [b"<e>%d</e>" % number for number in range(log.last - len(found) + 1, log.last + 1)]
            assert len(found) >= min(log.last, 4500)


def test_a_log_of_a_newer_release_is_refused() -> None:
    database = Database(IN_MEMORY)
    a_log(database)
    with database.transaction() as transaction:
        transaction.execute("UPDATE component_versions SET version = 99 WHERE component = 'event log'")
    with pytest.raises(StorageError):
        a_log(database)
