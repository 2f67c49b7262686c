"""CREATE_CHILD_SA for the IKE SA itself: new SPIs, new keys, Message IDs from the start; who is who stays.

RFC 7296 1.3.2, 2.8, 2.8.2, 2.18 and 2.25. What takes whose place when both sides do it at once is decided in
:mod:`rkmp.ike.succession`, by the nonces that come from here.
"""

from __future__ import annotations

from dataclasses import replace

from rkmp.crypto.ike_keys import rekeyed_ike_keys
from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.crypto.suites import IkeSuite, choose_suite, suite_of_answer, wire_proposals
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.addressing import NO_SPI, new_spi
from rkmp.ike.child_negotiation import InconsistentAnswer
from rkmp.ike.collisions import Nonces, is_redundant
from rkmp.ike.context import Context, IkeSaSecrets
from rkmp.ike.events import CloseReason, Event, IkeSaRekeyFailed, RekeyFailure, Role
from rkmp.ike.exchanges.exchange import Closing, Exchange, Outcome, Payloads, Successor
from rkmp.ike.exchanges.informational import Farewell
from rkmp.ike.nonces import new_nonce, received_nonce
from rkmp.ike.occurrence import first_error, only
from rkmp.ike.refusals import notify_name, rekey_failure
from rkmp.secret import Secret
from rkmp.wire import (
    SPI_LENGTH,
    ExchangeType,
    KeyExchange,
    Nonce,
    Notify,
    NotifyType,
    Proposal,
    ProtocolId,
    SecurityAssociation,
)


class RekeyIkeSa(Exchange):
    """Asks for an IKE SA in the place of the one that carries the request.

    ``method`` is the key exchange to do, where it is not that of the old one: what the peer asked for instead.
    """

    exchange_type = ExchangeType.CREATE_CHILD_SA

    def __init__(self, method: int | None = None) -> None:
        self._wanted_method = method
        self._spi = b""
        self._nonce = b""
        self._method = 0
        self._key_exchange: PendingKeyExchange | None = None
        self._response: Payloads = ()

    @property
    def rekeys_ike_sa(self) -> bool:
        """Whether the request is to replace the IKE SA: that it is."""
        return True

    # -- as requester, who is the initiator of the new IKE SA --------------------------------------------------------

    def build_request(self, context: Context) -> Payloads:
        """Return SA, Nonce and KE."""
        proposals, used = context.settings.proposals, context.negotiated.suite.key_exchange
        if self._wanted_method is not None:
            self._method = self._wanted_method
        elif used in proposals[0].key_exchange:
            self._method = used
        else:
            self._method = proposals[0].key_exchange[0]
        self._spi, self._nonce = new_spi(context.random), new_nonce(context.random)
        self._key_exchange = start(self._method, context.random)
        return (
            SecurityAssociation(wire_proposals(proposals, self._spi)),
            Nonce(self._nonce),
            KeyExchange(self._method, self._key_exchange.public_value),
        )

    def process_response(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new IKE SA, another attempt, or that there will be none."""
        error = first_error(payloads)
        if error is not None:
            return self._process_refusal(context, error)
        try:
            suite, remote_spi = self._check_answer(context, payloads)
        except InconsistentAnswer as fault:
            return _useless(RekeyFailure.INCONSISTENT_ANSWER, str(fault))
        nonces = (self._nonce, received_nonce(payloads, suite.prf))
        shared_secret = self._finish(payloads)
        return Outcome(
            successor=Successor(
                Role.INITIATOR,
                self._spi,
                _secrets(context, suite, shared_secret, nonces, (self._spi, remote_spi), remote_spi),
                is_redundant=context.rival is not None and is_redundant(nonces, context.rival),
            )
        )

    def disbelieve(self, context: Context, fault: IkeError) -> Outcome:
        """Return that the IKE SA is closed: its peer answers nonsense."""
        return _useless(rekey_failure(fault.notify_type), fault.reason)

    def abandon(self, context: Context, doubt: Event | None, *, timed_out: bool) -> Outcome:
        """Return that there is no new IKE SA, unless the peer has made one."""
        if timed_out:
            return Outcome(events=(_failed(RekeyFailure.NO_RESPONSE, "the peer does not answer CREATE_CHILD_SA"),))
        if context.children_outlive_it:
            return Outcome()
        return Outcome(events=(_failed(RekeyFailure.IKE_SA_CLOSED, "the IKE SA was closed"),))

    def _process_refusal(self, context: Context, error: Notify) -> Outcome:
        notify_type = error.notify_type
        message = f"the peer answers {notify_name(notify_type)}"
        if notify_type == NotifyType.INVALID_KE_PAYLOAD and (again := self._with_group(context, error)) is not None:
            return Outcome(follow_ups=(again,))
        closing = None
        if notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, f"{message} to CREATE_CHILD_SA")
        return Outcome(events=(_failed(rekey_failure(notify_type), message, notify_type),), closing=closing)

    def _with_group(self, context: Context, error: Notify) -> RekeyIkeSa | None:
        """Return the request with the group that the peer wants, unless it is none of ours or has been tried (1.3)."""
        wanted = int.from_bytes(error.data) if len(error.data) == 2 else None
        allowed = {method for proposal in context.settings.proposals for method in proposal.key_exchange}
        # With a rival there will be a new IKE SA, and no need for another.
        if wanted is None or wanted not in allowed or self._wanted_method is not None or context.rival is not None:
            return None
        return RekeyIkeSa(wanted)

    def _check_answer(self, context: Context, payloads: Payloads) -> tuple[IkeSuite, bytes]:
        """Return the suite that the answer accepts, and the peer's SPI.

        Raises InconsistentAnswer where it is not to what we asked, IkeError where it cannot be an answer at all.
        """
        answered, key_exchange = only(SecurityAssociation, payloads), only(KeyExchange, payloads)
        if answered is None or key_exchange is None or len(answered.proposals) != 1:
            raise InconsistentAnswer("the answer lacks a KE payload, or one accepted proposal")
        proposal = answered.proposals[0]
        try:
            suite = suite_of_answer(context.settings.proposals, proposal)
        except CryptoError as fault:
            raise InconsistentAnswer(str(fault)) from fault
        if not suite.key_exchange == key_exchange.method == self._method:
            raise InconsistentAnswer("the answer is for another key exchange than ours")
        return suite, _checked_spi(proposal.spi)

    def _finish(self, payloads: Payloads) -> Secret:
        answer = only(KeyExchange, payloads)
        if self._key_exchange is None or answer is None:
            raise AssertionError("the answer is checked")
        try:
            return self._key_exchange.finish(answer.data)
        except CryptoError as fault:
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault

    # -- as the side that answers ------------------------------------------------------------------------------------

    def process_request(self, context: Context, payloads: Payloads, message: bytes) -> Outcome:
        """Return the new IKE SA, or raise IkeError with what the peer should know."""
        if context.outstanding is not None and context.outstanding.concerns_children:
            # 2.25.1: what becomes of them must be clear first, or the two sides would take different ones along.
            raise IkeError(NotifyType.TEMPORARY_FAILURE, "a key is being negotiated or deleted")
        offered, key_exchange = only(SecurityAssociation, payloads), only(KeyExchange, payloads)
        if offered is None or key_exchange is None:
            raise IkeError(NotifyType.INVALID_SYNTAX, "SecurityAssociation or KeyExchange is missing")
        spi = new_spi(context.random)
        chosen = choose_suite(context.settings.proposals, offered.proposals, spi)
        if chosen is None:
            raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "no proposal for the IKE SA is one that we accept")
        answer, suite = chosen
        remote_spi = _offered_spi(offered, answer)
        if key_exchange.method != suite.key_exchange:
            raise IkeError(
                NotifyType.INVALID_KE_PAYLOAD,
                f"key exchange method {key_exchange.method} where {suite.key_exchange} is wanted",
                suite.key_exchange.to_bytes(2),
            )
        nonces = (received_nonce(payloads, suite.prf), new_nonce(context.random))
        try:
            public_value, shared_secret = respond(suite.key_exchange, key_exchange.data, context.random)
        except CryptoError as fault:
            # RFC 6989 2.5: a peer that sends this after it was authenticated is broken.
            raise IkeError(NotifyType.INVALID_SYNTAX, str(fault)) from fault
        self._response = (
            SecurityAssociation((answer,)),
            Nonce(nonces[1]),
            KeyExchange(suite.key_exchange, public_value),
        )
        secrets = _secrets(context, suite, shared_secret, nonces, (remote_spi, spi), remote_spi)
        return Outcome(successor=Successor(Role.RESPONDER, spi, secrets))

    def build_response(self, context: Context) -> Payloads:
        """Return SA, Nonce and KE."""
        return self._response

    def reject(self, context: Context, refusal: IkeError) -> Outcome:
        """Return that the IKE SA goes on as it is, but for a malformed request, which ends it (2.21.3)."""
        closing = None
        if refusal.notify_type == NotifyType.INVALID_SYNTAX:
            closing = Closing(CloseReason.INVALID_SYNTAX, f"the peer's request: {refusal.reason}")
        failed = IkeSaRekeyFailed(
            rekey_failure(refusal.notify_type), refusal.notify_type, refusal.reason, requester=False
        )
        return Outcome(events=(failed,), closing=closing)


def is_for_ike_sa(payloads: Payloads) -> bool:
    """Return whether a CREATE_CHILD_SA request is about the IKE SA and not about a child."""
    association = only(SecurityAssociation, payloads)
    return association is not None and any(p.protocol_id == ProtocolId.IKE for p in association.proposals)


def _secrets(
    context: Context,
    suite: IkeSuite,
    shared_secret: Secret,
    nonces: Nonces,
    spis: tuple[bytes, bytes],
    remote_spi: bytes,
) -> IkeSaSecrets:
    """Return what the new IKE SA begins with; ``spis`` are its initiator's and its responder's."""
    old = context.negotiated
    keys = rekeyed_ike_keys(old.suite.prf, old.keys.sk_d, suite, shared_secret, *nonces, *spis)
    nonce_i, nonce_r = nonces
    return replace(old, remote_spi=remote_spi, suite=suite, keys=keys, nonce_i=nonce_i, nonce_r=nonce_r)


def _offered_spi(offered: SecurityAssociation, answer: Proposal) -> bytes:
    """Return the SPI in the proposal that ``answer`` accepts."""
    number = answer.number
    return _checked_spi(
        next(p.spi for p in offered.proposals if p.number == number and p.protocol_id == ProtocolId.IKE)
    )


def _checked_spi(spi: bytes) -> bytes:
    if len(spi) != SPI_LENGTH or spi == NO_SPI:
        raise IkeError(NotifyType.INVALID_SYNTAX, f"an SPI of {len(spi)} octets, or of zeros, for an IKE SA")
    return spi


def _useless(reason: RekeyFailure, fault: str) -> Outcome:
    """Return that the IKE SA is closed: its peer thinks that there is a new one, which we cannot use."""
    message = f"the peer's answer is no use: {fault}"
    closing = Closing(CloseReason.INVALID_SYNTAX, message)
    return Outcome(events=(_failed(reason, message),), complaint=Farewell.deleting(closing))


def _failed(reason: RekeyFailure, message: str, notify_type: int | None = None) -> IkeSaRekeyFailed:
    return IkeSaRekeyFailed(reason, notify_type, message, requester=True)
