"""A key as a check of captures needs it: RFC 7210's row, seen from the router whose key table it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from types import MappingProxyType

from rkmp.capture.segments import Address, Segment
from rkmp.crypto.tcp_ao import HMAC_SHA_256, AuthAlg, Kdf
from rkmp.secret import Secret

PORTS: Mapping[str, int] = MappingProxyType({"bgp": 179, "ldp": 646, "msdp": 639, "pim-port": 8471, "pcep": 4189})
"""The TCP port of a protocol's server; the key of a protocol for private use may be for any."""

ALGORITHMS: Mapping[tuple[str, str], tuple[int, int]] = MappingProxyType(
    {
        ("hmac-sha-1", "hmac-sha-1-96"): (Kdf.HMAC_SHA1, AuthAlg.HMAC_SHA_1_96),
        ("aes-128-cmac", "aes-128-cmac-96"): (Kdf.AES_128_CMAC, AuthAlg.AES_128_CMAC_96),
        ("hmac-sha-256", "hmac-sha-256-128"): (HMAC_SHA_256, HMAC_SHA_256),
    }
)
"""KDF and MAC of TCP-AO by the key table's names for both."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """``send_id`` names it in what the router sends, ``recv_id`` in what it receives.

    ``peers`` are addresses, or names that no packet shows, which may be anybody. A lifetime's ends are UTC, None where
    there is none. ``key`` is None where it is withheld: the key is known to be there and cannot be tried.
    """

    name: str
    protocol: str
    peers: tuple[str, ...]
    send_id: int
    recv_id: int
    kdf: str
    alg_id: str
    ignore_tcp_options: bool
    key: Secret | None
    starts: datetime | None = None
    ends: datetime | None = None

    def is_for(self, segment: Segment) -> bool:
        """Whether it protects the connection of a segment."""
        port = PORTS.get(self.protocol)
        is_of_protocol = port is None or port in (segment.source[1], segment.destination[1])
        return is_of_protocol and (self._is_peer(segment.source[0]) or self._is_peer(segment.destination[0]))

    def is_named_by(self, segment: Segment) -> bool:
        """Whether the KeyID of a segment that it is for means it, in the direction in which that travels."""
        if segment.option is None:
            return False
        names = set()
        if self._is_peer(segment.source[0]):
            names.add(self.recv_id)
        if self._is_peer(segment.destination[0]):
            names.add(self.send_id)
        return segment.option.key_id in names

    def is_alive(self, at: datetime | None) -> bool:
        """Whether it may be used at ``at``; at a time that nobody knows it may."""
        if at is None:
            return True
        return (self.starts is None or self.starts <= at) and (self.ends is None or at <= self.ends)

    def _is_peer(self, address: Address) -> bool:
        return any(peer is None or peer == address for peer in map(_address, self.peers))


def _address(peer: str) -> Address | None:
    try:
        return ip_address(peer)
    except ValueError:
        return None
