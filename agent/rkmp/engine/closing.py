"""When an IKE SA has served: its lifetime, its peer's certificate, ``retain-ike-sa``, an IKE SA too many.

Keys outlive it (protocol.md G15), so it is only a question of what the two sides still want to say to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rkmp.engine.configuration import IkePolicy
from rkmp.engine.conversation import Conversation
from rkmp.ike import Role, is_redundant
from rkmp.instant import Instant

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer

CLOSING_PATIENCE = 60.0
"""Seconds by which an IKE SA may outlive its lifetime while something is negotiated over it."""
IDLE_BEFORE_CLOSE = {Role.INITIATOR: 1.0, Role.RESPONDER: 5.0}
"""Seconds after the last key for which an IKE SA that is not retained stays open, in case the peer needs it too."""

LIFETIME = "its lifetime has ended"
"""Why an IKE SA is closed that was not rekeyed in time; why not follows where somebody has tried."""


def why_close(peer: Peer, conversation: Conversation, now: float) -> str | None:
    """Return why the established ``conversation`` is to be closed now, or None."""
    policy = peer.ike_policy
    if not peer.has_enabled_association:
        return "no association with the peer is enabled"
    if _is_busy(peer, conversation):
        return _end_of_lifetime(conversation) if is_overdue(peer, conversation, now) else None
    if conversation.expires_at(policy) <= now:
        return _end_of_lifetime(conversation)
    if conversation.certificate_expires_at is not None and conversation.certificate_expires_at <= peer.engine.wall:
        # Rekeying proves nothing anew (RFC 7296 2.8.3), so it could go on for ever.
        return "the certificate by which the peer has proved who it is has expired"
    if not policy.retain_ike_sa and _idle_at(conversation) <= now and _has_all_keys(peer):
        return "all keys exist and it is not to be retained"
    if conversation.role is Role.INITIATOR and not conversation.ike_sa.children and _is_doubled(peer, conversation):
        return "another IKE SA with the peer serves"
    return None


def is_overdue(peer: Peer, conversation: Conversation, now: float) -> bool:
    """Whether ``conversation`` has outlived its lifetime by so much that what is under way is not waited for."""
    return conversation.expires_at(peer.ike_policy) + CLOSING_PATIENCE <= now


def closing_moments(policy: IkePolicy, conversation: Conversation, at: Instant) -> Iterator[float]:
    """Yield when :func:`why_close` and :func:`is_to_be_renewed` have to be asked again though nothing has happened."""
    expires = conversation.expires_at(policy)
    yield from (expires, expires + CLOSING_PATIENCE, conversation.renews_at(policy))
    if not policy.retain_ike_sa:
        yield _idle_at(conversation)
    if conversation.certificate_expires_at is not None:
        yield at.monotonic + (conversation.certificate_expires_at - at.wall).total_seconds()


def is_to_be_renewed(peer: Peer, conversation: Conversation, now: float) -> bool:
    """Whether the ``conversation``, which is not to be closed, is to be rekeyed now.

    Of several IKE SAs with a peer one goes on: both sides come to the same answer by the nonces of IKE_SA_INIT.
    """
    return (
        conversation.is_usable
        and conversation.is_open
        and conversation.renews_at(peer.ike_policy) <= now
        and not _is_surplus(peer, conversation)
    )


def _end_of_lifetime(conversation: Conversation) -> str:
    failure = conversation.renewal.last_failure
    return LIFETIME if failure is None else f"{LIFETIME}, and it was not rekeyed: {failure}"


def _is_surplus(peer: Peer, conversation: Conversation) -> bool:
    ours = conversation.established
    others = (other.established for other in peer.conversations.values() if other.is_open and other.is_usable)
    return ours is not None and any(other is not None and is_redundant(ours.nonces, other.nonces) for other in others)


def _is_busy(peer: Peer, conversation: Conversation) -> bool:
    if conversation.renewal.is_under_way:
        return True
    for association in peer.associations.values():
        if association.attempt is not None and association.attempt.ike_sa == conversation.key:
            return True
        if any(waiting.ike_sa == conversation.key for waiting in association.confirmations.values()):
            return True
    return False


def _is_doubled(peer: Peer, conversation: Conversation) -> bool:
    others = (other for other in peer.conversations.values() if other is not conversation)
    return any(other.is_open and other.is_usable for other in others)


def _has_all_keys(peer: Peer) -> bool:
    enabled = [association for association in peer.associations.values() if association.configuration.enabled]
    return all(a.attempt is None and not a.confirmations and a.keys.latest() is not None for a in enabled)


def _idle_at(conversation: Conversation) -> float:
    return conversation.busy_at + IDLE_BEFORE_CLOSE[conversation.role]
