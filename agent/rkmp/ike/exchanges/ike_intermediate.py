"""IKE_INTERMEDIATE: further key exchanges after IKE_SA_INIT, each under the keys of the one before.

RFC 9242; RFC 9370 2.2.2. Large values travel here, because these messages can be cut into fragments. Nobody is
authenticated yet; AUTH signs what goes back and forth here later.
"""

from __future__ import annotations

from dataclasses import replace

from rkmp.crypto.ike_keys import updated_ike_keys
from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.child_negotiation import request_refused
from rkmp.ike.context import Context, IkeSaSecrets
from rkmp.ike.events import ChildRefusal, CloseReason, Event, NegotiationFailed, NegotiationFailure
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads
from rkmp.ike.exchanges.ike_auth import IkeAuth
from rkmp.ike.occurrence import first_error, only
from rkmp.ike.policy import ChildRequest
from rkmp.ike.refusals import negotiation_failure, notify_name
from rkmp.secret import Secret
from rkmp.wire import ExchangeType, KeyExchange, NotifyType


class IkeIntermediate(Exchange):
    """Does the next of the additional key exchanges. ``child_request`` is what IKE_AUTH will ask for."""

    exchange_type = ExchangeType.IKE_INTERMEDIATE

    def __init__(self, child_request: ChildRequest | None = None) -> None:
        self._child_request = child_request
        self._key_exchange: PendingKeyExchange | None = None
        self._response: Payloads = ()

    # -- as requester, who is the initiator of the IKE SA ------------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return KE."""
        method = _wanted(context.negotiated)
        self._key_exchange = start(method, context.random)
        return (KeyExchange(method, self._key_exchange.public_value),)

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new keys and what is done under them, or that there will be no IKE SA."""
        error = first_error(payloads)
        if error is not None:
            reason = negotiation_failure(error.notify_type)
            message_text = f"the peer answers IKE_INTERMEDIATE with {notify_name(error.notify_type)}"
            return self._failed(reason, message_text, error.notify_type)
        answer, method = only(KeyExchange, payloads), _wanted(context.negotiated)
        if self._key_exchange is None or answer is None or answer.method != method:
            return self._failed(NegotiationFailure.INCONSISTENT_ANSWER, f"the answer is not for key exchange {method}")
        try:
            secrets = _updated(context, self._key_exchange.finish(answer.data))
        except CryptoError as fault:
            return self._failed(NegotiationFailure.INCONSISTENT_ANSWER, str(fault))
        request = self._child_request
        following = IkeAuth(request) if secrets.next_key_exchange is None else IkeIntermediate(request)
        return Outcome(secrets=secrets, follow_ups=(following,))

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that there will be no IKE SA with somebody who answers nonsense."""
        return self._failed(negotiation_failure(fault.notify_type), f"the peer's answer is no use: {fault.reason}")

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that the responder fell silent."""
        message = "the peer answers IKE_SA_INIT but not IKE_INTERMEDIATE"
        if timed_out:
            return self._failed(NegotiationFailure.NO_RESPONSE, message)
        lost = self._child_lost("no IKE SA was established")
        return Outcome(events=lost, closing=Closing(CloseReason.NEGOTIATION_FAILED, message))

    def _failed(self, reason: NegotiationFailure, message: str, notify_type: int | None = None) -> Outcome:
        event = NegotiationFailed(reason, notify_type, message)
        closing = Closing(CloseReason.NEGOTIATION_FAILED, message)
        return Outcome(events=(event, *self._child_lost(message)), closing=closing)

    def _child_lost(self, message: str) -> tuple[Event, ...]:
        if self._child_request is None:
            return ()
        return (request_refused(self._child_request, ChildRefusal.IKE_SA_CLOSED, message),)

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new keys; what has no KE is for a purpose that we do not know, and does nothing (RFC 9242 3.2)."""
        secrets, offered = context.negotiated, only(KeyExchange, payloads)
        if not secrets.agreed.intermediate:
            raise IkeError(NotifyType.INVALID_SYNTAX, "the peer did not say that there might be IKE_INTERMEDIATE")
        if offered is None:
            return Outcome()
        if offered.method != secrets.next_key_exchange:
            wanted = secrets.next_key_exchange or "none"
            raise IkeError(NotifyType.INVALID_SYNTAX, f"key exchange {offered.method} where {wanted} is to be done")
        try:
            public_value, shared_secret = respond(offered.method, offered.data, context.random)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
        self._response = (KeyExchange(offered.method, public_value),)
        return Outcome(secrets=_updated(context, shared_secret))

    def build_response(self, context: Context) -> Payloads:
        """Return KE where there was one."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that the IKE SA ends with our answer."""
        event = NegotiationFailed(negotiation_failure(refusal.notify_type), refusal.notify_type, refusal.reason)
        return Outcome(events=(event,), closing=Closing(CloseReason.NEGOTIATION_FAILED, refusal.reason))


def _wanted(secrets: IkeSaSecrets) -> int:
    if secrets.next_key_exchange is None:
        raise AssertionError("all key exchanges are done")
    return secrets.next_key_exchange


def _updated(context: Context, shared_secret: Secret) -> IkeSaSecrets:
    """Return what the IKE SA has after one more key exchange."""
    old = context.negotiated
    keys = updated_ike_keys(
        old.suite, old.keys.sk_d, shared_secret, *old.nonces, context.initiator_spi, context.responder_spi
    )
    return replace(old, keys=keys, key_exchanges_done=old.key_exchanges_done + 1)
