"""The Encrypted payload and its fragment (RFC 7296 3.14, RFC 7383 2.5), with their contents still sealed.

Each is the last payload of its message, so what comes before its ``body`` is what the integrity check covers besides
it: ``message[: -len(body)]`` is the associated data of RFC 5282 section 5.1.
"""

from __future__ import annotations

import struct
from typing import ClassVar, Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import PAYLOAD_TYPES, PayloadType

_FRAGMENT = struct.Struct(">HH")


@value
class Encrypted(Payload):
    """SK: ``first_payload`` is the type of the first payload inside, ``body`` the IV, ciphertext and ICV."""

    payload_type: ClassVar[PayloadType] = PayloadType.SK

    first_payload: int
    body: bytes

    @classmethod
    def parse(cls, reader: Reader, first_payload: int) -> Self:
        return cls(PAYLOAD_TYPES.get(first_payload, first_payload), reader.rest())

    def to_bytes(self) -> bytes:
        return self.body


@value
class EncryptedFragment(Payload):
    """SKF: piece ``fragment_number`` (from 1) of ``total_fragments``, each sealed for itself.

    ``first_payload`` is that of the whole message in the first fragment, and NONE in the others.
    """

    payload_type: ClassVar[PayloadType] = PayloadType.SKF

    first_payload: int
    fragment_number: int
    total_fragments: int
    body: bytes

    @classmethod
    def parse(cls, reader: Reader, first_payload: int) -> Self:
        offset = reader.offset
        number, total = reader.unpack(_FRAGMENT)
        if not 1 <= number <= total:
            raise WireError(f"fragment {number} of {total}", offset)
        return cls(PAYLOAD_TYPES.get(first_payload, first_payload), number, total, reader.rest())

    def to_bytes(self) -> bytes:
        if not 1 <= self.fragment_number <= self.total_fragments:
            raise ValueError(f"fragment {self.fragment_number} of {self.total_fragments}")
        return _FRAGMENT.pack(self.fragment_number, self.total_fragments) + self.body
