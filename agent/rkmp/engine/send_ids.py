"""Choosing the KeyIDs we announce (RFC 5925 section 3.1, the draft's SendID; G3).

Any value from 0 to 255 is legal. Those of master keys that share a connection must not overlap, and within one IKE SA
a KeyID names one child (G13), so an ID is free only while no key with the same peer uses it in either direction.
"""

from __future__ import annotations

from collections.abc import Collection

KEY_IDS = 256


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
