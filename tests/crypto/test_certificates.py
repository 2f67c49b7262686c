"""Certificates in payloads and files, and what is told about them."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.certificate_names import CertificateNames
from rkmp.crypto.certificates import (
    CertificateFault,
    CertificateRejected,
    CertificateSummary,
    authority_of,
    describe,
    encode_authorities,
    encode_certificate,
    extension_of,
    first_to_expire,
    is_self_issued,
    load_certificates,
    may_sign,
    parse_authorities,
    parse_certificate,
    printable,
    public_key_of,
    summary_of,
)
from rkmp.crypto.signature_keys import CredentialError, KeyType
from rkmp.errors import CryptoError
from tests.crypto.authorities import AT, DAY, host, make, make_authority, name_of
from tests.crypto.judges import run
from tests.crypto.keys import private_key

ROOT = make_authority("root")
ROUTER = make("router", ROOT, key_number=1, extensions=(host("router.example"),))


def replaced(octets: bytes, old: bytes, new: bytes) -> x509.Certificate:
    """A certificate with other octets of the same length in one place; its signature is wrong."""
    assert octets.count(old) == 1
    assert len(old) == len(new)
    return parse_certificate(octets.replace(old, new))


def test_a_payload_holds_one_certificate() -> None:
    assert parse_certificate(ROUTER.der) == ROUTER.certificate
    assert encode_certificate(ROUTER.certificate) == ROUTER.der
    for wrong in (b"", b"junk", ROUTER.der[:-1], ROUTER.der + b"\0", ROUTER.der * 2, ROUTER.pem):
        with pytest.raises(CertificateRejected) as refusal:
            parse_certificate(wrong)
        assert refusal.value.fault is CertificateFault.MALFORMED


def test_a_file_holds_certificates_in_order() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"
    assert load_certificates(b"a comment\n" + ROUTER.pem + key + ROOT.pem) == (ROUTER.certificate, ROOT.certificate)
    with pytest.raises(CredentialError, match="no certificate"):
        load_certificates(key)
    with pytest.raises(CredentialError, match="malformed"):
        load_certificates(ROUTER.pem + b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")


def test_an_authority_is_named_by_its_public_key() -> None:
    spki = private_key(KeyType.ECDSA_P256).public_key.spki
    assert authority_of(ROOT.certificate) == hashlib.sha1(spki).digest()  # noqa: S324
    assert encode_authorities([ROOT.certificate, ROUTER.certificate]) == (
        authority_of(ROOT.certificate) + authority_of(ROUTER.certificate)
    )


@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA_P384, KeyType.ED25519])
def test_openssl_and_strongswan_name_authorities_so(key_type: KeyType) -> None:
    authority = make_authority("root", key_type=key_type)
    public_key = run("openssl", "x509", "-noout", "-pubkey", standard_input=authority.pem)
    spki = run("openssl", "pkey", "-pubin", "-outform", "DER", standard_input=public_key)
    by_openssl = run("openssl", "dgst", "-sha1", "-binary", standard_input=spki)
    assert authority_of(authority.certificate) == by_openssl
    identifier = run(
        "pki", "--keyid", "--type", "x509", "--id", "spki", "--format", "hex", standard_input=authority.der
    )
    assert identifier.decode().strip() == by_openssl.hex()


def test_a_request_names_authorities_of_20_octets() -> None:
    octets = encode_authorities([ROOT.certificate, ROUTER.certificate])
    assert parse_authorities(octets) == (octets[:20], octets[20:])
    assert parse_authorities(b"") == ()


@given(st.binary(max_size=100))
def test_any_request_is_whole_names_or_refused(octets: bytes) -> None:
    if len(octets) % 20:
        with pytest.raises(CryptoError):
            parse_authorities(octets)
    else:
        assert b"".join(parse_authorities(octets)) == octets


def test_a_key_of_an_unknown_kind_is_refused() -> None:
    # id-ecPublicKey with its last octet changed.
    unknown = replaced(ROUTER.der, bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
    for question in (public_key_of, authority_of):
        with pytest.raises(CertificateRejected, match="CN=router,C=XX cannot be used") as refusal:
            question(unknown)
        assert refusal.value.fault is CertificateFault.UNSUITABLE_KEY


def test_a_certificate_without_key_usage_may_sign() -> None:
    assert may_sign(ROUTER.certificate)
    assert not may_sign(ROOT.certificate)
    assert extension_of(ROUTER.certificate, x509.KeyUsage) is None


def test_a_repeated_extension_is_malformed() -> None:
    twice = make(
        "twice", extensions=(host("a"), (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.18"), b"0\0"), False))
    )
    certificate = replaced(twice.der, bytes.fromhex("0603551d12"), bytes.fromhex("0603551d11"))
    with pytest.raises(CertificateRejected, match="extensions of the certificate of CN=twice,C=XX are malformed"):
        extension_of(certificate, x509.SubjectAlternativeName)


def test_names_that_cannot_be_read_are_malformed() -> None:
    printable_string = make("router", subject=name_of("r" * 9)).der
    # The common name of the issuer and the subject becomes a BIT STRING, which no common name can be.
    octets = printable_string.replace(
        bytes.fromhex("0603550403") + b"\x0c\x09" + b"r" * 9, bytes.fromhex("0603550403") + b"\x03\x09\0" + b"r" * 8
    )
    certificate = parse_certificate(octets)
    assert describe(certificate) == "unreadable subject"
    assert summary_of(certificate).issuer == "unreadable issuer"
    with pytest.raises(CertificateRejected, match="the names in a certificate are malformed"):
        is_self_issued(certificate)
    with pytest.raises(CertificateRejected, match="the subject of the certificate is malformed"):
        CertificateNames.of(certificate)


def test_self_issued_certificates_are_known_by_their_names() -> None:
    assert is_self_issued(ROOT.certificate)
    assert not is_self_issued(ROUTER.certificate)


def test_the_first_to_expire_is_found() -> None:
    early, late = make("early", not_after=AT + DAY).certificate, make("late", not_after=AT + 2 * DAY).certificate
    assert first_to_expire([late, early, late]) == early


def test_a_summary_tells_what_an_operator_asks() -> None:
    assert summary_of(ROUTER.certificate) == CertificateSummary(
        subject="CN=router,C=XX",
        issuer="CN=root,C=XX",
        serial_number="1d",
        fingerprint=hashlib.sha256(ROUTER.der).hexdigest(),
        not_before=AT - 10 * DAY,
        not_after=AT + 10 * DAY,
    )


def test_a_description_cannot_act_on_a_terminal() -> None:
    assert describe(make("a\nb\x1b[2Jc\u202ed").certificate) == r"CN=a\nb\x1b[2Jc\u202ed,C=XX"
    assert describe(make("", subject=x509.Name([])).certificate) == "serial number 1d"


@given(st.text(max_size=400))
def test_any_text_is_shown_on_one_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 200 * 10 + 3
    if text.isprintable() and len(text) <= 200:
        assert shown == text


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(ROUTER.der) - 1), st.integers(1, 255))
def test_any_changed_certificate_is_read_or_refused(position: int, change: int) -> None:
    octets = bytearray(ROUTER.der)
    octets[position] ^= change
    try:
        certificate = parse_certificate(bytes(octets))
    except CertificateRejected:
        return
    assert certificate.public_bytes(Encoding.DER) == bytes(octets)
    assert describe(certificate)
    assert summary_of(certificate).serial_number
    for question in (public_key_of, authority_of, is_self_issued, may_sign, CertificateNames.of):
        with suppress(CertificateRejected):
            question(certificate)
