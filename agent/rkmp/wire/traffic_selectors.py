"""The Traffic Selector payloads (RFC 7296 3.13) and the selector of a routing protocol (the draft's 4.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Self

from rkmp.errors import WireError
from rkmp.value import value
from rkmp.wire.code_points import DEFAULT_CODE_POINTS, CodePoints
from rkmp.wire.octets import Reader
from rkmp.wire.payload import Payload
from rkmp.wire.registries import ROUTING_PROTOCOLS, PayloadType, TrafficSelectorType

_COUNT = struct.Struct(">B3x")
_SELECTOR = struct.Struct(">BBH")
_IPV4_RANGE = struct.Struct(">HH4s4s")
_IPV6_RANGE = struct.Struct(">HH16s16s")

_LONGEST_REMEMBERED = 64
_MOST_REMEMBERED = 64
"""A routing protocol is named by the same octets every time; nobody can make us remember more than so many of them."""

_ADDRESS_RANGES = {TrafficSelectorType.IPV4_ADDR_RANGE, TrafficSelectorType.IPV6_ADDR_RANGE}


@dataclass(frozen=True, slots=True)
class RoutingProtocolSelector:
    """All traffic of one routing protocol.

    ``selector_type`` is the code point it travels under; those who configure another than the default pass it.
    """

    routing_protocol: int
    selector_type: int = DEFAULT_CODE_POINTS.traffic_selector_type

    def to_bytes(self) -> bytes:
        return _serialise(self.selector_type, self.routing_protocol, b"")


@dataclass(frozen=True, slots=True)
class AddressRangeSelector:
    """TS_IPV4_ADDR_RANGE and TS_IPV6_ADDR_RANGE: traffic of ``ip_protocol`` (0: any) with these addresses and ports.

    Ranges are inclusive and of one address family. A start port of 65535 with an end port of 0 means OPAQUE.
    """

    start_address: IPv4Address | IPv6Address
    end_address: IPv4Address | IPv6Address
    start_port: int = 0
    end_port: int = 0xFFFF
    ip_protocol: int = 0

    def to_bytes(self) -> bytes:
        is_ipv4 = self.start_address.version == 4
        if self.start_address.version != self.end_address.version:
            raise ValueError("an address range with ends of different families")
        selector_type = TrafficSelectorType.IPV4_ADDR_RANGE if is_ipv4 else TrafficSelectorType.IPV6_ADDR_RANGE
        layout = _IPV4_RANGE if is_ipv4 else _IPV6_RANGE
        addresses = self.start_address.packed, self.end_address.packed
        return _serialise(selector_type, self.ip_protocol, layout.pack(self.start_port, self.end_port, *addresses))


@dataclass(frozen=True, slots=True)
class UnknownSelector:
    """A selector of another type, or of the routing-protocol type with another length than the draft's four octets.

    ``ip_protocol`` is the octet where address ranges have their IP Protocol ID, ``data`` what follows the length.
    """

    selector_type: int
    data: bytes
    ip_protocol: int = 0

    def to_bytes(self) -> bytes:
        if self.selector_type in _ADDRESS_RANGES:
            raise ValueError(f"traffic selector type {self.selector_type} is not unknown")
        return _serialise(self.selector_type, self.ip_protocol, self.data)


Selector = RoutingProtocolSelector | AddressRangeSelector | UnknownSelector


@value
class _TrafficSelectors(Payload):
    selectors: tuple[Selector, ...]

    @classmethod
    def parse(cls, reader: Reader, code_points: CodePoints) -> Self:
        if reader.remaining > _LONGEST_REMEMBERED:
            return cls(_parse_selectors(reader, code_points))
        start = reader.offset
        try:
            return cls(_remembered_selectors(reader.rest(), code_points))
        except WireError as misfit:
            raise WireError(misfit.reason, start + misfit.offset) from None

    def to_bytes(self) -> bytes:
        return _COUNT.pack(len(self.selectors)) + b"".join([selector.to_bytes() for selector in self.selectors])


@value
class TrafficSelectorsInitiator(_TrafficSelectors):
    """TSi: at most 255 selectors for the initiator's end."""

    payload_type: ClassVar[PayloadType] = PayloadType.TS_I


@value
class TrafficSelectorsResponder(_TrafficSelectors):
    """TSr: at most 255 selectors for the responder's end."""

    payload_type: ClassVar[PayloadType] = PayloadType.TS_R


@lru_cache(maxsize=_MOST_REMEMBERED)
def _remembered_selectors(body: bytes, code_points: CodePoints) -> tuple[Selector, ...]:
    reader = Reader(body, 0, len(body))
    selectors = _parse_selectors(reader, code_points)
    reader.finish()
    return selectors


def _parse_selectors(reader: Reader, code_points: CodePoints) -> tuple[Selector, ...]:
    (count,) = reader.unpack(_COUNT)
    return tuple([_parse_selector(reader, code_points) for _ in range(count)])


def _parse_selector(reader: Reader, code_points: CodePoints) -> Selector:
    (selector_type, ip_protocol, _), body = reader.structure(_SELECTOR)
    selector: Selector
    if selector_type == code_points.traffic_selector_type and not body.remaining:
        selector = RoutingProtocolSelector(ROUTING_PROTOCOLS.get(ip_protocol, ip_protocol), selector_type)
    elif selector_type == TrafficSelectorType.IPV4_ADDR_RANGE:
        start_port, end_port, start, end = body.unpack(_IPV4_RANGE)
        selector = AddressRangeSelector(IPv4Address(start), IPv4Address(end), start_port, end_port, ip_protocol)
    elif selector_type == TrafficSelectorType.IPV6_ADDR_RANGE:
        start_port, end_port, start, end = body.unpack(_IPV6_RANGE)
        selector = AddressRangeSelector(IPv6Address(start), IPv6Address(end), start_port, end_port, ip_protocol)
    else:
        selector = UnknownSelector(selector_type, body.rest(), ip_protocol)
    body.finish()
    return selector


def _serialise(selector_type: int, ip_protocol: int, data: bytes) -> bytes:
    return _SELECTOR.pack(selector_type, ip_protocol, _SELECTOR.size + len(data)) + data
