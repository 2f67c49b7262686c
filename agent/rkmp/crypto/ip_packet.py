"""The TCP segment inside an IP packet, and the pseudo-header that goes before it (RFC 9293 3.1, RFC 8200 8.1)."""

from __future__ import annotations

import struct

from rkmp.errors import CryptoError

_TCP = 6
_IPV4_HEADER_LENGTH = 20
_IPV6_HEADER_LENGTH = 40
_IPV4_FRAGMENT = 0x3FFF
_IPV4_PSEUDO_TAIL = struct.Struct(">BBH")
_IPV6_PSEUDO_TAIL = struct.Struct(">IxxxB")

_HOP_BY_HOP = 0
_ROUTING = 43
_DESTINATION_OPTIONS = 60
_SKIPPED_HEADERS = frozenset({_HOP_BY_HOP, _ROUTING, _DESTINATION_OPTIONS})


def tcp_segment(packet: bytes) -> tuple[bytes, bytes]:
    """Return the pseudo-header and the segment of an IPv4 or IPv6 packet; octets behind the packet's end are left out.

    Raises CryptoError for anything but one whole TCP segment.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _from_ipv4(packet)
    if version == 6:
        return _from_ipv6(packet)
    raise CryptoError("the packet is neither IPv4 nor IPv6")


def _from_ipv4(packet: bytes) -> tuple[bytes, bytes]:
    if len(packet) < _IPV4_HEADER_LENGTH:
        raise CryptoError("the packet has no room for an IPv4 header")
    header_length = 4 * (packet[0] & 0x0F)
    total_length = int.from_bytes(packet[2:4])
    if not _IPV4_HEADER_LENGTH <= header_length <= total_length <= len(packet):
        raise CryptoError("the lengths of the IPv4 header do not fit the packet")
    if int.from_bytes(packet[6:8]) & _IPV4_FRAGMENT:
        raise CryptoError("the packet is a fragment")
    if packet[9] != _TCP:
        raise CryptoError("the packet does not hold TCP")
    segment = packet[header_length:total_length]
    return packet[12:20] + _IPV4_PSEUDO_TAIL.pack(0, _TCP, len(segment)), segment


def _from_ipv6(packet: bytes) -> tuple[bytes, bytes]:
    if len(packet) < _IPV6_HEADER_LENGTH:
        raise CryptoError("the packet has no room for an IPv6 header")
    end = _IPV6_HEADER_LENGTH + int.from_bytes(packet[4:6])
    if end > len(packet):
        raise CryptoError("the lengths of the IPv6 header do not fit the packet")
    following = packet[6]
    start = _IPV6_HEADER_LENGTH
    while following in _SKIPPED_HEADERS:
        length = 8 * (packet[start + 1] + 1) if start + 8 <= end else 8
        if start + length > end:
            raise CryptoError("an IPv6 extension header does not fit the packet")
        if following == _ROUTING and packet[start + 3]:
            # The pseudo-header has the final destination, which such a packet has not reached.
            raise CryptoError("the packet is still being routed by its routing header")
        following = packet[start]
        start += length
    if following != _TCP:
        raise CryptoError("the packet does not hold TCP")
    segment = packet[start:end]
    return packet[8:40] + _IPV6_PSEUDO_TAIL.pack(len(segment), _TCP), segment
