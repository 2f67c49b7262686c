"""The nonces of an exchange (RFC 7296 2.10, 3.9)."""

from __future__ import annotations

from collections.abc import Sequence

from rkmp.crypto.prf import PRF_KEY_LENGTH
from rkmp.errors import IkeError
from rkmp.ike.occurrence import only
from rkmp.instant import Random
from rkmp.wire import Nonce, NotifyType, Payload

NONCE_LENGTH = 32
"""Octets of our nonces: at least half the key of every PRF that there is."""


def new_nonce(random: Random) -> bytes:
    """Return a nonce of ours."""
    return random(NONCE_LENGTH)


def received_nonce(payloads: Sequence[Payload], prf_id: int) -> bytes:
    """Return the peer's nonce.

    Raises IkeError (INVALID_SYNTAX) where there is none, or where it is shorter than half the PRF's key.
    """
    nonce = only(Nonce, payloads)
    if nonce is None:
        raise IkeError(NotifyType.INVALID_SYNTAX, "Nonce is missing")
    if 2 * len(nonce.data) < PRF_KEY_LENGTH[prf_id]:
        raise IkeError(NotifyType.INVALID_SYNTAX, f"a nonce of {len(nonce.data)} octets is too short for the PRF")
    return nonce.data
