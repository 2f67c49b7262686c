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

Where policy extends keys (:class:`~rkmp.engine.configuration.AtExpiry`), a row has from the beginning the lifetimes
that include the extension, and tells apart when it begins (``extended_from``). Nothing has to be done when that time
comes, so nothing can be missed: not by an agent that is down, not by a clock that was set. The second step of its
replacement takes the extension away.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rkmp.engine.configuration import AssociationConfiguration, AtExpiry
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
    """The four instants of RFC 7210 for one key, as two intervals, and where in them an extension begins."""

    send: Lifetime
    accept: Lifetime
    extended_from: datetime | None


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
    end_of_life = wall + timedelta(seconds=association.key_lifetime)
    end = last_use(association, end_of_life)
    start = sending_begins(association, wall, replaced)
    return KeyLifetimes(
        send=Lifetime(min(start, end_of_life), end),
        accept=Lifetime(wall, None if end is None else end + acceptance(association)),
        extended_from=end_of_life if association.at_expiry is AtExpiry.EXTEND else None,
    )


def last_use(association: AssociationConfiguration, end_of_life: datetime) -> datetime | None:
    """Return when a key is sent with for the last time that nothing replaces; None for never."""
    if association.at_expiry is AtExpiry.FAIL_CLOSED:
        return end_of_life
    if association.longest_extension is None:
        return None
    return end_of_life + timedelta(seconds=association.longest_extension)


def end_of_life(row: KeyRow) -> datetime | None:
    """Return when the lifetime of ``row`` ends that policy may extend."""
    return row.send_lifetime.end if row.extended_from is None else row.extended_from


def realigned(row: KeyRow, association: AssociationConfiguration, wall: datetime, *, is_handed_over: bool) -> KeyRow:
    """Return ``row``, of which no successor is confirmed, with the ends that the policy gives it now.

    ``is_handed_over``: it is only accepted any more. What was extended and is not to be ends at ``wall``.
    """
    send, accept = row.send_lifetime, row.accept_lifetime
    confirmed_at = None if accept.end is None else accept.end - acceptance(association)
    life = end_of_life(row)
    if life is None or (row.extended_from is None and association.at_expiry is AtExpiry.FAIL_CLOSED):
        return row
    last = last_use(association, life)
    if last is not None:
        last = max(last, wall if confirmed_at is None else min(wall, confirmed_at))
    return replace(
        row,
        send_lifetime=send if is_handed_over else Lifetime(send.start if last is None else min(send.start, last), last),
        accept_lifetime=Lifetime(accept.start, None if last is None else last + acceptance(association)),
        extended_from=life if association.at_expiry is AtExpiry.EXTEND else None,
    )


def not_extended(row: KeyRow, association: AssociationConfiguration, wall: datetime) -> KeyRow:
    """Return ``row`` with the ends that it has without an extension; what would be over already ends at ``wall``."""
    if row.extended_from is None:
        return row
    return replace(
        row,
        send_lifetime=_ended_by(row.send_lifetime, row.extended_from),
        accept_lifetime=_ended_by(row.accept_lifetime, max(row.extended_from + acceptance(association), wall)),
        extended_from=None,
    )


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

    No instant is ever moved later. A row that is only accepted never was sent with, and now never will be. None is
    extended any more.
    """
    row = handed_over(row, start)
    accept = _ended_by(row.accept_lifetime, wall + acceptance(association))
    return replace(row, accept_lifetime=accept, extended_from=None)


def never_sent(row: KeyRow) -> KeyRow:
    """Return ``row`` as one that is accepted and will never be sent with: its send lifetime is empty."""
    start = row.send_lifetime.start
    return replace(row, direction=Direction.IN, send_lifetime=Lifetime(start, start))


def rollover_time(association: AssociationConfiguration, row: KeyRow) -> datetime | None:
    """Return when ``row`` is to be replaced, or None when it never ends; an extension is not waited for.

    Both sides keep this timer. It comes first at the side that asked for the key, and later at the other, so that
    they do not both start: that one acts only when the first did not. The jitter is the key's own, the same after a
    restart.
    """
    end = end_of_life(row)
    if end is None:
        return None
    asked = row.provenance is None or row.provenance.role == "initiator"
    chance = zlib.crc32(row.admin_key_name.encode()) / 2**32
    part = 1 - LEAD_JITTER * chance if asked else RESPONDER_PART - LEAD_JITTER * chance
    return end - association.lead * part


def _ended_by(lifetime: Lifetime, end: datetime) -> Lifetime:
    """Return ``lifetime`` cut off at ``end``, or as it is where it ends before."""
    if lifetime.end is not None and lifetime.end <= end:
        return lifetime
    return Lifetime(min(lifetime.start, end), end)
