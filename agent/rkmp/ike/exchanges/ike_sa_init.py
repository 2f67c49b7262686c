"""IKE_SA_INIT: algorithms, nonces and a key exchange, between two sides that do not know each other yet.

RFC 7296 1.2, 2.6, 2.7, 2.10, 2.14, 2.21.1 and 2.23; the draft's 3.1. Nothing that arrives here is authenticated: a
response that cannot be used leaves a doubt, and only COOKIE and INVALID_KE_PAYLOAD are acted upon. AUTH signs both
messages later, so whoever tampers with them, such as to make us take a weaker group, is found out then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rkmp.crypto.ike_keys import derive_ike_keys
from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.crypto.suites import choose_suite, suite_of_answer, wire_proposals
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.addressing import NO_SPI
from rkmp.ike.announcements import agreed, announce
from rkmp.ike.child_negotiation import request_refused
from rkmp.ike.context import Context, IkeSaSecrets
from rkmp.ike.events import ChildRefusal, CloseReason, Event, NatDetected, NegotiationFailed, NegotiationFailure
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads
from rkmp.ike.exchanges.ike_auth import IkeAuth
from rkmp.ike.exchanges.ike_intermediate import IkeIntermediate
from rkmp.ike.nat_detection import Nat, detect, tell_path
from rkmp.ike.nonces import new_nonce, received_nonce
from rkmp.ike.occurrence import first_error, notify_of, only
from rkmp.ike.policy import ChildRequest
from rkmp.ike.refusals import negotiation_failure, notify_name
from rkmp.ike.vendor_id import announced_code_points, describe, vendor_id
from rkmp.wire import (
    SPI_LENGTH,
    ExchangeType,
    KeyExchange,
    Nonce,
    Notify,
    NotifyType,
    ProtocolId,
    SecurityAssociation,
)

MAX_RESTARTS = 6
"""How often a request is made anew: cookies and group changes can be forged, and each costs a datagram (2.6)."""

MAX_COOKIE_LENGTH = 64

# RFC 6023 section 4 wants the Protocol ID of IKE here.
_CHILDLESS = (Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED, protocol_id=ProtocolId.IKE),)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What our request consists of, from one attempt to the next."""

    nonce: bytes
    key_exchange: PendingKeyExchange
    method: int
    cookie: bytes | None = None
    restarts: int = 0


class IkeSaInit(Exchange):
    """The first exchange. ``child_request`` is what IKE_AUTH will ask for, None for an IKE SA without a child."""

    exchange_type = ExchangeType.IKE_SA_INIT

    def __init__(self, child_request: ChildRequest | None = None, opening: _Opening | None = None) -> None:
        self._child_request = child_request
        self._opening = opening
        self._response: Payloads = ()

    # -- as requester ------------------------------------------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return SA, KE, Nonce and what we announce, behind the cookie that was asked for (2.6)."""
        settings = context.settings
        if self._opening is None:
            method = settings.proposals[0].key_exchange[0]
            self._opening = _Opening(new_nonce(context.random), start(method, context.random), method)
        opening = self._opening
        cookie = () if opening.cookie is None else (Notify(NotifyType.COOKIE, opening.cookie),)
        return (
            *cookie,
            SecurityAssociation(wire_proposals(settings.proposals)),
            KeyExchange(opening.method, opening.key_exchange.public_value),
            Nonce(opening.nonce),
            *announce(settings, context.policy.expectations(), None),
            *(tell_path(context.path, context.local_spi, NO_SPI) if settings.nat_detection else ()),
            vendor_id(settings.code_points),
        )

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome | None:
        """Return the keys, another attempt, or a doubt; None for what was asked for and done already."""
        error = first_error(payloads)
        if error is not None and error.notify_type == NotifyType.INVALID_KE_PAYLOAD:
            return self._change_group(context, error)
        if error is not None:
            reason = negotiation_failure(error.notify_type)
            return _doubt(reason, f"the peer answers {notify_name(error.notify_type)}", error.notify_type)
        cookie = notify_of(NotifyType.COOKIE, payloads)
        if cookie is not None:
            return self._return_cookie(cookie.data)
        return self._accept(context, payloads, message)

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return a doubt: anybody might have sent that."""
        return _doubt(negotiation_failure(fault.notify_type), f"the peer's answer is no use: {fault.reason}")

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that nobody answered, or what the best answer was."""
        events: list[Event] = []
        if timed_out:
            failure = doubt or NegotiationFailed(NegotiationFailure.NO_RESPONSE, None, "nobody answers IKE_SA_INIT")
            events.append(failure)
        message = "no IKE SA was negotiated"
        if self._child_request is not None:
            events.append(request_refused(self._child_request, ChildRefusal.IKE_SA_CLOSED, message))
        return Outcome(events=tuple(events), closing=Closing(CloseReason.NEGOTIATION_FAILED, message))

    def _change_group(self, context: Context, error: Notify) -> Outcome | None:
        opening = self._sent
        wanted = int.from_bytes(error.data) if len(error.data) == 2 else None
        if wanted == opening.method:
            return None
        if wanted is None or not any(wanted in proposal.key_exchange for proposal in context.settings.proposals):
            return _doubt(
                NegotiationFailure.INVALID_KE_PAYLOAD,
                f"the peer wants key exchange method {wanted}, which is not among our proposals",
                error.notify_type,
            )
        # 2.7 and 1.2: the proposals stay as they are, so that the responder sees that we could have done better. 2.6.1:
        # the cookie stays as well.
        return self._restart(replace(opening, key_exchange=start(wanted, context.random), method=wanted))

    def _return_cookie(self, cookie: bytes) -> Outcome | None:
        opening = self._sent
        if cookie == opening.cookie or not 1 <= len(cookie) <= MAX_COOKIE_LENGTH:
            return None
        return self._restart(replace(opening, cookie=cookie))

    def _restart(self, opening: _Opening) -> Outcome | None:
        if opening.restarts == MAX_RESTARTS:
            return None
        return Outcome(restart=IkeSaInit(self._child_request, replace(opening, restarts=opening.restarts + 1)))

    def _accept(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        settings, opening = context.settings, self._sent
        answered, key_exchange = only(SecurityAssociation, payloads), only(KeyExchange, payloads)
        if answered is None or key_exchange is None:
            raise IkeError(NotifyType.INVALID_SYNTAX, "SecurityAssociation or KeyExchange is missing")
        remote_spi = message[SPI_LENGTH : 2 * SPI_LENGTH]
        if len(answered.proposals) != 1 or answered.proposals[0].spi or not any(remote_spi):
            return _doubt(NegotiationFailure.INCONSISTENT_ANSWER, "the answer lacks an SPI, or one accepted proposal")
        try:
            suite = suite_of_answer(settings.proposals, answered.proposals[0])
            nonce_r = received_nonce(payloads, suite.prf)
            shared_secret = opening.key_exchange.finish(key_exchange.data)
        except CryptoError as fault:
            return _doubt(NegotiationFailure.INCONSISTENT_ANSWER, str(fault))
        if not suite.key_exchange == key_exchange.method == opening.method:
            mixture = f"the answer mixes key exchange methods {suite.key_exchange} and {key_exchange.method}"
            return _doubt(NegotiationFailure.INCONSISTENT_ANSWER, mixture)
        code_points = announced_code_points(payloads)
        if settings.require_vendor_id and code_points is None:
            return _doubt(NegotiationFailure.PEER_IS_NOT_RKMP, "the peer speaks IKEv2 but does not announce RKMP")
        if settings.require_vendor_id and code_points is not None and code_points != settings.code_points:
            return _doubt(
                NegotiationFailure.CODE_POINTS_DIFFER,
                f"the peer uses {describe(code_points)}, and we {describe(settings.code_points)}",
            )
        childless = notify_of(NotifyType.CHILDLESS_IKEV2_SUPPORTED, payloads) is not None
        if self._child_request is None and not childless:
            return _doubt(NegotiationFailure.CHILDLESS_UNSUPPORTED, "the peer takes no IKE SA without a child")
        expectations = context.policy.expectations()
        announcements = agreed(settings, expectations, payloads)
        if suite.additional_key_exchanges and not announcements.intermediate:
            return _doubt(
                NegotiationFailure.INCONSISTENT_ANSWER, "the answer has key exchanges, and no exchange for them"
            )
        if any(ppk.is_mandatory for ppk in expectations.ppks) and not announcements.has_ppks:
            return _doubt(NegotiationFailure.PPK_UNSUPPORTED, "the peer uses no PPK, and we insist on one")
        keys = derive_ike_keys(suite, opening.nonce, nonce_r, shared_secret, context.local_spi, remote_spi)
        nat = _detect_nat(context, context.local_spi, remote_spi, payloads)
        return Outcome(
            events=_nat_events(nat, settings.nat_port),
            secrets=IkeSaSecrets(remote_spi, suite, keys, opening.nonce, nonce_r, code_points, announcements, nat),
            follow_ups=(
                IkeIntermediate(self._child_request)
                if suite.additional_key_exchanges
                else IkeAuth(self._child_request),
            ),
        )

    @property
    def _sent(self) -> _Opening:
        if self._opening is None:
            raise AssertionError("no request was built")
        return self._opening

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the keys of the IKE SA, or raise IkeError with what the initiator should know."""
        settings = context.settings
        offered, key_exchange = only(SecurityAssociation, payloads), only(KeyExchange, payloads)
        if offered is None or key_exchange is None:
            raise IkeError(NotifyType.INVALID_SYNTAX, "SecurityAssociation or KeyExchange is missing")
        expectations = context.policy.expectations()
        announcements = agreed(settings, expectations, payloads)
        chosen = choose_suite(settings.proposals, offered.proposals, several_key_exchanges=announcements.intermediate)
        if chosen is None:
            raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "no proposal for the IKE SA is one that we accept")
        answer, suite = chosen
        if key_exchange.method != suite.key_exchange:
            # Our own preference, whatever the initiator began with: it cannot be talked down to its weakest group.
            raise IkeError(
                NotifyType.INVALID_KE_PAYLOAD,
                f"key exchange method {key_exchange.method} where {suite.key_exchange} is wanted",
                suite.key_exchange.to_bytes(2),
            )
        nonce_i, nonce_r = received_nonce(payloads, suite.prf), new_nonce(context.random)
        try:
            public_value, shared_secret = respond(suite.key_exchange, key_exchange.data, context.random)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
        remote_spi = message[:SPI_LENGTH]
        nat = _detect_nat(context, remote_spi, NO_SPI, payloads)
        self._response = (
            SecurityAssociation((answer,)),
            KeyExchange(suite.key_exchange, public_value),
            Nonce(nonce_r),
            *(_CHILDLESS if settings.childless else ()),
            *announce(settings, expectations, announcements),
            *(() if nat is None else tell_path(context.path, remote_spi, context.local_spi)),
            vendor_id(settings.code_points),
        )
        keys = derive_ike_keys(suite, nonce_i, nonce_r, shared_secret, remote_spi, context.local_spi)
        code_points = announced_code_points(payloads)
        secrets = IkeSaSecrets(remote_spi, suite, keys, nonce_i, nonce_r, code_points, announcements, nat)
        return Outcome(events=_nat_events(nat, None), secrets=secrets)

    def build_response(self, context: Context) -> Payloads:
        """Return SA, KE, Nonce and what we announce."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that this IKE SA will not be; the initiator may come again with something better."""
        reason = negotiation_failure(refusal.notify_type)
        return Outcome(
            events=(NegotiationFailed(reason, refusal.notify_type, refusal.reason),),
            closing=Closing(CloseReason.NEGOTIATION_FAILED, refusal.reason),
        )


def _detect_nat(context: Context, initiator_spi: bytes, responder_spi: bytes, payloads: Payloads) -> Nat | None:
    if not context.settings.nat_detection:
        return None
    return detect(context.path, initiator_spi, responder_spi, payloads)


def _nat_events(nat: Nat | None, port: int | None) -> tuple[Event, ...]:
    return (NatDetected(nat.local, nat.remote, port),) if nat is not None and (nat.local or nat.remote) else ()


def _doubt(reason: NegotiationFailure, message: str, notify_type: int | None = None) -> Outcome:
    return Outcome(doubt=NegotiationFailed(reason, notify_type, message))
