"""Messages of an IKE SA that has keys: payloads in, protected datagrams out, and back (RFC 7296 3.14, RFC 7383 2.5).

The one place that knows what the integrity check covers. Whether a message may be protected, and what its payloads
mean, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

from rkmp.crypto.protection import Protector
from rkmp.ike.context import Context
from rkmp.ike.reassembly import Inside
from rkmp.wire import (
    HEADER_LENGTH,
    Encrypted,
    EncryptedFragment,
    Message,
    Payload,
    PayloadType,
    serialise_payloads,
)

_GENERIC_HEADER_LENGTH = 4
_FRAGMENT_FIELDS_LENGTH = 4


@final
class MessageProtection:
    """Both directions of one IKE SA."""

    __slots__ = ("_context", "_incoming", "_outgoing")

    def __init__(self, context: Context) -> None:
        suite, keys = context.negotiated.suite, context.negotiated.keys
        initiator = Protector(suite, keys.sk_ei, keys.sk_ai)
        responder = Protector(suite, keys.sk_er, keys.sk_ar)
        self._context = context
        self._outgoing, self._incoming = (initiator, responder) if context.is_initiator else (responder, initiator)

    def seal(
        self, exchange_type: int, message_id: int, payloads: tuple[Payload, ...], *, is_response: bool
    ) -> tuple[bytes, ...]:
        """Return the datagrams of a message of ours: several where it is long and the peer can put it together."""
        first_payload, plaintext = serialise_payloads(payloads)
        whole = self._message(exchange_type, message_id, Encrypted(first_payload, b""), is_response=is_response)
        body_length = self._outgoing.body_length(len(plaintext))
        limit = self._context.fragment_limit
        if limit is None or HEADER_LENGTH + _GENERIC_HEADER_LENGTH + body_length <= limit:
            return (self._sealed(whole, plaintext),)
        size = self._piece_length(limit)
        pieces = [plaintext[start : start + size] for start in range(0, len(plaintext), size)]
        first_payloads = (first_payload, *(PayloadType.NONE for _ in pieces[1:]))
        fragments = (
            EncryptedFragment(first, number, len(pieces), b"") for number, first in enumerate(first_payloads, start=1)
        )
        return tuple(
            self._sealed(replace(whole, payloads=(fragment,)), piece)
            for fragment, piece in zip(fragments, pieces, strict=True)
        )

    def head(self, exchange_type: int, message_id: int, first_payload: int, *, is_response: bool) -> bytes:
        """Return the octets of a message of ours up to the generic header of its Encrypted payload, if it is whole."""
        whole = self._message(exchange_type, message_id, Encrypted(first_payload, b""), is_response=is_response)
        return whole.head(body_length=0)

    def open(self, datagram: bytes, message: Message) -> Inside | None:
        """Return what is inside of a message, or of the fragment of one.

        None for a message that is not protected, which is nothing but one Encrypted or Encrypted Fragment payload.
        Raises CryptoError when the peer cannot have sent it.
        """
        if len(message.payloads) != 1:
            return None
        match message.payloads[0]:
            case Encrypted(first_payload, body):
                associated_data = head = datagram[: len(datagram) - len(body)]
            case EncryptedFragment(first_payload, _, _, body):
                associated_data = datagram[: len(datagram) - len(body)]
                head = associated_data[:-_FRAGMENT_FIELDS_LENGTH]
            case _:
                return None
        return Inside(first_payload, self._incoming.open(associated_data, body), head, datagram)

    def _message(self, exchange_type: int, message_id: int, payload: Payload, *, is_response: bool) -> Message:
        context = self._context
        return Message(
            context.initiator_spi,
            context.responder_spi,
            exchange_type,
            message_id,
            (payload,),
            is_response=is_response,
            is_initiator=context.is_initiator,
        )

    def _sealed(self, message: Message, plaintext: bytes) -> bytes:
        """Return ``message`` with ``plaintext`` sealed in its one payload."""
        associated_data = message.head(self._outgoing.body_length(len(plaintext)))
        return associated_data + self._outgoing.seal(associated_data, plaintext, self._context.random)

    def _piece_length(self, limit: int) -> int:
        """Return how many octets to put into a fragment so that its message has no more than ``limit``."""
        room = limit - HEADER_LENGTH - _GENERIC_HEADER_LENGTH - _FRAGMENT_FIELDS_LENGTH
        length = room - self._outgoing.body_length(0)
        # With a block cipher, body_length(0) has padding in it that a longer piece makes use of.
        while self._outgoing.body_length(length + 1) <= room:
            length += 1
        return length
