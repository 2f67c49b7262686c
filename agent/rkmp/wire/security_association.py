"""The Security Association payload: proposals and what they hold (RFC 7296 3.3, 3.3.1; the draft's 4.1).

Knows how a proposal is laid out, not which one to choose.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self, TypeVar

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.code_points import CodePoints
from rkmp.wire.octets import Reader
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

_LONGEST_REMEMBERED = 256
_MOST_REMEMBERED = 256
"""Peers of one operator offer the same proposals, octet for octet, with every handshake, and reading those costs more
than all other payloads together. Nobody can make us remember more than this many bodies of so many octets."""

RkmpTransform = TcpAoTransform | LdpDiscoveryTransform | UnrecognisedTransform

_TransformT = TypeVar("_TransformT")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One alternative of RFC 7296: a protocol, the sender's SPI for it, and transforms to choose from by type."""

    number: int
    protocol_id: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def to_bytes(self, *, last: bool) -> bytes:
        if self.protocol_id not in PROTOCOL_IDS:
            raise ValueError(f"protocol {self.protocol_id} has no transforms of RFC 7296")
        return _serialise(self, last=last)


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

    def to_bytes(self, *, last: bool) -> bytes:
        if self.protocol_id in PROTOCOL_IDS:
            raise ValueError(f"protocol {self.protocol_id} has transforms of RFC 7296")
        return _serialise(self, last=last)


@value
class SecurityAssociation(Payload):
    """SA: one or more proposals, the most preferred first, numbered consecutively."""

    payload_type: ClassVar[PayloadType] = PayloadType.SA

    proposals: tuple[Proposal | RkmpProposal, ...]

    @classmethod
    def parse(cls, reader: Reader, code_points: CodePoints) -> Self:
        if reader.remaining > _LONGEST_REMEMBERED:
            return cls(_parse_proposals(reader, code_points))
        start = reader.offset
        try:
            return cls(_remembered_proposals(reader.rest(), code_points))
        except WireError as misfit:
            raise WireError(misfit.reason, start + misfit.offset) from None

    def to_bytes(self) -> bytes:
        if not self.proposals:
            raise ValueError("a Security Association payload needs a proposal")
        serialised: list[bytes] = []
        following: int | None = None
        last = self.proposals[-1]
        for proposal in self.proposals:
            if (fault := _fault_of_number(proposal.number, following)) is not None:
                raise ValueError(fault)
            following = proposal.number + 1
            serialised.append(proposal.to_bytes(last=proposal is last))
        return b"".join(serialised)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _remembered_proposals(body: bytes, code_points: CodePoints) -> tuple[Proposal | RkmpProposal, ...]:
    reader = Reader(body, 0, len(body))
    proposals = _parse_proposals(reader, code_points)
    reader.finish()
    return proposals


def _parse_proposals(reader: Reader, code_points: CodePoints) -> tuple[Proposal | RkmpProposal, ...]:
    proposals: list[Proposal | RkmpProposal] = []
    following: int | None = None
    more = True
    while more:
        start = reader.offset
        last_substruc, length, number, protocol_id, spi_size, count = reader.unpack(_PROPOSAL)
        body = reader.nested(length - _PROPOSAL.size)
        more = _more_follow(last_substruc, _MORE_PROPOSALS, start)
        fault = _fault_of_number(number, following) or _fault_of_spi_size(protocol_id, spi_size)
        if fault is not None:
            raise WireError(fault, start)
        following = number + 1
        spi = body.take(spi_size)
        proposals.append(_parse_proposal(body, number, protocol_id, spi, count, code_points))
        body.finish()
    return tuple(proposals)


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
        (last_substruc, _), transform = body.structure(_SUBSTRUCTURE)
        if _more_follow(last_substruc, _MORE_TRANSFORMS, start) != (index < count - 1):
            raise WireError(f"Last Substruc {last_substruc} in transform {index + 1} of {count}", start)
        transforms.append(parse(transform))
        transform.finish()
    return tuple(transforms)


def _serialise(proposal: Proposal | RkmpProposal, *, last: bool) -> bytes:
    spi, count = proposal.spi, len(proposal.transforms)
    if (fault := _fault_of_spi_size(proposal.protocol_id, len(spi))) is not None:
        raise ValueError(fault)
    transforms: list[bytes] = []
    for index, transform in enumerate(proposal.transforms, start=1):
        body = transform.to_bytes()
        more = _MORE_TRANSFORMS if index < count else _LAST
        transforms.append(_SUBSTRUCTURE.pack(more, _SUBSTRUCTURE.size + len(body)) + body)
    inside = spi + b"".join(transforms)
    length = _PROPOSAL.size + len(inside)
    last_substruc = _LAST if last else _MORE_PROPOSALS
    return _PROPOSAL.pack(last_substruc, length, proposal.number, proposal.protocol_id, len(spi), count) + inside


def _more_follow(last_substruc: int, more: int, offset: int) -> bool:
    if last_substruc not in (_LAST, more):
        raise WireError(f"Last Substruc {last_substruc}", offset)
    return last_substruc == more


def _fault_of_number(number: int, following: int | None) -> str | None:
    # RFC 7296 3.3.1: from 1 on in steps of one; an answer has the number of the proposal that it accepts.
    if number == 0 or (following is not None and number != following):
        return f"proposal number {number} is out of order"
    return None


def _fault_of_spi_size(protocol_id: int, spi_size: int) -> str | None:
    if spi_size not in _SPI_SIZES.get(protocol_id, (spi_size,)):
        return f"an SPI of {spi_size} octets for protocol {protocol_id}"
    return None
