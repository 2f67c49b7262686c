"""The Security Association payload: proposals and what they hold (RFC 7296 3.3, 3.3.1; the draft's 4.1).

Knows how a proposal is laid out, not which one to choose.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from rkmp.errors import WireError
from rkmp.wire.code_points import CodePoints
from rkmp.wire.octets import Reader, Writer
from rkmp.wire.payload import Payload
from rkmp.wire.registries import PROTOCOL_IDS, PayloadType, ProtocolId
from rkmp.wire.transforms import (
    LDP_DISCOVERY_TRANSFORM_BODY_LENGTH,
    TCP_AO_TRANSFORM_BODY_LENGTH,
    LdpDiscoveryTransform,
    TcpAoTransform,
    Transform,
    UnrecognisedTransform,
)

_PROPOSAL = struct.Struct(">BxHBBBB")
_SUBSTRUCTURE = struct.Struct(">BxH")

# RFC 7296 3.3.1 and 3.3.2: Last Substruc tells that another one of the same kind follows; 0 that none does.
_LAST = 0
_MORE_PROPOSALS = 2
_MORE_TRANSFORMS = 3

_SPI_SIZES: dict[int, tuple[int, ...]] = {
    # 0 in IKE_SA_INIT, where the SPI is in the message header; 8 when an IKE SA is rekeyed.
    ProtocolId.IKE: (0, 8),
    ProtocolId.AH: (4,),
    ProtocolId.ESP: (4,),
}


RkmpTransform = TcpAoTransform | LdpDiscoveryTransform | UnrecognisedTransform

_TransformT = TypeVar("_TransformT")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One alternative of RFC 7296: a protocol, the sender's SPI for it, and transforms to choose from by type."""

    number: int
    protocol_id: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def write(self, writer: Writer, *, last: bool) -> None:
        if self.protocol_id not in PROTOCOL_IDS:
            raise WireError(f"protocol {self.protocol_id} has no transforms of RFC 7296", writer.offset)
        _write_proposal(writer, self, last=last)


@dataclass(frozen=True, slots=True)
class RkmpProposal:
    """A proposal whose transforms are not RFC 7296's: each is a complete alternative in itself.

    Under the TCP-AO code point those of 8 octets are :class:`TcpAoTransform`, under that of LDP discovery those of 12
    are :class:`LdpDiscoveryTransform`. Everything else is kept opaque: transforms of another length, and all those of
    protocols that nobody here knows.
    """

    number: int
    protocol_id: int
    spi: bytes
    transforms: tuple[RkmpTransform, ...]

    def write(self, writer: Writer, *, last: bool) -> None:
        if self.protocol_id in PROTOCOL_IDS:
            raise WireError(f"protocol {self.protocol_id} has transforms of RFC 7296", writer.offset)
        _write_proposal(writer, self, last=last)


@dataclass(frozen=True, slots=True)
class SecurityAssociation(Payload):
    """SA: one or more proposals, the most preferred first, numbered consecutively."""

    payload_type: ClassVar[PayloadType] = PayloadType.SA

    proposals: tuple[Proposal | RkmpProposal, ...]

    @classmethod
    def parse(cls, reader: Reader, code_points: CodePoints) -> Self:
        proposals: list[Proposal | RkmpProposal] = []
        following: int | None = None
        more = True
        while more:
            start = reader.offset
            last_substruc, length, number, protocol_id, spi_size, count = reader.unpack(_PROPOSAL)
            body = reader.nested(length - _PROPOSAL.size)
            more = _more_follow(last_substruc, _MORE_PROPOSALS, start)
            _check_number(number, following, start)
            following = number + 1
            _check_spi_size(protocol_id, spi_size, start)
            spi = body.take(spi_size)
            proposals.append(_parse_proposal(body, number, protocol_id, spi, count, code_points))
            body.finish()
        return cls(tuple(proposals))

    def write(self, writer: Writer) -> None:
        if not self.proposals:
            raise WireError("a Security Association payload needs a proposal", writer.offset)
        following: int | None = None
        last = self.proposals[-1]
        for proposal in self.proposals:
            _check_number(proposal.number, following, writer.offset)
            following = proposal.number + 1
            proposal.write(writer, last=proposal is last)


def _parse_proposal(
    body: Reader, number: int, protocol_id: int, spi: bytes, count: int, code_points: CodePoints
) -> Proposal | RkmpProposal:
    # The protocol comes first: in an RKMP transform the octet of the Transform Type is a SendID, which may well be 1.
    if protocol_id == code_points.tcp_ao_protocol:
        return RkmpProposal(number, protocol_id, spi, _parse_transforms(body, count, _parse_tcp_ao_transform))
    if protocol_id == code_points.ldp_discovery_protocol:
        return RkmpProposal(number, protocol_id, spi, _parse_transforms(body, count, _parse_ldp_discovery_transform))
    known = PROTOCOL_IDS.get(protocol_id)
    if known is None:
        return RkmpProposal(number, protocol_id, spi, _parse_transforms(body, count, UnrecognisedTransform.parse))
    return Proposal(number, known, spi, _parse_transforms(body, count, Transform.parse))


def _parse_tcp_ao_transform(reader: Reader) -> RkmpTransform:
    if reader.remaining == TCP_AO_TRANSFORM_BODY_LENGTH:
        return TcpAoTransform.parse(reader)
    return UnrecognisedTransform.parse(reader)


def _parse_ldp_discovery_transform(reader: Reader) -> RkmpTransform:
    if reader.remaining == LDP_DISCOVERY_TRANSFORM_BODY_LENGTH:
        return LdpDiscoveryTransform.parse(reader)
    return UnrecognisedTransform.parse(reader)


def _parse_transforms(body: Reader, count: int, parse: Callable[[Reader], _TransformT]) -> tuple[_TransformT, ...]:
    transforms: list[_TransformT] = []
    for index in range(count):
        start = body.offset
        last_substruc, length = body.unpack(_SUBSTRUCTURE)
        transform = body.nested(length - _SUBSTRUCTURE.size)
        if _more_follow(last_substruc, _MORE_TRANSFORMS, start) != (index < count - 1):
            raise WireError(f"Last Substruc {last_substruc} in transform {index + 1} of {count}", start)
        transforms.append(parse(transform))
        transform.finish()
    return tuple(transforms)


def _write_proposal(writer: Writer, proposal: Proposal | RkmpProposal, *, last: bool) -> None:
    _check_spi_size(proposal.protocol_id, len(proposal.spi), writer.offset)
    start = writer.offset
    count = len(proposal.transforms)
    writer.pack(
        _PROPOSAL,
        _LAST if last else _MORE_PROPOSALS,
        0,
        proposal.number,
        proposal.protocol_id,
        len(proposal.spi),
        count,
    )
    writer.put(proposal.spi)
    for index, transform in enumerate(proposal.transforms, start=1):
        transform_start = writer.offset
        writer.pack(_SUBSTRUCTURE, _MORE_TRANSFORMS if index < count else _LAST, 0)
        transform.write(writer)
        writer.set_length(transform_start + 2, transform_start)
    writer.set_length(start + 2, start)


def _more_follow(last_substruc: int, more: int, offset: int) -> bool:
    if last_substruc not in (_LAST, more):
        raise WireError(f"Last Substruc {last_substruc}", offset)
    return last_substruc == more


def _check_number(number: int, following: int | None, offset: int) -> None:
    # RFC 7296 3.3.1: from 1 on in steps of one; an answer has the number of the proposal that it accepts.
    if number == 0 or (following is not None and number != following):
        raise WireError(f"proposal number {number} is out of order", offset)


def _check_spi_size(protocol_id: int, spi_size: int, offset: int) -> None:
    if spi_size not in _SPI_SIZES.get(protocol_id, (spi_size,)):
        raise WireError(f"an SPI of {spi_size} octets for protocol {protocol_id}", offset)
