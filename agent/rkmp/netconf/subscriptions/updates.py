"""When a subscription to a datastore makes its update records: periodically, or on change (RFC 8641 sections 3.1, 3.3).

Time comes in, records are asked of the subscription. It must not know datastores, queues or clocks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.instant import Instant
from rkmp.netconf.subscriptions.changes import Change, changes
from rkmp.netconf.subscriptions.pending import PendingChanges
from rkmp.netconf.subscriptions.places import NOWHERE, Place, Places, both
from rkmp.netconf.subscriptions.snapshot import Snapshot
from rkmp.netconf.subscriptions.terms import OnChange, Periodic

_CENTISECONDS = 100
_PATCHES = 2**32


class Outcome(Enum):
    """What has become of changes that were to be told."""

    TOLD = "told"
    SYNCHRONISED = "synchronised"
    """Everything that is selected was sent in their place."""
    UNTOLD = "untold"
    """Neither could be; the receiver is told that."""


class Records(Protocol):
    """Makes the records; where one cannot be made, the receiver is told why."""

    def look(self) -> etree._Element | None:
        """Return what is selected now, a new ``config`` element; None where it cannot be had."""

    def look_at(self, places: Collection[Place]) -> etree._Element | None:
        """Return what is selected at ``places``, with state beside their lists; None where that takes a whole look."""

    def push(self, tree: etree._Element) -> bool:
        """Send a push-update with all of ``tree``; return whether it could be."""

    def push_changes(self, patch: int, found: Sequence[Change], everything: etree._Element | None) -> Outcome:
        """Send a push-change-update, or where that is too big ``everything``, unless it is None."""


class PeriodicUpdates:
    """A push-update at each multiple of the period from the anchor."""

    def __init__(self, records: Records, terms: Periodic) -> None:
        self.terms = terms
        self._records = records
        self._due: datetime | None = None

    def begin(self, now: Instant, first: etree._Element) -> None:
        """Start; ``first`` is what is selected now."""
        if self.terms.anchor is None:
            # RFC 8641 4.2: the anchor is the time of the initial update record.
            self.terms = Periodic(self.terms.period, now.wall)
            self._records.push(first)
        self._due = self._next(now.wall)

    def go_on(self, now: Instant) -> None:
        """Start without a record at once, the anchor having been found before."""
        if self.terms.anchor is None:
            self.terms = Periodic(self.terms.period, now.wall)
        self._due = self._next(now.wall)

    def changed(self, places: Places) -> None:
        """Take note that data may have changed, which is of no matter here."""

    def resumed(self, now: Instant) -> None:
        """Go on after a suspension: records that were due meanwhile are not made up for."""
        self._due = self._next(now.wall)

    def delay(self, now: Instant) -> float | None:
        """Return the seconds to the next record."""
        return None if self._due is None else max(0.0, (self._due - now.wall).total_seconds())

    def handle(self, now: Instant) -> None:
        """Make the record that is due; those that were missed are not made up for."""
        # The clock may have been set back by more than a period.
        if self._due is not None and self._due - now.wall > timedelta(seconds=self.terms.period / _CENTISECONDS):
            self._due = self._next(now.wall)
        if self._due is None or now.wall < self._due:
            return
        self._due = self._next(now.wall)
        tree = self._records.look()
        if tree is not None:
            self._records.push(tree)

    def _next(self, after: datetime) -> datetime:
        """Return the first multiple of the period from the anchor that is later than ``after``."""
        period = timedelta(milliseconds=self.terms.period * 10)
        anchor = self.terms.anchor or after
        return anchor + ((after - anchor) // period + 1) * period


class OnChangeUpdates:
    """A push-change-update when something has changed and the dampening period is over.

    How often the data is looked at is bounded by ``share``, the part of the time that looking may take.
    """

    def __init__(self, schema: Schema, records: Records, terms: OnChange, share: float) -> None:
        self.terms = terms
        self._schema = schema
        self._records = records
        self._share = share
        self._pending = PendingChanges(schema, terms.excluded)
        self._told: etree._Element | None = None
        self._seen: etree._Element | None = None
        self._snapshot: Snapshot | None = None
        self._dirty: Places = NOWHERE
        self._is_stuck = False
        self._wants_sync = False
        self._patch = 0
        self._quiet_until = -math.inf
        self._next_look = -math.inf

    def begin(self, now: Instant, first: etree._Element) -> None:
        """Start from ``first``, which is what is selected now."""
        self._told = self._seen = first
        if self.terms.sync_on_start:
            self._synchronise(now, first)

    def go_on_from(self, before: OnChangeUpdates) -> None:
        """Start from what another has told, so that the next record leads from there to what is selected now."""
        self._told, self._seen = before._told, before._seen
        self._patch, self._quiet_until, self._next_look = before._patch, before._quiet_until, before._next_look
        self._dirty = None

    def changed(self, places: Places) -> None:
        """Take note that something selected may have changed at ``places``."""
        self._dirty = both(self._dirty, places)

    def resumed(self, now: Instant) -> None:  # noqa: ARG002
        """Go on after a suspension with a complete patch from the last record (RFC 8641 3.11.1)."""
        self._dirty = None

    def resynchronise(self) -> None:
        """Send everything that is selected, soon."""
        self._wants_sync = True

    def looked(self, now: Instant, seconds: float) -> None:
        """Take note of how long the last look took."""
        self._next_look = now.monotonic + seconds / self._share

    def delay(self, now: Instant) -> float | None:
        """Return after how many seconds there is something to do."""
        if self._wants_sync:
            return 0.0
        if self._dirty != NOWHERE:
            return max(0.0, self._next_look - now.monotonic)
        if self._pending and not self._is_stuck:
            return max(0.0, self._quiet_until - now.monotonic)
        return None

    def handle(self, now: Instant) -> None:
        """Do what is due."""
        if self._wants_sync:
            self._wants_sync = False
            tree = self._records.look()
            if tree is not None:
                self._synchronise(now, tree)
            else:
                self._dirty = None
            return
        if self._dirty != NOWHERE and now.monotonic >= self._next_look:
            places, self._dirty, self._is_stuck = self._dirty, NOWHERE, False
            if places is not None and self._look_at(now, places):
                return
            tree = self._records.look()
            if tree is None:
                return
            if self._seen is not None:
                self._pending.add(changes(self._schema, self._seen, tree))
            self._seen = tree
            if not self._pending:
                self._told = tree
        if self._pending and now.monotonic >= self._quiet_until:
            self._tell(now)

    def _look_at(self, now: Instant, places: Collection[Place]) -> bool:
        """Tell what has changed at ``places``, and return whether that is all that there was to do."""
        if self._told is None or self._told is not self._seen or self._pending or now.monotonic < self._quiet_until:
            # What was seen has not been told yet, or what is seen now is not to be told yet.
            return False
        tree = self._records.look_at(places)
        if tree is None:
            return False
        if self._snapshot is None or self._snapshot.tree is not self._told:
            self._snapshot = Snapshot(self._schema, self._told)
        found = self._snapshot.changes_at(tree, places)
        if found is None:
            return False
        told = [change for change in found if change.type not in self.terms.excluded]
        if told:
            if self._records.push_changes(self._patch, told, None) is not Outcome.TOLD:
                # It is told with what changes next, from what was told last.
                self._dirty, self._is_stuck = NOWHERE, True
                self._pending.add(told)
                return True
            self._patch = (self._patch + 1) % _PATCHES
            self._dampen(now)
        self._snapshot.adopt(tree, places)
        return True

    def _tell(self, now: Instant) -> None:
        if self._told is None or self._seen is None:
            return
        found = self._pending.between(self._told, self._seen)
        everything = self._seen if self.terms.sync_on_start else None
        outcome = self._records.push_changes(self._patch, found, everything) if found else None
        if outcome is Outcome.UNTOLD:
            # What could not be told is part of the next record, which is made when something has changed again.
            self._is_stuck = True
            return
        self._pending.clear()
        self._told = self._seen
        if outcome is not None:
            self._patch = (self._patch + 1) % _PATCHES if outcome is Outcome.TOLD else 0
            self._dampen(now)

    def _synchronise(self, now: Instant, tree: etree._Element) -> None:
        if self._records.push(tree):
            self._told = self._seen = tree
            self._pending.clear()
            self._patch = 0
            self._dampen(now)
        else:
            self._dirty = None

    def _dampen(self, now: Instant) -> None:
        # RFC 8641 3.1: in effect every time that the assembly of an update record is completed.
        self._quiet_until = now.monotonic + self.terms.dampening / _CENTISECONDS
