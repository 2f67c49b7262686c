"""Which identities a peer may have: one, or all that fit a pattern (RFC 7296 3.5, RFC 4945 3.1).

An operator writes a pattern as the identity itself, with ``*`` for the part that may differ: one label in front of a
domain name (``*.pop3.example.net``), the local part of a mail address (``*@example.net``), the first relative names of
a distinguished name (``*,O=example``), or the last octets of a key-id (``0a0b*``). Addresses have prefixes
(``192.0.2.0/24``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rkmp.crypto.certificate_names import is_below
from rkmp.ike.identity import Identity
from rkmp.wire import IdType


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """What an identity is held against: ``exact``, or else a ``part`` that it has to have, for its type."""

    id_type: int
    part: bytes
    exact: bool
    text: str

    @classmethod
    def parse(cls, type_name: str, text: str) -> Self:
        """Return what an operator wrote for an identity of a type; ValueError, for the operator, if it is none."""
        for name, mark, id_type, read in _NOTATIONS:
            if name == type_name and mark in text:
                return cls(id_type, read(text), False, text)
        identity = Identity.parse(type_name, text)
        return cls(identity.id_type, identity.value, True, text)

    def fits(self, identity: Identity) -> bool:
        """Return whether ``identity`` is the one, or one of those, that are meant."""
        if self.exact:
            return Identity(self.id_type, self.part).is_same_as(identity)
        return identity.id_type == self.id_type and _FITS[self.id_type](self.part, identity.value)

    def __str__(self) -> str:
        return self.text


def _suffix(text: str, front: str) -> str:
    if not text.startswith(front) or "*" in text[1:] or not text[len(front) :]:
        raise ValueError(f"{text!r} is not a pattern: it has to be {front} and what follows")
    return text[len(front) :]


def _domain(text: str) -> bytes:
    return b"." + Identity.parse("fqdn", _suffix(text, "*.")).value


def _mailbox_domain(text: str) -> bytes:
    # What stands in the place of the pattern's star makes an address of it, to be read as one.
    return Identity.parse("rfc822", f"x@{_suffix(text, '*@')}").value[1:].lower()


def _base_name(text: str) -> bytes:
    return Identity.parse("dn", _suffix(text, "*,")).value


def _first_octets(text: str) -> bytes:
    if not text.endswith("*") or "*" in text[:-1] or not text[:-1]:
        raise ValueError(f"{text!r} is not a pattern: it has to be octets and then *")
    return Identity.parse("key-id", text[:-1]).value


def _network4(text: str) -> bytes:
    return str(ipaddress.IPv4Network(text)).encode("ascii")


def _network6(text: str) -> bytes:
    return str(ipaddress.IPv6Network(text)).encode("ascii")


_NOTATIONS: tuple[tuple[str, str, int, Callable[[str], bytes]], ...] = (
    ("fqdn", "*", IdType.FQDN, _domain),
    ("rfc822", "*", IdType.RFC822_ADDR, _mailbox_domain),
    ("dn", "*", IdType.DER_ASN1_DN, _base_name),
    ("key-id", "*", IdType.KEY_ID, _first_octets),
    ("ipv4", "/", IdType.IPV4_ADDR, _network4),
    ("ipv6", "/", IdType.IPV6_ADDR, _network6),
)
"""By type, what tells a pattern from an identity, and what reads it."""


def _is_in_domain(part: bytes, value: bytes) -> bool:
    name = value.lower()
    return name.endswith(part) and b"." not in name[: -len(part)] and len(name) > len(part)


def _is_mailbox_of(part: bytes, value: bytes) -> bool:
    address = value.lower()
    return address.endswith(part) and b"@" not in address[: -len(part)] and len(address) > len(part)


def _begins_with(part: bytes, value: bytes) -> bool:
    return value.startswith(part)


def _is_in_network(part: bytes, value: bytes) -> bool:
    network = ipaddress.ip_network(part.decode("ascii"))
    return len(value) * 8 == network.max_prefixlen and ipaddress.ip_address(value) in network


_FITS: dict[int, Callable[[bytes, bytes], bool]] = {
    IdType.FQDN: _is_in_domain,
    IdType.RFC822_ADDR: _is_mailbox_of,
    IdType.DER_ASN1_DN: lambda part, value: is_below(value, part),
    IdType.KEY_ID: _begins_with,
    IdType.IPV4_ADDR: _is_in_network,
    IdType.IPV6_ADDR: _is_in_network,
}
