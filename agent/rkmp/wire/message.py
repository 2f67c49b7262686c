"""Whole messages, and the chain of payloads that they and Encrypted payloads hold (RFC 7296 3.1, 3.2).

The one place that knows which class reads which payload type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.authentication import Authentication, Certificate, CertificateRequest, Eap
from rkmp.wire.code_points import DEFAULT_CODE_POINTS, CodePoints
from rkmp.wire.configuration import Configuration
from rkmp.wire.encrypted import Encrypted, EncryptedFragment
from rkmp.wire.header import HEADER_LENGTH, MAJOR_VERSION, Header
from rkmp.wire.identification import IdInitiator, IdResponder
from rkmp.wire.key_exchange import KeyExchange, Nonce
from rkmp.wire.notify import Delete, Notify, VendorId
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import PAYLOAD_TYPES, PayloadType
from rkmp.wire.security_association import SecurityAssociation
from rkmp.wire.traffic_selectors import TrafficSelectorsInitiator, TrafficSelectorsResponder

_GENERIC_HEADER = struct.Struct(">BBH")
_CRITICAL = 0x80
# The member itself: finding it by its name takes as long as unpacking a header.
_NONE = PayloadType.NONE

_PARSERS: Mapping[int, Callable[[Reader], Payload]] = MappingProxyType(
    {
        PayloadType.KE: KeyExchange.parse,
        PayloadType.ID_I: IdInitiator.parse,
        PayloadType.ID_R: IdResponder.parse,
        PayloadType.CERT: Certificate.parse,
        PayloadType.CERTREQ: CertificateRequest.parse,
        PayloadType.AUTH: Authentication.parse,
        PayloadType.NONCE: Nonce.parse,
        PayloadType.NOTIFY: Notify.parse,
        PayloadType.DELETE: Delete.parse,
        PayloadType.VENDOR_ID: VendorId.parse,
        PayloadType.CP: Configuration.parse,
        PayloadType.EAP: Eap.parse,
    }
)

_CODE_POINT_PARSERS: Mapping[int, Callable[[Reader, CodePoints], Payload]] = MappingProxyType(
    {
        PayloadType.SA: SecurityAssociation.parse,
        PayloadType.TS_I: TrafficSelectorsInitiator.parse,
        PayloadType.TS_R: TrafficSelectorsResponder.parse,
    }
)

_SEALED_PARSERS: Mapping[int, Callable[[Reader, int], Encrypted | EncryptedFragment]] = MappingProxyType(
    {
        PayloadType.SK: Encrypted.parse,
        PayloadType.SKF: EncryptedFragment.parse,
    }
)

KNOWN_PAYLOAD_TYPES = frozenset(_PARSERS) | frozenset(_CODE_POINT_PARSERS) | frozenset(_SEALED_PARSERS)
"""The payload types that have a class of their own; for all others the critical bit counts (RFC 7296 2.5)."""


@value
class UnknownPayload(Payload):
    """A payload that this package cannot read, kept as it came.

    ``critical``: the sender wants the whole message refused if that is so (RFC 7296 2.5), which is up to the reader.
    """

    payload_type: int
    critical: bool
    data: bytes

    def to_bytes(self) -> bytes:
        if self.payload_type in KNOWN_PAYLOAD_TYPES or self.payload_type == PayloadType.NONE:
            raise ValueError(f"payload type {self.payload_type} is not unknown")
        return self.data


@value
class Message:
    """An IKE message of version 2; the meaning of the fields that it shares with :class:`Header` is told there.

    An :class:`Encrypted` or :class:`EncryptedFragment` payload can only be the last one.
    """

    initiator_spi: bytes
    responder_spi: bytes
    exchange_type: int
    message_id: int
    payloads: tuple[Payload, ...]
    is_response: bool = False
    is_initiator: bool = False

    @classmethod
    def parse(cls, octets: bytes, code_points: CodePoints = DEFAULT_CODE_POINTS, header: Header | None = None) -> Self:
        """Return the message that ``octets`` are, exactly; ``code_points`` are those that RKMP runs under.

        ``header`` is theirs, where it was read already. Reserved fields, the minor version and critical bits of known
        payloads are ignored. Raises WireError.
        """
        if header is None:
            header = Header.parse(octets)
        if header.major_version != MAJOR_VERSION:
            raise WireError(f"major version {header.major_version}", 17)
        if header.length != len(octets):
            raise WireError(f"a message of {len(octets)} octets that claims to have {header.length}", 24)
        reader = Reader(octets, HEADER_LENGTH, len(octets))
        return cls(
            header.initiator_spi,
            header.responder_spi,
            header.exchange_type,
            header.message_id,
            _parse_chain(reader, header.first_payload, code_points, may_be_sealed=True),
            header.is_response,
            header.is_initiator,
        )

    def to_bytes(self) -> bytes:
        """Return the octets of the message; WireError when a value does not fit its field."""
        first_payload, chain = _serialise_chain(self.payloads, HEADER_LENGTH, may_be_sealed=True)
        return self._header(first_payload, HEADER_LENGTH + len(chain)) + chain

    def head(self, body_length: int) -> bytes:
        """Return the octets before the body of the one payload, an Encrypted one, when that has ``body_length`` octets.

        They are the associated data of RFC 5282 5.1. The body in the payload is left empty. Raises WireError.
        """
        (payload,) = self.payloads
        if not isinstance(payload, Encrypted | EncryptedFragment) or payload.body:
            raise AssertionError("only a payload that is yet to be sealed has a head")
        fields = payload.to_bytes()
        length = _GENERIC_HEADER.size + len(fields) + body_length
        try:
            generic_header = _GENERIC_HEADER.pack(payload.first_payload, 0, length)
        except struct.error as misfit:
            raise WireError(f"a value does not fit its field: {misfit}", HEADER_LENGTH) from misfit
        return self._header(payload.payload_type, HEADER_LENGTH + length) + generic_header + fields

    def _header(self, first_payload: int, length: int) -> bytes:
        return Header(
            self.initiator_spi,
            self.responder_spi,
            self.exchange_type,
            self.message_id,
            self.is_response,
            self.is_initiator,
            first_payload=first_payload,
            length=length,
        ).to_bytes()


def parse_payloads(
    first_payload: int, octets: bytes, code_points: CodePoints = DEFAULT_CODE_POINTS
) -> tuple[Payload, ...]:
    """Return the payloads that were inside an Encrypted payload, the first of type ``first_payload``.

    Raises WireError, also for an Encrypted payload in there.
    """
    return _parse_chain(Reader(octets, 0, len(octets)), first_payload, code_points, may_be_sealed=False)


def serialise_payloads(payloads: Sequence[Payload]) -> tuple[int, bytes]:
    """Return the type of the first payload (NONE without any) and the octets of all, for an Encrypted payload.

    Raises WireError when a value does not fit its field, and for an Encrypted payload among them.
    """
    return _serialise_chain(payloads, 0, may_be_sealed=False)


def _parse_chain(
    reader: Reader, following: int, code_points: CodePoints, *, may_be_sealed: bool
) -> tuple[Payload, ...]:
    payloads: list[Payload] = []
    while following != _NONE:
        start = reader.offset
        current = following
        (following, flags, _), body = reader.structure(_GENERIC_HEADER)
        if (parse := _PARSERS.get(current)) is not None:
            payloads.append(parse(body))
        elif (parse_with_code_points := _CODE_POINT_PARSERS.get(current)) is not None:
            payloads.append(parse_with_code_points(body, code_points))
        elif (parse_sealed := _SEALED_PARSERS.get(current)) is not None:
            if not may_be_sealed:
                raise WireError("an Encrypted payload inside another", start)
            payloads.append(parse_sealed(body, following))
            # RFC 7296 3.14: it is the last payload, and its Next Payload field is about what is inside.
            following = _NONE
        else:
            known = PAYLOAD_TYPES.get(current, current)
            payloads.append(UnknownPayload(known, flags & _CRITICAL != 0, body.rest()))
        body.finish()
    reader.finish()
    return tuple(payloads)


def _serialise_chain(payloads: Sequence[Payload], start: int, *, may_be_sealed: bool) -> tuple[int, bytes]:
    """Return the type of the first payload and the octets of all, which begin at octet ``start`` of something."""
    types = [*[payload.payload_type for payload in payloads], _NONE]
    chain: list[bytes] = []
    offset = start
    for payload, following in zip(payloads, types[1:], strict=True):
        flags = 0
        if isinstance(payload, UnknownPayload):
            flags = _CRITICAL if payload.critical else 0
        elif isinstance(payload, Encrypted | EncryptedFragment):
            if not may_be_sealed:
                raise WireError("an Encrypted payload inside another", offset)
            if following != _NONE:
                raise WireError("a payload after an Encrypted payload", offset)
            following = payload.first_payload
        try:
            body = payload.to_bytes()
            length = _GENERIC_HEADER.size + len(body)
            chain += (_GENERIC_HEADER.pack(following, flags, length), body)
        except struct.error as misfit:
            raise WireError(f"a value does not fit its field: {misfit}", offset) from misfit
        except ValueError as misfit:
            raise WireError(str(misfit), offset) from misfit
        offset += length
    return types[0], b"".join(chain)
