"""Transform substructures: RFC 7296's (3.3.2, 3.3.5), the draft's for TCP-AO (4.1.1.1), and ours for LDP discovery.

Which of them a proposal holds is decided by its Protocol ID before a transform is read (see
:mod:`rkmp.wire.security_association`): the fifth octet is a Transform Type in one and a SendID in the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from rkmp.wire.octets import Reader
from rkmp.wire.registries import AUTH_ALGS, KDFS, LDP_AUTH_ALGS, TRANSFORM_IDS, TRANSFORM_TYPES, AttributeType

_ATTRIBUTE = struct.Struct(">HH")
_TRANSFORM = struct.Struct(">BxH")
_TCP_AO = struct.Struct(">BBBB")
_LDP_DISCOVERY = struct.Struct(">BxxxI")

_ATTRIBUTE_FORMAT = 0x8000
_IGNORE_TCP_OPTIONS = 0x80

TCP_AO_TRANSFORM_BODY_LENGTH = _TCP_AO.size
"""Octets of a TCP-AO transform behind the four of its header; the draft's Transform Length is always 8."""

LDP_DISCOVERY_TRANSFORM_BODY_LENGTH = _LDP_DISCOVERY.size
"""Octets of an LDP discovery transform behind the four of its header; its Transform Length is always 12."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A transform attribute: an ``int`` value of 16 bits is written in the TV format, octets in the TLV format."""

    type: int
    value: int | bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        head, value = reader.unpack(_ATTRIBUTE)
        if head & _ATTRIBUTE_FORMAT:
            return cls(head ^ _ATTRIBUTE_FORMAT, value)
        return cls(head, reader.take(value))

    def to_bytes(self) -> bytes:
        if not 0 <= self.type < _ATTRIBUTE_FORMAT:
            raise ValueError(f"attribute type {self.type} does not fit 15 bits")
        if isinstance(self.value, int):
            return _ATTRIBUTE.pack(self.type | _ATTRIBUTE_FORMAT, self.value)
        return _ATTRIBUTE.pack(self.type, len(self.value)) + self.value


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm of a type (RFC 7296 3.3.2)."""

    transform_type: int
    transform_id: int
    attributes: tuple[Attribute, ...] = ()

    @property
    def key_length(self) -> int | None:
        """The Key Length attribute in bits; None without one, or where it is not in its only legal format, TV."""
        for attribute in self.attributes:
            if attribute.type == AttributeType.KEY_LENGTH and isinstance(attribute.value, int):
                return attribute.value
        return None

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        number, transform_id = reader.unpack(_TRANSFORM)
        attributes: list[Attribute] = []
        while reader.remaining:
            attributes.append(Attribute.parse(reader))
        identifiers = TRANSFORM_IDS.get(number)
        if identifiers is not None:
            transform_id = identifiers.get(transform_id, transform_id)
        return cls(TRANSFORM_TYPES.get(number, number), transform_id, tuple(attributes))

    def to_bytes(self) -> bytes:
        attributes = b"".join([attribute.to_bytes() for attribute in self.attributes])
        return _TRANSFORM.pack(self.transform_type, self.transform_id) + attributes


@dataclass(frozen=True, slots=True)
class TcpAoTransform:
    """One complete alternative for a TCP-AO master key tuple (the draft's 4.1.1.1).

    ``send_id`` is the KeyID that the sender of this transform will put into its segments (0 to 255);
    ``ignore_tcp_options`` is the O bit: set, the MAC leaves TCP options out.
    """

    send_id: int
    auth_alg: int
    kdf: int
    ignore_tcp_options: bool = False

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        send_id, auth_alg, kdf, flags = reader.unpack(_TCP_AO)
        return cls(send_id, AUTH_ALGS.get(auth_alg, auth_alg), KDFS.get(kdf, kdf), flags & _IGNORE_TCP_OPTIONS != 0)

    def to_bytes(self) -> bytes:
        flags = _IGNORE_TCP_OPTIONS if self.ignore_tcp_options else 0
        return _TCP_AO.pack(self.send_id, self.auth_alg, self.kdf, flags)


@dataclass(frozen=True, slots=True)
class LdpDiscoveryTransform:
    """One complete alternative for a key of LDP's targeted Hellos (RFC 7349; G28).

    ``send_id`` is the SA ID that the sender of this transform will put into its Hellos (32 bits). The key is used as it
    is, so that there is no KDF, and no TCP options are concerned.
    """

    send_id: int
    auth_alg: int
    kdf: ClassVar[int] = 0
    ignore_tcp_options: ClassVar[bool] = False

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        auth_alg, send_id = reader.unpack(_LDP_DISCOVERY)
        return cls(send_id, LDP_AUTH_ALGS.get(auth_alg, auth_alg))

    def to_bytes(self) -> bytes:
        return _LDP_DISCOVERY.pack(self.auth_alg, self.send_id)


@dataclass(frozen=True, slots=True)
class UnrecognisedTransform:
    """A transform whose layout is not known here, kept as the octets behind its four-octet header.

    A policy passes over it and looks at the next one.
    """

    body: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def to_bytes(self) -> bytes:
        return self.body
