"""The negotiated keys of one association: rows of the key table, and the steps by which one follows another.

What a key means is read from its row, so that a restart finds the state that a crash left. The steps are those of
:mod:`rkmp.engine.key_schedule`; a key whose peer may not hold it yet is a row of direction *in*, and becomes *both*
when the peer has shown that it does. Every step is one durable transaction. Nothing here knows IKE SAs or timers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

from rkmp.engine.algorithms import algorithms_for
from rkmp.engine.configuration import AssociationConfiguration
from rkmp.engine.key_schedule import (
    acceptance,
    handed_over,
    lifetimes_of_new_key,
    margin,
    never_sent,
    not_extended,
    realigned,
    sending_begins,
    superseded,
)
from rkmp.engine.protocols import protocol_name
from rkmp.ike import ChildKeysEstablished
from rkmp.ike.purposes import spi_of
from rkmp.keytable import Direction, KeyRow, KeyTable, Lifetime, Provenance

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
MOST_OPEN = 16
"""How many keys may be extended that no successor was confirmed of: KeyIDs are few, and the next key needs two."""


class AssociationKeys:
    """The rows that were negotiated with ``peer`` under ``configuration``, which the owner replaces when it changes."""

    def __init__(self, peer: str, configuration: AssociationConfiguration, key_table: KeyTable) -> None:
        self.peer = peer
        self.protocol = protocol_name(configuration.protocol)
        self.configuration = configuration
        self.algorithms = algorithms_for(configuration.protocol, {})
        """What may be negotiated, by Auth Alg and KDF; the owner replaces it when it changes."""
        self._key_table = key_table
        # Which key follows which: civil time may be set back, so it decides only for what a restart finds.
        self._order: dict[str, int] = {}
        self._next_in_order = itertools.count()
        for row in sorted(self._own_rows(), key=_negotiated):
            self._order[row.admin_key_name] = next(self._next_in_order)

    # -- what the table says -------------------------------------------------------------------------------------

    def rows(self) -> list[KeyRow]:
        """Return the rows, in the order in which they were negotiated."""
        return sorted(self._own_rows(), key=lambda row: self._order.get(row.admin_key_name, -1))

    def get(self, admin_key_name: str) -> KeyRow | None:
        """Return the row of that name."""
        return self._key_table.get(admin_key_name)

    def current(self, wall: datetime) -> KeyRow | None:
        """Return the key to send with at ``wall``: RFC 7210's choice among ours."""
        sending = [row for row in self._own_rows() if row.for_sending and row.send_lifetime.contains(wall)]
        return max(sending, key=_send_order, default=None)

    def latest(self) -> KeyRow | None:
        """Return the key that is sent with now or as soon as its time comes, until it is replaced."""
        sending = [row for row in self._own_rows() if row.for_sending]
        return max(sending, key=lambda row: (_send_end(row), _send_order(row)), default=None)

    def awaiting(self, wall: datetime) -> list[KeyRow]:
        """Return the keys of which we do not know yet whether the peer holds them too."""
        return [row for row in self.rows() if _is_awaiting(row, wall)]

    def newest(self, wall: datetime) -> KeyRow | None:
        """Return the key that a replacement is to replace: the last that both sides may come to send with."""
        awaiting = self.awaiting(wall)
        return awaiting[-1] if awaiting else self.latest()

    def is_unsettled(self, wall: datetime) -> bool:
        """Whether a replacement was begun and neither side's switch to it is known: the second step is missing."""
        if self.awaiting(wall):
            return True
        latest = self.latest()
        return any(
            not self._is_superseded(row, wall)
            for row in self._own_rows()
            if latest is not None and row.for_sending and row.admin_key_name != latest.admin_key_name
        )

    def key_ids(self) -> set[int]:
        """Return every KeyID that is in use with the neighbor for this protocol, in either direction (G3).

        Keys that are not ours count too: manual ones, and those of another peer with the same neighbor.
        """
        rows = self._key_table.rows_for(self.configuration.neighbor, self.protocol)
        names = itertools.chain.from_iterable((row.local_key_name, row.peer_key_name) for row in rows)
        return {int(name, 16) for name in names if len(name) == self._name_digits}

    def peer_send_ids(self) -> frozenset[int]:
        """Return the KeyIDs that received segments of this protocol may carry now, so that no new key may."""
        rows = self._key_table.rows_for(self.configuration.neighbor, self.protocol)
        names = (row.local_key_name for row in rows)
        return frozenset(int(name, 16) for name in names if len(name) == self._name_digits)

    @property
    def _name_digits(self) -> int:
        # What is for private use may have keys of another kind beside ours.
        return 2 * len(spi_of(self.configuration.protocol, 0))

    # -- the steps -----------------------------------------------------------------------------------------------

    def install(
        self, event: ChildKeysEstablished, spis: tuple[bytes, bytes], wall: datetime, *, is_settled: bool
    ) -> KeyRow:
        """Take the first step for a key that was just agreed, and return its row.

        ``spis`` are the IKE SA's, ours first; ``is_settled``: no other key waits for its second step. Raises
        StorageError or KeyTableError when the table refuses; then nothing has changed.
        """
        current = self.current(wall)
        row = self._new_row(event, spis, wall, current)
        with self._key_table.transaction(wall) as change:
            if event.redundant:
                # RFC 7296 2.8.1: accepted until its creator deletes it, never sent with.
                row = never_sent(row)
                if is_settled:
                    row = superseded(row, self.configuration, wall, row.send_lifetime.start)
            elif event.child.requester:
                for old in self._own_rows():
                    if old.for_sending:
                        _update(change.update, old, handed_over(old, row.send_lifetime.start))
            elif current is not None:
                row = replace(row, direction=Direction.IN)
            change.install(row)
            for old in self._too_many(row):
                change.update(not_extended(old, self.configuration, wall))
        self._order[row.admin_key_name] = next(self._next_in_order)
        return row

    def settle(self, admin_key_name: str, wall: datetime, *, spare: Collection[str] = ()) -> bool:
        """Take the second step: the peer holds this key, and sends or will send with it. Return whether it was new.

        Older keys but those in ``spare`` are retired once the overlap is over. A key that another one of ours
        followed meanwhile is past this. Raises like :meth:`install`.
        """
        row = self._key_table.get(admin_key_name)
        if row is None:
            return False
        place = self._order[admin_key_name]
        latest = self.latest()
        if row.direction is Direction.IN and (
            not _is_awaiting(row, wall) or (latest is not None and self._order[latest.admin_key_name] > place)
        ):
            return False
        older = [
            old
            for old in self._own_rows()
            if (self._order.get(old.admin_key_name, -1) < place or _is_given_up(old))
            and old.admin_key_name not in spare
        ]
        settled = self._sent_with(row, wall, self.current(wall)) if row.direction is Direction.IN else row
        with self._key_table.transaction(wall) as change:
            for old in older:
                _update(change.update, old, superseded(old, self.configuration, wall, settled.send_lifetime.start))
            _update(change.update, row, settled)
        return True

    def promote(self, wall: datetime) -> KeyRow | None:
        """Send with the newest key that awaits its confirmation, if no other is left to send with.

        The peer may not hold it; but without it nothing could be sent at all.
        """
        if self.current(wall) is not None:
            return None
        latest = self.latest()
        if latest is not None and latest.send_lifetime.start > wall:
            return None
        awaiting = self.awaiting(wall)
        if not awaiting:
            return None
        with self._key_table.transaction(wall) as change:
            change.update(promoted := self._sent_with(awaiting[-1], wall, None))
        return promoted

    def give_up(self, admin_key_name: str, wall: datetime, *, is_settled: bool) -> bool:
        """Do not send with a key that has lost against another; return False if it is all there is to send with.

        Until the other one ``is_settled`` the lost one is accepted: the peer may have nothing else yet.
        """
        row = self._key_table.get(admin_key_name)
        latest = self.latest()
        if row is not None and latest is not None and row.for_sending and latest.admin_key_name == admin_key_name:
            return False
        if row is not None:
            # One that was sent with is being left already.
            lost = row if row.for_sending else never_sent(row)
            until = wall + margin(self.configuration)
            with self._key_table.transaction(wall) as change:
                _update(change.update, row, superseded(lost, self.configuration, wall, until) if is_settled else lost)
        return True

    def realigned(self, wall: datetime) -> list[KeyRow]:
        """Return the keys that are to end otherwise than they would, as the policy is now, with their new ends."""
        latest = self.latest()
        changed = []
        for row in self._own_rows():
            is_latest = latest is not None and row.admin_key_name == latest.admin_key_name
            is_used = is_latest or _is_awaiting(row, wall)
            # Of one that is only accepted and is not extended, the successor may have been confirmed long ago: nothing
            # but its end shows that, and not by the overlap of now.
            if is_used or row.extended_from is not None:
                after = realigned(row, self.configuration, wall, is_handed_over=not is_used)
                changed += [after] if after != row else []
        return changed

    def remove(self, row: KeyRow, reason: str, wall: datetime) -> None:
        """Take a row out of the table for ``reason``; a successor that waits for its time has it now."""
        with self._key_table.transaction(wall) as change:
            change.remove(row.admin_key_name, reason)
            latest = self.latest()
            if latest is not None and latest.send_lifetime.start > wall and self.current(wall) is None:
                change.update(replace(latest, send_lifetime=Lifetime(wall, latest.send_lifetime.end)))
        self._order.pop(row.admin_key_name, None)

    def retirements(self) -> list[tuple[datetime, KeyRow]]:
        """Return every row that is not for ever, with the time from which on nothing that it protects is accepted."""
        rows = self._own_rows()
        return [(row.accept_lifetime.end, row) for row in rows if row.accept_lifetime.end is not None]

    def _too_many(self, new: KeyRow) -> list[KeyRow]:
        """Return which keys that may be extended must not be any more, now that there is ``new``.

        The first of them is what surely works. Of the others the peer may have any, and most likely the last ones.
        """
        before = [row for row in self.rows() if row.admin_key_name != new.admin_key_name]
        return [row for row in before if row.extended_from is not None][1 : 2 - MOST_OPEN]

    def _is_superseded(self, row: KeyRow, wall: datetime) -> bool:
        return row.accept_lifetime.end_or(END_OF_TIME) <= wall + acceptance(self.configuration)

    def _own_rows(self) -> list[KeyRow]:
        return [
            row
            for row in self._key_table.rows_for(self.configuration.neighbor, self.protocol)
            if row.provenance is not None and row.provenance.peer == self.peer
        ]

    def _sent_with(self, row: KeyRow, wall: datetime, replaced: KeyRow | None) -> KeyRow:
        start = sending_begins(self.configuration, wall, replaced)
        end = row.send_lifetime.end
        return replace(
            row,
            direction=Direction.BOTH,
            send_lifetime=Lifetime(start if end is None else min(start, end), end),
        )

    def _new_row(
        self, event: ChildKeysEstablished, spis: tuple[bytes, bytes], wall: datetime, replaced: KeyRow | None
    ) -> KeyRow:
        child = event.child
        algorithms = self.algorithms[child.auth_alg, child.kdf]
        lifetimes = lifetimes_of_new_key(self.configuration, wall, replaced)
        return KeyRow(
            admin_key_name=f"{self.peer}-{self.protocol}-{wall:%Y%m%dT%H%M%S}-{child.spi.hex()}",
            # G2: SendID is what we announced, RecvID what the peer did.
            local_key_name=child.peer_spi.hex(),
            peer_key_name=child.spi.hex(),
            peers=(self.configuration.neighbor,),
            protocol=self.protocol,
            ignore_tcp_options=child.ignore_tcp_options,
            kdf=algorithms.kdf,
            alg_id=algorithms.alg_id,
            key=event.master_key,
            direction=Direction.BOTH,
            send_lifetime=lifetimes.send,
            accept_lifetime=lifetimes.accept,
            extended_from=lifetimes.extended_from,
            provenance=Provenance(
                peer=self.peer,
                association=self.protocol,
                ike_spi_local=spis[0],
                ike_spi_remote=spis[1],
                negotiated_at=wall,
                role="initiator" if child.requester else "responder",
            ),
        )


def _is_awaiting(row: KeyRow, wall: datetime) -> bool:
    return row.direction is Direction.IN and _send_end(row) > wall and not _is_given_up(row)


def _is_given_up(row: KeyRow) -> bool:
    return row.direction is Direction.IN and row.send_lifetime.end == row.send_lifetime.start


def _update(update: Callable[[KeyRow], None], old: KeyRow, new: KeyRow) -> None:
    if new != old:
        update(new)


def _send_end(row: KeyRow) -> datetime:
    return row.send_lifetime.end_or(END_OF_TIME)


def _send_order(row: KeyRow) -> tuple[datetime, str]:
    return row.send_lifetime.start, row.admin_key_name


def _negotiated(row: KeyRow) -> tuple[datetime, str]:
    when = row.provenance.negotiated_at if row.provenance is not None else row.accept_lifetime.start
    return when, row.admin_key_name
