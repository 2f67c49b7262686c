"""The packets in a capture file: libpcap's format and pcapng, either byte order, times down to nanoseconds.

The formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. What a packet is wrapped in is for
:mod:`rkmp.capture.links`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from rkmp.errors import CaptureError

LARGEST_PACKET = 1 << 20
"""Octets of a packet, or a block, beyond which a file is taken for damaged."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_PCAP_UNITS = {0xA1B2C3D4: 10**6, 0xA1B23C4D: 10**9}
_LINK_TYPE = 0xFFFF

_SECTION_HEADER = 0x0A0D0D0A
_BYTE_ORDER = 0x1A2B3C4D
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """One packet; ``number`` counts from 1. ``at`` is UTC, None where the file has no time for it.

    ``octets`` begin with the header that ``link_type`` (a LINKTYPE number) says; ``is_whole``: nothing was cut off.
    """

    number: int
    at: datetime | None
    link_type: int
    octets: bytes
    is_whole: bool


def read_packets(stream: BinaryIO) -> Iterator[CapturedPacket]:
    """Yield the packets of a capture, in order; raises :class:`CaptureError` where the file is none or is damaged.

    What was whole before the damage has been yielded by then.
    """
    magic = stream.read(4)
    if magic == _SECTION_HEADER.to_bytes(4):
        yield from _pcapng(stream)
        return
    for order in ("<", ">"):
        unit = _PCAP_UNITS.get(int.from_bytes(magic, "little" if order == "<" else "big"))
        if unit is not None and len(magic) == 4:
            yield from _pcap(stream, order, unit)
            return
    raise CaptureError("the file is no capture: it begins like neither pcap nor pcapng")


def _pcap(stream: BinaryIO, order: str, unit: int) -> Iterator[CapturedPacket]:
    (link_type,) = struct.unpack(f"{order}16xI", _exactly(stream, 20, "its header"))
    head = struct.Struct(f"{order}IIII")
    number = 0
    while octets := stream.read(head.size):
        number += 1
        if len(octets) < head.size:
            raise CaptureError(f"the capture ends in the middle of packet {number}")
        seconds, part, kept, length = head.unpack(octets)
        if kept > LARGEST_PACKET:
            raise CaptureError(f"the capture is damaged: packet {number} claims to have {kept} octets")
        packet = _exactly(stream, kept, f"packet {number}")
        at = _EPOCH + timedelta(seconds=seconds, microseconds=part * 10**6 // unit)
        yield CapturedPacket(number, at, link_type & _LINK_TYPE, packet, is_whole=kept >= length)


@dataclass(frozen=True, slots=True)
class _Interface:
    """Where packets were captured: ``unit`` is how many of its ticks are a second, ``offset`` seconds are added."""

    link_type: int
    snap_length: int
    unit: int = 10**6
    offset: int = 0


@dataclass(slots=True)
class _Section:
    """What a section of a pcapng file has said so far."""

    order: str
    interfaces: list[_Interface] = field(default_factory=list)

    def interface(self, index: int) -> _Interface:
        if index >= len(self.interfaces):
            raise CaptureError(f"the capture is damaged: there is no interface {index}")
        return self.interfaces[index]


def _pcapng(stream: BinaryIO) -> Iterator[CapturedPacket]:
    section = _Section("<")
    kind_octets = _SECTION_HEADER.to_bytes(4)
    number = 0
    while kind_octets:
        # The type of a section header reads the same in both byte orders; the order of all others is the section's.
        kind = int.from_bytes(kind_octets, "little" if section.order == "<" else "big")
        begun = b""
        if kind == _SECTION_HEADER:
            begun = _exactly(stream, 8, "the header of a section")
            section = _Section(_order_of(begun))
        body = _block(stream, section.order, begun)
        if kind == _INTERFACE:
            section.interfaces.append(_described(body, section.order))
        elif kind in (_ENHANCED_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
            number += 1
            yield _packet(kind, body, section, number)
        kind_octets = stream.read(4)


def _order_of(octets: bytes) -> str:
    """Return the byte order of the section of which these are the length and the magic number."""
    for order in ("<", ">"):
        if struct.unpack(f"{order}4xI", octets)[0] == _BYTE_ORDER:
            return order
    raise CaptureError("the capture is damaged: a section has no byte order")


def _block(stream: BinaryIO, order: str, begun: bytes) -> bytes:
    """Return the body of a block of which the type has been read, and perhaps the octets ``begun`` behind it."""
    octets = begun or _exactly(stream, 4, "a block")
    (length,) = struct.unpack(f"{order}I", octets[:4])
    missing = length - 8 - len(octets)
    if missing < 0 or length % 4 or length > LARGEST_PACKET:
        raise CaptureError(f"the capture is damaged: a block claims to have {length} octets")
    body = octets[4:] + _exactly(stream, missing, "a block")
    if struct.unpack(f"{order}I", _exactly(stream, 4, "a block"))[0] != length:
        raise CaptureError("the capture is damaged: a block has two lengths")
    return body


def _described(body: bytes, order: str) -> _Interface:
    link_type, snap_length = struct.unpack(f"{order}HxxI", _whole(body, 0, 8))
    unit, offset = 10**6, 0
    position = 8
    while position + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, position)
        value = _whole(body, position + 4, length)
        if code == 0:
            break
        if code == _TIME_RESOLUTION and length == 1:
            unit = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _TIME_OFFSET and length == 8:
            (offset,) = struct.unpack(f"{order}q", value)
        position += 4 + length + -length % 4
    return _Interface(link_type, snap_length, unit, offset)


def _packet(kind: int, body: bytes, section: _Section, number: int) -> CapturedPacket:
    order = section.order
    if kind == _SIMPLE_PACKET:
        interface = section.interface(0)
        (length,) = struct.unpack(f"{order}I", _whole(body, 0, 4))
        kept = min(length, interface.snap_length or length, len(body) - 4)
        octets = _whole(body, 4, kept)
        return CapturedPacket(number, None, interface.link_type, octets, is_whole=kept >= length)
    layout = f"{order}IIIII" if kind == _ENHANCED_PACKET else f"{order}HxxIIII"
    index, high, low, kept, length = struct.unpack(layout, _whole(body, 0, 20))
    interface = section.interface(index)
    at = _moment((high << 32) | low, interface)
    return CapturedPacket(number, at, interface.link_type, _whole(body, 20, kept), is_whole=kept >= length)


def _moment(ticks: int, interface: _Interface) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=interface.offset, microseconds=ticks * 10**6 // interface.unit)
    except OverflowError:
        raise CaptureError("the capture is damaged: a time is beyond all calendars") from None


def _whole(body: bytes, start: int, length: int) -> bytes:
    octets = body[start : start + length]
    if len(octets) != length:
        raise CaptureError("the capture is damaged: a block has no room for what it claims to hold")
    return octets


def _exactly(stream: BinaryIO, length: int, what: str) -> bytes:
    octets = stream.read(length)
    if len(octets) != length:
        raise CaptureError(f"the capture ends in the middle of {what}")
    return octets
