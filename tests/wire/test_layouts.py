"""Octet for octet: every payload as RFC 7296 section 3, RFC 7383 and the draft draw it.

Round trips cannot see a field that is written and read at the same wrong place; these can.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from rkmp.wire import (
    KNOWN_PAYLOAD_TYPES,
    AddressRangeSelector,
    Attribute,
    AttributeType,
    AuthAlg,
    Authentication,
    AuthMethod,
    CertEncoding,
    Certificate,
    CertificateRequest,
    Configuration,
    ConfigurationAttribute,
    ConfigurationType,
    Delete,
    Eap,
    Encrypted,
    EncryptedFragment,
    EncryptionId,
    ExchangeType,
    Header,
    IdInitiator,
    IdResponder,
    IdType,
    Kdf,
    KeyExchange,
    KeyExchangeId,
    LdpAuthAlg,
    LdpDiscoveryTransform,
    Message,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PayloadType,
    PrfId,
    Proposal,
    ProtocolId,
    RkmpProposal,
    RoutingProtocol,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    Transform,
    TransformType,
    UnknownPayload,
    UnknownSelector,
    UnrecognisedTransform,
    VendorId,
)

BODIES: list[tuple[Payload, str]] = [
    (
        SecurityAssociation(
            (
                Proposal(
                    1,
                    ProtocolId.IKE,
                    b"",
                    (
                        Transform(
                            TransformType.ENCR,
                            EncryptionId.AES_GCM_16,
                            (Attribute(AttributeType.KEY_LENGTH, 256),),
                        ),
                        Transform(TransformType.PRF, PrfId.HMAC_SHA2_384),
                        Transform(TransformType.KE, KeyExchangeId.CURVE25519),
                    ),
                ),
            )
        ),
        "00 00 0024 01 01 00 03 03 00 000c 01 00 0014 800e 0100 03 00 0008 02 00 0006 00 00 0008 04 00 001f",
    ),
    (
        SecurityAssociation(
            (
                Proposal(1, ProtocolId.IKE, b"\x01\x02\x03\x04\x05\x06\x07\x08", ()),
                Proposal(2, ProtocolId.ESP, b"\xa1\xa2\xa3\xa4", (Transform(5, 0, (Attribute(2, b"tlv"),)),)),
            )
        ),
        (
            "02 00 0010 01 01 08 00 0102030405060708"
            " 00 00 001b 02 03 04 01 a1a2a3a4"
            " 00 00 000f 05 00 0000 0002 0003 746c76"
        ),
    ),
    (
        SecurityAssociation(
            (
                RkmpProposal(
                    1,
                    201,
                    b"",
                    (
                        TcpAoTransform(1, AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1),
                        TcpAoTransform(0xFE, AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC, ignore_tcp_options=True),
                    ),
                ),
                RkmpProposal(2, 201, b"\x07", (UnrecognisedTransform(b"\x07\x01\x01\x00\xff"),)),
                RkmpProposal(3, 202, b"", (LdpDiscoveryTransform(0x11223344, LdpAuthAlg.HMAC_SHA_256),)),
            )
        ),
        (
            "02 00 0018 01 c9 00 02"
            " 03 00 0008 01 01 01 00"
            " 00 00 0008 fe 02 02 80"
            " 02 00 0012 02 c9 01 01 07"
            " 00 00 0009 07010100ff"
            " 00 00 0014 03 ca 00 01"
            " 00 00 000c 0200000011223344"
        ),
    ),
    (KeyExchange(KeyExchangeId.ECP_256, b"value"), "0013 0000 76616c7565"),
    (IdInitiator(IdType.FQDN, b"a.example"), "02 000000 612e6578616d706c65"),
    (IdResponder(IdType.IPV4_ADDR, b"\x0a\x00\x00\x01"), "01 000000 0a000001"),
    (Certificate(CertEncoding.X509_SIGNATURE, b"cert"), "04 63657274"),
    (CertificateRequest(CertEncoding.X509_SIGNATURE, bytes(20)), "04" + "00" * 20),
    (Authentication(AuthMethod.SHARED_KEY, b"mac"), "02 000000 6d6163"),
    (Nonce(b"sixteen octets.."), b"sixteen octets..".hex()),
    (Notify(NotifyType.INVALID_KE_PAYLOAD, b"\x00\x1f"), "00 00 0011 001f"),
    (Notify(NotifyType.REKEY_SA, b"", 201, b"\x05"), "c9 01 4009 05"),
    (Notify(40960, b"data", ProtocolId.ESP, b"spi4"), "03 04 a000 73706934 64617461"),
    (Delete(ProtocolId.IKE), "01 00 0000"),
    (Delete(201, (b"\x05", b"\x06")), "c9 01 0002 05 06"),
    (Delete(ProtocolId.ESP, (b"spi1", b"spi2")), "03 04 0002 73706931 73706932"),
    (VendorId(b"vendor"), "76656e646f72"),
    (TrafficSelectorsInitiator((RoutingProtocolSelector(RoutingProtocol.BGP),)), "01 000000 f1 01 0004"),
    (
        TrafficSelectorsResponder(
            (
                AddressRangeSelector(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.9"), 179, 180, 6),
                AddressRangeSelector(IPv6Address("fd00::1"), IPv6Address("fd00::2")),
                UnknownSelector(10, b"label", 9),
            )
        ),
        (
            "03 000000"
            " 07 06 0010 00b3 00b4 0a000001 0a000009"
            " 08 00 0028 0000 ffff fd000000000000000000000000000001 fd000000000000000000000000000002"
            " 0a 09 0009 6c6162656c"
        ),
    ),
    (
        Configuration(ConfigurationType.REQUEST, (ConfigurationAttribute(1), ConfigurationAttribute(7, b"app"))),
        "01 000000 0001 0000 0007 0003 617070",
    ),
    (Eap(b"\x01\x02\x00\x04"), "01020004"),
    (Encrypted(PayloadType.ID_I, b"sealed"), "7365616c6564"),
    (EncryptedFragment(PayloadType.ID_I, 1, 2, b"sealed"), "0001 0002 7365616c6564"),
    (UnknownPayload(200, True, b"?"), "3f"),
]

IDS = [f"{payload.payload_type}-{index}" for index, (payload, _) in enumerate(BODIES)]
HEADER = "0102030405060708 1112131415161718 {first:02x} 20 25 08 00000009 {length:08x}"


@pytest.mark.parametrize(("payload", "body"), BODIES, ids=IDS)
def test_payloads_are_laid_out_as_drawn(payload: Payload, body: str) -> None:
    octets = bytes.fromhex(body)
    is_sealed = isinstance(payload, Encrypted | EncryptedFragment)
    following = PayloadType.ID_I if is_sealed else PayloadType.NONE
    flags = 0x80 if isinstance(payload, UnknownPayload) and payload.critical else 0
    message = (
        bytes.fromhex(HEADER.format(first=payload.payload_type, length=32 + len(octets)))
        + bytes((following, flags))
        + (4 + len(octets)).to_bytes(2)
        + octets
    )
    expected = Message(
        bytes(range(1, 9)), bytes(range(0x11, 0x19)), ExchangeType.INFORMATIONAL, 9, (payload,), False, True
    )
    assert expected.to_bytes() == message
    assert Message.parse(message) == expected


def test_every_payload_class_is_drawn() -> None:
    assert {payload.payload_type for payload, _ in BODIES} == {*KNOWN_PAYLOAD_TYPES, 200}


def test_payloads_announce_the_one_after_them() -> None:
    message = Message(b"initiatr", b"respondr", 34, 0, (VendorId(b"a"), Nonce(bytes(16)), VendorId(b"b")))
    octets = message.to_bytes()
    assert octets[16] == PayloadType.VENDOR_ID
    assert octets[28:33] == bytes((PayloadType.NONCE, 0, 0, 5)) + b"a"
    assert octets[33:37] == bytes((PayloadType.VENDOR_ID, 0, 0, 20))
    assert octets[53:] == bytes((PayloadType.NONE, 0, 0, 5)) + b"b"


def test_what_precedes_a_sealed_body_is_all_the_rest() -> None:
    message = Message(b"initiatr", b"respondr", 36, 3, (Encrypted(PayloadType.SA, b"iv and the rest"),))
    octets = message.to_bytes()
    assert octets[: -len(b"iv and the rest")] + b"iv and the rest" == octets
    assert octets[28:32] == bytes((PayloadType.SA, 0)) + (4 + 15).to_bytes(2)


def test_a_message_without_payloads_is_its_header() -> None:
    message = Message(b"initiatr", b"respondr", ExchangeType.INFORMATIONAL, 7, (), True)
    assert message.to_bytes() == b"initiatr" + b"respondr" + bytes.fromhex("00 20 25 20 00000007 0000001c")
    assert Message.parse(message.to_bytes()) == message


@pytest.mark.parametrize(
    ("flags", "is_response", "is_initiator"),
    [(0x00, False, False), (0x08, False, True), (0x20, True, False), (0x28, True, True), (0xD7, False, False)],
)
def test_flags_are_read_and_reserved_ones_ignored(flags: int, is_response: bool, is_initiator: bool) -> None:
    octets = b"initiatr" + b"respondr" + bytes((0, 0x20, 37, flags)) + bytes(4) + (28).to_bytes(4)
    header = Header.parse(octets)
    assert (header.is_response, header.is_initiator) == (is_response, is_initiator)
    message = Message.parse(octets)
    assert (message.is_response, message.is_initiator) == (is_response, is_initiator)


def test_a_header_is_read_without_the_rest_and_of_any_version() -> None:
    octets = b"initiatr" + b"respondr" + bytes((33, 0x31, 34, 0x08)) + bytes(4) + (9999).to_bytes(4)
    header = Header.parse(octets + b"whatever follows")
    assert header == Header(
        b"initiatr", b"respondr", ExchangeType.IKE_SA_INIT, 0, False, True, 3, 1, PayloadType.SA, 9999
    )
    assert header.to_bytes() == octets


def test_reserved_fields_are_ignored_and_cleared() -> None:
    octets = bytes.fromhex(
        "696e697469617472 726573706f6e6472 28 2f 25 d7 00000000 00000000"
        " 29 80 0014 73697874656e206f63746574732e2e2e"  # a critical bit on a known payload
        " 2c 7f 0008 00 00 4000"
        " 00 00 000c 01 ffffff f1 01 0004"
    )
    octets = octets[:24] + len(octets).to_bytes(4) + octets[28:]
    message = Message.parse(octets)
    assert message.payloads == (
        Nonce(b"sixten octets..."),
        Notify(NotifyType.INITIAL_CONTACT),
        TrafficSelectorsInitiator((RoutingProtocolSelector(RoutingProtocol.BGP),)),
    )
    cleared = message.to_bytes()
    assert cleared != octets
    assert Message.parse(cleared) == message


def test_reserved_octets_and_flags_of_a_tcp_ao_transform_are_ignored() -> None:
    octets = Message(
        b"initiatr",
        b"respondr",
        35,
        1,
        (SecurityAssociation((RkmpProposal(1, 201, b"", (TcpAoTransform(9, 1, 1),)),)),),
    ).to_bytes()
    assert octets[-8:] == bytes.fromhex("00 00 0008 09 01 01 00")
    noisy = octets[:-8] + bytes.fromhex("00 5a 0008 09 01 01 7f")
    assert Message.parse(noisy) == Message.parse(octets)


@pytest.mark.parametrize("number", [*range(1, 13), 0, 255])
def test_a_send_id_is_never_taken_for_a_transform_type(number: int) -> None:
    proposal = RkmpProposal(1, 201, b"", (TcpAoTransform(number, 1, 1),))
    message = Message(b"initiatr", b"respondr", 35, 1, (SecurityAssociation((proposal,)),))
    assert Message.parse(message.to_bytes()).payloads == (SecurityAssociation((proposal,)),)


def test_numbers_with_a_name_are_read_as_members() -> None:
    message = Message.parse(
        Message(
            b"initiatr", b"respondr", 34, 0, (KeyExchange(31, b""), Notify(16390), UnknownPayload(54, False, b""))
        ).to_bytes()
    )
    key_exchange, notify, puzzle = message.payloads
    assert isinstance(key_exchange, KeyExchange)
    assert isinstance(notify, Notify)
    assert key_exchange.method is KeyExchangeId.CURVE25519
    assert notify.notify_type is NotifyType.COOKIE
    assert notify.protocol_id is ProtocolId.NONE
    assert puzzle.payload_type is PayloadType.PS
    assert message.exchange_type is ExchangeType.IKE_SA_INIT


@pytest.mark.parametrize(
    ("attributes", "key_length"),
    [
        ((), None),
        ((Attribute(AttributeType.KEY_LENGTH, 256),), 256),
        ((Attribute(99, 1), Attribute(AttributeType.KEY_LENGTH, 128)), 128),
        ((Attribute(AttributeType.KEY_LENGTH, b"\x01\x00"),), None),
    ],
)
def test_the_key_length_is_an_attribute(attributes: tuple[Attribute, ...], key_length: int | None) -> None:
    assert Transform(TransformType.ENCR, EncryptionId.AES_CBC, attributes).key_length == key_length
