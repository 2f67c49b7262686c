"""Who gives way when both sides act at once: pure functions of nonces (RFC 7296 2.8.1, 2.25; G23)."""

from __future__ import annotations

Nonces = tuple[bytes, bytes]
"""Both nonces of one exchange, in either order."""


def is_redundant(exchange: Nonces, rival: Nonces) -> bool:
    """Return whether what ``exchange`` made has to be closed, by the side that requested it.

    RFC 7296 2.8.1: the exchange with the lowest of the four nonces loses. Octets are compared one by one, and a nonce
    that is the beginning of another is the lower one, which is how Python orders bytes. Should both exchanges hold
    the lowest nonce, their other nonces decide, so that the two sides never come to different answers.
    """
    return sorted(exchange) < sorted(rival)
