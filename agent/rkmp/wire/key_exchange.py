"""The Key Exchange and Nonce payloads (RFC 7296 3.4, 3.9). Their contents mean nothing here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from rkmp.errors import WireError
from rkmp.wire.octets import Reader, Writer
from rkmp.wire.payload import Payload
from rkmp.wire.registries import KEY_EXCHANGE_IDS, PayloadType

_KEY_EXCHANGE = struct.Struct(">H2x")

MIN_NONCE_LENGTH = 16
MAX_NONCE_LENGTH = 256
"""Octets of a nonce, both inclusive (RFC 7296 3.9)."""


@dataclass(frozen=True, slots=True)
class KeyExchange(Payload):
    """KE: a method and its public value, encapsulation key or ciphertext."""

    payload_type: ClassVar[PayloadType] = PayloadType.KE

    method: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (method,) = reader.unpack(_KEY_EXCHANGE)
        return cls(KEY_EXCHANGE_IDS.get(method, method), reader.rest())

    def write(self, writer: Writer) -> None:
        writer.pack(_KEY_EXCHANGE, self.method)
        writer.put(self.data)


@dataclass(frozen=True, slots=True)
class Nonce(Payload):
    """Ni or Nr: 16 to 256 octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.NONCE

    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        offset = reader.offset
        data = reader.rest()
        _check_length(data, offset)
        return cls(data)

    def write(self, writer: Writer) -> None:
        _check_length(self.data, writer.offset)
        writer.put(self.data)


def _check_length(nonce: bytes, offset: int) -> None:
    if not MIN_NONCE_LENGTH <= len(nonce) <= MAX_NONCE_LENGTH:
        raise WireError(f"a nonce of {len(nonce)} octets", offset)
