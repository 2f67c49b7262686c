"""CREATE_CHILD_SA for the IKE SA itself: new SPIs, new keys, Message IDs from the start; who is who stays.

RFC 7296 1.3.2, 2.8, 2.8.2, 2.18 and 2.25; RFC 9370 2.2.4. What takes whose place when both sides do it at once is
decided in :mod:`rkmp.ike.succession`, by the nonces that come from here.
"""

from __future__ import annotations

from rkmp.crypto.key_exchange import PendingKeyExchange, respond, start
from rkmp.crypto.suites import IkeSuite, choose_suite, suite_of_answer, wire_proposals
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.addressing import NO_SPI, new_spi
from rkmp.ike.child_negotiation import InconsistentAnswer
from rkmp.ike.collisions import is_redundant
from rkmp.ike.context import Context
from rkmp.ike.events import Event, RekeyFailure, Role
from rkmp.ike.exchanges.exchange import Outcome, Payloads
from rkmp.ike.exchanges.ike_followup_ke import IkeFollowupKe, named_link, new_link
from rkmp.ike.exchanges.rekeying_exchange import RekeyingExchange, failed, useless
from rkmp.ike.nonces import new_nonce, received_nonce
from rkmp.ike.occurrence import first_error, only
from rkmp.ike.rekeying import Rekeying
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


class RekeyIkeSa(RekeyingExchange):
    """Asks for an IKE SA in the place of the one that carries the request.

    ``method`` is the key exchange to begin with, where it is not that of the old one: what the peer asked for instead.
    """

    exchange_type = ExchangeType.CREATE_CHILD_SA

    def __init__(self, method: int | None = None) -> None:
        super().__init__()
        self._wanted_method = method
        self._spi = b""
        self._nonce = b""
        self._method = 0
        self._key_exchange: PendingKeyExchange | None = None

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
        """Return the new IKE SA, the next key exchange, another attempt, or that there will be none."""
        error = first_error(payloads)
        if error is not None:
            again = self._with_group(context, error)
            return self.refused(error) if again is None else Outcome(follow_ups=(again,))
        try:
            suite, remote_spi = self._check_answer(context, payloads)
        except InconsistentAnswer as fault:
            return useless(RekeyFailure.INCONSISTENT_ANSWER, str(fault))
        nonces = (self._nonce, received_nonce(payloads, suite.prf))
        secrets = (self._finish(payloads),)
        rekeying = Rekeying(Role.INITIATOR, self._spi, remote_spi, suite, nonces, secrets, named_link(payloads))
        if rekeying.next_key_exchange is not None and not rekeying.link:
            return useless(RekeyFailure.INCONSISTENT_ANSWER, "it does not name the next key exchange")
        return _decide(context, rekeying)

    def _with_group(self, context: Context, error: Notify) -> RekeyIkeSa | None:
        """Return the request with the group that the peer wants, unless it is none of ours or has been tried (1.3)."""
        wanted = int.from_bytes(error.data) if len(error.data) == 2 else None
        allowed = {method for proposal in context.settings.proposals for method in proposal.key_exchange}
        if error.notify_type != NotifyType.INVALID_KE_PAYLOAD or wanted is None or wanted not in allowed:
            return None
        # With a rival there will be a new IKE SA, and no need for another.
        return RekeyIkeSa(wanted) if self._wanted_method is None and context.rival is None else None

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
        """Return the new IKE SA or what is agreed about it, or raise IkeError with what the peer should know."""
        _check_not_busy(context)
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
        rekeying = Rekeying(Role.RESPONDER, spi, remote_spi, suite, nonces, (shared_secret,))
        if rekeying.next_key_exchange is None:
            return Outcome(successor=rekeying.successor(context))
        rekeying = rekeying.named(new_link(context.random))
        self._response += (Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, rekeying.link),)
        return Outcome(rekeying=rekeying)


def is_for_ike_sa(payloads: Payloads) -> bool:
    """Return whether a CREATE_CHILD_SA request is about the IKE SA and not about a child."""
    association = only(SecurityAssociation, payloads)
    return association is not None and any(p.protocol_id == ProtocolId.IKE for p in association.proposals)


def _decide(context: Context, rekeying: Rekeying) -> Outcome:
    """Return how our request goes on, beside what the peer may have asked for at the same time (2.8.2).

    RFC 9370 2.2.4: where there are further key exchanges to do, there is nothing to delete yet, and whoever loses just
    stops.
    """
    loses = context.rival is not None and is_redundant(rekeying.nonces, context.rival)
    events: tuple[Event, ...] = ()
    if loses and not context.children_outlive_it:
        # The peer's is not made yet, and may not come to be.
        events = (failed(RekeyFailure.TEMPORARY_FAILURE, "the peer is rekeying the IKE SA, too"),)
    if rekeying.next_key_exchange is None:
        return Outcome(events=events, successor=rekeying.successor(context, is_redundant=loses))
    return Outcome(events=events) if loses else Outcome(follow_ups=(IkeFollowupKe(rekeying),), overrules=True)


def _check_not_busy(context: Context) -> None:
    """Raise IkeError where the IKE SA cannot be replaced at this moment."""
    under_way = context.outstanding
    if under_way is None:
        return
    if under_way.concerns_children:
        # 2.25.1: what becomes of them must be clear first, or the two sides would take different ones along.
        raise IkeError(NotifyType.TEMPORARY_FAILURE, "a key is being negotiated or deleted")
    if under_way.exchange_type == ExchangeType.IKE_FOLLOWUP_KE:
        # RFC 9370 2.2.4: the peer has answered what began this, so it knows whose nonces count.
        raise IkeError(NotifyType.TEMPORARY_FAILURE, "the IKE SA is being rekeyed by us already")


def _offered_spi(offered: SecurityAssociation, answer: Proposal) -> bytes:
    """Return the SPI in the proposal that ``answer`` accepts."""
    wanted = (answer.number, ProtocolId.IKE)
    return _checked_spi(next(p.spi for p in offered.proposals if (p.number, p.protocol_id) == wanted))


def _checked_spi(spi: bytes) -> bytes:
    if len(spi) != SPI_LENGTH or spi == NO_SPI:
        raise IkeError(NotifyType.INVALID_SYNTAX, f"an SPI of {len(spi)} octets, or of zeros, for an IKE SA")
    return spi
