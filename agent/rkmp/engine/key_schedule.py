"""When a negotiated key may be used, and when it is to be replaced: pure functions of policy, role and time.

RFC 7210 section 2 gives a key four instants, RFC 7296 2.8 leaves lifetimes to each side's own policy, and RFC 5925
6.1 asks that a key is accepted everywhere before anyone sends with it. A key that is agreed at ``t`` is accepted from
``t`` on, and sent with until ``t + lifetime`` unless it is replaced. What a replacement changes comes in two steps,
because the last message of a negotiation may be lost and its sender cannot know:

1. *Agreed.* The side that asked knows that the other holds the new key: it sends with it after a margin, and with the
   old one no longer. The side that answered accepts the new key and goes on sending with the old one.
2. *Confirmed.* The side that answered hears that the other holds the new key too, and switches as well; the side that
   asked hears that this was heard. From here on each accepts the old key only for the overlap, which lasts
   LEAST_ACCEPTANCE at least, then it is removed.

So neither side ever sends with a key that the other may not hold, or stops accepting one that the other may send with,
however many messages are lost. The margin is for the routing protocols: they have to take up a key from the table
before the first segment that carries it arrives.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rkmp.engine.configuration import AssociationConfiguration
from rkmp.keytable import Direction, KeyRow, Lifetime

MAXIMUM_MARGIN = timedelta(seconds=5)
"""Enough for a routing protocol to take up a key, and short against the overlap that a peer may have configured."""

LEAST_ACCEPTANCE = MAXIMUM_MARGIN + timedelta(seconds=1)
"""How long a replaced key is accepted at least: the peer's margin is its own, and what it sent last is on its way."""

LEAD_JITTER = 0.1
"""The part of the lead by which rollovers are spread, so that keys agreed together are not replaced together."""

RESPONDER_PART = 0.75
"""The part of the lead that is left when the side that answered acts, because the other did not."""


@dataclass(frozen=True, slots=True)
class KeyLifetimes:
    """The four instants of RFC 7210 for one key, as two intervals."""

    send: Lifetime
    accept: Lifetime


def margin(association: AssociationConfiguration) -> timedelta:
    """Return how long a replacement is accepted before it is sent with."""
    return min(association.overlap_time / 2, MAXIMUM_MARGIN)


def acceptance(association: AssociationConfiguration) -> timedelta:
    """Return how long a key is accepted that is not sent with any more."""
    return max(association.overlap_time, LEAST_ACCEPTANCE)


def lifetimes_of_new_key(
    association: AssociationConfiguration, wall: datetime, replaced: KeyRow | None
) -> KeyLifetimes:
    """Return the lifetimes of a key negotiated at ``wall``, when ``replaced`` is sent with."""
    end = wall + timedelta(seconds=association.key_lifetime)
    start = sending_begins(association, wall, replaced)
    return KeyLifetimes(Lifetime(min(start, end), end), Lifetime(wall, end + acceptance(association)))


def sending_begins(association: AssociationConfiguration, wall: datetime, replaced: KeyRow | None) -> datetime:
    """Return when to send with a key that may be sent with from ``wall`` on, in the place of ``replaced``."""
    if replaced is None:
        return wall
    start = wall + margin(association)
    return start if replaced.send_lifetime.end is None else min(start, replaced.send_lifetime.end)


def handed_over(row: KeyRow, start: datetime) -> KeyRow:
    """Return ``row`` as it stands once another key is sent with from ``start`` on; still accepted.

    One whose own time would only come then never comes to be sent with: there is one key to send with at any time.
    """
    if not row.for_sending or row.send_lifetime.start >= start:
        return never_sent(row)
    return replace(row, send_lifetime=_ended_by(row.send_lifetime, start))


def superseded(row: KeyRow, association: AssociationConfiguration, wall: datetime, start: datetime) -> KeyRow:
    """Return ``row`` as it stands once its replacement, sent with from ``start`` on, was confirmed at ``wall``.

    No instant is ever moved later. A row that is only accepted never was sent with, and now never will be.
    """
    row = handed_over(row, start)
    return replace(row, accept_lifetime=_ended_by(row.accept_lifetime, wall + acceptance(association)))


def never_sent(row: KeyRow) -> KeyRow:
    """Return ``row`` as one that is accepted and will never be sent with: its send lifetime is empty."""
    start = row.send_lifetime.start
    return replace(row, direction=Direction.IN, send_lifetime=Lifetime(start, start))


def rollover_time(association: AssociationConfiguration, row: KeyRow) -> datetime | None:
    """Return when ``row`` is to be replaced, or None when it never ends.

    Both sides keep this timer. It comes first at the side that asked for the key, and later at the other, so that
    they do not both start: that one acts only when the first did not. The jitter is the key's own, the same after a
    restart.
    """
    if row.send_lifetime.end is None:
        return None
    asked = row.provenance is None or row.provenance.role == "initiator"
    chance = zlib.crc32(row.admin_key_name.encode()) / 2**32
    part = 1 - LEAD_JITTER * chance if asked else RESPONDER_PART - LEAD_JITTER * chance
    return row.send_lifetime.end - association.lead * part


def _ended_by(lifetime: Lifetime, end: datetime) -> Lifetime:
    """Return ``lifetime`` cut off at ``end``, or as it is where it ends before."""
    if lifetime.end is not None and lifetime.end <= end:
        return lifetime
    return Lifetime(min(lifetime.start, end), end)
