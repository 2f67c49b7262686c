"""Hypothesis strategies for everything that a message can hold."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    KNOWN_PAYLOAD_TYPES,
    AddressRangeSelector,
    Attribute,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    ConfigurationAttribute,
    Delete,
    Eap,
    Encrypted,
    EncryptedFragment,
    IdInitiator,
    IdResponder,
    KeyExchange,
    LdpDiscoveryTransform,
    Message,
    Nonce,
    Notify,
    Payload,
    PayloadType,
    Proposal,
    ProtocolId,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    TrafficSelectorType,
    Transform,
    UnknownPayload,
    UnknownSelector,
    UnrecognisedTransform,
    VendorId,
)

octet = st.integers(0, 0xFF)
word = st.integers(0, 0xFFFF)
some_octets = st.binary(max_size=40)

attributes = st.builds(Attribute, st.integers(0, 0x7FFF), word | some_octets)
transforms = st.builds(Transform, octet, word, st.lists(attributes, max_size=3).map(tuple))
tcp_ao_transforms = st.builds(TcpAoTransform, octet, octet, octet, st.booleans())
ldp_discovery_transforms = st.builds(LdpDiscoveryTransform, st.integers(0, 0xFFFFFFFF), octet)
unrecognised_transforms = st.builds(UnrecognisedTransform, some_octets)

_SPI_SIZES: dict[int, tuple[int, ...]] = {ProtocolId.IKE: (0, 8), ProtocolId.AH: (4,), ProtocolId.ESP: (4,)}


@st.composite
def proposals(draw: st.DrawFn, number: int) -> Proposal | RkmpProposal:
    """A proposal of RFC 7296, of TCP-AO, of LDP discovery, or of a protocol that nobody knows."""
    kind = draw(st.sampled_from(("ikev2", "tcp-ao", "ldp-discovery", "unknown")))
    if kind == "ikev2":
        protocol_id = draw(st.sampled_from(ProtocolId))
        spi = draw(spis(_SPI_SIZES.get(protocol_id)))
        return Proposal(number, protocol_id, spi, tuple(draw(st.lists(transforms, max_size=4))))
    spi = draw(spis(None))
    if kind == "tcp-ao":
        # Four octets under the TCP-AO code point are its own transform and never unrecognised.
        others = unrecognised_transforms.filter(lambda transform: len(transform.body) != 4)
        rkmp = draw(st.lists(tcp_ao_transforms | others, max_size=4))
        return RkmpProposal(number, DEFAULT_CODE_POINTS.tcp_ao_protocol, spi, tuple(rkmp))
    if kind == "ldp-discovery":
        other_lengths = unrecognised_transforms.filter(lambda transform: len(transform.body) != 8)
        hellos = draw(st.lists(ldp_discovery_transforms | other_lengths, max_size=4))
        return RkmpProposal(number, DEFAULT_CODE_POINTS.ldp_discovery_protocol, spi, tuple(hellos))
    ours = (DEFAULT_CODE_POINTS.tcp_ao_protocol, DEFAULT_CODE_POINTS.ldp_discovery_protocol)
    protocol_id = draw(st.integers(max(ProtocolId) + 1, 255).filter(lambda number: number not in ours))
    return RkmpProposal(number, protocol_id, spi, tuple(draw(st.lists(unrecognised_transforms, max_size=4))))


def spis(sizes: tuple[int, ...] | None) -> SearchStrategy[bytes]:
    """An SPI of one of ``sizes``, or of any size."""
    if sizes is None:
        return st.binary(max_size=12)
    return st.sampled_from(sizes).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@st.composite
def security_associations(draw: st.DrawFn) -> SecurityAssociation:
    first = draw(st.integers(1, 250))
    count = draw(st.integers(1, 4))
    return SecurityAssociation(tuple(draw(proposals(number)) for number in range(first, first + count)))


routing_protocol_selectors = st.builds(RoutingProtocolSelector, octet)
ipv4_addresses = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
ipv6_addresses = st.builds(IPv6Address, st.integers(0, 2**128 - 1))
address_ranges = st.builds(AddressRangeSelector, ipv4_addresses, ipv4_addresses, word, word, octet) | st.builds(
    AddressRangeSelector, ipv6_addresses, ipv6_addresses, word, word, octet
)
_named_selector_types = (
    TrafficSelectorType.IPV4_ADDR_RANGE,
    TrafficSelectorType.IPV6_ADDR_RANGE,
    DEFAULT_CODE_POINTS.traffic_selector_type,
)
unknown_selectors = st.builds(
    UnknownSelector, octet.filter(lambda number: number not in _named_selector_types), some_octets, octet
) | st.builds(
    UnknownSelector, st.just(DEFAULT_CODE_POINTS.traffic_selector_type), st.binary(min_size=1, max_size=40), octet
)
selectors = st.lists(routing_protocol_selectors | address_ranges | unknown_selectors, max_size=4).map(tuple)

spi_lists = st.integers(1, 16).flatmap(
    lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=4).map(tuple)
)
deletes = (
    st.just(Delete(ProtocolId.IKE))
    | st.builds(
        Delete,
        st.sampled_from((ProtocolId.AH, ProtocolId.ESP)),
        st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=4).map(tuple),
    )
    | st.builds(
        Delete,
        octet.filter(lambda number: number not in (ProtocolId.IKE, ProtocolId.AH, ProtocolId.ESP)),
        spi_lists,
    )
)

configuration_attributes = st.builds(ConfigurationAttribute, st.integers(0, 0x7FFF), some_octets)

unknown_payloads = st.builds(
    UnknownPayload,
    st.integers(1, 255).filter(lambda number: number not in KNOWN_PAYLOAD_TYPES),
    st.booleans(),
    some_octets,
)

PAYLOADS: dict[int, SearchStrategy[Payload]] = {
    PayloadType.SA: security_associations(),
    PayloadType.KE: st.builds(KeyExchange, word, some_octets),
    PayloadType.ID_I: st.builds(IdInitiator, octet, some_octets),
    PayloadType.ID_R: st.builds(IdResponder, octet, some_octets),
    PayloadType.CERT: st.builds(Certificate, octet, some_octets),
    PayloadType.CERTREQ: st.builds(CertificateRequest, octet, some_octets),
    PayloadType.AUTH: st.builds(Authentication, octet, some_octets),
    PayloadType.NONCE: st.builds(Nonce, st.binary(min_size=16, max_size=256)),
    PayloadType.NOTIFY: st.builds(Notify, word, some_octets, octet, some_octets),
    PayloadType.DELETE: deletes,
    PayloadType.VENDOR_ID: st.builds(VendorId, some_octets),
    PayloadType.TS_I: st.builds(TrafficSelectorsInitiator, selectors),
    PayloadType.TS_R: st.builds(TrafficSelectorsResponder, selectors),
    PayloadType.CP: st.builds(Configuration, octet, st.lists(configuration_attributes, max_size=4).map(tuple)),
    PayloadType.EAP: st.builds(Eap, some_octets),
}
"""By type, every payload that may be anywhere in a message."""

open_payloads = st.one_of(*PAYLOADS.values(), unknown_payloads)


@st.composite
def encrypted_fragments(draw: st.DrawFn) -> EncryptedFragment:
    total = draw(st.integers(1, 0xFFFF))
    return EncryptedFragment(draw(octet), draw(st.integers(1, total)), total, draw(some_octets))


SEALED_PAYLOADS: dict[int, SearchStrategy[Payload]] = {
    PayloadType.SK: st.builds(Encrypted, octet, some_octets),
    PayloadType.SKF: encrypted_fragments(),
}
"""By type, every payload that can only be the last one."""

payload_chains = st.lists(open_payloads, max_size=6).map(tuple)

_spis = st.binary(min_size=8, max_size=8)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    payloads = draw(payload_chains)
    if draw(st.booleans()):
        payloads = (*payloads, draw(st.one_of(*SEALED_PAYLOADS.values())))
    return Message(
        draw(_spis),
        draw(_spis),
        draw(octet),
        draw(st.integers(0, 0xFFFFFFFF)),
        payloads,
        draw(st.booleans()),
        draw(st.booleans()),
    )
