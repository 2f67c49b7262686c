"""TCP-AO: traffic keys and message authentication codes (RFC 5925 5.1 and 5.2, RFC 5926).

What a user of negotiated keys computes, checked against RFC 9235. Keeps no connection: the sequence number extension
and the initial sequence numbers come in as arguments.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hmac import HMAC

from rkmp.crypto.ip_packet import tcp_segment
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import AuthAlg, Kdf

__all__ = [
    "HMAC_SHA_256",
    "MAC_LENGTH",
    "MASTER_KEY_LENGTH",
    "TRAFFIC_KEY_LENGTH",
    "AuthAlg",
    "Kdf",
    "compute_mac",
    "derive_traffic_key",
]

Address = str | bytes | IPv4Address | IPv6Address
"""An address: text, 4 or 16 octets, or an object of :mod:`ipaddress`."""

_SHA1 = hashes.SHA1()  # noqa: S303 - RFC 5926 makes HMAC-SHA-1 mandatory for TCP-AO
_AES_KEY_LENGTH = 16
_LABEL = b"TCP-AO"

HMAC_SHA_256 = 256
"""hmac-sha-256-128, as a KDF and as an authentication algorithm, beyond all code points: RFC 5926 does not have it.

It is what Linux computes for ``hmac(sha256)``: RFC 5926 3.1.1.1 with HMAC-SHA-256 in the place of HMAC-SHA-1.
"""

_CONTEXT = struct.Struct(">HHII")
_OUTPUT_BITS = struct.Struct(">H")
_SNE = struct.Struct(">I")

_AO_KIND = 29
_AO_HEADER_LENGTH = 4
_MD5_KIND = 19
_TCP_HEADER_LENGTH = 20


def _hmac_sha1(key: bytes, data: bytes) -> bytes:
    context = HMAC(key, _SHA1)
    context.update(data)
    return context.finalize()


def _hmac_sha256(key: bytes, data: bytes) -> bytes:
    context = HMAC(key, hashes.SHA256())
    context.update(data)
    return context.finalize()


def _aes_128_cmac(key: bytes, data: bytes) -> bytes:
    if len(key) != _AES_KEY_LENGTH:
        raise CryptoError(f"AES-128-CMAC with a key of {len(key)} octets")
    context = CMAC(algorithms.AES(key))
    context.update(data)
    return context.finalize()


@dataclass(frozen=True, slots=True)
class _KdfRow:
    """RFC 5926 3.1.1: octets of a master key that RKMP makes and of a traffic key, the PRF, how its key is made."""

    master_key_length: int
    traffic_key_length: int
    prf: Callable[[bytes, bytes], bytes]
    condition: Callable[[bytes], bytes]


def _condition_for_aes(master_key: bytes) -> bytes:
    # RFC 5926 3.1.1.2: a master key of any other length than AES-128's is brought to it by AES-CMAC under zeroes.
    return master_key if len(master_key) == _AES_KEY_LENGTH else _aes_128_cmac(bytes(_AES_KEY_LENGTH), master_key)


_KDFS: Mapping[int, _KdfRow] = MappingProxyType(
    {
        Kdf.HMAC_SHA1: _KdfRow(20, 20, _hmac_sha1, lambda master_key: master_key),
        Kdf.AES_128_CMAC: _KdfRow(16, 16, _aes_128_cmac, _condition_for_aes),
        HMAC_SHA_256: _KdfRow(32, 32, _hmac_sha256, lambda master_key: master_key),
    }
)

_MACS: Mapping[int, tuple[Callable[[bytes, bytes], bytes], int]] = MappingProxyType(
    {
        AuthAlg.HMAC_SHA_1_96: (_hmac_sha1, 12),
        AuthAlg.AES_128_CMAC_96: (_aes_128_cmac, 12),
        HMAC_SHA_256: (_hmac_sha256, 16),
    }
)

MASTER_KEY_LENGTH: Mapping[int, int] = MappingProxyType({kdf: row.master_key_length for kdf, row in _KDFS.items()})
"""By KDF, the octets of a master key that RKMP derives."""

TRAFFIC_KEY_LENGTH: Mapping[int, int] = MappingProxyType({kdf: row.traffic_key_length for kdf, row in _KDFS.items()})
"""By KDF, the octets of a traffic key."""

MAC_LENGTH: Mapping[int, int] = MappingProxyType({auth_alg: length for auth_alg, (_, length) in _MACS.items()})
"""By authentication algorithm, the octets of the MAC in the option."""


def derive_traffic_key(
    kdf: int,
    master_key: bytes | Secret,
    *,
    source: Address,
    destination: Address,
    source_port: int,
    destination_port: int,
    source_isn: int,
    destination_isn: int,
) -> bytes:
    """Return the traffic key of the segments from ``source`` to ``destination`` (RFC 5925 5.2, RFC 5926 3.1).

    ``destination_isn`` is 0 for the key of the first SYN. Raises CryptoError for an unknown KDF, for addresses of
    different families or none, and for ports and sequence numbers that do not fit.
    """
    row = _KDFS.get(kdf)
    if row is None:
        raise CryptoError(f"TCP-AO KDF {kdf} is not implemented")
    addresses = _packed(source), _packed(destination)
    if len(addresses[0]) != len(addresses[1]):
        raise CryptoError("a connection between addresses of different families")
    try:
        numbers = _CONTEXT.pack(source_port, destination_port, source_isn, destination_isn)
    except struct.error as misfit:
        raise CryptoError(f"a port or sequence number does not fit: {misfit}") from None
    key = row.condition(master_key.reveal() if isinstance(master_key, Secret) else master_key)
    # One round is enough: the KDFs make exactly as many octets as their traffic keys have.
    output_bits = _OUTPUT_BITS.pack(8 * row.traffic_key_length)
    return row.prf(key, b"\x01" + _LABEL + addresses[0] + addresses[1] + numbers + output_bits)


def compute_mac(
    auth_alg: int, traffic_key: bytes | Secret, packet: bytes, *, sne: int = 0, include_options: bool = True
) -> bytes:
    """Return the MAC that the TCP-AO option of the segment in ``packet`` has to carry (RFC 5925 5.1).

    ``packet`` is an IPv4 or IPv6 packet; whatever is in its MAC and TCP checksum fields does not matter. ``sne`` is the
    sequence number extension of the segment. Without ``include_options`` all TCP options but TCP-AO are left out.
    Raises CryptoError for an unknown algorithm, a key that does not fit it, and a packet that does not hold one whole
    TCP segment with one TCP-AO option whose MAC has the algorithm's length, or that carries TCP MD5 as well.
    """
    row = _MACS.get(auth_alg)
    if row is None:
        raise CryptoError(f"TCP-AO authentication algorithm {auth_alg} is not implemented")
    mac, mac_length = row
    if not 0 <= sne <= 0xFFFFFFFF:
        raise CryptoError(f"a sequence number extension of {sne}")
    pseudo_header, segment = tcp_segment(packet)
    header_length = _header_length(segment)
    option = _find_ao(segment, header_length, mac_length)
    header = bytearray(segment[:header_length])
    header[16:18] = bytes(2)
    header[option + _AO_HEADER_LENGTH : option + _AO_HEADER_LENGTH + mac_length] = bytes(mac_length)
    if not include_options:
        header = header[:_TCP_HEADER_LENGTH] + header[option : option + _AO_HEADER_LENGTH + mac_length]
    key = traffic_key.reveal() if isinstance(traffic_key, Secret) else traffic_key
    return mac(key, b"".join((_SNE.pack(sne), pseudo_header, header, segment[header_length:])))[:mac_length]


def _packed(address: Address) -> bytes:
    if isinstance(address, IPv4Address | IPv6Address):
        return address.packed
    try:
        return ip_address(address).packed
    except ValueError:
        raise CryptoError("not an IP address") from None


def _header_length(segment: bytes) -> int:
    if len(segment) < _TCP_HEADER_LENGTH:
        raise CryptoError("the packet has no room for a TCP header")
    header_length = 4 * (segment[12] >> 4)
    if not _TCP_HEADER_LENGTH <= header_length <= len(segment):
        raise CryptoError("the length of the TCP header is wrong")
    return header_length


def _find_ao(segment: bytes, header_length: int, mac_length: int) -> int:
    """Return where the one TCP-AO option of the segment begins."""
    found: int | None = None
    position = _TCP_HEADER_LENGTH
    while position < header_length:
        kind = segment[position]
        if kind == 0:
            break
        if kind == 1:
            position += 1
            continue
        length = segment[position + 1] if position + 1 < header_length else 0
        if length < 2 or position + length > header_length:
            raise CryptoError("the TCP options do not fit their lengths")
        if kind == _MD5_KIND:
            raise CryptoError("the segment has a TCP MD5 option")
        if kind == _AO_KIND:
            if found is not None:
                raise CryptoError("the segment has more than one TCP-AO option")
            if length != _AO_HEADER_LENGTH + mac_length:
                raise CryptoError(f"the TCP-AO option has {length} octets")
            found = position
        position += length
    if found is None:
        raise CryptoError("the segment has no TCP-AO option")
    return found
