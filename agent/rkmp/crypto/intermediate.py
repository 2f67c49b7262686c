"""What AUTH signs of IKE_INTERMEDIATE exchanges (RFC 9242 3.3.2).

Works on the octets of messages, because it has to see them as they would be without encryption and fragments; the rest
of the package sees payloads.
"""

from __future__ import annotations

import struct

from rkmp.crypto.prf import prf
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import HEADER_LENGTH, PayloadType

_FIRST_PAYLOAD = 16
_MESSAGE_LENGTH = 24
_GENERIC_HEADER = struct.Struct("!BxH")
_LENGTH = struct.Struct("!I")
_PAYLOAD_LENGTH = struct.Struct("!H")
_MESSAGE_ID = struct.Struct("!I")


def int_auth_of_message(prf_id: int, sk_p: Secret, previous: bytes, head: bytes, inner: bytes) -> bytes:
    """Return IntAuth_xn after one message of an IKE_INTERMEDIATE exchange.

    ``sk_p`` is SK_pi for the initiator's messages and SK_pr for the responder's, of the keys that protect the message.
    ``previous`` is the result for that side's message in the exchange before, empty in the first. ``head`` are the
    octets of the message from the IKE header to the generic header of its Encrypted payload, or of the Encrypted
    Fragment payload of its first fragment; ``inner`` the payloads inside, of all fragments. Raises CryptoError when
    ``head`` is not that.
    """
    whole = bytearray(head)
    next_payload, end = _FIRST_PAYLOAD, HEADER_LENGTH
    while len(whole) >= end + _GENERIC_HEADER.size and whole[next_payload] not in (PayloadType.SK, PayloadType.SKF):
        next_payload = end
        end += max(_GENERIC_HEADER.unpack_from(whole, end)[1], _GENERIC_HEADER.size)
    if len(whole) != end + _GENERIC_HEADER.size:
        raise CryptoError("the octets do not end with the header of an Encrypted payload")
    # As it would be in one piece, and with lengths that count no IV, padding and integrity check.
    whole[next_payload] = PayloadType.SK
    _LENGTH.pack_into(whole, _MESSAGE_LENGTH, len(head) + len(inner))
    _PAYLOAD_LENGTH.pack_into(whole, end + 2, _GENERIC_HEADER.size + len(inner))
    return prf(prf_id, sk_p, previous + bytes(whole) + inner)


def int_auth(of_initiator: bytes, of_responder: bytes, message_id: int) -> bytes:
    """Return IntAuth, which both sides sign: what the last exchange led to, and the Message ID of IKE_AUTH."""
    return of_initiator + of_responder + _MESSAGE_ID.pack(message_id)
