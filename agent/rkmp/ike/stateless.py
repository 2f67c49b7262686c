"""Answers to messages that belong to no IKE SA, and what such an answer is worth to the one who gets it.

RFC 7296 1.5, 2.5 and 2.21.4. Nothing here is protected: whoever calls limits how often it answers, and takes what it is
told for a hint.
"""

from __future__ import annotations

from rkmp.ike.addressing import is_opening_request
from rkmp.ike.occurrence import notify_of
from rkmp.wire import MAJOR_VERSION, Header, Message, Notify, NotifyType, WireError


def answer_unknown(datagram: bytes) -> bytes | None:
    """Return the response to a message that no IKE SA is there for; None where there must be none.

    INVALID_MAJOR_VERSION to a request of a higher version, INVALID_IKE_SPI to any other request; opening requests are
    for :meth:`rkmp.ike.IkeSa.respond`.
    """
    try:
        header = Header.parse(datagram)
    except WireError:
        return None
    if header.is_response or header.major_version < MAJOR_VERSION:
        return None
    if header.major_version > MAJOR_VERSION:
        notify = NotifyType.INVALID_MAJOR_VERSION
    elif is_opening_request(header):
        return None
    else:
        notify = NotifyType.INVALID_IKE_SPI
    return Message(
        header.initiator_spi,
        header.responder_spi,
        header.exchange_type,
        header.message_id,
        (Notify(notify),),
        is_response=True,
        is_initiator=not header.is_initiator,
    ).to_bytes()


def hints_at_lost_state(datagram: bytes) -> bool:
    """Return whether a message says, unprotected, that its sender has forgotten the IKE SA that it names (2.4).

    A reason for a liveness check and for nothing else.
    """
    try:
        message = Message.parse(datagram)
    except WireError:
        return False
    return message.is_response and notify_of(NotifyType.INVALID_IKE_SPI, message.payloads) is not None
