"""IKE_AUTH: both sides prove who they are, and agree on the first child.

RFC 7296 1.2, 2.15, 2.21.2; RFC 6023 (no child); the draft's 3.2. A child that is refused leaves the IKE SA as it is
(G18); an identity or a proof that will not do ends it.
"""

from __future__ import annotations

from rkmp.crypto.authentication import shared_key_auth, signed_octets, verify_shared_key_auth
from rkmp.errors import IkeError
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
)
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.context import Context
from rkmp.ike.events import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildKeysEstablished,
    ChildRefusal,
    CloseReason,
    Event,
    IkeSaEstablished,
    NegotiationFailed,
    NegotiationFailure,
)
from rkmp.ike.exchanges.exchange import Closing, Exchange, Identities, Outcome, Payloads, Withdrawn
from rkmp.ike.exchanges.informational import Farewell, RefuseAnswer
from rkmp.ike.identity import Identity
from rkmp.ike.occurrence import first_error, notify_of, only
from rkmp.ike.policy import ChildRequest, LocalAuthentication
from rkmp.ike.refusals import child_refusal, negotiation_failure, notify_name
from rkmp.wire import (
    Authentication,
    AuthMethod,
    ExchangeType,
    IdInitiator,
    IdResponder,
    Notify,
    NotifyType,
    SecurityAssociation,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
)

_CHILD_PAYLOADS = (SecurityAssociation, TrafficSelectorsInitiator, TrafficSelectorsResponder)


class _NotAuthenticated(IkeError):
    """The peer is not who it should be; ``identity`` is what it calls itself."""

    def __init__(self, failure: AuthenticationFailure, reason: str, identity: Identity | None) -> None:
        super().__init__(NotifyType.AUTHENTICATION_FAILED, reason)
        self.event = AuthenticationFailed(identity, failure, reason)


class IkeAuth(Exchange):
    """The second exchange. ``child_request`` is what to ask for, None for an IKE SA without a child."""

    exchange_type = ExchangeType.IKE_AUTH

    def __init__(self, child_request: ChildRequest | None = None) -> None:
        self._child_request = child_request
        self._local_identity: Identity | None = None
        self._response: Payloads = ()

    # -- as requester, who is the initiator of the IKE SA ------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return IDi, AUTH and what asks for the child."""
        try:
            local = context.policy.local_authentication(None)
        except IkeError as refusal:
            return self._give_up_before(refusal)
        self._local_identity = local.identity
        id_payload = IdInitiator(local.identity.id_type, local.identity.value)
        contact = (Notify(NotifyType.INITIAL_CONTACT),) if context.settings.initial_contact else ()
        child: Payloads = ()
        if self._child_request is not None:
            child = offer_payloads(self._child_request, context.settings.code_points)
        return (id_payload, *contact, _proof(context, local, id_payload), *child)

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the established IKE SA and its child, or why there is none."""
        error = first_error(payloads)
        id_payload, proof = only(IdResponder, payloads), only(Authentication, payloads)
        if id_payload is None or proof is None:
            # The table of payloads lets them be missing only beside an error.
            return self._rejected(error)
        remote = _verified(context, id_payload, proof)
        established = _established(context, self._local, remote, payloads)
        identities = Identities(self._local, remote)
        if self._child_request is None:
            return Outcome(events=(established,), identities=identities)
        if error is not None:
            refused = request_refused(
                self._child_request,
                child_refusal(error.notify_type),
                f"the peer answers {notify_name(error.notify_type)}",
                notify_type=error.notify_type,
            )
            return Outcome(events=(established, refused), identities=identities)
        try:
            agreement = check_answer(self._child_request, payloads, context.settings.code_points, ())
        except InconsistentAnswer as fault:
            refused = request_refused(self._child_request, ChildRefusal.INCONSISTENT_ANSWER, str(fault))
            undo = RefuseAnswer(self._child_request.send_ids)
            return Outcome(events=(established, refused), identities=identities, follow_ups=(undo,))
        secrets = context.negotiated
        nonces = (secrets.nonce_i, secrets.nonce_r)
        child = child_of(agreement, context.settings.code_points, nonces, requester=True)
        return Outcome(events=(established, _first_key(context, child)), children=(child,), identities=identities)

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA fails, and that the responder, who thinks otherwise, is told so (2.21.2)."""
        if isinstance(fault, _NotAuthenticated):
            event: Event = fault.event
            closing = Closing(CloseReason.AUTHENTICATION_FAILED, fault.reason)
        else:
            event = NegotiationFailed(negotiation_failure(fault.notify_type), fault.notify_type, fault.reason)
            closing = Closing(CloseReason.NEGOTIATION_FAILED, fault.reason)
        complaint = Farewell((Notify(fault.notify_type, fault.data),), closing)
        return Outcome(events=(event, *self._child_lost(fault.reason)), complaint=complaint)

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that the responder fell silent."""
        message = "the peer answers IKE_SA_INIT but not IKE_AUTH"
        failed = (NegotiationFailed(NegotiationFailure.NO_RESPONSE, None, message),) if timed_out else ()
        return Outcome(
            events=(*failed, *self._child_lost("no IKE SA was established")),
            closing=Closing(CloseReason.NEGOTIATION_FAILED, message),
        )

    @property
    def _local(self) -> Identity:
        if self._local_identity is None:
            raise AssertionError("no request was built")
        return self._local_identity

    def _give_up_before(self, refusal: IkeError) -> Payloads:
        event = AuthenticationFailed(None, AuthenticationFailure.NO_CREDENTIALS, refusal.reason)
        closing = Closing(CloseReason.AUTHENTICATION_FAILED, refusal.reason)
        raise Withdrawn(Outcome(events=(event, *self._child_lost(refusal.reason)), closing=closing))

    def _rejected(self, error: Notify | None) -> Outcome:
        notify_type = NotifyType.INVALID_SYNTAX if error is None else error.notify_type
        message = f"the peer answers IKE_AUTH with {notify_name(notify_type)}"
        event: Event = NegotiationFailed(negotiation_failure(notify_type), notify_type, message)
        reason = CloseReason.NEGOTIATION_FAILED
        if notify_type == NotifyType.AUTHENTICATION_FAILED:
            event = AuthenticationFailed(None, AuthenticationFailure.REJECTED_BY_PEER, message)
            reason = CloseReason.AUTHENTICATION_FAILED
        return Outcome(events=(event, *self._child_lost(message)), closing=Closing(reason, message))

    def _child_lost(self, message: str) -> tuple[Event, ...]:
        if self._child_request is None:
            return ()
        return (request_refused(self._child_request, ChildRefusal.IKE_SA_CLOSED, message),)

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the established IKE SA and, where the initiator asked for one and may have it, the child."""
        id_payload, proof = only(IdInitiator, payloads), only(Authentication, payloads)
        if id_payload is None or proof is None:
            raise IkeError(NotifyType.INVALID_SYNTAX, "IdInitiator or Authentication is missing")
        present = [only(kind, payloads) is not None for kind in _CHILD_PAYLOADS]
        if any(present) and not all(present):
            raise IkeError(NotifyType.INVALID_SYNTAX, "SA, TSi and TSr come together or not at all")
        remote = _verified(context, id_payload, proof)
        try:
            local = context.policy.local_authentication(remote)
        except IkeError as refusal:
            raise _NotAuthenticated(AuthenticationFailure.NO_CREDENTIALS, refusal.reason, remote) from refusal
        own_id = IdResponder(local.identity.id_type, local.identity.value)
        self._response = (own_id, _proof(context, local, own_id))
        established = _established(context, local.identity, remote, payloads)
        identities = Identities(local.identity, remote)
        if not any(present):
            return Outcome(events=(established,), identities=identities)
        try:
            agreement = answer_offer(context, remote, payloads, None)
        except IkeError as refusal:
            self._response += (Notify(refusal.notify_type, refusal.data),)
            return Outcome(events=(established, offer_refused(payloads, refusal)), identities=identities)
        code_points, secrets = context.settings.code_points, context.negotiated
        self._response += answer_payloads(agreement, code_points)
        child = child_of(agreement, code_points, (secrets.nonce_i, secrets.nonce_r), requester=False)
        return Outcome(events=(established, _first_key(context, child)), children=(child,), identities=identities)

    def build_response(self, context: Context) -> Payloads:
        """Return IDr, AUTH and the child that we agree to, or the notify that refuses it."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that the IKE SA ends with our answer (2.21.2)."""
        if isinstance(refusal, _NotAuthenticated):
            closing = Closing(CloseReason.AUTHENTICATION_FAILED, refusal.reason)
            return Outcome(events=(refusal.event,), closing=closing)
        event = NegotiationFailed(negotiation_failure(refusal.notify_type), refusal.notify_type, refusal.reason)
        return Outcome(events=(event,), closing=Closing(CloseReason.NEGOTIATION_FAILED, refusal.reason))


def _verified(context: Context, id_payload: IdInitiator | IdResponder, proof: Authentication) -> Identity:
    """Return who the peer is; raise _NotAuthenticated unless policy knows it and its AUTH is right."""
    identity = Identity(id_payload.id_type, id_payload.data)
    try:
        identity = Identity.received(id_payload.id_type, id_payload.data)
        expected = context.policy.remote_authentication(identity)
    except IkeError as refusal:
        raise _NotAuthenticated(AuthenticationFailure.UNKNOWN_IDENTITY, refusal.reason, identity) from refusal
    if proof.method != AuthMethod.SHARED_KEY:
        reason = f"{identity} authenticates by method {proof.method} instead of a pre-shared key"
        raise _NotAuthenticated(AuthenticationFailure.UNSUPPORTED_METHOD, reason, identity)
    octets = _signed_octets(context, id_payload, by_initiator=not context.is_initiator)
    if not verify_shared_key_auth(context.negotiated.suite.prf, expected.pre_shared_key, octets, proof.data):
        reason = f"{identity} does not have the pre-shared key that is configured for it"
        raise _NotAuthenticated(AuthenticationFailure.WRONG_KEY, reason, identity)
    return identity


def _proof(context: Context, local: LocalAuthentication, id_payload: IdInitiator | IdResponder) -> Authentication:
    octets = _signed_octets(context, id_payload, by_initiator=context.is_initiator)
    prf_id = context.negotiated.suite.prf
    return Authentication(AuthMethod.SHARED_KEY, shared_key_auth(prf_id, local.pre_shared_key, octets))


def _signed_octets(context: Context, id_payload: IdInitiator | IdResponder, *, by_initiator: bool) -> bytes:
    secrets = context.negotiated
    if by_initiator:
        message, nonce, sk_p = context.init_request, secrets.nonce_r, secrets.keys.sk_pi
    else:
        message, nonce, sk_p = context.init_response, secrets.nonce_i, secrets.keys.sk_pr
    return signed_octets(secrets.suite.prf, message, nonce, sk_p, id_payload.body())


def _established(context: Context, local: Identity, remote: Identity, payloads: Payloads) -> IkeSaEstablished:
    secrets = context.negotiated
    return IkeSaEstablished(
        context.local_spi,
        context.remote_spi,
        context.role,
        local,
        remote,
        secrets.suite,
        secrets.remote_code_points,
        initial_contact=notify_of(NotifyType.INITIAL_CONTACT, payloads) is not None,
        nonces=(secrets.nonce_i, secrets.nonce_r),
    )


def _first_key(context: Context, child: ChildSa) -> ChildKeysEstablished:
    secrets = context.negotiated
    # G7: the nonces are those of IKE_SA_INIT, whose key exchange is in SK_d already.
    key = master_key(secrets.suite.prf, secrets.keys.sk_d, child.kdf, *child.nonces, None)
    return ChildKeysEstablished(child, key, rekeyed_send_id=None, rekeyed_peer_send_id=None, redundant=False)
