"""When the passing of time changes a key, and what it then tells: a heap of the next instant of every row.

Lifetimes include their end (RFC 7210 section 3), so a key changes in the microsecond after it. What has been told of
a row is remembered, so that nothing is told twice; rows read from the disk at start are taken as told, since their
subscribers read the table then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush

from rkmp.keytable.events import (
    KeyActivated,
    KeyEvent,
    KeyExpired,
    KeyExpiring,
    KeyExtended,
    KeyExtensionEnded,
)
from rkmp.keytable.row import KeyRow, KeyState, key_state

LONGEST_WARNING = timedelta(days=7)
WARNING_FRACTION = 10
"""A key's end is announced when this part of its life is left, or :data:`LONGEST_WARNING` if that is shorter."""
REMINDER = timedelta(hours=1)
"""How long it takes until it is told again that a key is extended."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_FEW = 64


@dataclass(slots=True, eq=False)
class _Watch:
    """What was told of one row; ``state`` is None until its first instant has come.

    ``reminders`` is how often it has been time to tell that the key is extended; 0 while it is not.
    """

    row: KeyRow
    state: KeyState | None
    is_warned: bool
    due: datetime | None
    reminders: int = 0


class KeySchedule:
    """The rows by their next instant."""

    def __init__(self, rows: Iterable[KeyRow]) -> None:
        """Watch ``rows`` that were there before: how they stand when time first comes is not told."""
        self._watches = {row.admin_key_name: _Watch(row, None, False, _LONG_AGO) for row in rows}
        self._heap: list[tuple[datetime, str]] = [(_LONG_AGO, name) for name in self._watches]
        self._counts: Counter[KeyState] = Counter()
        self._extended = 0
        self._latest = _LONG_AGO

    def next_change(self, wall: datetime) -> datetime | None:
        """Return the next instant for :meth:`advance`: ``wall`` itself when that is overdue, None when never."""
        if wall < self._latest:
            return wall
        while self._heap and not self._is_current(*self._heap[0]):
            heappop(self._heap)
        return max(wall, self._heap[0][0]) if self._heap else None

    def advance(self, wall: datetime) -> Iterator[KeyEvent]:
        """Bring every row up to ``wall`` and yield what there is to tell, in the order of the instants."""
        if wall < self._latest:
            # The clock was set back: instants that were passed will come again.
            self._latest = wall
            for watch in list(self._watches.values()):
                yield from self._observe(watch, wall)
            return
        self._latest = wall
        while self._heap and self._heap[0][0] <= wall:
            due, name = heappop(self._heap)
            if self._is_current(due, name):
                yield from self._observe(self._watches[name], wall)

    def put(self, row: KeyRow, wall: datetime) -> Iterator[KeyEvent]:
        """Watch ``row``, new or changed, and yield what there is to tell at once."""
        watch = self._watches.get(row.admin_key_name)
        if watch is None:
            watch = self._watches[row.admin_key_name] = _Watch(row, KeyState.PENDING, False, None)
            self._counts[KeyState.PENDING] += 1
        else:
            watch.row = row
        yield from self._observe(watch, wall)

    def discard(self, admin_key_name: str) -> None:
        """Forget the row of that name."""
        watch = self._watches.pop(admin_key_name)
        self._extended -= bool(watch.reminders)
        if watch.state is not None:
            self._counts[watch.state] -= 1

    def counts(self, wall: datetime) -> Mapping[KeyState, int]:
        """Return how many rows are in each state at ``wall``; rows are looked at only if the table is behind."""
        change = self.next_change(wall)
        if change is not None and change <= wall:
            now = Counter(key_state(watch.row, wall) for watch in self._watches.values())
        else:
            now = self._counts
        return {state: now[state] for state in KeyState}

    def extended(self, wall: datetime) -> int:
        """Return how many rows are extended at ``wall``, at the same cost."""
        change = self.next_change(wall)
        if change is not None and change <= wall:
            return sum(watch.row.is_extended(wall) for watch in self._watches.values())
        return self._extended

    def _observe(self, watch: _Watch, wall: datetime) -> Iterator[KeyEvent]:
        before, after = watch.state, key_state(watch.row, wall)
        warning = _warning(watch.row)
        is_warning_due = warning is not None and warning <= wall
        if before is not after:
            if before is not None:
                self._counts[before] -= 1
            self._counts[after] += 1
        watch.state = after
        is_warned, watch.is_warned = watch.is_warned, is_warning_due
        reminded, watch.reminders = watch.reminders, _reminders(watch.row, wall)
        self._extended += bool(watch.reminders) - bool(reminded)
        self._arm(watch, wall)
        if before is None:
            return
        if after is KeyState.ACTIVE and before is not KeyState.ACTIVE:
            yield KeyActivated.of(watch.row, wall)
        if watch.row.extended_from is not None and watch.reminders > reminded:
            yield KeyExtended.of(watch.row, wall, since=watch.row.extended_from)
        elif reminded and not watch.reminders:
            yield KeyExtensionEnded.of(watch.row, wall)
        end = _end_of_life(watch.row)
        if after is KeyState.EXPIRED:
            if before is not KeyState.EXPIRED:
                yield KeyExpired.of(watch.row, wall)
        elif is_warning_due and not is_warned and end is not None and wall <= end:
            yield KeyExpiring.of(watch.row, wall, seconds_left=int((end - wall) / timedelta(seconds=1)))

    def _arm(self, watch: _Watch, wall: datetime) -> None:
        watch.due = min((instant for instant in _instants(watch.row, watch.reminders) if instant > wall), default=None)
        if watch.due is None:
            return
        heappush(self._heap, (watch.due, watch.row.admin_key_name))
        if len(self._heap) > 2 * len(self._watches) + _FEW:
            self._heap = [(each.due, name) for name, each in self._watches.items() if each.due is not None]
            heapify(self._heap)

    def _is_current(self, due: datetime, name: str) -> bool:
        watch = self._watches.get(name)
        return watch is not None and watch.due == due


def _end_of_life(row: KeyRow) -> datetime | None:
    """Return when the life of a key ends that is not extended; None when it never does."""
    ends = [lifetime.end for lifetime in row.lifetimes()]
    known = [end for end in ends if end is not None]
    if row.extended_from is not None and (len(known) < len(ends) or max(known) > row.extended_from):
        return row.extended_from
    return max(known) if known and len(known) == len(ends) else None


def _warning(row: KeyRow) -> datetime | None:
    end = _end_of_life(row)
    if end is None:
        return None
    life = end - min(lifetime.start for lifetime in row.lifetimes())
    return end - min(life / WARNING_FRACTION, LONGEST_WARNING)


def _reminders(row: KeyRow, wall: datetime) -> int:
    """Return how often it has been time to tell that ``row`` is extended, since it began to be."""
    if row.extended_from is None or not row.is_extended(wall):
        return 0
    return 1 + (wall - row.extended_from) // REMINDER


def _instants(row: KeyRow, reminders: int) -> Iterator[datetime]:
    for lifetime in row.lifetimes():
        yield lifetime.start
        if lifetime.end is not None and lifetime.end < _END_OF_TIME:
            yield lifetime.end + _TICK
    warning = _warning(row)
    if warning is not None:
        yield warning
    if row.extended_from is not None:
        yield row.extended_from + max(reminders * REMINDER, _TICK)
