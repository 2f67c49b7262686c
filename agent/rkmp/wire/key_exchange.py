"""The Key Exchange and Nonce payloads (RFC 7296 3.4, 3.9). Their contents mean nothing here."""

from __future__ import annotations

import struct
from typing import ClassVar, Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import KEY_EXCHANGE_IDS, PayloadType

_KEY_EXCHANGE = struct.Struct(">H2x")

MIN_NONCE_LENGTH = 16
MAX_NONCE_LENGTH = 256
"""Octets of a nonce, both inclusive (RFC 7296 3.9)."""


@value
class KeyExchange(Payload):
    """KE: a method and its public value, encapsulation key or ciphertext."""

    payload_type: ClassVar[PayloadType] = PayloadType.KE

    method: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (method,) = reader.unpack(_KEY_EXCHANGE)
        return cls(KEY_EXCHANGE_IDS.get(method, method), reader.rest())

    def to_bytes(self) -> bytes:
        return _KEY_EXCHANGE.pack(self.method) + self.data


@value
class Nonce(Payload):
    """Ni or Nr: 16 to 256 octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.NONCE

    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        offset = reader.offset
        data = reader.rest()
        if not MIN_NONCE_LENGTH <= len(data) <= MAX_NONCE_LENGTH:
            raise WireError(f"a nonce of {len(data)} octets", offset)
        return cls(data)

    def to_bytes(self) -> bytes:
        if not MIN_NONCE_LENGTH <= len(self.data) <= MAX_NONCE_LENGTH:
            raise ValueError(f"a nonce of {len(self.data)} octets")
        return self.data
