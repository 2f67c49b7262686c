"""Choosing the KeyIDs that we announce (RFC 5925 section 3.1, the draft's SendID; G3), and SA IDs of LDP discovery.

Any KeyID from 0 to 255 is legal. Those of master keys that share a connection must not overlap, and within one IKE SA
a KeyID names one child (G13), so an ID is free only while no key with the same peer uses it in either direction.
"""

from __future__ import annotations

from collections.abc import Collection

from rkmp.ike.purposes import FIRST_SA_ID, LDP_DISCOVERY

KEY_IDS = 256
SA_IDS = 1 << 32


def allocate_id(purpose: int, in_use: Collection[int], *, preferred: int | None = None, after: int = 0) -> int | None:
    """Return what to announce for a key of ``purpose`` (:mod:`rkmp.ike.purposes`): a KeyID or an SA ID."""
    if purpose != LDP_DISCOVERY:
        return allocate_send_id(in_use, preferred=preferred, after=after)
    if preferred is not None and preferred not in in_use:
        return preferred
    candidate = after
    while True:
        # There are so many that one of the next few is free.
        candidate = max((candidate + 1) % SA_IDS, FIRST_SA_ID)
        if candidate not in in_use:
            return candidate


def allocate_send_id(in_use: Collection[int], *, preferred: int | None = None, after: int = 0) -> int | None:
    """Return a KeyID outside ``in_use``, or None when all 256 are taken.

    ``preferred`` is taken when it is free. Otherwise the first free value after ``after`` (the one announced last)
    is, in a circle: an ID so comes back as late as possible, long after the last segment that carried it.
    """
    if preferred is not None and preferred not in in_use:
        return preferred
    for step in range(1, KEY_IDS + 1):
        candidate = (after + step) % KEY_IDS
        if candidate not in in_use:
            return candidate
    return None
