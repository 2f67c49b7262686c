"""The payloads by which a peer proves itself: CERT, CERTREQ, AUTH and EAP (RFC 7296 3.6 to 3.8, 3.16)."""

from __future__ import annotations

import struct
from typing import ClassVar, Self

from rkmp.value import value
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import AUTH_METHODS, CERT_ENCODINGS, PayloadType

_ENCODING = struct.Struct(">B")
_METHOD = struct.Struct(">B3x")


@value
class _Encoded(Payload):
    encoding: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (encoding,) = reader.unpack(_ENCODING)
        return cls(CERT_ENCODINGS.get(encoding, encoding), reader.rest())

    def to_bytes(self) -> bytes:
        return _ENCODING.pack(self.encoding) + self.data


@value
class Certificate(_Encoded):
    """CERT: one certificate, or what stands for it, in the given encoding."""

    payload_type: ClassVar[PayloadType] = PayloadType.CERT


@value
class CertificateRequest(_Encoded):
    """CERTREQ: for X.509, the SHA-1 hashes of the public keys of acceptable authorities, 20 octets each."""

    payload_type: ClassVar[PayloadType] = PayloadType.CERTREQ


@value
class Authentication(Payload):
    """AUTH: a method and what it made of the signed octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.AUTH

    method: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (method,) = reader.unpack(_METHOD)
        return cls(AUTH_METHODS.get(method, method), reader.rest())

    def to_bytes(self) -> bytes:
        return _METHOD.pack(self.method) + self.data


@value
class Eap(Payload):
    """EAP: an EAP message, opaque here."""

    payload_type: ClassVar[PayloadType] = PayloadType.EAP

    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def to_bytes(self) -> bytes:
        return self.data
