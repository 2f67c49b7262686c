"""What the seeds of :mod:`tests.engine.chaos` are about, and how long keys live in them."""

from __future__ import annotations

import enum

from rkmp.engine import AtExpiry
from tests.engine.configurations import address_of

KEY_LIFETIME = 1200
LEAD = 300
"""Longer than any cut of the network, and no longer than from one to the next, so that no key has to end before it is
replaced."""
SHORT_LIFE = 240
SHORT_LEAD = 60
"""Those where the network is cut for longer than a key lives."""


class Kind(enum.Enum):
    """What a seed is about, besides loss, duplication, reordering, crashes and rekeyings."""

    TROUBLE = "nothing else"
    MEDDLING = "operators take configuration away and bring it back; keys may be missing meanwhile, the end counts"
    TRANSLATED = "one side is behind a translator of addresses, which both allow"
    HOPELESS = "the two are configured so that they never agree, and both have to say so"
    CUT_OFF = "the network is cut for longer than keys live, and one side extends them, or both do"


KINDS = (*[Kind.TROUBLE] * 5, Kind.CUT_OFF, *[Kind.MEDDLING] * 2, Kind.TRANSLATED, Kind.HOPELESS)
"""By the last digit of the seed."""
EXPIRY_POLICIES = ((AtExpiry.FAIL_CLOSED, None), (AtExpiry.EXTEND, None), (AtExpiry.EXTEND, 30))
WAYS: tuple[tuple[()] | tuple[str, frozenset[int]], ...] = (
    *[()] * 6,
    *((address_of(name), frozenset(types)) for name in ("r1", "r2") for types in ((35, 36), (36,), (37,))),
)
"""What does not arrive while the network is cut for long: nothing at all, or what one side says in some exchanges."""
