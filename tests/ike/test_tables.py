"""The small tables and pure functions: which payloads go where, identities, Vendor IDs, reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.errors import IkeError
from rkmp.ike import (
    IDENTITY_TYPE_NAMES,
    ChildRefusal,
    ChildRequest,
    Identity,
    NegotiationFailure,
    RekeyFailure,
    Retransmission,
)
from rkmp.ike.addressing import new_spi
from rkmp.ike.child_negotiation import accept, offer_payloads, read_offer
from rkmp.ike.events import AuthenticationFailure, ChildDeletion, CloseReason
from rkmp.ike.exchanges import ANSWERING
from rkmp.ike.occurrence import ENCRYPTED, REQUEST, RESPONSE, check_occurrence, first_error, refuses
from rkmp.ike.policy import ChildChoice, OfferedTransform
from rkmp.ike.refusals import (
    CHILD_REFUSALS,
    NEGOTIATION_FAILURES,
    REKEY_FAILURES,
    child_refusal,
    negotiation_failure,
    notify_name,
    rekey_failure,
)
from rkmp.ike.settings import RFC_5926_PAIRS
from rkmp.ike.states import Input, message_input
from rkmp.ike.vendor_id import VENDOR_ID_PREFIX, announced_code_points, describe, vendor_id
from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    CodePoints,
    ExchangeType,
    IdType,
    KeyExchange,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnknownPayload,
    VendorId,
)
from tests.ike.network import AES, BGP, SHA1, request

# -- which payloads go where -----------------------------------------------------------------------------------------


def test_every_exchange_that_is_processed_has_its_tables() -> None:
    assert set(ENCRYPTED) == set(REQUEST) == set(RESPONSE) == set(ANSWERING)
    for exchange_type, answering in ANSWERING.items():
        assert answering().exchange_type == exchange_type
        for is_response in (False, True):
            known = message_input(exchange_type, is_response=is_response)
            assert known not in (Input.OTHER_REQUEST, Input.OTHER_RESPONSE)


@pytest.mark.parametrize("table", [REQUEST, RESPONSE])
def test_a_minimum_is_never_above_its_maximum(table: dict[int, dict[type[Payload], tuple[int, int]]]) -> None:
    for row in table.values():
        for minimum, maximum in row.values():
            assert 0 <= minimum <= maximum


def test_what_is_missing_one_too_many_or_out_of_place_is_malformed() -> None:
    sa = offer_payloads(request(), DEFAULT_CODE_POINTS)[0]
    good = (sa, KeyExchange(31, bytes(32)), Nonce(bytes(16)))
    check_occurrence(ExchangeType.IKE_SA_INIT, good, is_response=False)
    for bad in (good[:2], (*good, Nonce(bytes(16))), (*good, TrafficSelectorsInitiator(()))):
        with pytest.raises(IkeError) as refusal:
            check_occurrence(ExchangeType.IKE_SA_INIT, bad, is_response=False)
        assert refusal.value.notify_type == NotifyType.INVALID_SYNTAX


def test_a_refusal_need_not_carry_what_a_success_would() -> None:
    check_occurrence(ExchangeType.CREATE_CHILD_SA, (Notify(14),), is_response=True)
    with pytest.raises(IkeError):
        check_occurrence(ExchangeType.CREATE_CHILD_SA, (Notify(16384),), is_response=True)
    with pytest.raises(IkeError):
        check_occurrence(ExchangeType.CREATE_CHILD_SA, (Notify(14),), is_response=False)


def test_a_cookie_refuses_in_ike_sa_init_alone() -> None:
    cookie = Notify(NotifyType.COOKIE, b"c")
    assert refuses(cookie, ExchangeType.IKE_SA_INIT)
    assert not refuses(cookie, ExchangeType.CREATE_CHILD_SA)


def test_a_critical_payload_counts_before_anything_else() -> None:
    with pytest.raises(IkeError) as refusal:
        check_occurrence(ExchangeType.INFORMATIONAL, (UnknownPayload(77, critical=True, data=b""),), is_response=True)
    assert (refusal.value.notify_type, refusal.value.data) == (1, b"\x4d")


def test_the_first_error_is_the_first_error() -> None:
    assert first_error((Notify(16384), Nonce(bytes(16)))) is None
    assert first_error((Notify(16384), Notify(38), Notify(14))) == Notify(38)


# -- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reasons", [NegotiationFailure, AuthenticationFailure, RekeyFailure, ChildRefusal, ChildDeletion, CloseReason]
)
def test_reasons_are_words_that_can_be_told_apart(reasons: type) -> None:
    values = [reason.value for reason in reasons]  # type: ignore[attr-defined]
    assert len(set(values)) == len(values)
    assert all(value.replace("-", "").isalnum() and value == value.lower() for value in values)


@given(st.integers(0, 0xFFFF))
def test_every_notify_has_a_reason_and_a_name(notify_type: int) -> None:
    assert isinstance(negotiation_failure(notify_type), NegotiationFailure)
    assert isinstance(child_refusal(notify_type), ChildRefusal)
    assert isinstance(rekey_failure(notify_type), RekeyFailure)
    assert notify_name(notify_type)


def test_notifies_that_matter_have_a_reason_each() -> None:
    for table in (NEGOTIATION_FAILURES, CHILD_REFUSALS, REKEY_FAILURES):
        assert len(set(table.values())) == len(table)
        assert all(notify_type < 16384 for notify_type in table)


# -- identities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("ipv4", "192.0.2.1", bytes((192, 0, 2, 1))),
        ("ipv6", "2001:db8::1", bytes.fromhex("20010db8000000000000000000000001")),
        ("fqdn", "Router.Example.", b"router.example"),
        ("rfc822", "Noc@Example.NET", b"Noc@example.net"),
        ("key-id", "00ff10", b"\x00\xff\x10"),
    ],
)
def test_identities_are_read_and_shown(type_name: str, text: str, value: bytes) -> None:
    identity = Identity.parse(type_name, text)
    assert identity.value == value
    assert identity.type_name == type_name
    assert Identity.parse(type_name, identity.text) == identity
    assert str(identity) == f"{type_name}:{identity.text}"
    assert Identity.received(identity.id_type, identity.value) == identity


def test_a_distinguished_name_is_an_identity() -> None:
    identity = Identity.parse("dn", "CN=alice,O=RKMP")
    assert identity.id_type == IdType.DER_ASN1_DN
    assert identity.text == "CN=alice,O=RKMP"


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("ipv4", "192.0.2.256"),
        ("ipv4", "::1"),
        ("ipv6", "192.0.2.1"),
        ("fqdn", ""),
        ("fqdn", "a..b"),
        ("fqdn", "a b"),
        ("fqdn", "x" * 64 + ".example"),
        ("fqdn", ".".join(["abcdefgh"] * 30)),
        ("fqdn", "b\u00fccher.example"),
        ("rfc822", "nobody"),
        ("rfc822", "@example"),
        ("rfc822", "\u00fc@example"),
        ("key-id", "xyz"),
        ("key-id", ""),
        ("dn", "no name"),
        ("nickname", "alice"),
    ],
)
def test_what_is_no_identity_is_refused(type_name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Identity.parse(type_name, text)


def test_every_named_type_can_be_parsed() -> None:
    for name in IDENTITY_TYPE_NAMES.values():
        with pytest.raises(ValueError, match=r"^(?!unknown identity type)"):
            Identity.parse(name, "\n")


def test_an_address_is_an_identity() -> None:
    assert Identity.of_address("192.0.2.1") == Identity.parse("ipv4", "192.0.2.1")
    assert Identity.of_address("2001:db8::1") == Identity.parse("ipv6", "2001:db8::1")


@pytest.mark.parametrize(("id_type", "value"), [(1, bytes(5)), (5, bytes(4)), (2, b""), (11, b"")])
def test_octets_that_cannot_be_of_their_type_are_refused(id_type: int, value: bytes) -> None:
    with pytest.raises(IkeError) as refusal:
        Identity.received(id_type, value)
    assert refusal.value.notify_type == NotifyType.INVALID_SYNTAX


def test_names_are_compared_as_dns_does() -> None:
    assert Identity.received(2, b"Alice.EXAMPLE") == Identity.parse("fqdn", "alice.example")


@given(st.integers(0, 255), st.binary(max_size=40))
def test_every_identity_can_be_shown(id_type: int, value: bytes) -> None:
    assert Identity(id_type, value).text.isprintable()


# -- Vendor ID -------------------------------------------------------------------------------------------------------


def test_code_points_are_announced_and_understood() -> None:
    code_points = CodePoints(210, 211, 250)
    assert announced_code_points((Nonce(bytes(16)), VendorId(b"other"), vendor_id(code_points))) == code_points
    assert "210" in describe(code_points)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        VENDOR_ID_PREFIX,
        VENDOR_ID_PREFIX + b"\xc9\xca",
        VENDOR_ID_PREFIX + bytes(3),
        VENDOR_ID_PREFIX + b"\xc9\xc9\xf1",
    ],
)
def test_a_vendor_id_that_announces_nothing_possible_announces_nothing(data: bytes) -> None:
    assert announced_code_points((VendorId(data),)) is None


# -- offers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proposals", [(), ((),), ((TcpAoTransform(1, *AES), TcpAoTransform(2, *AES)),)])
def test_a_request_that_cannot_be_answered_cannot_be_made(proposals: tuple[tuple[TcpAoTransform, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"transform"):
        ChildRequest(BGP, proposals)


def test_among_transforms_that_differ_in_their_key_id_alone_the_first_is_meant() -> None:
    offered = offer_payloads(request(1, 2, pairs=(SHA1, AES)), DEFAULT_CODE_POINTS)
    doubled = SecurityAssociation((_proposal(TcpAoTransform(5, *AES), TcpAoTransform(6, *AES)),))
    offer = read_offer((doubled, *offered[1:]), DEFAULT_CODE_POINTS, RFC_5926_PAIRS, (), None)
    assert [offered.transform.send_id for offered in offer.transforms] == [5]


def test_a_policy_that_chooses_what_was_not_offered_is_a_fault_of_ours() -> None:
    payloads = offer_payloads(request(1, 2), DEFAULT_CODE_POINTS)
    offer = read_offer(payloads, DEFAULT_CODE_POINTS, RFC_5926_PAIRS, (), None)
    with pytest.raises(ValueError, match="not offered"):
        accept(offer, ChildChoice(OfferedTransform(9, TcpAoTransform(1, *AES)), 1), ())


def test_a_private_use_algorithm_is_offered_to_policy_where_the_settings_know_it() -> None:
    exotic = SecurityAssociation((_proposal(TcpAoTransform(1, 241, 241)),))
    selectors = (RoutingProtocolSelector(BGP),)
    payloads = (exotic, TrafficSelectorsInitiator(selectors), TrafficSelectorsResponder(selectors))
    with pytest.raises(IkeError) as refusal:
        read_offer(payloads, DEFAULT_CODE_POINTS, RFC_5926_PAIRS, (), None)
    assert refusal.value.notify_type == NotifyType.NO_PROPOSAL_CHOSEN
    offer = read_offer(payloads, DEFAULT_CODE_POINTS, {**RFC_5926_PAIRS, (241, 241): 32}, (), None)
    assert [offered.transform for offered in offer.transforms] == [TcpAoTransform(1, 241, 241)]


def _proposal(*transforms: TcpAoTransform) -> RkmpProposal:
    return RkmpProposal(1, DEFAULT_CODE_POINTS.tcp_ao_protocol, b"", transforms)


def test_an_spi_does_not_begin_like_a_non_esp_marker() -> None:
    drawn = [bytes(8), bytes(4) + b"\xff" * 4, b"\x00\x00\x00\x01" + bytes(4)]
    assert new_spi(lambda _: drawn.pop(0)) == b"\x00\x00\x00\x01" + bytes(4)


def test_patience_grows() -> None:
    patience = Retransmission(2.0, 1.5, 3)
    assert [patience.interval(n) for n in (1, 2, 3)] == [2.0, 3.0, 4.5]
