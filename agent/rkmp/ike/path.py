"""Between which two ends the datagrams of an IKE SA travel, and how much of a message fits into one of them.

RFC 7383 2.5.1 and appendix B. Knows addresses as far as the layer above tells them, and no sockets.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_UDP_HEADER, _MARKER = 8, 4
_IP_HEADERS: dict[int, int] = {4: 20, 6: 40}
RECOMMENDED_DATAGRAM_SIZES: dict[int, int] = {4: 576, 6: 1280}
"""By IP version, what RFC 7383 recommends as the largest datagram that is sent as long as nothing is known better."""


IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Path:
    """Address and UDP port of both ends, as they are seen from here."""

    local: tuple[str, int]
    remote: tuple[str, int]


def address_of(endpoint: tuple[str, int]) -> IpAddress:
    """Return the address as it is in IP headers: no zone, and one of IPv4 that a socket for both has mapped is IPv4."""
    address = ipaddress.ip_address(endpoint[0].partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def message_limit(datagram_size: int | None, path: Path | None) -> int:
    """Return how many octets of an IKE message fit into an IP datagram of ``datagram_size``, or of what is recommended.

    There is room for a non-ESP marker. Without a path it is for the worse of the two versions of IP.
    """
    versions = tuple(_IP_HEADERS) if path is None else (address_of(path.remote).version,)
    size = min(RECOMMENDED_DATAGRAM_SIZES[version] for version in versions) if datagram_size is None else datagram_size
    return size - max(_IP_HEADERS[version] for version in versions) - _UDP_HEADER - _MARKER
