"""IKE_AUTH: both sides prove who they are, and agree on the first child.

RFC 7296 1.2, 2.15, 2.21.2; RFC 6023 (no child); RFC 8784 (PPK); the draft's 3.2. A child that is refused leaves the IKE
SA as it is (G18); an identity or a proof that will not do ends it.
"""

from __future__ import annotations

from dataclasses import replace

from rkmp.crypto.certificate_paths import VerifiedChain
from rkmp.crypto.ike_keys import IkeKeys
from rkmp.errors import IkeError
from rkmp.ike.announcements import authorities_asked_for
from rkmp.ike.authentication import (
    Claim,
    Evidence,
    NotAuthenticated,
    check_proof,
    identify,
    method_of,
    prove,
    why_rejected,
)
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
from rkmp.ike.occurrence import first_error, notify_of, only
from rkmp.ike.policy import ChildRequest, LocalAuthentication, OwnCertificate, Ppk
from rkmp.ike.post_quantum import evidence_of_initiator, evidence_of_responder, keys_with, ppk_to_use
from rkmp.ike.refusals import child_refusal, negotiation_failure, notify_name
from rkmp.wire import (
    Authentication,
    CertEncoding,
    CertificateRequest,
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


class IkeAuth(Exchange):
    """The second exchange. ``child_request`` is what to ask for, None for an IKE SA without a child."""

    exchange_type = ExchangeType.IKE_AUTH

    def __init__(self, child_request: ChildRequest | None = None) -> None:
        self._child_request = child_request
        self._local: LocalAuthentication | None = None
        self._shown: OwnCertificate | None = None
        self._ppk: Ppk | None = None
        self._response: Payloads = ()

    # -- as requester, who is the initiator of the IKE SA ------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return IDi, our certificates, AUTH and what asks for the child."""
        try:
            local = context.policy.local_authentication(None)
        except IkeError as refusal:
            no_credentials = AuthenticationFailure.NO_CREDENTIALS
            raise self._given_up(NotAuthenticated(no_credentials, refusal.reason, None)) from refusal
        self._local, self._ppk = local, ppk_to_use(context)
        own_id = IdInitiator(local.identity.id_type, local.identity.value)
        try:
            asked = context.negotiated.agreed.authorities
            proof = prove(context, keys_with(context, self._ppk), local, own_id, None, asked)
            self._shown = proof.shown
            notifies = self._ppk_notifies(context, local, own_id)
        except NotAuthenticated as refusal:
            raise self._given_up(refusal) from refusal
        contact = (Notify(NotifyType.INITIAL_CONTACT),) if context.settings.initial_contact else ()
        child: Payloads = ()
        if self._child_request is not None:
            child = offer_payloads(self._child_request, context.settings.code_points)
        authorities = context.policy.expectations().authorities
        wanted: Payloads = ()
        if authorities is not None:
            wanted = (CertificateRequest(CertEncoding.X509_SIGNATURE, authorities),)
        return (own_id, *proof.certificates, *contact, *wanted, proof.authentication, *child, *notifies)

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the established IKE SA and its child, or why there is none."""
        error = first_error(payloads)
        id_payload, proof = only(IdResponder, payloads), only(Authentication, payloads)
        if id_payload is None or proof is None:
            # The table of payloads lets them be missing only beside an error.
            return self._rejected(context, error)
        local = self._authentication
        claim = identify(context, id_payload)
        evidence = evidence_of_responder(context, claim.identity, self._ppk, payloads, proof)
        chain = check_proof(context, claim, evidence, payloads)
        established = _established(context, local, claim, evidence, chain, payloads)
        identities = Identities(local.identity, claim.identity)
        if self._child_request is None:
            return Outcome(events=(established,), identities=identities, keys=evidence.keys)
        if error is not None:
            refused = request_refused(
                self._child_request,
                child_refusal(error.notify_type),
                why_refused(context, error.notify_type),
                notify_type=error.notify_type,
            )
            return Outcome(events=(established, refused), identities=identities, keys=evidence.keys)
        try:
            agreement = check_answer(self._child_request, payloads, context.settings.code_points, ())
        except InconsistentAnswer as fault:
            refused = request_refused(self._child_request, ChildRefusal.INCONSISTENT_ANSWER, str(fault))
            undo = RefuseAnswer(self._child_request)
            return Outcome(events=(established, refused), identities=identities, keys=evidence.keys, follow_ups=(undo,))
        secrets = context.negotiated
        nonces = (secrets.nonce_i, secrets.nonce_r)
        child = child_of(agreement, context.settings.code_points, nonces, requester=True)
        key = _first_key(context, evidence.keys, child)
        return Outcome(events=(established, key), children=(child,), identities=identities, keys=evidence.keys)

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA fails, and that the responder, who thinks otherwise, is told so (2.21.2)."""
        if isinstance(fault, NotAuthenticated):
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
    def _authentication(self) -> LocalAuthentication:
        if self._local is None:
            raise AssertionError("no request was built")
        return self._local

    def _ppk_notifies(self, context: Context, local: LocalAuthentication, own_id: IdInitiator) -> Payloads:
        ppk = self._ppk
        if ppk is None:
            return ()
        named = Notify(NotifyType.PPK_IDENTITY, ppk.identifier)
        if ppk.is_mandatory:
            return (named,)
        asked = context.negotiated.agreed.authorities
        without = prove(context, keys_with(context, None), local, own_id, None, asked)
        return (named, Notify(NotifyType.NO_PPK_AUTH, without.authentication.data))

    def _given_up(self, refusal: NotAuthenticated) -> Withdrawn:
        closing = Closing(CloseReason.AUTHENTICATION_FAILED, refusal.reason)
        return Withdrawn(Outcome(events=(refusal.event, *self._child_lost(refusal.reason)), closing=closing))

    def _rejected(self, context: Context, error: Notify | None) -> Outcome:
        notify_type = NotifyType.INVALID_SYNTAX if error is None else error.notify_type
        message = f"the peer answers IKE_AUTH with {notify_name(notify_type)}"
        event: Event = NegotiationFailed(negotiation_failure(notify_type), notify_type, message)
        reason = CloseReason.NEGOTIATION_FAILED
        if notify_type == NotifyType.AUTHENTICATION_FAILED:
            identity = self._authentication.identity
            doubts = why_rejected(context, identity, self._shown, uses_ppk=self._ppk is not None)
            message = f"{message}: {doubts}"
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
        claim = identify(context, id_payload)
        remote, settings = claim.identity, claim.expected.settings
        if settings is not None:
            context = replace(context, settings=settings)
        if not any(present) and not context.settings.childless:
            # RFC 6023 3: as one who has not heard of it.
            raise IkeError(NotifyType.INVALID_SYNTAX, "SA, TSi and TSr are missing: there is no IKE SA without a child")
        evidence = evidence_of_initiator(context, remote, claim.expected.ppk, payloads, proof)
        chain = check_proof(context, claim, evidence, payloads)
        try:
            local = context.policy.local_authentication(remote)
        except IkeError as refusal:
            raise NotAuthenticated(AuthenticationFailure.NO_CREDENTIALS, refusal.reason, remote) from refusal
        own_id = IdResponder(local.identity.id_type, local.identity.value)
        own_proof = prove(context, evidence.keys, local, own_id, remote, authorities_asked_for(payloads))
        self._response = (own_id, *own_proof.certificates, own_proof.authentication)
        if evidence.uses_ppk:
            self._response += (Notify(NotifyType.PPK_IDENTITY),)
        established = _established(context, local, claim, evidence, chain, payloads)
        identities = Identities(local.identity, remote)
        if not any(present):
            return Outcome(events=(established,), identities=identities, keys=evidence.keys, settings=settings)
        try:
            agreement = answer_offer(context, remote, payloads, None)
        except IkeError as refusal:
            self._response += (Notify(refusal.notify_type, refusal.data),)
            refused = offer_refused(payloads, context.settings.code_points, refusal)
            return Outcome(events=(established, refused), identities=identities, keys=evidence.keys, settings=settings)
        code_points, secrets = context.settings.code_points, context.negotiated
        self._response += answer_payloads(agreement, code_points)
        child = child_of(agreement, code_points, (secrets.nonce_i, secrets.nonce_r), requester=False)
        key = _first_key(context, evidence.keys, child)
        return Outcome(
            events=(established, key), children=(child,), identities=identities, keys=evidence.keys, settings=settings
        )

    def build_response(self, context: Context) -> Payloads:
        """Return IDr, AUTH and the child that we agree to, or the notify that refuses it."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that the IKE SA ends with our answer (2.21.2)."""
        if isinstance(refusal, NotAuthenticated):
            closing = Closing(CloseReason.AUTHENTICATION_FAILED, refusal.reason)
            return Outcome(events=(refusal.event,), closing=closing)
        event = NegotiationFailed(negotiation_failure(refusal.notify_type), refusal.notify_type, refusal.reason)
        return Outcome(events=(event,), closing=Closing(CloseReason.NEGOTIATION_FAILED, refusal.reason))


def _established(
    context: Context,
    local: LocalAuthentication,
    claim: Claim,
    evidence: Evidence,
    chain: VerifiedChain | None,
    payloads: Payloads,
) -> IkeSaEstablished:
    secrets = context.negotiated
    return IkeSaEstablished(
        context.local_spi,
        context.remote_spi,
        context.role,
        local.identity,
        claim.identity,
        secrets.suite,
        secrets.remote_code_points,
        initial_contact=notify_of(NotifyType.INITIAL_CONTACT, payloads) is not None,
        nonces=(secrets.nonce_i, secrets.nonce_r),
        local_method=method_of(local),
        remote_method=method_of(claim.expected),
        remote_chain=chain,
        uses_ppk=evidence.uses_ppk,
    )


def _first_key(context: Context, keys: IkeKeys, child: ChildSa) -> ChildKeysEstablished:
    # G7: the nonces are those of IKE_SA_INIT, whose key exchange is in SK_d already.
    key = master_key(context, keys.sk_d, child, None)
    return ChildKeysEstablished(child, key, rekeyed_send_id=None, rekeyed_peer_send_id=None, redundant=False)
