"""The Identification payloads (RFC 7296 3.5): who the sender is, or whom the initiator wants to reach."""

from __future__ import annotations

import struct
from typing import ClassVar, Self

from rkmp.value import value
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import ID_TYPES, PayloadType

_IDENTIFICATION = struct.Struct(">B3x")


@value
class _Identification(Payload):
    id_type: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (id_type,) = reader.unpack(_IDENTIFICATION)
        return cls(ID_TYPES.get(id_type, id_type), reader.rest())

    def to_bytes(self) -> bytes:
        """Return the payload without its generic header: what AUTH is computed over (RFC 7296 2.15)."""
        return _IDENTIFICATION.pack(self.id_type) + self.data


@value
class IdInitiator(_Identification):
    """IDi: an identification type and its octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.ID_I


@value
class IdResponder(_Identification):
    """IDr: an identification type and its octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.ID_R
