"""The TCP segment in an IP packet, as far as TCP-AO looks at it (RFC 9293 3.1, RFC 5925 2.2, RFC 8200 4).

Reads what it can of a segment that was cut short or is wrong, and says what is the matter with it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_TCP = 6
_TCP_HEADER = struct.Struct(">HHIIBB6x")
_SYN, _ACK = 0x02, 0x10
_END, _NOTHING, _MD5, _TCP_AO = 0, 1, 19, 29

_FRAGMENT = 44
_EXTENSION_HEADERS = frozenset({0, 43, 60})
_MORE_FRAGMENTS, _OFFSET = 0x2000, 0x1FFF

Address = IPv4Address | IPv6Address
Endpoint = tuple[Address, int]


@dataclass(frozen=True, slots=True)
class AoOption:
    """TCP-AO's option: the KeyID that the MAC was made with, the one the sender is ready to receive, and the MAC."""

    key_id: int
    rnext_key_id: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """``packet`` is the IP packet that holds it; ``fault`` says why its MAC cannot be computed, None where it can."""

    source: Endpoint
    destination: Endpoint
    sequence: int
    acknowledgment: int
    is_syn: bool
    is_ack: bool
    option: AoOption | None
    has_md5: bool
    packet: bytes
    fault: str | None


def read_segment(packet: bytes, *, is_whole: bool) -> Segment | None:
    """Return the segment in an IP packet, or None where there is none whose ports can be told."""
    place = _place_of_tcp(packet)
    if place is None:
        return None
    start, end, addresses, fault = place
    header = packet[start : start + _TCP_HEADER.size]
    if len(header) < _TCP_HEADER.size:
        return None
    source_port, destination_port, sequence, acknowledgment, offset, flags = _TCP_HEADER.unpack(header)
    length = 4 * (offset >> 4)
    options, wrong = _options(packet[start + _TCP_HEADER.size : start + max(length, _TCP_HEADER.size)])
    if fault is None and (not is_whole or end > len(packet)):
        fault = "the capture has only the beginning of it"
    if fault is None and (wrong or not _TCP_HEADER.size <= length <= end - start):
        fault = "its TCP header is wrong"
    ao = [value for kind, value in options if kind == _TCP_AO]
    if fault is None and (len(ao) > 1 or any(len(value) < 2 for value in ao)):
        fault = "its TCP-AO option is wrong"
    option = AoOption(ao[0][0], ao[0][1], ao[0][2:]) if ao and len(ao[0]) >= 2 else None
    return Segment(
        (addresses[0], source_port),
        (addresses[1], destination_port),
        sequence,
        acknowledgment,
        bool(flags & _SYN),
        bool(flags & _ACK),
        option,
        any(kind == _MD5 for kind, _ in options),
        packet,
        fault,
    )


_Place = tuple[int, int, tuple[Address, Address], str | None]
"""Where a segment begins and ends, from and to whom it is, and what is wrong with its packet."""


def _place_of_tcp(packet: bytes) -> _Place | None:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return _in_ipv4(packet)
    if version == 6 and len(packet) >= 40:
        return _in_ipv6(packet)
    return None


def _in_ipv4(packet: bytes) -> _Place | None:
    fragment = int.from_bytes(packet[6:8])
    start, end = 4 * (packet[0] & 0x0F), int.from_bytes(packet[2:4])
    if packet[9] != _TCP or fragment & _OFFSET or start < 20:
        return None
    addresses = ip_address(packet[12:16]), ip_address(packet[16:20])
    if fragment & _MORE_FRAGMENTS:
        return start, end, addresses, "it travels in fragments"
    if not end:
        return start, len(packet), addresses, "it was captured before the network card cut it into segments"
    return start, end, addresses, None


def _in_ipv6(packet: bytes) -> _Place | None:
    following, start, end = packet[6], 40, 40 + int.from_bytes(packet[4:6])
    addresses = ip_address(packet[8:24]), ip_address(packet[24:40])
    fault = None
    while following in _EXTENSION_HEADERS or following == _FRAGMENT:
        if start + 8 > len(packet):
            return None
        if following == _FRAGMENT:
            if int.from_bytes(packet[start + 2 : start + 4]) & 0xFFF8:
                return None
            fault = "it travels in fragments"
        elif following == 43 and packet[start + 3]:
            fault = "its routing header has not taken it to its destination yet"
        length = 8 if following == _FRAGMENT else 8 * (packet[start + 1] + 1)
        following = packet[start]
        start += length
    if following != _TCP:
        return None
    if end == 40:
        return start, len(packet), addresses, "it was captured before the network card cut it into segments"
    return start, end, addresses, fault


def _options(octets: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Return TCP options with their values, and whether they end where one does not fit."""
    options: list[tuple[int, bytes]] = []
    position = 0
    while position < len(octets) and octets[position] != _END:
        if octets[position] == _NOTHING:
            position += 1
            continue
        length = octets[position + 1] if position + 1 < len(octets) else 0
        if length < 2 or position + length > len(octets):
            return options, True
        options.append((octets[position], octets[position + 2 : position + length]))
        position += length
    return options, False
