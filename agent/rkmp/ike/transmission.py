"""How the messages of an IKE SA leave: sealed where there are keys, counted, and shown to whoever watches.

RFC 7296 3.1 and 3.14, RFC 9242 3.3.2. When a message leaves, and what it says, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rkmp.crypto.intermediate import int_auth_of_message
from rkmp.ike.addressing import NO_SPI
from rkmp.ike.observation import ObservedKeys, ObservedMessage
from rkmp.ike.reassembly import Inside
from rkmp.ike.statistics import Statistic
from rkmp.wire import ExchangeType, Message, Payload, serialise_payloads

if TYPE_CHECKING:
    from rkmp.ike.core import IkeSaCore

Payloads = tuple[Payload, ...]
Datagrams = tuple[bytes, ...]


def request(core: IkeSaCore, exchange_type: int, message_id: int, payloads: Payloads) -> Datagrams:
    """Return the datagrams of a request, protected by the present keys if there are any."""
    if core.protection is not None:
        return _seal(core, exchange_type, message_id, payloads, is_response=False)
    local_spi = core.context.local_spi
    opening = Message(local_spi, NO_SPI, exchange_type, message_id, payloads, is_initiator=True)
    _show(core, opening, is_protected=False, datagrams=1)
    return (opening.to_bytes(),)


def response(core: IkeSaCore, asked: Message, payloads: Payloads) -> Datagrams:
    """Return the datagrams of the response to a protected request."""
    return _seal(core, asked.exchange_type, asked.message_id, payloads, is_response=True)


def open_response(core: IkeSaCore, asked: Message, payloads: Payloads, *, stateless: bool) -> Datagrams:
    """Return the response to IKE_SA_INIT; one that is ``stateless`` refuses, and names no SPI of ours."""
    local_spi = NO_SPI if stateless else core.context.local_spi
    message = Message(asked.initiator_spi, local_spi, asked.exchange_type, asked.message_id, payloads, is_response=True)
    _show(core, message, is_protected=False, datagrams=1)
    return (message.to_bytes(),)


def transmit(core: IkeSaCore, datagrams: Datagrams) -> None:
    """Put the ``datagrams`` of one message where the caller of the IKE SA finds them."""
    core.count(Statistic.MESSAGES_OUT, len(datagrams))
    core.count(Statistic.OCTETS_OUT, sum(map(len, datagrams)))
    if len(datagrams) > 1:
        core.count(Statistic.FRAGMENTED)
    core.lineage.datagrams += datagrams


def repeat(core: IkeSaCore, datagrams: Datagrams) -> None:
    """Send the ``datagrams`` of a message again as they went before."""
    if core.context.observer is not None:
        core.context.observer.repeated(datagrams, core.context.path)
    transmit(core, datagrams)


def note_intermediate(core: IkeSaCore, head: bytes, octets: bytes, *, by_initiator: bool) -> None:
    """Take a message of IKE_INTERMEDIATE into what AUTH will sign (RFC 9242 3.3.2)."""
    context, secrets = core.context, core.context.negotiated
    so_far = context.intermediate
    # The keys are those from before the exchange; the response is noted before they change.
    if by_initiator:
        of_message = int_auth_of_message(secrets.suite.prf, secrets.keys.sk_pi, so_far.of_initiator, head, octets)
        context.intermediate = replace(so_far, of_initiator=of_message, exchanges=so_far.exchanges + 1)
    else:
        of_message = int_auth_of_message(secrets.suite.prf, secrets.keys.sk_pr, so_far.of_responder, head, octets)
        context.intermediate = replace(so_far, of_responder=of_message)


def show_received(
    core: IkeSaCore, message: Message, inside: Inside | None, payloads: Payloads, fault: str | None = None
) -> None:
    """Show a whole message of the peer's to whoever watches; ``message`` is its last datagram."""
    if core.context.observer is not None:
        datagrams = 1 if inside is None else inside.datagrams
        whole = replace(message, payloads=payloads)
        _show(core, whole, is_protected=inside is not None, datagrams=datagrams, fault=fault)


def show_keys(core: IkeSaCore) -> None:
    """Show the present keys to whoever watches."""
    context = core.context
    if context.observer is not None:
        secrets = context.negotiated
        context.observer.keys(ObservedKeys(context.initiator_spi, context.responder_spi, secrets.suite, secrets.keys))


def _seal(core: IkeSaCore, exchange_type: int, message_id: int, payloads: Payloads, *, is_response: bool) -> Datagrams:
    if core.protection is None:
        raise AssertionError("there are no keys")
    if exchange_type == ExchangeType.IKE_INTERMEDIATE:
        first_payload, octets = serialise_payloads(payloads)
        head = core.protection.head(exchange_type, message_id, first_payload, is_response=is_response)
        note_intermediate(core, head, octets, by_initiator=core.context.is_initiator)
    datagrams = core.protection.seal(exchange_type, message_id, payloads, is_response=is_response)
    if core.context.observer is not None:
        context = core.context
        message = Message(
            *(context.initiator_spi, context.responder_spi, exchange_type, message_id, payloads),
            is_response=is_response,
            is_initiator=context.is_initiator,
        )
        _show(core, message, is_protected=True, datagrams=len(datagrams))
    return datagrams


def _show(core: IkeSaCore, message: Message, *, is_protected: bool, datagrams: int, fault: str | None = None) -> None:
    observer = core.context.observer
    if observer is not None:
        observer.message(
            ObservedMessage(
                path=core.context.path,
                is_outgoing=message.is_initiator == core.context.is_initiator,
                initiator_spi=message.initiator_spi,
                responder_spi=message.responder_spi,
                exchange_type=message.exchange_type,
                message_id=message.message_id,
                is_response=message.is_response,
                is_protected=is_protected,
                datagrams=datagrams,
                payloads=message.payloads,
                fault=fault,
            )
        )
