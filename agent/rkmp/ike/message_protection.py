"""Messages of an IKE SA that has keys: payloads in, one protected datagram out, and back (RFC 7296 3.14).

The one place that knows what the integrity check covers. Whether a message may be protected, and what its payloads
mean, is decided elsewhere.
"""

from __future__ import annotations

from typing import final

from rkmp.crypto.protection import Protector
from rkmp.ike.context import Context
from rkmp.wire import Encrypted, Message, Payload, serialise_payloads


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

    def seal(self, exchange_type: int, message_id: int, payloads: tuple[Payload, ...], *, is_response: bool) -> bytes:
        """Return the datagram of a message of ours."""
        context = self._context
        first_payload, plaintext = serialise_payloads(payloads)
        body_length = self._outgoing.body_length(len(plaintext))
        message = Message(
            context.initiator_spi,
            context.responder_spi,
            exchange_type,
            message_id,
            (Encrypted(first_payload, bytes(body_length)),),
            is_response=is_response,
            is_initiator=context.is_initiator,
        )
        associated_data = message.to_bytes()[:-body_length]
        return associated_data + self._outgoing.seal(associated_data, plaintext, context.random)

    def open(self, datagram: bytes, message: Message) -> tuple[int, bytes] | None:
        """Return the type of the first payload inside, and the octets of all.

        None for a message that is not protected, which is nothing but one Encrypted payload. Raises CryptoError when
        the peer cannot have sent it.
        """
        if len(message.payloads) != 1 or not isinstance(message.payloads[0], Encrypted):
            return None
        sealed = message.payloads[0]
        associated_data = datagram[: len(datagram) - len(sealed.body)]
        return sealed.first_payload, self._incoming.open(associated_data, sealed.body)
