"""What an IKE SA does with a datagram, in this order: header, state, integrity, payloads, meaning, change.

RFC 7296 2.1 to 2.5 and 2.21, RFC 7383 2.6. Nothing is raised on what the network brings, and nothing changes before all
of a message is validated. What a state makes of an input is in :mod:`rkmp.ike.states`, what a message means in
:mod:`rkmp.ike.exchanges`.
"""

from __future__ import annotations

from typing import NoReturn

from rkmp.errors import CryptoError, IkeError, WireError
from rkmp.ike import transmission
from rkmp.ike.addressing import misaddressed
from rkmp.ike.core import IkeSaCore
from rkmp.ike.events import CloseReason
from rkmp.ike.exchanges import ANSWERING, answering
from rkmp.ike.exchanges.exchange import Closing, Payloads, Postponed
from rkmp.ike.occurrence import ENCRYPTED, check_occurrence
from rkmp.ike.reassembly import Collection, Inside, TooMuch, fragment_of
from rkmp.ike.states import ACTIONS, Action, IkeSaState, message_input
from rkmp.ike.statistics import Statistic
from rkmp.ike.task_manager import RequestKind
from rkmp.wire import EncryptedFragment, ExchangeType, Header, Message, Notify, NotifyType, parse_payloads


class _Dropped(Exception):
    """A datagram is not acted upon, and counted as ``statistic``."""

    def __init__(self, statistic: Statistic) -> None:
        super().__init__(statistic)
        self.statistic = statistic


def receive(core: IkeSaCore, datagram: bytes, now: float) -> None:
    """Process, answer or drop one datagram."""
    core.count(Statistic.MESSAGES_IN)
    core.count(Statistic.OCTETS_IN, len(datagram))
    try:
        _receive(core, datagram, now)
    except _Dropped as dropped:
        core.count(dropped.statistic)
        if core.context.observer is not None:
            core.context.observer.dropped(datagram, dropped.statistic, core.context.path)
        if core.state is IkeSaState.NEW:
            core.end(Closing(CloseReason.NEGOTIATION_FAILED, "the message does not open an IKE SA"), now)
    core.advance(now)


def _receive(core: IkeSaCore, datagram: bytes, now: float) -> None:
    try:
        header = Header.parse(datagram)
    except WireError:
        raise _Dropped(Statistic.DROPPED_MALFORMED) from None
    misfit = misaddressed(core.context, header)
    if misfit is not None:
        raise _Dropped(misfit)
    if header.is_response:
        _check_awaited(core, header)
    elif _is_repeated(core, header, datagram):
        return
    action = ACTIONS[core.state][message_input(header.exchange_type, is_response=header.is_response)]
    if action is Action.DROP:
        raise _Dropped(Statistic.DROPPED_UNEXPECTED)
    if action is Action.POSTPONE:
        raise _Dropped(Statistic.POSTPONED)
    try:
        message = Message.parse(datagram, core.context.settings.code_points, header)
    except WireError:
        raise _Dropped(Statistic.DROPPED_MALFORMED) from None
    inside = None
    if ENCRYPTED[header.exchange_type]:
        fragment = fragment_of(message)
        inside = (
            _open(core, datagram, message)
            if fragment is None
            else _collect(core, header, message, fragment, datagram, now)
        )
        if inside is None:
            return
        core.lineage.last_heard = now
        core.release()
        if header.exchange_type == ExchangeType.IKE_INTERMEDIATE:
            transmission.note_intermediate(core, inside.head, inside.octets, by_initiator=header.is_initiator)
    if header.is_response:
        _process_response(core, message, inside, datagram, now)
    else:
        _process_request(core, message, inside, datagram, now, refuse=action is Action.REFUSE)


def _check_awaited(core: IkeSaCore, header: Header) -> None:
    awaited = core.tasks.outstanding
    if awaited is None or awaited.message_id != header.message_id:
        raise _Dropped(Statistic.DROPPED_STALE)
    if awaited.exchange.exchange_type != header.exchange_type:
        raise _Dropped(Statistic.DROPPED_UNEXPECTED)


def _is_repeated(core: IkeSaCore, header: Header, datagram: bytes) -> bool:
    """Return whether a request was answered before, having repeated the answer (RFC 7296 2.1)."""
    match core.tasks.classify(header.message_id, datagram):
        case RequestKind.NEW:
            return False
        case RequestKind.STALE if not _is_cut_anew(core, header, datagram):
            raise _Dropped(Statistic.DROPPED_STALE)
        case RequestKind.OUT_OF_WINDOW:
            raise _Dropped(Statistic.DROPPED_OUT_OF_WINDOW)
    core.count(Statistic.RESPONSES_REPEATED)
    transmission.repeat(core, core.tasks.last_response)
    return True


def _is_cut_anew(core: IkeSaCore, header: Header, datagram: bytes) -> bool:
    """Return whether this is the last request again, in other fragments than before (RFC 7383 2.5.2 and 2.6.1).

    Its first fragment stands for all of them.
    """
    if core.context.fragment_limit is None or not core.tasks.is_last_answered(header.message_id):
        return False
    try:
        message = Message.parse(datagram, core.context.settings.code_points, header)
    except WireError:
        return False
    fragment = fragment_of(message)
    if fragment is None or fragment.fragment_number != 1:
        return False
    _open(core, datagram, message)
    return True


def _open(core: IkeSaCore, datagram: bytes, message: Message) -> Inside:
    if core.protection is None:
        raise AssertionError("a state without keys processes protected messages")
    try:
        inside = core.protection.open(datagram, message)
    except CryptoError:
        raise _Dropped(Statistic.DROPPED_INTEGRITY) from None
    if inside is None:
        raise _Dropped(Statistic.DROPPED_UNAUTHENTICATED)
    return inside


def _collect(
    core: IkeSaCore, header: Header, message: Message, fragment: EncryptedFragment, datagram: bytes, now: float
) -> Inside | None:
    """Keep a fragment, and return the whole message where it was the last one missing (RFC 7383 2.6)."""
    settings = core.context.settings
    if core.context.fragment_limit is None:
        raise _Dropped(Statistic.DROPPED_UNEXPECTED)
    collection = core.collections.get(header.is_response)
    if collection is None:
        discard_at = now + settings.retransmission.patience
        collection = Collection(header, settings.reassembly_limit, discard_at)
    if not collection.belongs(header) or not collection.wants(fragment):
        raise _Dropped(Statistic.DROPPED_FRAGMENT)
    piece = _open(core, datagram, message)
    core.collections[header.is_response] = collection
    try:
        inside = collection.add(fragment, piece)
    except TooMuch:
        del core.collections[header.is_response]
        core.drop_peer("the peer sends a message that is longer than what may be kept of one", now)
        raise _Dropped(Statistic.DROPPED_FRAGMENT) from None
    if inside is not None:
        del core.collections[header.is_response]
        core.count(Statistic.REASSEMBLED)
    return inside


def _payloads(core: IkeSaCore, message: Message, inside: Inside | None) -> Payloads:
    """Return the payloads that count, those inside of a protected message; IkeError where they will not do."""
    payloads = message.payloads
    if inside is not None:
        try:
            payloads = parse_payloads(inside.first_payload, inside.octets, core.context.settings.code_points)
        except WireError as malformed:
            transmission.show_received(core, message, inside, (), str(malformed))
            raise IkeError(NotifyType.INVALID_SYNTAX, str(malformed)) from malformed
    transmission.show_received(core, message, inside, payloads)
    check_occurrence(message.exchange_type, payloads, is_response=message.is_response)
    return payloads


def _put_off() -> NoReturn:
    raise IkeError(NotifyType.TEMPORARY_FAILURE, "the IKE SA is being closed or replaced")


def _process_request(
    core: IkeSaCore, message: Message, inside: Inside | None, datagram: bytes, now: float, *, refuse: bool
) -> None:
    context = core.context
    exchange = ANSWERING[message.exchange_type]()
    try:
        payloads = _payloads(core, message, inside)
        exchange = answering(message.exchange_type, payloads)
        if message.exchange_type == ExchangeType.CREATE_CHILD_SA:
            # It would not ask for something else if it went on with what it has begun.
            context.rekeying = None
        if refuse:
            _put_off()
        outcome = exchange.process_request(context, payloads, datagram)
        answer = exchange.build_response(context)
    except IkeError as refusal:
        outcome = exchange.reject(context, refusal)
        answer = (Notify(refusal.notify_type, refusal.data),)
    except Postponed:
        raise _Dropped(Statistic.POSTPONED) from None
    if inside is None:
        _answer_openly(core, message, answer, datagram, stateless=outcome.secrets is None)
    elif core.protection is not None:
        response = transmission.response(core, message, answer)
        core.tasks.answered(inside.datagram, response)
        core.collections.pop(False, None)
        transmission.transmit(core, response)
    context.may_be_disputed = outcome.identities is not None
    core.commit(outcome, now, lingers=inside is not None)


def _answer_openly(core: IkeSaCore, message: Message, answer: Payloads, datagram: bytes, *, stateless: bool) -> None:
    """Send the response to IKE_SA_INIT; one that refuses names no SPI of ours, and is forgotten."""
    if any(isinstance(payload, Notify) and payload.notify_type == NotifyType.INVALID_SYNTAX for payload in answer):
        # RFC 7296 3.10.1: only ever returned for, and in, an encrypted message.
        return
    response = transmission.open_response(core, message, answer, stateless=stateless)
    transmission.transmit(core, response)
    if not stateless:
        core.tasks.answered(datagram, response)
        core.context.init_request, core.context.init_response = datagram, response[0]


def _process_response(core: IkeSaCore, message: Message, inside: Inside | None, datagram: bytes, now: float) -> None:
    request = core.tasks.outstanding
    if request is None:
        raise AssertionError("a response to nothing")
    try:
        payloads = _payloads(core, message, inside)
        outcome = request.exchange.process_response(core.context, payloads, datagram)
    except IkeError as fault:
        outcome = request.exchange.disbelieve(core.context, fault)
    if outcome is None:
        raise _Dropped(Statistic.DROPPED_UNAUTHENTICATED)
    if outcome.doubt is not None:
        core.doubt(outcome.doubt, now)
        raise _Dropped(Statistic.DROPPED_UNAUTHENTICATED)
    if outcome.restart is not None:
        core.count(Statistic.INIT_RESTARTS)
        core.send_request(outcome.restart, now, restarts=True)
        return
    core.complete()
    if inside is None and outcome.secrets is not None:
        core.context.init_request, core.context.init_response = request.datagrams[0], datagram
    core.commit(outcome, now)
