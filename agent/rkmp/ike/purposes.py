"""What a child is for: a routing protocol, and with LDP which of its two security protocols.

The draft's selectors (4.2) name a routing protocol, and its proposals (4.1) a security protocol: TCP-AO for sessions,
or LDP discovery for the Hellos of RFC 7349 (G28). The two together are one number here, the *purpose*: the draft's
Rtg. Prot. ID where the key is for TCP-AO, and :data:`LDP_DISCOVERY` otherwise. It also decides how a key is named:
TCP-AO by a KeyID of one octet, LDP discovery by an SA ID of four.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rkmp.wire import CodePoints, LdpAuthAlg, LdpDiscoveryTransform, RoutingProtocol, TcpAoTransform

LDP_DISCOVERY = 0x100 | RoutingProtocol.LDP
"""The purpose of a key for targeted Hellos of LDP; no Rtg. Prot. ID has this number, which is no octet."""

FIRST_SA_ID = 256
"""The least SA ID that we announce, so that within an IKE SA one number names one child whatever its purpose."""

LDP_KEY_LENGTH: Mapping[int, int] = MappingProxyType(
    {
        LdpAuthAlg.HMAC_SHA_1: 20,
        LdpAuthAlg.HMAC_SHA_256: 32,
        LdpAuthAlg.HMAC_SHA_384: 48,
        LdpAuthAlg.HMAC_SHA_512: 64,
    }
)
"""By algorithm, the octets of a key for LDP discovery: those of the digest (RFC 7349 section 5.1)."""


def protocol_of(purpose: int, code_points: CodePoints) -> int:
    """Return the Protocol ID of proposals for ``purpose``."""
    return code_points.ldp_discovery_protocol if purpose == LDP_DISCOVERY else code_points.tcp_ao_protocol


def selector_of(purpose: int) -> int:
    """Return the Rtg. Prot. ID of the traffic selectors for ``purpose``."""
    return RoutingProtocol.LDP if purpose == LDP_DISCOVERY else purpose


def purpose_of(protocol_id: int, routing_protocol: int, code_points: CodePoints) -> int | None:
    """Return the purpose of a proposal for ``protocol_id`` with a selector of ``routing_protocol``, or None."""
    if protocol_id == code_points.tcp_ao_protocol:
        return routing_protocol
    is_discovery = protocol_id == code_points.ldp_discovery_protocol and routing_protocol == RoutingProtocol.LDP
    return LDP_DISCOVERY if is_discovery else None


def spi_of(purpose: int, send_id: int) -> bytes:
    """Return the SPI that names a key in Delete and REKEY_SA (G13): the identifier that its sender has announced."""
    return send_id.to_bytes(4 if purpose == LDP_DISCOVERY else 1)


def transform_of(
    purpose: int, send_id: int, auth_alg: int, kdf: int, *, ignore_tcp_options: bool
) -> TcpAoTransform | LdpDiscoveryTransform:
    """Return the transform that offers a policy for ``purpose``; LDP discovery has but an algorithm."""
    if purpose == LDP_DISCOVERY:
        return LdpDiscoveryTransform(send_id, auth_alg)
    return TcpAoTransform(send_id, auth_alg, kdf, ignore_tcp_options)
