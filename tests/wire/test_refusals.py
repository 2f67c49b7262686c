"""What is refused, where, and why: on the way in by the octet, on the way out by the value that does not fit."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from rkmp.wire import (
    AddressRangeSelector,
    Attribute,
    Authentication,
    Configuration,
    ConfigurationAttribute,
    Delete,
    Encrypted,
    EncryptedFragment,
    Header,
    IdInitiator,
    KeyExchange,
    Message,
    Nonce,
    Notify,
    Payload,
    PayloadType,
    Proposal,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    Transform,
    UnknownPayload,
    UnknownSelector,
    VendorId,
    WireError,
    parse_payloads,
    serialise_payloads,
)

PREFIX = b"initiatr" + b"respondr"


def message(payload_type: int, body: str, *, following: int = 0, length: int | None = None) -> bytes:
    """A message of one payload whose own length is right unless another is given."""
    octets = bytes.fromhex(body)
    payload = bytes((following, 0)) + (4 + len(octets) if length is None else length).to_bytes(2) + octets
    total = 28 + len(payload)
    return PREFIX + bytes((payload_type, 0x20, 37, 0x08)) + bytes(4) + total.to_bytes(4) + payload


SA, KE, ID_I, CERT, AUTH, NONCE, NOTIFY, DELETE, TS_I, SK, CP, SKF = 33, 34, 35, 37, 39, 40, 41, 42, 44, 46, 47, 53

# Offsets count from the first octet of the message: 28 is the generic header, 32 the body.
MALFORMED = [
    pytest.param(b"", 0, "no room for its header", id="nothing"),
    pytest.param(PREFIX, 16, "no room for its header", id="half a header"),
    pytest.param(PREFIX + bytes.fromhex("00 30 25 08 00000000 0000001c"), 17, "major version 3", id="version 3"),
    pytest.param(PREFIX + bytes.fromhex("00 10 25 08 00000000 0000001c"), 17, "major version 1", id="version 1"),
    pytest.param(PREFIX + bytes.fromhex("00 20 25 08 00000000 0000001b"), 24, "claims to have 27", id="length below"),
    pytest.param(PREFIX + bytes.fromhex("00 20 25 08 00000000 ffffffff"), 24, "claims", id="length far above"),
    pytest.param(PREFIX + bytes.fromhex("2b 20 25 08 00000000 0000001c"), 28, "4 octets expected, 0", id="no payload"),
    pytest.param(PREFIX + bytes.fromhex("00 20 25 08 00000000 0000001d 00"), 28, "1 octets left over", id="surplus"),
    pytest.param(message(200, "", length=0), 32, "smaller than the header", id="payload length 0"),
    pytest.param(message(200, "", length=3), 32, "smaller than the header", id="payload length 3"),
    pytest.param(message(200, "", length=5), 32, "1 octets expected, 0 left", id="payload length beyond"),
    pytest.param(message(200, "", length=0xFFFF), 32, "65531 octets expected", id="payload length far beyond"),
    pytest.param(message(200, "00", length=4), 32, "1 octets left over", id="payload length short"),
    pytest.param(message(200, "", following=43), 32, "4 octets expected", id="announced and not there"),
    pytest.param(message(KE, "001f00"), 32, "4 octets expected, 3 left", id="KE"),
    pytest.param(message(ID_I, "0100"), 32, "4 octets expected, 2 left", id="IDi"),
    pytest.param(message(CERT, ""), 32, "1 octets expected, 0 left", id="CERT"),
    pytest.param(message(AUTH, "02"), 32, "4 octets expected, 1 left", id="AUTH"),
    pytest.param(message(NONCE, "00" * 15), 32, "a nonce of 15", id="short nonce"),
    pytest.param(message(NONCE, "00" * 257), 32, "a nonce of 257", id="long nonce"),
    pytest.param(message(NOTIFY, "000040"), 32, "4 octets expected, 3 left", id="N"),
    pytest.param(message(NOTIFY, "03044000 010203"), 36, "4 octets expected, 3 left", id="N with a short SPI"),
    pytest.param(message(DELETE, "030400"), 32, "4 octets expected, 3 left", id="D"),
    pytest.param(message(DELETE, "01040001 01020304"), 32, "SPI size of 4", id="D of an IKE SA with an SPI"),
    pytest.param(message(DELETE, "01000001"), 32, "1 SPIs of 0", id="D of an IKE SA that counts an SPI"),
    pytest.param(message(DELETE, "03080001 0102030405060708"), 32, "SPI size of 8", id="D of ESP with a long SPI"),
    pytest.param(message(DELETE, "c9000001"), 32, "1 SPIs of 0", id="D of an SPI without octets"),
    pytest.param(message(DELETE, "c9010000"), 32, "0 SPIs of 1", id="D of nothing"),
    pytest.param(message(DELETE, "c901ffff 01"), 36, "65535 SPIs of 1 octets in 1", id="D that counts too many"),
    pytest.param(message(DELETE, "c9010001 0102"), 36, "1 SPIs of 1 octets in 2", id="D that counts too few"),
    pytest.param(message(TS_I, "0100"), 32, "4 octets expected, 2 left", id="TSi"),
    pytest.param(message(TS_I, "01000000"), 36, "4 octets expected, 0 left", id="TSi without its selector"),
    pytest.param(message(TS_I, "00000000 f1010004"), 36, "4 octets left over", id="TSi with one more"),
    pytest.param(message(TS_I, "01000000 f1010003"), 40, "smaller than the header", id="selector length 3"),
    pytest.param(message(TS_I, "01000000 f1010005"), 40, "1 octets expected, 0 left", id="selector length beyond"),
    pytest.param(message(TS_I, "01000000 07000008 0000ffff"), 40, "12 octets expected, 4 left", id="short IPv4 range"),
    pytest.param(
        message(TS_I, "01000000 07000011 0000ffff 0a000001 0a000002 00"), 52, "1 octets left over", id="long IPv4 range"
    ),
    pytest.param(message(TS_I, "01000000 08000008 0000ffff"), 40, "36 octets expected, 4 left", id="short IPv6 range"),
    pytest.param(message(CP, "0100"), 32, "4 octets expected, 2 left", id="CP"),
    pytest.param(message(CP, "01000000 000100"), 36, "4 octets expected, 3 left", id="CP attribute"),
    pytest.param(message(CP, "01000000 00010002 00"), 40, "2 octets expected, 1 left", id="CP value"),
    pytest.param(message(SKF, "0001"), 32, "4 octets expected, 2 left", id="SKF"),
    pytest.param(message(SKF, "00000001 00"), 32, "fragment 0 of 1", id="SKF 0"),
    pytest.param(message(SKF, "00030002 00"), 32, "fragment 3 of 2", id="SKF beyond"),
    pytest.param(message(SA, ""), 32, "8 octets expected, 0 left", id="SA without a proposal"),
    pytest.param(message(SA, "00000007 01c90000"), 40, "smaller than the header", id="proposal length 7"),
    pytest.param(message(SA, "00000009 01c90000"), 40, "1 octets expected, 0 left", id="proposal length beyond"),
    pytest.param(message(SA, "01000008 01c90000"), 32, "Last Substruc 1", id="proposal Last Substruc"),
    pytest.param(message(SA, "00000008 00c90000"), 32, "number 0 is out of order", id="proposal 0"),
    pytest.param(message(SA, "02000008 01c90000"), 40, "8 octets expected, 0 left", id="proposal announced"),
    pytest.param(
        message(SA, "02000008 01c90000 00000008 01c90000"), 40, "number 1 is out of order", id="proposal repeated"
    ),
    pytest.param(
        message(SA, "00000008 01c90000 00000008 02c90000"), 40, "8 octets left over", id="proposal unannounced"
    ),
    pytest.param(message(SA, "00000009 01c90200 00"), 40, "2 octets expected, 1 left", id="short SPI"),
    pytest.param(message(SA, "0000000c 01010400 01020304"), 32, "an SPI of 4 octets for protocol 1", id="IKE SPI"),
    pytest.param(message(SA, "00000009 01030100 01"), 32, "an SPI of 1 octets for protocol 3", id="ESP SPI"),
    pytest.param(message(SA, "00000008 01c90001"), 40, "4 octets expected, 0 left", id="transform missing"),
    pytest.param(message(SA, "00000010 01c90000 00000008 07010100"), 40, "8 octets left over", id="transform surplus"),
    pytest.param(message(SA, "0000000c 01c90001 00000003"), 44, "smaller than the header", id="transform length 3"),
    pytest.param(message(SA, "0000000c 01c90001 00000005"), 44, "1 octets expected, 0 left", id="transform beyond"),
    pytest.param(message(SA, "0000000c 01c90001 01000004"), 40, "Last Substruc 1", id="transform Last Substruc"),
    pytest.param(
        message(SA, "0000000c 01c90001 03000004"), 40, "Last Substruc 3 in transform 1 of 1", id="transform promised"
    ),
    pytest.param(
        message(SA, "00000010 01c90002 00000004 00000004"),
        40,
        "Last Substruc 0 in transform 1 of 2",
        id="last early",
    ),
    pytest.param(message(SA, "0000000c 01010001 00000004"), 44, "4 octets expected, 0 left", id="IKE transform"),
    pytest.param(
        message(SA, "00000013 01010001 0000000b 01000014 800e01"), 48, "4 octets expected, 3 left", id="attribute"
    ),
    pytest.param(
        message(SA, "00000015 01010001 0000000d 01000014 000e0002 01"), 52, "2 octets expected, 1 left", id="TLV value"
    ),
]


@pytest.mark.parametrize(("octets", "offset", "reason"), MALFORMED)
def test_malformed_octets_are_refused_where_they_go_wrong(octets: bytes, offset: int, reason: str) -> None:
    with pytest.raises(WireError, match=reason) as refusal:
        Message.parse(octets)
    assert refusal.value.offset == offset
    assert f"at octet {offset}" in str(refusal.value)


def test_a_sealed_payload_is_the_last_one() -> None:
    # Its Next Payload field is about what is inside, so more octets are a surplus.
    octets = message(SK, "00", following=NONCE) + bytes(20)
    with pytest.raises(WireError, match="20 octets left over"):
        Message.parse(octets[:24] + len(octets).to_bytes(4) + octets[28:])


@pytest.mark.parametrize("payload_type", [SK, SKF])
def test_nothing_sealed_is_inside_what_was_sealed(payload_type: int) -> None:
    with pytest.raises(WireError, match="inside another") as refusal:
        parse_payloads(PayloadType.VENDOR_ID, bytes((payload_type, 0, 0, 4)) + bytes((0, 0, 0, 9, 0, 1, 0, 1, 0)))
    assert refusal.value.offset == 4


def test_the_inside_ends_with_its_last_payload() -> None:
    assert parse_payloads(PayloadType.NONE, b"") == ()
    with pytest.raises(WireError, match="1 octets left over"):
        parse_payloads(PayloadType.NONE, b"\0")
    with pytest.raises(WireError, match="4 octets expected"):
        parse_payloads(PayloadType.NONCE, b"")


def test_a_length_is_believed_only_as_far_as_there_are_octets() -> None:
    # Every count and length at its largest, in a message of 44 octets: refused before anything is made of them.
    for payload_type in (SA, DELETE, TS_I, CP, NOTIFY):
        with pytest.raises(WireError):
            Message.parse(message(payload_type, "ff" * 12))


IPV4, IPV6 = IPv4Address("10.0.0.1"), IPv6Address("fd00::1")
TCP_AO = TcpAoTransform(7, 1, 1)


def sa(*proposals: Proposal | RkmpProposal) -> SecurityAssociation:
    return SecurityAssociation(proposals)


UNWRITABLE: list[tuple[Payload, str]] = [
    (sa(), "needs a proposal"),
    (sa(Proposal(0, 1, b"", ())), "out of order"),
    (sa(Proposal(1, 1, b"", ()), Proposal(3, 1, b"", ())), "out of order"),
    (sa(Proposal(256, 1, b"", ())), "does not fit"),
    (sa(Proposal(1, 1, b"spi4", ())), "an SPI of 4 octets"),
    (sa(RkmpProposal(1, 201, bytes(256), ())), "does not fit"),
    (sa(RkmpProposal(1, 256, b"", ())), "does not fit"),
    (sa(RkmpProposal(1, 201, b"", (TCP_AO,) * 256)), "does not fit"),
    (sa(RkmpProposal(1, 201, b"", (TcpAoTransform(256, 1, 1),))), "does not fit"),
    (sa(RkmpProposal(1, 1, b"", ())), "protocol 1 has transforms of RFC 7296"),
    (sa(Proposal(1, 201, b"", ())), "protocol 201 has no transforms of RFC 7296"),
    (sa(Proposal(1, 1, b"", (Transform(256, 0),))), "does not fit"),
    (sa(Proposal(1, 1, b"", (Transform(1, 65536),))), "does not fit"),
    (sa(Proposal(1, 1, b"", (Transform(1, 1, (Attribute(0x8000, 1),)),))), "does not fit 15 bits"),
    (sa(Proposal(1, 1, b"", (Transform(1, 1, (Attribute(14, 65536),)),))), "does not fit"),
    (sa(Proposal(1, 1, b"", (Transform(1, 1, (Attribute(14, bytes(65536)),)),))), "does not fit"),
    (sa(Proposal(1, 1, b"", (Transform(1, 1, (Attribute(14, bytes(65530)),)),))), "does not fit"),
    (KeyExchange(65536, b""), "does not fit"),
    (KeyExchange(31, bytes(65536)), "does not fit"),
    (IdInitiator(-1, b""), "does not fit"),
    (Authentication(256, b""), "does not fit"),
    (Nonce(bytes(15)), "a nonce of 15"),
    (Nonce(bytes(257)), "a nonce of 257"),
    (Notify(65536), "does not fit"),
    (Notify(1, spi=bytes(256)), "does not fit"),
    (Delete(1, (b"spi4",)), "SPI size of 4"),
    (Delete(3, (b"spi",)), "SPI size of 3"),
    (Delete(3), "SPI size of 0"),
    (Delete(201), "0 SPIs"),
    (Delete(201, (b"",)), "1 SPIs of 0"),
    (Delete(201, (b"\x01", b"\x01\x02")), "different sizes"),
    (TrafficSelectorsInitiator((RoutingProtocolSelector(256),)), "does not fit"),
    (TrafficSelectorsInitiator((RoutingProtocolSelector(1),) * 256), "does not fit"),
    (TrafficSelectorsInitiator((AddressRangeSelector(IPV4, IPV6),)), "different families"),
    (TrafficSelectorsInitiator((AddressRangeSelector(IPV4, IPV4, 65536),)), "does not fit"),
    (TrafficSelectorsInitiator((UnknownSelector(7, b""),)), "is not unknown"),
    (TrafficSelectorsInitiator((UnknownSelector(10, bytes(65536)),)), "does not fit"),
    (Configuration(1, (ConfigurationAttribute(0x8000),)), "does not fit 15 bits"),
    (Configuration(1, (ConfigurationAttribute(-1),)), "does not fit"),
    (UnknownPayload(0, False, b""), "is not unknown"),
    (UnknownPayload(SA, False, b""), "is not unknown"),
    (UnknownPayload(SK, False, b""), "is not unknown"),
    (UnknownPayload(256, False, b""), "does not fit"),
    (EncryptedFragment(0, 0, 1, b""), "fragment 0"),
    (EncryptedFragment(0, 2, 1, b""), "fragment 2 of 1"),
    (EncryptedFragment(0, 1, 65536, b""), "does not fit"),
    (Encrypted(256, b""), "does not fit"),
]


@pytest.mark.parametrize(
    ("payload", "reason"),
    UNWRITABLE,
    ids=[f"{type(payload).__name__}-{n}" for n, (payload, _) in enumerate(UNWRITABLE)],
)
def test_values_that_do_not_fit_are_refused(payload: Payload, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        Message(b"initiatr", b"respondr", 37, 0, (payload,)).to_bytes()


@pytest.mark.parametrize("sealed", [Encrypted(0, b""), EncryptedFragment(0, 1, 1, b"")])
def test_a_sealed_payload_cannot_be_written_elsewhere(sealed: Payload) -> None:
    with pytest.raises(WireError, match="after an Encrypted"):
        Message(b"initiatr", b"respondr", 37, 0, (sealed, VendorId(b""))).to_bytes()
    with pytest.raises(WireError, match="inside another"):
        serialise_payloads((sealed,))


HEADER = Header(b"initiatr", b"respondr", 37, 0, False, True)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (replace(HEADER, initiator_spi=b"short"), "8 octets"),
        (replace(HEADER, responder_spi=b"much too long"), "8 octets"),
        (replace(HEADER, exchange_type=256), "does not fit"),
        (replace(HEADER, message_id=2**32), "does not fit"),
        (replace(HEADER, message_id=-1), "does not fit"),
        (replace(HEADER, major_version=16), "does not fit"),
        (replace(HEADER, minor_version=-1), "does not fit"),
        (replace(HEADER, first_payload=256), "does not fit"),
        (replace(HEADER, length=2**32), "does not fit"),
    ],
)
def test_header_fields_that_do_not_fit_are_refused(header: Header, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        header.to_bytes()
