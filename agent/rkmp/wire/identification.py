"""The Identification payloads (RFC 7296 3.5): who the sender is, or whom the initiator wants to reach."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from rkmp.wire.octets import Reader, Writer
from rkmp.wire.payload import Payload
from rkmp.wire.registries import ID_TYPES, PayloadType

_IDENTIFICATION = struct.Struct(">B3x")


@dataclass(frozen=True, slots=True)
class _Identification(Payload):
    id_type: int
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        (id_type,) = reader.unpack(_IDENTIFICATION)
        return cls(ID_TYPES.get(id_type, id_type), reader.rest())

    def write(self, writer: Writer) -> None:
        writer.pack(_IDENTIFICATION, self.id_type)
        writer.put(self.data)

    def body(self) -> bytes:
        """Return the payload without its generic header: what AUTH is computed over (RFC 7296 2.15)."""
        writer = Writer()
        self.write(writer)
        return writer.octets()


@dataclass(frozen=True, slots=True)
class IdInitiator(_Identification):
    """IDi: an identification type and its octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.ID_I


@dataclass(frozen=True, slots=True)
class IdResponder(_Identification):
    """IDr: an identification type and its octets."""

    payload_type: ClassVar[PayloadType] = PayloadType.ID_R
