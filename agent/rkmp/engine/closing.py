"""When an IKE SA has served: its lifetime, ``retain-ike-sa``, an association too few or an IKE SA too many.

Keys outlive it (protocol.md G15), so it is only a question of what the two sides still want to say to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkmp.engine.configuration import IkePolicy
from rkmp.engine.conversation import Conversation
from rkmp.ike import Role

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer

CLOSING_PATIENCE = 60.0
"""Seconds by which an IKE SA may outlive its lifetime while something is negotiated over it."""
IDLE_BEFORE_CLOSE = {Role.INITIATOR: 1.0, Role.RESPONDER: 5.0}
"""Seconds after the last key for which an IKE SA that is not retained stays open, in case the peer needs it too."""

LIFETIME = "its lifetime has ended"


def why_close(peer: Peer, conversation: Conversation, now: float) -> str | None:
    """Return why the established ``conversation`` is to be closed now, or None."""
    policy = peer.ike_policy
    if not peer.has_enabled_association:
        return "no association with the peer is enabled"
    if _is_busy(peer, conversation):
        return LIFETIME if is_overdue(peer, conversation, now) else None
    if conversation.expires_at(policy) <= now:
        return LIFETIME
    if not policy.retain_ike_sa and _idle_at(conversation) <= now and _has_all_keys(peer):
        return "all keys exist and it is not to be retained"
    if conversation.role is Role.INITIATOR and not conversation.ike_sa.children and _is_doubled(peer, conversation):
        return "another IKE SA with the peer serves"
    return None


def is_overdue(peer: Peer, conversation: Conversation, now: float) -> bool:
    """Whether ``conversation`` has outlived its lifetime by so much that what is under way is not waited for."""
    return conversation.expires_at(peer.ike_policy) + CLOSING_PATIENCE <= now


def closing_moments(policy: IkePolicy, conversation: Conversation) -> tuple[float, ...]:
    """Return when :func:`why_close` has to be asked again though nothing has happened."""
    expires = conversation.expires_at(policy)
    idle = () if policy.retain_ike_sa else (_idle_at(conversation),)
    return (expires, expires + CLOSING_PATIENCE, *idle)


def _is_busy(peer: Peer, conversation: Conversation) -> bool:
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
