"""CREATE_CHILD_SA: a key for a further routing protocol, or a new one in the place of an old one.

RFC 7296 1.3.1, 1.3.3, 2.8, 2.17 and 2.25; the draft's 3.3; G6, G7, G13, G18, G23 and G32. A replaced child is not
deleted here: the routing protocol has to move to the new key first, and only the layer above sees that (G25).
"""

from __future__ import annotations

from dataclasses import replace

from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.child_negotiation import (
    InconsistentAnswer,
    answer_offer,
    answer_payloads,
    check_answer,
    child_of,
    master_key,
    offer_payloads,
    offer_refused,
    request_refused,
    why_refused,
)
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.collisions import Nonces, is_redundant
from rkmp.ike.context import Context
from rkmp.ike.events import ChildDeletion, ChildKeysEstablished, ChildRefusal, ChildRefused, CloseReason, Event
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads, Withdrawn
from rkmp.ike.exchanges.informational import DeleteChildren, Farewell, RefuseAnswer
from rkmp.ike.nonces import new_nonce, received_nonce
from rkmp.ike.occurrence import first_error, notify_of, only
from rkmp.ike.policy import ChildRequest
from rkmp.ike.refusals import child_refusal, notify_name
from rkmp.secret import Secret
from rkmp.wire import (
    ExchangeType,
    KeyExchange,
    Nonce,
    Notify,
    NotifyType,
)


class CreateChildSa(Exchange):
    """Asks for ``request``; ``rekeys`` is the KeyID that we announced for the child that it is to replace, if any.

    ``known`` are the nonces of the children that there were when somebody wanted this one: what the peer makes after
    that may be for the same purpose. ``method`` is the key exchange to do, where it is not that of the IKE SA: what the
    peer asked for instead.
    """

    exchange_type = ExchangeType.CREATE_CHILD_SA

    def __init__(
        self,
        request: ChildRequest | None = None,
        rekeys: int | None = None,
        *,
        known: frozenset[Nonces] = frozenset(),
        method: int | None = None,
    ) -> None:
        self._request = request
        self._rekeys = rekeys
        self._method = method
        self._nonce = b""
        self._key_exchange: PendingKeyExchange | None = None
        self._rekeyed: ChildSa | None = None
        self._known = known
        self._response: Payloads = ()

    # -- as requester ------------------------------------------------------------------------------------------------

    @property
    def announced_send_ids(self) -> tuple[int, ...]:
        """The KeyIDs that the request announces."""
        return self._asked.send_ids

    def refused_by_notify(self, notify_type: int) -> Event:
        """Return how the request ends if the notify turns out to have been the answer (G18)."""
        return self._refused(child_refusal(notify_type), f"the peer sends {notify_name(notify_type)}", notify_type)

    def build_request(self, context: Context) -> Payloads:
        """Return SA, Nonce, TSi and TSr, with REKEY_SA and KE where they belong."""
        rekey = self._name_rekeyed(context)
        if self._rekeys is None and self._rival(context) is not None:
            raise self._withdrawn(ChildRefusal.ALREADY_REPLACED, "the peer has made a key for this protocol meanwhile")
        if not context.send_ids_in_use.isdisjoint(self.announced_send_ids):
            raise self._withdrawn(ChildRefusal.TEMPORARY_FAILURE, "a KeyID of the request has come into use")
        code_points = context.settings.code_points
        self._nonce = new_nonce(context.random)
        key_exchange: Payloads = ()
        if self._asked.perfect_forward_secrecy:
            method = context.negotiated.suite.key_exchange if self._method is None else self._method
            self._key_exchange = start(method, context.random)
            self._method = method
            key_exchange = (KeyExchange(method, self._key_exchange.public_value),)
        association, selectors_i, selectors_r = offer_payloads(self._asked, code_points)
        return (*rekey, association, Nonce(self._nonce), *key_exchange, selectors_i, selectors_r)

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new child, or why there is none."""
        error = first_error(payloads)
        if error is not None:
            return self._process_refusal(context, error)
        nonce_r = received_nonce(payloads, context.negotiated.suite.prf)
        code_points = context.settings.code_points
        try:
            agreement = check_answer(self._asked, payloads, code_points, context.children.values())
            shared_secret = self._finish(payloads)
        except InconsistentAnswer as fault:
            refused = self._refused(ChildRefusal.INCONSISTENT_ANSWER, str(fault))
            return Outcome(events=(refused,), follow_ups=(RefuseAnswer(self._asked),))
        child = child_of(
            agreement,
            code_points,
            (self._nonce, nonce_r),
            requester=True,
            created_alone=self._rekeys is None,
            replaces=self._rekeys,
        )
        return self._established(context, child, shared_secret)

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA is closed: its peer answers nonsense (2.21, RFC 6989 2.5)."""
        refused = self._refused(child_refusal(fault.notify_type), f"the peer's answer is no use: {fault.reason}")
        closing = Closing(CloseReason.INVALID_SYNTAX, fault.reason)
        return Outcome(events=(refused,), complaint=Farewell.deleting(closing))

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that there will be no child."""
        if doubt is None and timed_out:
            doubt = self._refused(ChildRefusal.NO_RESPONSE, "the peer does not answer CREATE_CHILD_SA")
        return Outcome(events=(doubt or self._refused(ChildRefusal.IKE_SA_CLOSED, "the IKE SA was closed"),))

    @property
    def _asked(self) -> ChildRequest:
        if self._request is None:
            raise AssertionError("this side answers")
        return self._request

    def _refused(self, reason: ChildRefusal, message: str, notify_type: int | None = None) -> ChildRefused:
        return request_refused(self._asked, reason, message, notify_type=notify_type, rekeyed_send_id=self._rekeys)

    def _withdrawn(self, reason: ChildRefusal, message: str) -> Withdrawn:
        return Withdrawn(Outcome(events=(self._refused(reason, message),)))

    def _name_rekeyed(self, context: Context) -> Payloads:
        """Return the REKEY_SA that names the child to replace; nothing where a further one is asked for."""
        if self._rekeys is None:
            return ()
        child = context.children.get(self._rekeys)
        if child is None or child.send_id in context.being_deleted:
            raise self._withdrawn(ChildRefusal.CHILD_SA_NOT_FOUND, f"there is no key {self._rekeys} to replace")
        if child.replaced_by is not None or child.redundant:
            raise self._withdrawn(ChildRefusal.ALREADY_REPLACED, f"key {self._rekeys} has been replaced already")
        self._rekeyed = child
        return (Notify(NotifyType.REKEY_SA, protocol_id=child.security_protocol, spi=child.spi),)

    def _process_refusal(self, context: Context, error: Notify) -> Outcome:
        notify_type = error.notify_type
        message = why_refused(context, notify_type)
        if notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, f"{message} to CREATE_CHILD_SA")
            refused = self._refused(ChildRefusal.INVALID_SYNTAX, message, notify_type)
            return Outcome(events=(refused,), closing=closing)
        if notify_type == NotifyType.INVALID_KE_PAYLOAD and (again := self._with_group(context, error)) is not None:
            return Outcome(follow_ups=(again,))
        rekeyed = context.children.get(self._rekeys) if self._rekeys is not None else None
        if notify_type in (NotifyType.CHILD_SA_NOT_FOUND, NotifyType.TEMPORARY_FAILURE) and (
            self._rekeyed is not None and (rekeyed is None or rekeyed.replaced_by is not None)
        ):
            # 2.8.1: the peer replaced it at the same time, and was done before it heard of our request.
            return Outcome(events=(self._refused(ChildRefusal.ALREADY_REPLACED, message, notify_type),))
        removed: tuple[int, ...] = ()
        if notify_type == NotifyType.CHILD_SA_NOT_FOUND and rekeyed is not None:
            # 2.25: silently; whether its key can still be used is not for us to say.
            removed = (rekeyed.send_id,)
        return Outcome(events=(self._refused(child_refusal(notify_type), message, notify_type),), removed=removed)

    def _with_group(self, context: Context, error: Notify) -> CreateChildSa | None:
        """Return the request with the group that the peer wants, unless it is none of ours or no better (G6)."""
        wanted = int.from_bytes(error.data) if len(error.data) == 2 else None
        allowed = {method for proposal in context.settings.proposals for method in proposal.key_exchange}
        was_changed = self._method != context.negotiated.suite.key_exchange
        if self._key_exchange is None or wanted is None or wanted not in allowed - {self._method} or was_changed:
            return None
        return CreateChildSa(self._asked, self._rekeys, known=self._known, method=wanted)

    def _finish(self, payloads: Payloads) -> Secret | None:
        answer = only(KeyExchange, payloads)
        if self._key_exchange is None and answer is None:
            return None
        if self._key_exchange is None or answer is None or answer.method != self._method:
            raise InconsistentAnswer("the answer does not have the key exchange of the request")
        try:
            return self._key_exchange.finish(answer.data)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault

    def _established(self, context: Context, child: ChildSa, shared_secret: Secret | None) -> Outcome:
        key = master_key(context, context.negotiated.keys.sk_d, child, shared_secret)
        rival = self._rival(context)
        redundant = rival is not None and is_redundant(child.nonces, rival.nonces)
        event = ChildKeysEstablished(
            child,
            key,
            rekeyed_send_id=self._rekeys,
            rekeyed_peer_send_id=self._rekeyed.peer_send_id if self._rekeyed is not None else None,
            redundant=redundant,
        )
        if redundant:
            undo = DeleteChildren((child.send_id,), ChildDeletion.REDUNDANT)
            return Outcome(events=(event,), children=(replace(child, redundant=True),), follow_ups=(undo,))
        changed = [child]
        if rival is not None and rival.send_id in context.children:
            changed.append(replace(rival, redundant=True))
        if self._rekeys is not None and self._rekeys in context.children:
            changed.append(replace(context.children[self._rekeys], replaced_by=child.send_id))
        return Outcome(events=(event,), children=tuple(changed))

    def _rival(self, context: Context) -> ChildSa | None:
        """Return what the peer made for the same purpose since our request was wanted, even if it is gone (G23)."""
        purpose = (self._asked.routing_protocol, self._rekeys is None, self._rekeys)
        for other in (*context.children.values(), *context.made_meanwhile):
            if (
                not other.requester
                and other.nonces not in self._known
                and (other.routing_protocol, other.created_alone, other.replaces) == purpose
            ):
                return other
        return None

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new child, or the refusal that the response will tell."""
        rekey = notify_of(NotifyType.REKEY_SA, payloads)
        replaces: ChildSa | None = None
        try:
            _check_not_rekeying(context)
            if rekey is not None:
                replaces = _replaced_child(context, rekey)
            return self._agree(context, payloads, replaces)
        except IkeError as refusal:
            if refusal.notify_type == NotifyType.INVALID_SYNTAX:
                raise
            self._response = (Notify(refusal.notify_type, refusal.data),)
            if refusal.notify_type == NotifyType.CHILD_SA_NOT_FOUND and rekey is not None:
                self._response = (Notify(refusal.notify_type, protocol_id=rekey.protocol_id, spi=rekey.spi),)
            refused = offer_refused(payloads, context.settings.code_points, refusal, replaces)
            return Outcome(events=(refused,))

    def build_response(self, context: Context) -> Payloads:
        """Return SA, Nonce, KE where there was one, TSi and TSr; or the notify that refuses."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that a malformed request ends the IKE SA (2.21.3); one with an unknown critical payload does not."""
        closing = None
        if refusal.notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, f"the peer's request: {refusal.reason}")
        return Outcome(events=(offer_refused((), context.settings.code_points, refusal),), closing=closing)

    def _agree(self, context: Context, payloads: Payloads, replaces: ChildSa | None) -> Outcome:
        secrets, code_points = context.negotiated, context.settings.code_points
        nonces = (received_nonce(payloads, secrets.suite.prf), new_nonce(context.random))
        offered = only(KeyExchange, payloads)
        key_exchange, shared_secret = _answer_key_exchange(context, offered)
        has_key_exchange = shared_secret is not None
        agreement = answer_offer(context, context.peer, payloads, replaces, has_key_exchange=has_key_exchange)
        replaces_id = replaces.send_id if replaces is not None else None
        child = child_of(
            agreement,
            code_points,
            nonces,
            requester=False,
            created_alone=replaces is None,
            replaces=replaces_id,
        )
        association, selectors_i, selectors_r = answer_payloads(agreement, code_points)
        self._response = (association, Nonce(nonces[1]), *key_exchange, selectors_i, selectors_r)
        event = ChildKeysEstablished(
            child,
            master_key(context, secrets.keys.sk_d, child, shared_secret),
            rekeyed_send_id=replaces_id,
            rekeyed_peer_send_id=replaces.peer_send_id if replaces is not None else None,
            redundant=False,
        )
        changed = () if replaces is None else (replace(replaces, replaced_by=child.send_id),)
        return Outcome(events=(event,), children=(child, *changed))


def _check_not_rekeying(context: Context) -> None:
    if context.is_rekeying:
        # 2.25.2: what is made now might come to be known to one side only.
        raise IkeError(NotifyType.TEMPORARY_FAILURE, "the IKE SA is being rekeyed")


def _replaced_child(context: Context, rekey: Notify) -> ChildSa:
    """Return the child that REKEY_SA names; IkeError where it cannot be replaced (2.25.1)."""
    child = context.child_of_peer(rekey.protocol_id, rekey.spi)
    if child is None and context.may_learn_of_children:
        raise IkeError(NotifyType.TEMPORARY_FAILURE, f"key {rekey.spi.hex()} may be one that we are being told of")
    if child is None:
        raise IkeError(NotifyType.CHILD_SA_NOT_FOUND, f"there is no key {rekey.spi.hex()} to replace")
    if child.send_id in context.being_deleted:
        raise IkeError(NotifyType.TEMPORARY_FAILURE, f"key {child.send_id} is being deleted")
    if child.replaced_by is not None:
        # It only waits for the routing protocol to leave it, which amounts to being closed.
        raise IkeError(NotifyType.TEMPORARY_FAILURE, f"key {child.send_id} has been replaced already")
    return child


def _answer_key_exchange(context: Context, offered: KeyExchange | None) -> tuple[Payloads, Secret | None]:
    """Return our KE payload and the secret, or nothing and None where the peer wants no key exchange."""
    if offered is None:
        return (), None
    method = context.negotiated.suite.key_exchange
    if offered.method != method:
        raise IkeError(
            NotifyType.INVALID_KE_PAYLOAD,
            f"key exchange method {offered.method} where {method} is wanted",
            method.to_bytes(2),
        )
    try:
        public_value, shared_secret = respond(method, offered.data, context.random)
    except CryptoError as fault:
        # RFC 6989 2.5: a peer that sends this after it was authenticated is broken.
        raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
    return (KeyExchange(method, public_value),), shared_secret
