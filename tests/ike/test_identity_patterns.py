"""Which identities fit what an operator wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.ike import Identity, IdentityPattern
from rkmp.wire import IdType

NAME = "CN=r1,OU=Routers,O=Example"

FITTING = [
    ("fqdn", "*.example.net", "r1.example.net"),
    ("fqdn", "*.EXAMPLE.net", "R1.example.NET"),
    ("rfc822", "*@example.net", "r1@EXAMPLE.net"),
    ("dn", "*,O=example", NAME),
    ("dn", "*,OU=Routers,O=Example", NAME),
    ("key-id", "0a*", "0a"),
    ("key-id", "0a*", "0affff"),
    ("ipv4", "192.0.2.0/24", "192.0.2.255"),
    ("ipv6", "2001:db8::/32", "2001:db8:ffff::1"),
]
OTHERS = [
    ("fqdn", "*.example.net", "example.net"),
    ("fqdn", "*.example.net", "r1.pop3.example.net"),
    ("fqdn", "*.example.net", "r1.example.net.evil.example"),
    ("fqdn", "*.example.net", "r1xexample.net"),
    ("rfc822", "*@example.net", "r1@pop3.example.net"),
    ("dn", "*,O=Example", "O=Example"),
    ("dn", "*,O=Example", "O=Example,CN=r1"),
    ("key-id", "0a0b*", "0a"),
    ("ipv4", "192.0.2.0/24", "192.0.3.0"),
]


@pytest.mark.parametrize(("kind", "pattern", "text"), FITTING)
def test_what_fits_fits(kind: str, pattern: str, text: str) -> None:
    assert IdentityPattern.parse(kind, pattern).fits(Identity.parse(kind, text))


@pytest.mark.parametrize(("kind", "pattern", "text"), OTHERS)
def test_what_differs_does_not(kind: str, pattern: str, text: str) -> None:
    assert not IdentityPattern.parse(kind, pattern).fits(Identity.parse(kind, text))


def test_types_are_never_mixed() -> None:
    text = "r1.example.net"
    assert not IdentityPattern.parse("fqdn", "*.example.net").fits(Identity(IdType.KEY_ID, text.encode()))
    assert not IdentityPattern.parse("fqdn", text).fits(Identity(IdType.RFC822_ADDR, text.encode()))


@given(st.sampled_from(FITTING), st.sampled_from(sorted(IdType)), st.binary(max_size=40))
def test_no_octets_that_a_stranger_sends_raise(case: tuple[str, str, str], id_type: int, value: bytes) -> None:
    kind, pattern, _ = case
    assert IdentityPattern.parse(kind, pattern).fits(Identity(id_type, value)) in (True, False)
