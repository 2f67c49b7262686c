"""The fixed header of an IKE message (RFC 7296 3.1)."""

from __future__ import annotations

import struct
from typing import Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.registries import EXCHANGE_TYPES, PAYLOAD_TYPES, PayloadType

_HEADER = struct.Struct(">8s8sBBBBII")

HEADER_LENGTH = _HEADER.size
"""Octets of the header: 28."""

SPI_LENGTH = 8
"""Octets of an IKE SPI."""

MAJOR_VERSION = 2
"""The version that the rest of this package can read."""

_RESPONSE = 0x20
_INITIATOR = 0x08


@value
class Header:
    """What the first 28 octets say.

    SPIs are 8 octets, ``message_id`` and ``length`` (of the whole message, header included) have 32 bits.
    ``is_initiator``: the sender is the original initiator of the IKE SA, whoever requested this exchange.
    """

    initiator_spi: bytes
    responder_spi: bytes
    exchange_type: int
    message_id: int
    is_response: bool
    is_initiator: bool
    major_version: int = MAJOR_VERSION
    minor_version: int = 0
    first_payload: int = PayloadType.NONE
    length: int = HEADER_LENGTH

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of ``octets``, of whatever version, and look no further.

        Raises WireError when there are fewer than 28 octets.
        """
        if len(octets) < HEADER_LENGTH:
            raise WireError(f"a message of {len(octets)} octets has no room for its header", len(octets))
        initiator_spi, responder_spi, first_payload, version, exchange_type, flags, message_id, length = (
            _HEADER.unpack_from(octets)
        )
        return cls(
            initiator_spi,
            responder_spi,
            EXCHANGE_TYPES.get(exchange_type, exchange_type),
            message_id,
            flags & _RESPONSE != 0,
            flags & _INITIATOR != 0,
            version >> 4,
            version & 0x0F,
            PAYLOAD_TYPES.get(first_payload, first_payload),
            length,
        )

    def to_bytes(self) -> bytes:
        """Return the 28 octets; WireError when a value does not fit its field."""
        if len(self.initiator_spi) != SPI_LENGTH or len(self.responder_spi) != SPI_LENGTH:
            raise WireError("an IKE SPI has 8 octets", 0)
        if not (0 <= self.major_version <= 0x0F and 0 <= self.minor_version <= 0x0F):
            raise WireError(f"version {self.major_version}.{self.minor_version} does not fit 2 x 4 bits", 17)
        flags = (_RESPONSE if self.is_response else 0) | (_INITIATOR if self.is_initiator else 0)
        try:
            return _HEADER.pack(
                self.initiator_spi,
                self.responder_spi,
                self.first_payload,
                self.major_version << 4 | self.minor_version,
                self.exchange_type,
                flags,
                self.message_id,
                self.length,
            )
        except struct.error as misfit:
            raise WireError(f"a value does not fit its field: {misfit}", SPI_LENGTH * 2) from misfit
