"""The Notify, Delete and Vendor ID payloads (RFC 7296 3.10, 3.11, 3.12)."""

from __future__ import annotations

import struct
from typing import ClassVar, Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import NOTIFY_TYPES, PROTOCOL_IDS, PayloadType, ProtocolId

_NOTIFY = struct.Struct(">BBH")
_DELETE = struct.Struct(">BBH")

# RFC 7296 3.11: an IKE SA is named by the message header, AH and ESP by 4 octets. RKMP names a key by its KeyID, but
# its Protocol ID is configurable, so any size from 1 on will do for it and for protocols that nobody here knows.
_DELETE_SPI_SIZES: dict[int, int] = {ProtocolId.IKE: 0, ProtocolId.AH: 4, ProtocolId.ESP: 4}


@value
class Notify(Payload):
    """N: an error (below 16384) or a status; ``protocol_id`` and ``spi`` say which SA it is about, if not the IKE SA.

    ``spi`` has at most 255 octets.
    """

    payload_type: ClassVar[PayloadType] = PayloadType.NOTIFY

    notify_type: int
    data: bytes = b""
    protocol_id: int = ProtocolId.NONE
    spi: bytes = b""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        protocol_id, spi_size, notify_type = reader.unpack(_NOTIFY)
        spi = reader.take(spi_size)
        return cls(
            NOTIFY_TYPES.get(notify_type, notify_type),
            reader.rest(),
            PROTOCOL_IDS.get(protocol_id, protocol_id),
            spi,
        )

    def to_bytes(self) -> bytes:
        return _NOTIFY.pack(self.protocol_id, len(self.spi), self.notify_type) + self.spi + self.data


@value
class Delete(Payload):
    """D: the SPIs, all of one size, by which the sender knew SAs that it has deleted.

    Under ``ProtocolId.IKE`` there are none: the IKE SA itself ends. Under any other protocol there is at least one.
    """

    payload_type: ClassVar[PayloadType] = PayloadType.DELETE

    protocol_id: int
    spis: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        offset = reader.offset
        protocol_id, spi_size, count = reader.unpack(_DELETE)
        if (fault := _fault_of_delete(protocol_id, spi_size, count)) is not None:
            raise WireError(fault, offset)
        # The octets are there before anything is made of the count.
        if spi_size * count != reader.remaining:
            raise WireError(f"{count} SPIs of {spi_size} octets in {reader.remaining}", reader.offset)
        spis = tuple([reader.take(spi_size) for _ in range(count)])
        return cls(PROTOCOL_IDS.get(protocol_id, protocol_id), spis)

    def to_bytes(self) -> bytes:
        spi_size = len(self.spis[0]) if self.spis else 0
        if any(len(spi) != spi_size for spi in self.spis):
            raise ValueError("SPIs of different sizes in one Delete")
        if (fault := _fault_of_delete(self.protocol_id, spi_size, len(self.spis))) is not None:
            raise ValueError(fault)
        return _DELETE.pack(self.protocol_id, spi_size, len(self.spis)) + b"".join(self.spis)


def _fault_of_delete(protocol_id: int, spi_size: int, count: int) -> str | None:
    if spi_size != _DELETE_SPI_SIZES.get(protocol_id, spi_size):
        return f"a Delete for protocol {protocol_id} with an SPI size of {spi_size}"
    is_well_counted = count == 0 if protocol_id == ProtocolId.IKE else count * spi_size > 0
    return None if is_well_counted else f"a Delete for protocol {protocol_id} of {count} SPIs of {spi_size} octets"


@value
class VendorId(Payload):
    """V: octets by which implementations of one kind know each other."""

    payload_type: ClassVar[PayloadType] = PayloadType.VENDOR_ID

    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def to_bytes(self) -> bytes:
        return self.data
