"""Captures as tests need them: files in both formats, and the packets to go into them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from ipaddress import ip_address

ETHERNET, RAW_IP, LINUX_COOKED, LINUX_COOKED_2, LOOPBACK = 1, 101, 113, 276, 0
NOON = 1_772_366_400.0
"""2026-03-01 at noon in UTC, the time of a packet that is given none."""

Timed = tuple[float, bytes]
"""When a packet was captured, in seconds since 1970, and its octets."""


def timed(packets: Iterable[bytes], start: float = NOON, step: float = 0.125) -> list[Timed]:
    return [(start + number * step, packet) for number, packet in enumerate(packets)]


def pcap(
    packets: Sequence[Timed],
    link_type: int = RAW_IP,
    *,
    order: str = "<",
    nanoseconds: bool = False,
    snap: int = 262144,
) -> bytes:
    """Return a file in the format of libpcap."""
    magic, unit = (0xA1B23C4D, 10**9) if nanoseconds else (0xA1B2C3D4, 10**6)
    octets = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snap, link_type)
    for moment, packet in packets:
        second, part = divmod(round(Fraction(moment) * unit), unit)
        kept = packet[:snap]
        octets += struct.pack(f"{order}IIII", second, part, len(kept), len(packet)) + kept
    return octets


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def pcapng(packets: Sequence[Timed], link_type: int = RAW_IP, *, order: str = "<", resolution: int = 6) -> bytes:
    """Return a pcapng file with one section and one interface, whose times have ``resolution`` decimal places."""
    section = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
    option = struct.pack(f"{order}HHB3x", 9, 1, resolution) + struct.pack(f"{order}HH", 0, 0)
    octets = block(0x0A0D0D0A, section, order) + block(1, struct.pack(f"{order}HHI", link_type, 0, 0) + option, order)
    for moment, packet in packets:
        ticks = round(Fraction(moment) * 10**resolution)
        body = struct.pack(f"{order}IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet)) + packet
        octets += block(6, body, order)
    return octets


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    octets += bytes(len(octets) % 2)
    total = sum(int(word) for word in struct.unpack(f">{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source: str, destination: str, protocol: int, content: bytes) -> bytes:
    """Return an IPv4 or IPv6 packet."""
    addresses = ip_address(source).packed, ip_address(destination).packed
    if len(addresses[0]) == 4:
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(content), 1, 0x4000, 64, protocol, 0, *addresses)
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + content
    return struct.pack(">IHBB16s16s", 6 << 28, len(content), protocol, 64, *addresses) + content


def udp_packet(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> bytes:
    """Return an IP packet with a UDP datagram, without a checksum over IPv4."""
    datagram = struct.pack(">HHHH", source[1], destination[1], 8 + len(data), 0) + data
    return ip_packet(source[0], destination[0], 17, datagram)


def ethernet(packet: bytes, *tags: int) -> bytes:
    """Return a frame with an IP packet, behind VLAN tags."""
    kinds = [0x88A8] * (len(tags) - 1) + [0x8100] * min(len(tags), 1)
    stack = b"".join(struct.pack(">HH", kind, tag) for kind, tag in zip(kinds, tags, strict=True))
    return bytes(12) + stack + struct.pack(">H", 0x0800 if packet[0] >> 4 == 4 else 0x86DD) + packet
