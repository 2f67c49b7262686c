"""INFORMATIONAL: liveness, Delete, Notify.

RFC 7296 1.4, 2.4, 2.21.2 to 2.21.4 and 2.25.1; the draft's 3.4; G13, G15, G18 and G32. :class:`Informational` answers
what the peer sends, and its request is the liveness check; each other request of ours is a class of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from rkmp.errors import IkeError
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.context import Context
from rkmp.ike.events import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildDeleted,
    ChildDeletion,
    CloseReason,
    Event,
    NegotiationFailed,
    NotifyReceived,
)
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads, Postponed, Withdrawn
from rkmp.ike.occurrence import notify_of
from rkmp.ike.policy import ChildRequest
from rkmp.ike.purposes import LDP_DISCOVERY, protocol_of, spi_of
from rkmp.ike.refusals import negotiation_failure, notify_name
from rkmp.wire import FIRST_STATUS_NOTIFY, Delete, ExchangeType, Notify, NotifyType, ProtocolId

_DISPUTES = frozenset(
    {NotifyType.AUTHENTICATION_FAILED, NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD}
)
"""What an initiator says about our IKE_AUTH response when it ends the IKE SA because of it (2.21.2)."""


class Informational(Exchange):
    """The liveness check as requester (2.4), and the answer to whatever the peer has to say."""

    exchange_type = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self._response: Payloads = ()

    # -- as requester ------------------------------------------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return nothing: that it is answered is all we want to know."""
        return ()

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return what follows; a response of INVALID_SYNTAX has ended the IKE SA on the peer's side (2.21.3)."""
        outcome = self.done(context)
        if notify_of(NotifyType.INVALID_SYNTAX, payloads) is None:
            return outcome
        closing = Closing(CloseReason.INVALID_SYNTAX, "the peer finds our INFORMATIONAL request malformed")
        return Outcome(outcome.events, outcome.children, outcome.removed, closing=outcome.closing or closing)

    def done(self, context: Context) -> Outcome:
        """Return what it means that the request was answered."""
        return Outcome()

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA is closed: its peer answers nonsense (2.21)."""
        outcome = self.done(context)
        if outcome.closing is not None:
            return outcome
        complaint = Farewell.deleting(Closing(CloseReason.INVALID_SYNTAX, fault.reason))
        return Outcome(outcome.events, outcome.children, outcome.removed, complaint=complaint)

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that nothing comes of it."""
        return Outcome()

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return what the peer deletes and tells."""
        errors = [n for n in payloads if isinstance(n, Notify) and n.notify_type < FIRST_STATUS_NOTIFY]
        dispute = next((error for error in errors if error.notify_type in _DISPUTES), None)
        if context.may_be_disputed and dispute is not None:
            return _disputed(context, dispute)
        deletes = [payload for payload in payloads if isinstance(payload, Delete)]
        closes = any(delete.protocol_id == ProtocolId.IKE for delete in deletes)
        named = [context.child_of_peer(*name) for name in _deleted(context, deletes)]
        ends_children = closes and not context.children_outlive_it
        if context.may_learn_of_children and (ends_children or None in named):
            # Keys outlive the IKE SA (G15). What we asked for may have been done, with an answer that we did not get:
            # that comes first, or the peer deletes what we then take for a key, or is the only one to hold it.
            raise Postponed
        if ends_children and context.being_deleted:
            # The peer may not know yet what we have deleted.
            raise Postponed
        children = [child for child in named if child is not None]
        refused = notify_of(NotifyType.NO_PROPOSAL_CHOSEN, payloads) is not None
        doubt = None
        if refused and not children and context.outstanding is not None:
            # The draft's 3.4 has a refusal come this way "instead of the response to CREATE_CHILD_SA" (G18).
            doubt = context.outstanding.refused_by_notify(NotifyType.NO_PROPOSAL_CHOSEN)
        events: list[Event] = [ChildDeleted(child, _why_deleted(child, refused=refused)) for child in children]
        if not children and doubt is None:
            events += [NotifyReceived(error.notify_type, error.data) for error in errors]
        # 1.4.1: no Delete goes back for what we are deleting ourselves, it would be a second one.
        self._response = _deletes(child for child in children if child.send_id not in context.being_deleted)
        closing = None
        if closes:
            self._response = ()
            closing = Closing(CloseReason.CLOSED_BY_PEER, "the peer deleted the IKE SA")
        removed = tuple(child.send_id for child in children)
        return Outcome(events=tuple(events), removed=removed, doubt=doubt, closing=closing)

    def build_response(self, context: Context) -> Payloads:
        """Return the Deletes that answer the peer's."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that a malformed request ends the IKE SA (2.21.3), and that one we do not know does nothing."""
        if refusal.notify_type != NotifyType.INVALID_SYNTAX:
            return Outcome()
        return Outcome(closing=Closing(CloseReason.INVALID_SYNTAX, f"the peer's request: {refusal.reason}"))


class DeleteChildren(Informational):
    """Tells the peer that children are gone, named by the KeyIDs that we announced for them (G13)."""

    def __init__(self, send_ids: tuple[int, ...], reason: ChildDeletion) -> None:
        super().__init__()
        self._send_ids = send_ids
        self._reason = reason

    @property
    def deleted_send_ids(self) -> tuple[int, ...]:
        """The KeyIDs of the children that the request deletes."""
        return self._send_ids

    def build_request(self, context: Context) -> Payloads:
        """Return the Delete; Withdrawn where the peer was faster."""
        deletes = _deletes(context.children[send_id] for send_id in self._send_ids if send_id in context.children)
        if not deletes:
            raise Withdrawn(Outcome())
        return deletes

    def done(self, context: Context) -> Outcome:
        """Return that the children are gone, but for those that the peer took away meanwhile."""
        children = [context.children[send_id] for send_id in self._send_ids if send_id in context.children]
        return Outcome(
            events=tuple(ChildDeleted(child, self._reason) for child in children),
            removed=tuple(child.send_id for child in children),
        )

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that the children are gone, whatever the peer says."""
        return self.done(context)


class RefuseAnswer(Informational):
    """Undoes at the peer what an inconsistent answer of its made there; nothing was installed here (G32)."""

    def __init__(self, request: ChildRequest) -> None:
        super().__init__()
        self._request = request

    @property
    def concerns_children(self) -> bool:
        """Whether the request deletes children: those that only the peer has."""
        return True

    def build_request(self, context: Context) -> Payloads:
        """Return why, and a Delete of every KeyID that the request had announced."""
        purpose = self._request.routing_protocol
        spis = tuple(spi_of(purpose, send_id) for send_id in self._request.send_ids if send_id not in context.children)
        delete = (Delete(protocol_of(purpose, context.settings.code_points), spis),) if spis else ()
        return (Notify(NotifyType.NO_PROPOSAL_CHOSEN), *delete)


class Farewell(Informational):
    """The last request of an IKE SA: ``payloads`` say why it ends here."""

    def __init__(self, payloads: Payloads, closing: Closing) -> None:
        super().__init__()
        self._payloads = payloads
        self._closing = closing

    @classmethod
    def deleting(cls, closing: Closing) -> Farewell:
        """Return the request that deletes the IKE SA (1.4.1)."""
        return cls((Delete(ProtocolId.IKE),), closing)

    @property
    def closing(self) -> Closing:
        """How the IKE SA ends when this request is over."""
        return self._closing

    def build_request(self, context: Context) -> Payloads:
        """Return the last word."""
        return self._payloads

    def done(self, context: Context) -> Outcome:
        """Return that the IKE SA has ended."""
        return Outcome(closing=self._closing)

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that the IKE SA has ended, whether or not the peer knows."""
        return Outcome(closing=self._closing)


def _disputed(context: Context, dispute: Notify) -> Outcome:
    """Return that the initiator does not want the IKE SA of our last response, nor anything that came with it."""
    message = f"the peer answers our authentication with {notify_name(dispute.notify_type)}"
    if dispute.notify_type == NotifyType.AUTHENTICATION_FAILED:
        reason = CloseReason.AUTHENTICATION_FAILED
        failure: Event = AuthenticationFailed(context.peer, AuthenticationFailure.REJECTED_BY_PEER, message)
    else:
        reason = CloseReason.NEGOTIATION_FAILED
        failure = NegotiationFailed(negotiation_failure(dispute.notify_type), dispute.notify_type, message)
    deleted = (ChildDeleted(child, ChildDeletion.REJECTED_BY_PEER) for child in context.children.values())
    return Outcome(events=(failure, *deleted), removed=tuple(context.children), closing=Closing(reason, message))


def _deletes(children: Iterable[ChildSa]) -> Payloads:
    """Return the payloads that delete ``children``, one for each security protocol."""
    spis: dict[int, tuple[bytes, ...]] = {}
    for child in children:
        spis[child.security_protocol] = (*spis.get(child.security_protocol, ()), child.spi)
    return tuple(Delete(protocol_id, named) for protocol_id, named in spis.items())


def _deleted(context: Context, deletes: list[Delete]) -> list[tuple[int, bytes]]:
    """Return what ``deletes`` name of ours, as protocol and SPI, each once; other protocols than RKMP's cannot be."""
    code_points = context.settings.code_points
    lengths = {protocol_of(purpose, code_points): len(spi_of(purpose, 0)) for purpose in (0, LDP_DISCOVERY)}
    named: dict[tuple[int, bytes], None] = {}
    for delete in deletes:
        for spi in delete.spis:
            if lengths.get(delete.protocol_id) == len(spi):
                named[delete.protocol_id, spi] = None
    return list(named)


def _why_deleted(child: ChildSa, *, refused: bool) -> ChildDeletion:
    if refused:
        return ChildDeletion.REJECTED_BY_PEER
    return ChildDeletion.REDUNDANT if child.redundant else ChildDeletion.BY_PEER
