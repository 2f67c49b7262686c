"""The durable log of published events, from which they are replayed (RFC 5277 section 3.3).

What is promised: an event is in the log, in the order of publication, before anybody receives it, and survives the
death of the process from then on. The disk is made to keep it by the next change of configuration or keys, which
syncs the same file, and at the latest by ``sync``, which the owner calls once a second while there is something to
sync; a power cut can cost that second of events. Nobody waits for a disk so that an event can be sent.

The log is bounded: the oldest events go. Events hold no secrets when they come here. Appending never raises
StorageError: a disk that refuses costs the log some events, not the agent a change that is carried out already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rkmp.errors import StorageError
from rkmp.storage import Database, Migration, Transaction

_log = logging.getLogger(__name__)

_COMPONENT = "event log"
_MIGRATIONS = (
    Migration(
        1,
        (
            """
            CREATE TABLE logged_events (
                number INTEGER PRIMARY KEY,
                event_time INTEGER NOT NULL,
                content BLOB NOT NULL
            )
            """,
            "CREATE INDEX logged_events_by_time ON logged_events (event_time)",
            """
            CREATE TABLE event_log (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                created INTEGER NOT NULL,
                aged INTEGER,
                synced INTEGER NOT NULL
            )
            """,
            "CREATE TABLE announced_capabilities (uri TEXT PRIMARY KEY)",
        ),
    ),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_PAGE_EVENTS = 64
_PAGE_OCTETS = 256 * 1024
_TRIMMED = 16
"""When the log is full, one part in so many of it goes at a time."""


@dataclass(frozen=True, slots=True)
class EventLogLimits:
    """Bounds of the log."""

    events: int = 100_000
    octets: int = 64 * 1024 * 1024
    """Of all contents together; an event larger than an eighth of it is not kept."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event: its place in the order of publication, when it happened, and its element in UTF-8."""

    number: int
    event_time: datetime
    content: bytes


class EventLog:
    """The log in ``database``; ``clock`` returns the time now, aware, in UTC.

    It also remembers which capabilities were announced, so that a change of them can be told as an event.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], limits: EventLogLimits | None = None) -> None:
        self.when_unsynced: Callable[[], None] | None = None
        """Called when there is something to sync and was nothing before; None: every event is synced at once."""
        self._database = database
        self._limits = limits or EventLogLimits()
        database.migrate(_COMPONENT, _MIGRATIONS)
        with database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO event_log (id, created, synced) VALUES (1, ?, 0) ON CONFLICT (id) DO NOTHING",
                (_to_number(clock()),),
            )
        created, aged = database.rows("SELECT created, aged FROM event_log")[0]
        self.creation_time = _to_time(created)
        """When the log was made (replayLogCreationTime)."""
        self.aged_time: datetime | None = None if aged is None else _to_time(aged)
        """When the last event happened that the log had to let go; None where there is none (replayLogAgedTime)."""
        count, octets, last = database.rows(
            "SELECT count(*), coalesce(sum(length(content)), 0), coalesce(max(number), 0) FROM logged_events"
        )[0]
        self._count, self._octets, self._last = int(count), int(octets), int(last)
        self._unsynced = False
        self._failing = False

    @property
    def last(self) -> int:
        """The number of the newest event, 0 as long as there was none."""
        return self._last

    def append(self, event_time: datetime, content: bytes) -> None:
        """Keep an event; where the disk refuses, or the event is too large, that is logged and nothing kept."""
        if len(content) * 8 > self._limits.octets:
            _log.warning("an event of %d octets is too large for the event log", len(content))
            return
        number = self._last + 1
        aged: tuple[int, int, datetime] | None = None
        try:
            with self._database.transaction(synced=self.when_unsynced is None) as transaction:
                transaction.execute(
                    "INSERT INTO logged_events (number, event_time, content) VALUES (?, ?, ?)",
                    (number, _to_number(event_time), content),
                )
                if self._count >= self._limits.events or self._octets + len(content) > self._limits.octets:
                    aged = self._age(transaction, number)
        except StorageError as error:
            if not self._failing:
                _log.warning("events are not logged until the disk takes them again: %s", error)
            self._failing = True
            return
        self._failing = False
        self._last = number
        self._count += 1
        self._octets += len(content)
        if aged is not None:
            self._count -= aged[0]
            self._octets -= aged[1]
            self.aged_time = aged[2]
        if self.when_unsynced is not None and not self._unsynced:
            self._unsynced = True
            self.when_unsynced()

    def sync(self) -> None:
        """Have the disk keep every event of now; where it refuses, the next call tries again."""
        if not self._unsynced:
            return
        try:
            with self._database.transaction() as transaction:
                transaction.execute("UPDATE event_log SET synced = ?", (self._last,))
        except StorageError as error:
            _log.warning("the event log could not be synced: %s", error)
        # Events after this one ask for a sync of their own.
        self._unsynced = False

    def announced(self) -> frozenset[str]:
        """The capabilities that clients were told last; none in a new log."""
        return frozenset(str(row[0]) for row in self._database.rows("SELECT uri FROM announced_capabilities"))

    def announce(self, capabilities: Iterable[str]) -> None:
        """Remember what clients are told from now on. Raises StorageError."""
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM announced_capabilities")
            transaction.execute_many(
                "INSERT INTO announced_capabilities (uri) VALUES (?)", [(uri,) for uri in capabilities]
            )

    def first(self, start: datetime) -> int:
        """The number of the first event that happened at ``start`` or later; one after the last where there is none."""
        found = self._database.rows(
            "SELECT min(number) FROM logged_events WHERE event_time >= ?", (_to_number(start),)
        )[0][0]
        return self._last + 1 if found is None else int(found)

    def page(
        self, number: int, *, until: int, start: datetime, stop: datetime | None = None
    ) -> tuple[list[LoggedEvent], int]:
        """Return some events from ``number`` up to and including ``until``, and the number to go on with.

        Only events that happened between ``start`` and ``stop``, both included. A page is a few hundred kilobytes
        or one event; there are no more when the number to go on with is beyond ``until``.
        """
        latest = 2**63 - 1 if stop is None else _to_number(stop)
        found = self._database.rows(
            "SELECT number, length(content) FROM logged_events "
            "WHERE number BETWEEN ? AND ? AND +event_time BETWEEN ? AND ? ORDER BY number LIMIT ?",
            (number, until, _to_number(start), latest, _PAGE_EVENTS),
        )
        if not found:
            return [], until + 1
        last, octets = int(found[0][0]), int(found[0][1])
        for candidate, length in found[1:]:
            octets += int(length)
            if octets > _PAGE_OCTETS:
                break
            last = int(candidate)
        rows = self._database.rows(
            "SELECT number, event_time, content FROM logged_events "
            "WHERE number BETWEEN ? AND ? AND +event_time BETWEEN ? AND ? ORDER BY number",
            (number, last, _to_number(start), latest),
        )
        return [LoggedEvent(int(row[0]), _to_time(row[1]), bytes(row[2])) for row in rows], last + 1

    def _age(self, transaction: Transaction, newest: int) -> tuple[int, int, datetime]:
        """Let the oldest events go; return how many, of how many octets, and when the last of them happened."""
        events = self._limits.events - self._limits.events // _TRIMMED
        octets = self._limits.octets - self._limits.octets // _TRIMMED
        count = freed = last = at = 0
        oldest = transaction.rows(
            "SELECT number, event_time, length(content) FROM logged_events WHERE number < ? ORDER BY number", (newest,)
        )
        for number, event_time, length in oldest:
            if count and self._count - count < events and self._octets - freed < octets:
                break
            count, freed, last, at = count + 1, freed + int(length), int(number), int(event_time)
        transaction.execute("DELETE FROM logged_events WHERE number <= ?", (last,))
        transaction.execute("UPDATE event_log SET aged = ?", (at,))
        return count, freed, _to_time(at)


def _to_number(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _to_time(number: int) -> datetime:
    return _EPOCH + int(number) * _MICROSECOND
