"""What a peer is to be talked to about now: keys that are lacking, an IKE SA to open, to rekey or to close.

Whatever the associations lack is negotiated over an established IKE SA if there is one; otherwise a new one is opened
with the first of them in IKE_AUTH, and the others follow in CREATE_CHILD_SA exchanges, in the order of the
configuration (protocol.md G38).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkmp.engine.asking import where_to_ask
from rkmp.engine.association import Association
from rkmp.engine.closing import is_overdue, is_to_be_renewed, why_close
from rkmp.engine.configuration import Childless
from rkmp.engine.conversation import Conversation
from rkmp.engine.offers import child_request
from rkmp.engine.policy import why_nat_refuses
from rkmp.engine.statistics import PeerStatistic, failure_statistic
from rkmp.ike import ChildRefusal, ChildRequest
from rkmp.instant import Instant
from rkmp.wire import NotifyType

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer


def pursue(peer: Peer, at: Instant) -> None:
    """Start whatever the associations need and may have now, and end what is not needed any more."""
    for association in peer.associations.values():
        if association.wants_key(at):
            _negotiate(peer, association, at)
    if _wants_ike_sa(peer, at):
        free = (a for a in peer.associations.values() if a.configuration.enabled and a.attempt is None)
        first = next(free, None)
        if first is not None and peer.ike_policy.childless is Childless.FORCE:
            _open(peer, None, at)
        elif first is not None:
            _open_for(peer, first, at)
    for conversation in list(peer.conversations.values()):
        _tend(peer, conversation, at)


def _negotiate(peer: Peer, association: Association, at: Instant) -> None:
    conversation, replaced = where_to_ask(peer.conversations.values(), association, at)
    if conversation is None:
        is_asked = association.is_asked_for
        if peer.reopening.may_open(peer.configuration.initiate, at.monotonic, is_asked=is_asked):
            _open_for(peer, association, at)
        return
    refusal = why_nat_refuses(conversation.ike_sa.nat, peer.ike_policy.nat)
    if refusal is not None:
        association.fail(refusal, None, at)
        return
    request = _request(peer, association, at)
    if request is None:
        return
    association.begin(conversation.key, request.send_ids, at)
    if replaced is not None:
        conversation.ike_sa.rekey_child(replaced.send_id, request, at.monotonic)
    else:
        conversation.ike_sa.create_child(request, at.monotonic)
    peer.engine.touch(conversation)


def _wants_ike_sa(peer: Peer, at: Instant) -> bool:
    """Whether an IKE SA is to be opened although no association needs it."""
    if peer.is_departed or any(conversation.is_usable for conversation in peer.conversations.values()):
        return False
    return at.monotonic >= peer.reopening.wanted_from(peer.configuration.initiate, peer.ike_policy)


def _open_for(peer: Peer, association: Association, at: Instant) -> None:
    request = _request(peer, association, at)
    if request is None:
        return
    is_childless = peer.ike_policy.childless is Childless.FORCE
    conversation = _open(peer, None if is_childless else request, at)
    association.begin(conversation.key, request.send_ids, at)
    if is_childless:
        # It waits until the IKE SA is established.
        conversation.ike_sa.create_child(request, at.monotonic)


def _open(peer: Peer, request: ChildRequest | None, at: Instant) -> Conversation:
    conversation = peer.engine.open(peer, request, at)
    peer.conversations[conversation.key] = conversation
    peer.statistics[PeerStatistic.IKE_SAS_INITIATED] += 1
    return conversation


def _request(peer: Peer, association: Association, at: Instant) -> ChildRequest | None:
    """Return what to ask for, or None when there is no KeyID left to announce, which is a failure to report."""
    proposals = peer.engine.configuration.proposals
    request = child_request(
        association.configuration,
        [proposals[name] for name in association.configuration.proposals],
        peer.key_ids_in_use(),
        peer.peer_send_ids_in_use(association),
        after=peer.last_announced(association.configuration.protocol),
    )
    if request is None:
        peer.statistics[PeerStatistic.NEGOTIATIONS_FAILED] += 1
        peer.statistics[failure_statistic(ChildRefusal.NO_ADDITIONAL_SAS)] += 1
        association.fail("all 256 KeyIDs towards this peer are in use", NotifyType.NO_ADDITIONAL_SAS, at)
        return None
    peer.announced(request.routing_protocol, request.send_ids[-1])
    return request


def _tend(peer: Peer, conversation: Conversation, at: Instant) -> None:
    """Close an IKE SA that has served, or rekey one that is to go on."""
    if not conversation.is_open:
        return
    reason = conversation.retired_because or why_close(peer, conversation, at.monotonic)
    if reason is None:
        if is_to_be_renewed(peer, conversation, at.monotonic):
            conversation.renew(at.monotonic)
            peer.engine.touch(conversation)
        return
    conversation.retired_because = reason
    if not peer.is_departed and is_overdue(peer, conversation, at.monotonic):
        # A Delete would wait behind a request that the peer does not answer.
        conversation.ike_sa.abandon(reason, at.monotonic)
    elif conversation.owes_deletes:
        return
    else:
        conversation.ike_sa.close(reason, at.monotonic)
    peer.engine.touch(conversation)
