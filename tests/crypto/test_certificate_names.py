"""Which IKE identities a certificate is good for (RFC 4945 3.1)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.certificate_names import CertificateNames, require_identity, same_name
from rkmp.crypto.certificates import CertificateFault, CertificateRejected
from rkmp.wire import IdType
from tests.crypto.authorities import make, name_of

SUBJECT = name_of("router.example").public_bytes()
EMPTY = x509.Name([]).public_bytes()

HOLDER = make(
    "router.example",
    extensions=[
        (
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("Router.Example"),
                    x509.DNSName("*.wild.example"),
                    x509.IPAddress(ip_address("192.0.2.7")),
                    x509.IPAddress(ip_address("2001:db8::7")),
                    x509.RFC822Name("NOC@Router.Example"),
                    x509.DirectoryName(name_of("another name")),
                    x509.UniformResourceIdentifier("https://uri.example"),
                    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                ]
            ),
            False,
        )
    ],
)
NAMES = CertificateNames.of(HOLDER.certificate)


def with_raw_names(octets: bytes) -> CertificateNames:
    raw = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, octets)
    return CertificateNames.of(make("raw", extensions=[(raw, False)]).certificate)


@pytest.mark.parametrize(
    ("id_type", "value"),
    [
        (IdType.FQDN, b"router.example"),
        (IdType.FQDN, b"ROUTER.example"),
        (IdType.RFC822_ADDR, b"noc@router.example"),
        (IdType.RFC822_ADDR, b"NOC@ROUTER.EXAMPLE"),
        (IdType.IPV4_ADDR, ip_address("192.0.2.7").packed),
        (IdType.IPV6_ADDR, ip_address("2001:db8::7").packed),
        (IdType.DER_ASN1_DN, SUBJECT),
        (IdType.DER_ASN1_DN, name_of("ROUTER.Example").public_bytes()),
    ],
)
def test_the_holder_may_use_its_names(id_type: IdType, value: bytes) -> None:
    assert NAMES.include(id_type, value)
    require_identity(NAMES, id_type, value)


@pytest.mark.parametrize(
    ("id_type", "value"),
    [
        (IdType.FQDN, b""),
        (IdType.FQDN, b"other.example"),
        (IdType.FQDN, b"example"),
        (IdType.FQDN, b"a.wild.example"),
        (IdType.FQDN, b"router.example."),
        (IdType.FQDN, b"router.example\0"),
        (IdType.FQDN, "router.ex\u0430mple".encode()),
        (IdType.FQDN, b"192.0.2.7"),
        (IdType.FQDN, b"noc@router.example"),
        (IdType.FQDN, b"uri.example"),
        (IdType.RFC822_ADDR, b"router.example"),
        (IdType.RFC822_ADDR, b"other@router.example"),
        (IdType.IPV4_ADDR, ip_address("192.0.2.8").packed),
        (IdType.IPV4_ADDR, b"192.0.2.7"),
        (IdType.IPV4_ADDR, b""),
        (IdType.IPV6_ADDR, ip_address("2001:db8::8").packed),
        (IdType.IPV6_ADDR, ip_address("::ffff:192.0.2.7").packed),
        (IdType.DER_ASN1_DN, name_of("another name").public_bytes()),
        (IdType.DER_ASN1_DN, SUBJECT[:-1]),
        (IdType.DER_ASN1_DN, EMPTY),
        (IdType.DER_ASN1_DN, b""),
        (IdType.DER_ASN1_GN, SUBJECT),
        (IdType.KEY_ID, b"router.example"),
        (IdType.KEY_ID, SUBJECT),
        (IdType.NULL, b""),
        (200, b"router.example"),
    ],
)
def test_nobody_may_use_other_names(id_type: int, value: bytes) -> None:
    assert not NAMES.include(id_type, value)
    with pytest.raises(CertificateRejected, match=r"CN=router\.example,C=XX is not for the identity") as refusal:
        require_identity(NAMES, id_type, value)
    assert refusal.value.fault is CertificateFault.WRONG_IDENTITY


def test_the_subject_is_no_host_name() -> None:
    names = CertificateNames.of(make("router.example").certificate)
    assert not names.include(IdType.FQDN, b"router.example")
    assert names.include(IdType.DER_ASN1_DN, SUBJECT)


def test_an_empty_subject_is_nobody() -> None:
    names = CertificateNames.of(make("", subject=x509.Name([])).certificate)
    assert not names.include(IdType.DER_ASN1_DN, EMPTY)
    assert names.description == "serial number 1d"


def test_a_network_is_no_address() -> None:
    names = with_raw_names(bytes.fromhex("30108708c0000207ffffffff8704c0000209"))
    assert names.addresses == {bytes.fromhex("c0000209")}


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"junk",
        bytes.fromhex("30058703c00002"),  # an address of three octets
        bytes.fromhex("3005820341ff42"),  # a host name that is not ASCII
        bytes.fromhex("3005a303020101"),  # an X.400 address
    ],
)
def test_malformed_names_are_refused(octets: bytes) -> None:
    with pytest.raises(
        CertificateRejected, match="extensions of the certificate of CN=raw,C=XX are malformed"
    ) as refusal:
        with_raw_names(octets)
    assert refusal.value.fault is CertificateFault.MALFORMED


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_identity_is_in_or_not(id_type: int, value: bytes) -> None:
    good_for: dict[int, bool] = {
        IdType.FQDN: value.lower() in (b"router.example", b"*.wild.example"),
        IdType.RFC822_ADDR: value.lower() == b"noc@router.example",
        IdType.IPV4_ADDR: value in (ip_address("192.0.2.7").packed, ip_address("2001:db8::7").packed),
        IdType.IPV6_ADDR: value in (ip_address("192.0.2.7").packed, ip_address("2001:db8::7").packed),
        IdType.DER_ASN1_DN: value == SUBJECT,
    }
    assert NAMES.include(id_type, value) == good_for.get(id_type, False)


# -- distinguished names ---------------------------------------------------------------------------------------------


def name(*values: tuple[x509.ObjectIdentifier, str, _ASN1Type]) -> bytes:
    return x509.Name([x509.NameAttribute(oid, value, kind) for oid, value, kind in values]).public_bytes()


ORGANISATION, COMMON = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME
PRINTABLE, UTF8 = _ASN1Type.PrintableString, _ASN1Type.UTF8String


def test_case_spaces_and_string_types_make_no_other_name() -> None:
    one = name((ORGANISATION, "RKMP  Test", PRINTABLE), (COMMON, "router", PRINTABLE))
    assert same_name(one, one)
    assert same_name(one, name((ORGANISATION, " rkmp test", UTF8), (COMMON, "ROUTER", UTF8)))


def test_order_attributes_and_words_make_another_name() -> None:
    one = name((ORGANISATION, "RKMP Test", UTF8), (COMMON, "router", UTF8))
    for other in (
        name((COMMON, "router", UTF8), (ORGANISATION, "RKMP Test", UTF8)),
        name((ORGANISATION, "RKMP Test", UTF8)),
        name((ORGANISATION, "RKMPTest", UTF8), (COMMON, "router", UTF8)),
        name((COMMON, "RKMP Test", UTF8), (COMMON, "router", UTF8)),
        EMPTY,
    ):
        assert not same_name(one, other)


def test_the_order_within_a_relative_name_does_not_matter() -> None:
    attributes = [x509.NameAttribute(COMMON, "router"), x509.NameAttribute(ORGANISATION, "RKMP")]
    upper = [x509.NameAttribute(COMMON, "ROUTER"), x509.NameAttribute(ORGANISATION, "RKMP")]
    one = x509.Name([x509.RelativeDistinguishedName(attributes)]).public_bytes()
    assert same_name(one, x509.Name([x509.RelativeDistinguishedName(reversed(upper))]).public_bytes())
    assert not same_name(one, x509.Name(attributes).public_bytes())


def test_bit_strings_in_names_are_compared_as_they_are() -> None:
    def unique(octets: bytes, common_name: str) -> bytes:
        identifier = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, octets, _ASN1Type.BitString)
        return x509.Name([identifier, x509.NameAttribute(COMMON, common_name)]).public_bytes()

    assert same_name(unique(b"\0one", "a"), unique(b"\0one", "A"))
    assert not same_name(unique(b"\0one", "a"), unique(b"\0ONE", "a"))


@pytest.mark.parametrize(
    "octets", [b"", b"junk", bytes.fromhex("30023100"), bytes.fromhex("300c310a30080603550403030100")]
)
def test_what_is_no_name_is_the_same_as_nothing_else(octets: bytes) -> None:
    assert not same_name(octets, SUBJECT)
    assert not same_name(SUBJECT, octets)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_octets_can_be_compared(one: bytes, other: bytes) -> None:
    assert same_name(one, other) in (True, False)
    assert same_name(one, one)
