"""Who a peer says it is: the contents of IDi and IDr, and how an operator writes them.

RFC 7296 section 3.5. Knows the textual forms of the identification types that we authenticate with; does not know
who is allowed to be whom.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from cryptography import x509

from rkmp.crypto.certificate_names import same_name
from rkmp.errors import IkeError
from rkmp.wire import IdType, NotifyType

IDENTITY_TYPE_NAMES: dict[int, str] = {
    IdType.IPV4_ADDR: "ipv4",
    IdType.FQDN: "fqdn",
    IdType.RFC822_ADDR: "rfc822",
    IdType.IPV6_ADDR: "ipv6",
    IdType.DER_ASN1_DN: "dn",
    IdType.KEY_ID: "key-id",
}
"""The name of each identification type whose value has a textual form here."""

_ADDRESS_LENGTHS: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}

_TYPES_BY_NAME = {name: id_type for id_type, name in IDENTITY_TYPE_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as it travels: ``id_type`` of RFC 7296 3.5 and its octets.

    Two identities are the same when both are equal octet for octet; names are brought to lower case when they are
    parsed from text, because DNS compares them so.
    """

    id_type: int
    value: bytes

    @classmethod
    def parse(cls, type_name: str, text: str) -> Self:
        """Return the identity that an operator wrote; ``type_name`` is one of ipv4, ipv6, fqdn, rfc822, dn, key-id.

        Raises ValueError, with a message for the operator, when ``text`` is not of that type.
        """
        if type_name not in _TYPES_BY_NAME:
            raise ValueError(f"unknown identity type {type_name!r}; known are {', '.join(sorted(_TYPES_BY_NAME))}")
        id_type = _TYPES_BY_NAME[type_name]
        match id_type:
            case IdType.IPV4_ADDR:
                value = ipaddress.IPv4Address(text).packed
            case IdType.IPV6_ADDR:
                value = ipaddress.IPv6Address(text).packed
            case IdType.FQDN:
                value = _domain_name(text)
            case IdType.RFC822_ADDR:
                local_part, at, domain = text.rpartition("@")
                if not at or not local_part or not local_part.isascii() or not local_part.isprintable():
                    raise ValueError(f"{text!r} is not a mail address")
                value = local_part.encode("ascii") + b"@" + _domain_name(domain)
            case IdType.DER_ASN1_DN:
                value = _distinguished_name(text)
            case _:
                value = bytes.fromhex(text)
        if not value:
            raise ValueError(f"an identity of type {type_name} cannot be empty")
        return cls(id_type, value)

    @classmethod
    def of_address(cls, address: str) -> Self:
        """Return the identity of a router that is known by its IPv4 or IPv6 address alone."""
        return cls(*_of_address(address))

    @classmethod
    def received(cls, id_type: int, value: bytes) -> Self:
        """Return the identity in a received IDi or IDr payload.

        Raises IkeError (INVALID_SYNTAX) where the octets cannot be of the type they claim.
        """
        expected = _ADDRESS_LENGTHS.get(id_type, len(value))
        if not value or len(value) != expected:
            raise IkeError(NotifyType.INVALID_SYNTAX, f"identification of type {id_type} with {len(value)} octets")
        if id_type == IdType.FQDN:
            value = value.lower()
        return cls(id_type, value)

    def is_same_as(self, other: Identity) -> bool:
        """Return whether both are the same; distinguished names are, whatever the string types of their values are."""
        if IdType.DER_ASN1_DN == self.id_type == other.id_type:
            return same_name(self.value, other.value)
        return self == other

    @property
    def type_name(self) -> str:
        """The name of the type, or its number in decimal where it has no textual form here."""
        return IDENTITY_TYPE_NAMES.get(self.id_type, str(self.id_type))

    @property
    def text(self) -> str:
        """The value as an operator would write it; in hexadecimal where the octets do not allow more."""
        try:
            match self.id_type:
                case IdType.IPV4_ADDR:
                    return str(ipaddress.IPv4Address(self.value))
                case IdType.IPV6_ADDR:
                    return str(ipaddress.IPv6Address(self.value))
                case IdType.FQDN | IdType.RFC822_ADDR:
                    decoded = self.value.decode("ascii")
                    return decoded if decoded.isprintable() else self.value.hex()
                case IdType.DER_ASN1_DN:
                    return x509.Name.from_bytes(self.value).rfc4514_string()
                case _:
                    return self.value.hex()
        except ValueError:
            return self.value.hex()

    def __str__(self) -> str:
        return f"{self.type_name}:{self.text}"


# Every peer that may be meant is asked for its own with each handshake.
@lru_cache(maxsize=1 << 14)
def _of_address(address: str) -> tuple[IdType, bytes]:
    parsed = ipaddress.ip_address(address)
    return IdType.IPV4_ADDR if parsed.version == 4 else IdType.IPV6_ADDR, parsed.packed


def _domain_name(text: str) -> bytes:
    name = text.removesuffix(".").lower()
    labels = name.split(".")
    if (
        len(name) > 253
        or not name.isascii()
        or not all(0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    ):
        raise ValueError(f"{text!r} is not a domain name")
    return name.encode("ascii")


def _distinguished_name(text: str) -> bytes:
    try:
        return x509.Name.from_rfc4514_string(text).public_bytes()
    except ValueError as fault:
        raise ValueError(f"{text!r} is not a distinguished name as RFC 4514 writes them") from fault
