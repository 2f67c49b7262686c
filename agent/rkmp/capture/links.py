"""From a captured frame to the IP packet in it, by the LINKTYPE number of the capture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rkmp.errors import CaptureError

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
_MPLS = frozenset({0x8847, 0x8848})
_BOTTOM_OF_STACK = 0x01


def ip_packet(link_type: int, frame: bytes) -> bytes | None:
    """Return the IPv4 or IPv6 packet in ``frame``, or None where it holds something else.

    Raises :class:`CaptureError` for a link type that is not known here.
    """
    unwrap = _UNWRAP.get(link_type)
    if unwrap is None:
        raise CaptureError(f"packets of link type {link_type} are not understood")
    return unwrap(frame)


def _ethernet(frame: bytes) -> bytes | None:
    return _typed(frame, 12)


def _cooked(frame: bytes) -> bytes | None:
    return _typed(frame, 14)


def _cooked_2(frame: bytes) -> bytes | None:
    return _of_type(int.from_bytes(frame[:2]), frame[20:])


def _typed(frame: bytes, position: int) -> bytes | None:
    """Return what is behind the EtherType at ``position``, and behind tags."""
    kind = int.from_bytes(frame[position : position + 2])
    while kind in _VLAN_TAGS:
        position += 4
        kind = int.from_bytes(frame[position : position + 2])
    return _of_type(kind, frame[position + 2 :])


def _of_type(kind: int, content: bytes) -> bytes | None:
    if kind in (_IPV4, _IPV6):
        return _bare(content)
    if kind in _MPLS:
        while len(content) >= 4 and not content[2] & _BOTTOM_OF_STACK:
            content = content[4:]
        return _bare(content[4:])
    return None


def _loopback(frame: bytes) -> bytes | None:
    # Its four octets name a family by a number that every system gives differently.
    return _bare(frame[4:])


def _bare(packet: bytes) -> bytes | None:
    return packet if packet and packet[0] >> 4 in (4, 6) else None


_UNWRAP: Mapping[int, Callable[[bytes], bytes | None]] = MappingProxyType(
    {
        0: _loopback,
        1: _ethernet,
        12: _bare,
        14: _bare,
        101: _bare,
        108: _loopback,
        113: _cooked,
        228: _bare,
        229: _bare,
        276: _cooked_2,
    }
)
"""BSD loopback, Ethernet, raw IP by its several numbers, OpenBSD loopback, Linux cooked, IPv4, IPv6, Linux cooked 2."""
