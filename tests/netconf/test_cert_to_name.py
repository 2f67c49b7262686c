"""What user a certificate is for: the fingerprints, the order and the mappings of ietf-x509-cert-to-name."""

from __future__ import annotations

import hashlib
import ipaddress

import pytest
from cryptography import x509

from rkmp.netconf.cert_to_name import CertToName, MapType, has_fingerprint, name_of
from tests.netconf.certificates import AUTHORITY, issue

ALICE = issue(
    "Alice",
    AUTHORITY,
    alternatives=[
        x509.UniformResourceIdentifier("urn:alice"),
        x509.RFC822Name("Alice.B@Example.COM"),
        x509.DNSName("Alice.Example.NET"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    ],
)
CHAIN = [ALICE.der, AUTHORITY.der]
SIX = issue("six", AUTHORITY, alternatives=[x509.IPAddress(ipaddress.ip_address("2001:db8::1"))])
BARE = issue("bare", AUTHORITY)


@pytest.mark.parametrize(
    ("map_type", "name"),
    [
        (MapType.SPECIFIED, "operator"),
        (MapType.SAN_RFC822_NAME, "Alice.B@example.com"),
        (MapType.SAN_DNS_NAME, "alice.example.net"),
        (MapType.SAN_IP_ADDRESS, "192.0.2.7"),
        # The first in the certificate that can be mapped.
        (MapType.SAN_ANY, "Alice.B@example.com"),
        (MapType.COMMON_NAME, "Alice"),
    ],
)
def test_every_mapping_gives_the_name_that_its_definition_says(map_type: MapType, name: str) -> None:
    assert name_of([CertToName(ALICE.fingerprint, map_type, "operator")], CHAIN) == name


def test_an_ipv6_address_is_32_hexadecimal_digits() -> None:
    entry = CertToName(AUTHORITY.fingerprint, MapType.SAN_IP_ADDRESS)
    assert name_of([entry], [SIX.der, AUTHORITY.der]) == "20010db8000000000000000000000001"


def test_the_fingerprint_of_an_authority_matches_whom_it_vouches_for() -> None:
    entry = CertToName(AUTHORITY.fingerprint, MapType.COMMON_NAME)
    assert name_of([entry], CHAIN) == "Alice"
    assert name_of([entry], [ALICE.der]) is None


def test_the_first_entry_that_matches_and_gives_a_name_decides() -> None:
    entries = [
        CertToName(SIX.fingerprint, MapType.SPECIFIED, "not hers"),
        CertToName(AUTHORITY.fingerprint, MapType.SAN_DNS_NAME),
        CertToName(AUTHORITY.fingerprint, MapType.SPECIFIED, "second"),
        CertToName(AUTHORITY.fingerprint, MapType.SPECIFIED, "third"),
    ]
    assert name_of(entries, [BARE.der, AUTHORITY.der]) == "second"
    assert name_of(entries, CHAIN) == "alice.example.net"


@pytest.mark.parametrize("map_type", [MapType.SAN_ANY, MapType.SAN_DNS_NAME, MapType.SAN_RFC822_NAME])
def test_a_certificate_without_what_is_mapped_gives_no_name(map_type: MapType) -> None:
    assert name_of([CertToName(AUTHORITY.fingerprint, map_type)], [BARE.der, AUTHORITY.der]) is None


@pytest.mark.parametrize(
    ("number", "algorithm"),
    [(1, "md5"), (2, "sha1"), (3, "sha224"), (4, "sha256"), (5, "sha384"), (6, "sha512")],
)
def test_the_first_octet_names_the_hash(number: int, algorithm: str) -> None:
    digest = hashlib.new(algorithm, ALICE.der).digest()
    assert has_fingerprint(ALICE.der, bytes([number]) + digest)
    assert not has_fingerprint(ALICE.der, bytes([number % 6 + 1]) + digest)
    assert not has_fingerprint(BARE.der, bytes([number]) + digest)


@pytest.mark.parametrize("fingerprint", [b"", b"\x04", b"\x00" + bytes(32), b"\xff" + bytes(32)])
def test_a_fingerprint_that_is_none_matches_nothing(fingerprint: bytes) -> None:
    assert not has_fingerprint(ALICE.der, fingerprint)
