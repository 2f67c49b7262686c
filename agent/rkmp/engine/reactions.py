"""What a peer makes of the events of its IKE SAs: one function for each, found in a table.

Keys reach the key table here, before anything that the same message made the IKE SA say can leave (protocol.md G24).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from rkmp.crypto.certificates import first_to_expire
from rkmp.engine.association import Association
from rkmp.engine.association_states import AssociationState
from rkmp.engine.conversation import Conversation, Failure
from rkmp.engine.datagrams import moved_path
from rkmp.engine.events import (
    AuthenticationFailure,
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    NatFound,
    NegotiationFailure,
    NegotiationSuccess,
)
from rkmp.engine.peer import CROSSING_WINDOW, Peer
from rkmp.engine.policy import why_nat_refuses
from rkmp.engine.protocols import protocol_name
from rkmp.engine.reasons import explain, explain_refusal_of_ours
from rkmp.engine.statistics import PeerStatistic, failure_statistic
from rkmp.errors import KeyNameClash, KeyTableError, StorageError
from rkmp.ike import (
    AuthenticationFailed,
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    Event,
    IkeSaClosed,
    IkeSaEstablished,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    LivenessFailed,
    NatDetected,
    NegotiationFailed,
    NotifyReceived,
    RekeyFailure,
    Role,
)
from rkmp.instant import Instant
from rkmp.wire import NotifyType

WAIT_AFTER_DELETE = 0.5
"""Seconds until we ask again for a key that the peer has taken away: it may be about to ask, and nobody has one."""

COURTESY = 3.0
"""Seconds that the initiator of an IKE SA has for its requests before the responder makes its own."""

LOST_WITH_THE_IKE_SA = frozenset({ChildRefusal.IKE_SA_CLOSED, ChildRefusal.NO_RESPONSE})
TRIED_AGAIN_AT_ONCE = frozenset({ChildRefusal.ALREADY_REPLACED, ChildRefusal.CHILD_SA_NOT_FOUND})
"""Refusals after which the request has to be put in other words."""
ONLY_PUT_OFF = frozenset({RekeyFailure.TEMPORARY_FAILURE, RekeyFailure.STATE_NOT_FOUND})
"""Refusals of a rekeying that are no news to an operator: something else is under way (RFC 7296 2.25)."""


def react(peer: Peer, conversation: Conversation, events: Sequence[Event], at: Instant) -> None:
    """Deal with what ``conversation`` reports; a peer that has departed only hears of its end."""
    # What was deleted before anyone could switch to it is not confirmed by its Delete.
    deleted = {event.child.send_id for event in events if isinstance(event, ChildDeleted)}
    _settle(peer, conversation, deleted, at)
    for event in events:
        _REACTIONS[type(event)](peer, conversation, event, at)


def _settle(peer: Peer, conversation: Conversation, deleted: Collection[int], at: Instant) -> None:
    """Take the second step for keys of which the other side is now known to hold them."""
    for association in peer.associations.values():
        for name, waiting in list(association.confirmations.items()):
            if waiting.ike_sa != conversation.key:
                continue
            row = association.keys.get(name)
            is_settled = conversation.progress(requester=waiting.requester) > waiting.progress
            if row is None or not is_settled or int(row.peer_key_name, 16) in deleted:
                continue
            try:
                association.settle(name, at)
            except (StorageError, KeyTableError) as error:
                # Both sides accept both keys still; another negotiation will try again.
                peer.journal.error("peer %s: key %s: %s", peer.name, name, error)
                association.want_rekey()


def _established(peer: Peer, conversation: Conversation, event: IkeSaEstablished, at: Instant) -> None:
    others = [other for other in peer.conversations.values() if other is not conversation]
    conversation.established_by(event, at, peer.engine.jitter())
    peer.conversations.pop(conversation.key, None)
    peer.conversations[conversation.key] = conversation
    peer.reopening.after_success()
    if event.remote_chain is not None:
        expiring = first_to_expire(event.remote_chain.certificates)
        peer.engine.certificate_watch.peer_has_shown(peer.name, expiring, at.wall)
    else:
        peer.engine.certificate_watch.forget_peer(peer.name)
    peer.statistics[PeerStatistic.IKE_SAS_ESTABLISHED] += 1
    seconds = at.monotonic - conversation.began_at
    spis = event.local_spi, event.remote_spi
    peer.engine.report(IkeSaUp(peer.name, *spis, event.role.value, event.remote_identity.text, seconds))
    nat = conversation.ike_sa.nat
    if nat is not None and (nat.local or nat.remote):
        is_refused = why_nat_refuses(nat, peer.ike_policy.nat) is not None
        peer.engine.report(NatFound(peer.name, conversation.remote[0], nat.local, nat.remote, is_refused))
    for other in others:
        if other.is_open and event.initial_contact and other.seconds_open(at.monotonic) > CROSSING_WINDOW:
            # RFC 7296 2.4. One that is younger crossed: the peer could not know of it when it said so.
            _replace(peer, other, "the peer has no other IKE SA with us", at)
        elif other.is_opening and other.is_unanswered and event.role is Role.RESPONDER:
            _replace(peer, other, "the peer's own IKE SA was faster", at)
    if event.role is Role.RESPONDER:
        for association in peer.associations.values():
            association.retry_now()
            if not association.is_asked_for:
                # What is lacking is what the initiator came for.
                association.wait(COURTESY, at)


def _rekeyed(peer: Peer, conversation: Conversation, event: IkeSaRekeyed, at: Instant) -> None:
    conversation.rekeyed_by(event, at, peer.engine.jitter())
    peer.statistics[PeerStatistic.IKE_SAS_REKEYED] += 1
    peer.engine.report(
        IkeSaReplaced(peer.name, event.old_local_spi, event.local_spi, event.remote_spi, event.role.value)
    )


def _nat_detected(peer: Peer, conversation: Conversation, event: NatDetected, _at: Instant) -> None:
    """Move to where both sides expect translated messages (RFC 7296 2.23), before another is sent."""
    moved = None
    if event.move_to is not None:
        moved = moved_path(peer.engine.listener_of(peer.configuration), conversation.path, event.move_to)
    if moved is not None:
        conversation.take(moved, marked=True)


def _rekey_failed(peer: Peer, conversation: Conversation, event: IkeSaRekeyFailed, at: Instant) -> None:
    """Note that the IKE SA goes on as it was; what the peer has tried and not got is its own affair."""
    if not event.requester or event.reason is RekeyFailure.IKE_SA_CLOSED:
        return
    reason = explain(event.reason, event.message)
    if not peer.is_departed:
        conversation.renewal.failed(reason, peer.ike_policy, peer.engine.jitter(), at.monotonic)
    peer.statistics[failure_statistic(event.reason)] += 1
    if event.reason in ONLY_PUT_OFF:
        return
    peer.statistics[PeerStatistic.IKE_SA_REKEYS_FAILED] += 1
    peer.engine.report(NegotiationFailure(peer.name, None, f"the IKE SA is not rekeyed: {reason}", event.notify_type))


def _replace(peer: Peer, conversation: Conversation, reason: str, at: Instant) -> None:
    conversation.retired_because = reason
    conversation.ike_sa.abandon(reason, at.monotonic, CloseReason.REPLACED)
    peer.engine.touch(conversation)


def _negotiation_failed(peer: Peer, conversation: Conversation, event: NegotiationFailed, _at: Instant) -> None:
    reason = explain(event.reason, event.message)
    conversation.failure = Failure(reason, event.notify_type)
    peer.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
    peer.statistics[failure_statistic(event.reason)] += 1
    peer.engine.report(NegotiationFailure(peer.name, None, reason, event.notify_type))
    _note(peer, reason, event.notify_type)


def _authentication_failed(peer: Peer, conversation: Conversation, event: AuthenticationFailed, _at: Instant) -> None:
    reason = explain(event.reason, event.message)
    conversation.failure = Failure(reason, NotifyType.AUTHENTICATION_FAILED)
    peer.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
    peer.statistics[failure_statistic(event.reason)] += 1
    identity = event.identity.text if event.identity is not None else None
    peer.engine.report(AuthenticationFailure(peer.name, conversation.remote[0], identity, reason))
    _note(peer, reason, NotifyType.AUTHENTICATION_FAILED)


def _note(peer: Peer, reason: str, notify_type: int | None) -> None:
    """Show a failure that the peer as a whole has had at the associations that wait for a key."""
    for association in peer.associations.values():
        association.note_failure(reason, notify_type, report=False)


def _closed(peer: Peer, conversation: Conversation, event: IkeSaClosed, at: Instant) -> None:
    peer.conversations.pop(conversation.key, None)
    for association in peer.associations.values():
        association.ike_sa_gone(conversation.key)
    if event.was_established:
        if event.reason is CloseReason.LIVENESS_FAILED:
            peer.statistics[PeerStatistic.IKE_SAS_LOST] += 1
        by_us = conversation.retired_because is not None
        peer.reopening.after_end(at.monotonic, conversation.seconds_open(at.monotonic), by_us=by_us)
        peer.engine.report(IkeSaDown(peer.name, conversation.ike_sa.local_spi, event.message))
    elif conversation.role is Role.INITIATOR and conversation.retired_because is None:
        peer.reopening.after_failure(at.monotonic)
    for association in peer.associations.values():
        if association.attempt is not None and association.attempt.ike_sa == conversation.key:
            _lost(conversation, association, event.message, at)


def _lost(conversation: Conversation, association: Association, message: str, at: Instant) -> None:
    """End an attempt whose IKE SA has ended: that is a failure only where none came to be."""
    if conversation.established is not None or conversation.retired_because is not None:
        association.postpone(explain(ChildRefusal.IKE_SA_CLOSED, message), None, at, at_once=True)
        return
    failure = conversation.failure or Failure(explain(ChildRefusal.IKE_SA_CLOSED, message), None)
    association.fail(failure.reason, failure.notify_type, at, report=conversation.failure is None)


def _keys_established(peer: Peer, conversation: Conversation, event: ChildKeysEstablished, at: Instant) -> None:
    child = event.child
    association = peer.associations.get(child.routing_protocol)
    attempt = association.attempt if association is not None else None
    is_stray = child.requester and (
        attempt is None or attempt.ike_sa != conversation.key or child.send_id not in attempt.send_ids
    )
    if association is None or not association.configuration.enabled or is_stray:
        # The configuration has changed since it was asked for.
        conversation.delete_child(child.send_id, at.monotonic)
        peer.engine.touch(conversation)
        return
    nat_refusal = why_nat_refuses(conversation.ike_sa.nat, peer.ike_policy.nat)
    if child.requester and nat_refusal is not None:
        # The peer puts up with it, and we do not: what both sides said of their addresses is authenticated by now.
        conversation.delete_child(child.send_id, at.monotonic)
        association.fail(nat_refusal, None, at)
        peer.engine.touch(conversation)
        return
    conversation.busy_at = at.monotonic
    peer.announced(child.routing_protocol, child.send_id)
    spis = (conversation.ike_sa.local_spi, conversation.ike_sa.remote_spi)
    progress = conversation.progress(requester=child.requester)
    replaces = association.state is AssociationState.ROLLING_OVER
    try:
        lost = {child.send_id for child in conversation.ike_sa.children if child.redundant}
        row = association.install(event, conversation.key, spis, progress, lost, at)
    except (StorageError, KeyTableError) as error:
        _refused_by_table(peer, conversation, association, event, error, at)
        return
    if conversation.retired_because is None and not event.redundant:
        association.wish_fulfilled()
    peer.statistics[PeerStatistic.KEYS_INSTALLED] += 1
    if child.requester and not event.redundant:
        peer.statistics[PeerStatistic.NEGOTIATIONS_SUCCEEDED] += 1
        if attempt is not None:
            seconds = at.monotonic - attempt.began_at
            told = NegotiationSuccess(peer.name, association.protocol, row.admin_key_name, replaces, seconds)
            peer.engine.report(told)
        # RFC 7296 2.2: a further request tells the peer that its answer has arrived, so that it may switch too.
        conversation.ike_sa.check_liveness(at.monotonic)
        peer.engine.touch(conversation)


def _refused_by_table(
    peer: Peer,
    conversation: Conversation,
    association: Association,
    event: ChildKeysEstablished,
    error: StorageError | KeyTableError,
    at: Instant,
) -> None:
    """Undo an agreement whose key cannot be kept."""
    peer.statistics[PeerStatistic.INSTALLATIONS_FAILED] += 1
    reason = f"the key table refuses the new key: {error}"
    if event.child.requester:
        conversation.delete_child(event.child.send_id, at.monotonic)
        if isinstance(error, KeyNameClash):
            # Another peer of the same neighbor was faster to take a KeyID that was free when we asked; others are.
            association.postpone(reason, None, at, at_once=True)
        else:
            association.fail(reason, None, at)
    else:
        # The peer must not hear that the key exists. It will find no IKE SA when it asks again.
        association.note_failure(reason, None)
        conversation.is_mute = True
        conversation.retired_because = reason
        conversation.ike_sa.abandon(reason, at.monotonic)
    peer.engine.touch(conversation)


def _refused(peer: Peer, conversation: Conversation, event: ChildRefused, at: Instant) -> None:
    protocol = event.routing_protocol
    association = peer.associations.get(protocol) if protocol is not None else None
    if not event.requester:
        _refused_by_us(peer, association, event)
        return
    attempt = association.attempt if association is not None else None
    if association is None or attempt is None or set(attempt.send_ids) != set(event.send_ids):
        return
    reason = why_nat_refuses(conversation.ike_sa.nat, peer.ike_policy.nat) or explain(event.reason, event.message)
    if event.reason in LOST_WITH_THE_IKE_SA:
        _lost(conversation, association, event.message, at)
    elif event.reason in TRIED_AGAIN_AT_ONCE:
        association.postpone(reason, event.notify_type, at, at_once=True)
    elif event.reason is ChildRefusal.TEMPORARY_FAILURE:
        association.postpone(reason, event.notify_type, at)
    else:
        peer.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
        peer.statistics[failure_statistic(event.reason)] += 1
        association.fail(reason, event.notify_type, at)


def _refused_by_us(peer: Peer, association: Association | None, event: ChildRefused) -> None:
    """Note what we refused the authenticated peer; not that we put it off, it will be back."""
    if event.reason is ChildRefusal.TEMPORARY_FAILURE:
        return
    peer.statistics[failure_statistic(event.reason)] += 1
    reason = explain_refusal_of_ours(event.reason, event.message)
    if association is not None:
        association.note_failure(reason, event.notify_type)
        return
    protocol = None if event.routing_protocol is None else protocol_name(event.routing_protocol)
    peer.engine.report(NegotiationFailure(peer.name, protocol, reason, event.notify_type))


def _deleted(peer: Peer, conversation: Conversation, event: ChildDeleted, at: Instant) -> None:
    association = peer.associations.get(event.child.routing_protocol)
    if association is None or event.reason is ChildDeletion.LOCAL:
        return
    names = (event.child.peer_spi.hex(), event.child.spi.hex())
    row = next((row for row in association.keys.rows() if (row.local_key_name, row.peer_key_name) == names), None)
    if row is None:
        return
    try:
        if event.reason is ChildDeletion.REDUNDANT or association.lost_against_ours(row, conversation.key):
            association.give_up(row, at)
            return
        peer.statistics[PeerStatistic.KEYS_DELETED_BY_PEER] += 1
        latest = association.keys.latest()
        is_replaced = latest is not None and latest.admin_key_name != row.admin_key_name and row.for_sending
        association.remove(row, "replaced" if is_replaced else event.reason.value, at)
    except (StorageError, KeyTableError) as error:
        peer.journal.error("peer %s: key %s: %s", peer.name, row.admin_key_name, error)
        return
    if association.keys.latest() is None:
        association.wait(WAIT_AFTER_DELETE, at)


def _liveness_failed(_peer: Peer, _conversation: Conversation, _event: LivenessFailed, _at: Instant) -> None:
    """Do nothing: the end of the IKE SA follows, and no key ends with it (G16)."""


def _notify_received(peer: Peer, _conversation: Conversation, event: NotifyReceived, _at: Instant) -> None:
    peer.statistics[f"notify-{event.notify_type}-received"] += 1


_REACTIONS: dict[type[Event], Callable[[Peer, Conversation, Any, Instant], None]] = {
    AuthenticationFailed: _authentication_failed,
    ChildDeleted: _deleted,
    ChildKeysEstablished: _keys_established,
    ChildRefused: _refused,
    IkeSaClosed: _closed,
    IkeSaEstablished: _established,
    IkeSaRekeyFailed: _rekey_failed,
    IkeSaRekeyed: _rekeyed,
    LivenessFailed: _liveness_failed,
    NatDetected: _nat_detected,
    NegotiationFailed: _negotiation_failed,
    NotifyReceived: _notify_received,
}
