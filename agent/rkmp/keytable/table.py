"""The key table of one agent (RFC 7210): manual and negotiated keys in one place, changed as a whole or not at all.

Negotiated keys are durable here: a change returns when it is on the disk, and only then is it told to subscribers.
Manual keys belong to the configuration, which keeps them; the table holds them in memory and is handed them again at
start. Both obey the same rules: one AdminKeyName is one row, and no message can be meant for two keys.

The table does not know who negotiates keys or who uses them. It reads no clock: ``wall`` and ``at`` are aware
datetimes. Use from one thread only.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rkmp.errors import KeyTableError
from rkmp.instant import Random
from rkmp.keytable.durable import DurableRows
from rkmp.keytable.events import KeyEvent, KeyInstalled, KeyRemoved, KeyUpdated
from rkmp.keytable.index import KeyIndex
from rkmp.keytable.row import KeyRow, KeyState
from rkmp.keytable.schedule import KeySchedule
from rkmp.storage import Database, Sealer, Transaction

Subscriber = Callable[[KeyEvent], None]

CONFIGURATION_REMOVED = "configuration"
"""The reason of a :class:`KeyRemoved` for a manual key: the configuration no longer has it."""


@dataclass(frozen=True, slots=True)
class PreparedManualRows:
    """A checked change of the manual keys; ``changed`` are new or different, ``removed`` are names."""

    changed: tuple[KeyRow, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class _Touched:
    """One row that a transaction has changed: what it was before, and why it went if it did."""

    before: KeyRow | None
    reason: str = ""


class KeyTable:
    """The rows, what they mean at an instant, and who is told when they change.

    Negotiated rows are read from ``database``, their keys opened with ``sealer``; ``random`` makes the nonces of
    sealing. Raises :class:`~rkmp.errors.StorageError` when a stored row cannot be read or was altered.
    """

    def __init__(self, database: Database, sealer: Sealer, random: Random) -> None:
        self._database = database
        self._durable = DurableRows(database, sealer, random)
        self._index = KeyIndex()
        for row in self._durable.read():
            self._index.put(row)
        self._schedule = KeySchedule(self._index)
        self._subscribers: list[Subscriber] = []
        self._untold: deque[KeyEvent] = deque()
        self._is_telling = False

    # -- reading -------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[KeyRow, ...]:
        """Return every row."""
        return tuple(self._index)

    def get(self, admin_key_name: str) -> KeyRow | None:
        """Return the row of that name."""
        return self._index.get(admin_key_name)

    def rows_for(self, peer: str, protocol: str) -> tuple[KeyRow, ...]:
        """Return the rows whose Peers include ``peer`` and whose Protocol is ``protocol``, by SendLifetimeStart."""
        return self._index.rows_for(peer, protocol)

    def select_for_sending(
        self,
        peer: str,
        protocol: str,
        at: datetime,
        interface: str | None = None,
        *,
        preference: Sequence[str] = (),
    ) -> KeyRow | None:
        """Return the key to protect a message with at ``at`` (RFC 7210 section 3).

        ``interface`` of None is a protocol that does not say. ``preference`` lists AlgIDs, most preferred first, for
        a transition between algorithms; among equals the most recent SendLifetimeStart wins.
        """
        return self._index.select_for_sending(peer, protocol, at, interface, preference)

    def select_for_receiving(
        self, peer: str, protocol: str, local_key_name: str, at: datetime, interface: str | None = None
    ) -> KeyRow | None:
        """Return the key to verify a message with that names ``local_key_name`` (RFC 7210 section 3)."""
        return self._index.select_for_receiving(peer, protocol, local_key_name, at, interface)

    def selected_for_sending(self, row: KeyRow, at: datetime) -> bool:
        """Whether ``row`` is the key that one of its peers is sent messages with at ``at``."""
        return self._index.selected_for_sending(row, at)

    def counts(self, wall: datetime) -> Mapping[KeyState, int]:
        """Return how many rows are in each state at ``wall``."""
        return self._schedule.counts(wall)

    def extended(self, wall: datetime) -> int:
        """Return how many rows are sent with at ``wall`` only because their lifetimes were extended."""
        return self._schedule.extended(wall)

    # -- negotiated keys -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self, wall: datetime) -> Iterator[KeyTableChange]:
        """Change negotiated rows together: all of it is on the disk when the block ends, or nothing has changed.

        The block sees its own changes. It joins a transaction of the database that is already open, and then ends
        with that one. Raises :class:`~rkmp.errors.StorageError` when the disk refuses.
        """
        with self._database.transaction() as transaction:
            touched: dict[str, _Touched] = {}
            yield KeyTableChange(self._index, self._durable, transaction, touched)
            after = {name: self._index.get(name) for name in touched}
            transaction.after_commit(lambda: self._report(touched, after, wall))

    def remove(self, admin_key_name: str, wall: datetime, reason: str) -> None:
        """Remove one negotiated row durably; see :meth:`KeyTableChange.remove`."""
        with self.transaction(wall) as change:
            change.remove(admin_key_name, reason)

    # -- manual keys ---------------------------------------------------------------------------------------------

    def prepare_manual(self, rows: Iterable[KeyRow]) -> PreparedManualRows:
        """Check that ``rows`` can become the manual keys, all of them; change nothing.

        Raises :class:`KeyTableError` when two share a name, one has the name of a negotiated key, or a message could
        be meant for two keys.
        """
        wanted: dict[str, KeyRow] = {}
        for row in rows:
            if row.admin_key_name in wanted:
                raise KeyTableError(f"key {row.admin_key_name!r}: there are two keys of this name")
            wanted[row.admin_key_name] = row
        removed = [
            row.admin_key_name for row in self._index if row.provenance is None and row.admin_key_name not in wanted
        ]
        return self.prepare_manual_changes(wanted.values(), removed)

    def prepare_manual_changes(self, changed: Iterable[KeyRow], removed: Collection[str]) -> PreparedManualRows:
        """Check a change of some manual keys: like :meth:`prepare_manual`, at a cost of its own size only.

        ``changed`` rows are new, or take the place of the manual row of their name. Names in ``removed`` that are no
        manual rows, or are among the changed ones, are passed over.
        """
        rows = tuple(changed)
        staying = {row.admin_key_name for row in rows}
        leaving = tuple(name for name in removed if name not in staying and self._is_manual(name))
        different = tuple(row for row in rows if _differs(row, self._index.get(row.admin_key_name)))
        gone = {row.admin_key_name for row in different}.union(leaving)
        among_themselves = KeyIndex()
        for row in different:
            if row.provenance is not None:
                raise KeyTableError(f"key {row.admin_key_name!r}: a manual key has no provenance")
            existing = self._index.get(row.admin_key_name)
            if existing is not None and existing.provenance is not None:
                raise KeyTableError(f"key {row.admin_key_name!r}: a negotiated key has this name")
            self._index.require_no_clash(row, gone)
            among_themselves.require_no_clash(row)
            among_themselves.put(row)
        return PreparedManualRows(different, leaving)

    def apply_manual(self, prepared: PreparedManualRows, wall: datetime) -> None:
        """Make a prepared change and tell of it. No key may have been installed since it was prepared."""
        touched: dict[str, _Touched] = {}
        for name in prepared.removed:
            touched[name] = _Touched(self._index.get(name), CONFIGURATION_REMOVED)
            self._index.discard(name)
        for row in prepared.changed:
            touched[row.admin_key_name] = _Touched(self._index.get(row.admin_key_name))
            self._index.put(row)
        self._report(touched, {name: self._index.get(name) for name in touched}, wall)

    def _is_manual(self, name: str) -> bool:
        row = self._index.get(name)
        return row is not None and row.provenance is None

    # -- events and time -----------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` with every event from now on, after what it tells has become durable.

        It must not raise. It may change the table; every subscriber is told of that after this event. Return a
        function that ends the subscription.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def next_change(self, wall: datetime) -> datetime | None:
        """Return when :meth:`handle_time` has something to do next: ``wall`` itself when overdue, None when never."""
        return self._schedule.next_change(wall)

    def handle_time(self, wall: datetime) -> None:
        """Tell what the time up to ``wall`` has done to keys. Rows are never removed by this."""
        self._tell(self._schedule.advance(wall))

    def _report(self, touched: Mapping[str, _Touched], after: Mapping[str, KeyRow | None], wall: datetime) -> None:
        self._tell(self._events(touched, after, wall))

    def _events(
        self, touched: Mapping[str, _Touched], after: Mapping[str, KeyRow | None], wall: datetime
    ) -> Iterator[KeyEvent]:
        for name, change in touched.items():
            row = after[name]
            if row is None:
                if change.before is not None:
                    self._schedule.discard(name)
                    yield KeyRemoved.of(change.before, wall, reason=change.reason)
                continue
            if change.before is None:
                yield KeyInstalled.of(row, wall)
            elif change.before != row:
                former = {"former_protocol": change.before.protocol, "former_peers": change.before.peers}
                yield KeyUpdated.of(row, wall, **former)
            yield from self._schedule.put(row, wall)

    def _tell(self, events: Iterable[KeyEvent]) -> None:
        self._untold.extend(events)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for subscriber in tuple(self._subscribers):
                    subscriber(event)
        finally:
            self._is_telling = False


def _differs(row: KeyRow, existing: KeyRow | None) -> bool:
    # Most rows of a large configuration are the very objects of the last one.
    return row is not existing and row != existing


class KeyTableChange:
    """Changes of negotiated rows inside one transaction; each raises :class:`KeyTableError` if the table refuses it."""

    def __init__(
        self, index: KeyIndex, durable: DurableRows, transaction: Transaction, touched: dict[str, _Touched]
    ) -> None:
        self._index = index
        self._durable = durable
        self._transaction = transaction
        self._touched = touched

    def install(self, row: KeyRow) -> None:
        """Add a negotiated row, whose name and key names must be free."""
        if self._index.get(row.admin_key_name) is not None:
            raise KeyTableError(f"key {row.admin_key_name!r}: there is already a key of this name")
        self._write(row)

    def update(self, row: KeyRow) -> None:
        """Replace the negotiated row of the same name."""
        self._require_negotiated(row.admin_key_name)
        self._write(row)

    def remove(self, admin_key_name: str, reason: str) -> None:
        """Remove a negotiated row; ``reason`` goes into the event."""
        before = self._require_negotiated(admin_key_name)
        self._touch(admin_key_name, before, reason)
        self._durable.remove(self._transaction, admin_key_name)
        self._index.discard(admin_key_name)

    def _write(self, row: KeyRow) -> None:
        if row.provenance is None:
            raise KeyTableError(f"key {row.admin_key_name!r}: manual keys come from the configuration")
        self._index.require_no_clash(row)
        self._touch(row.admin_key_name, self._index.get(row.admin_key_name))
        self._durable.write(self._transaction, row, row.provenance)
        self._index.put(row)

    def _require_negotiated(self, admin_key_name: str) -> KeyRow:
        row = self._index.get(admin_key_name)
        if row is None:
            raise KeyTableError(f"key {admin_key_name!r}: there is no such key")
        if row.provenance is None:
            raise KeyTableError(f"key {admin_key_name!r}: the key is configured; change the configuration instead")
        return row

    def _touch(self, name: str, before: KeyRow | None, reason: str = "") -> None:
        """Remember ``before``, the row as it is, for the rollback and for the event."""
        self._touched.setdefault(name, _Touched(before)).reason = reason
        self._transaction.after_rollback(lambda: self._restore(name, before))

    def _restore(self, name: str, before: KeyRow | None) -> None:
        if before is None:
            self._index.discard(name)
        else:
            self._index.put(before)
