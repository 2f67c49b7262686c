"""Whom a certificate names, and whether an IKE identity is among them (RFC 4945 3.1 and 5.1.3.6, RFC 5280 7.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import final

from cryptography import x509

from rkmp.crypto.certificates import CertificateFault, CertificateRejected, describe, extension_of
from rkmp.wire import IdType

_EMPTY_NAME = bytes((0x30, 0))


@final
@dataclass(frozen=True, slots=True)
class CertificateNames:
    """The names of a certificate's holder.

    ``subject`` is a DER Name. The others are of the subjectAltName: host names and mail addresses in lower case,
    addresses as 4 or 16 octets. ``description`` is for messages.
    """

    subject: bytes
    host_names: frozenset[str]
    addresses: frozenset[bytes]
    mail_addresses: frozenset[str]
    description: str

    @classmethod
    def of(cls, certificate: x509.Certificate) -> CertificateNames:
        """Return the names in ``certificate``; CertificateRejected if they are malformed."""
        try:
            subject = certificate.subject.public_bytes()
        except (ValueError, TypeError):
            reason = "the subject of the certificate is malformed"
            raise CertificateRejected(CertificateFault.MALFORMED, reason) from None
        alternatives = extension_of(certificate, x509.SubjectAlternativeName) or ()
        return cls(
            subject=subject,
            host_names=frozenset(name.value.lower() for name in alternatives if isinstance(name, x509.DNSName)),
            addresses=frozenset(
                name.value.packed
                for name in alternatives
                # Networks do not belong there (RFC 4945 5.1.3.6.2).
                if isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Address | IPv6Address)
            ),
            mail_addresses=frozenset(name.value.lower() for name in alternatives if isinstance(name, x509.RFC822Name)),
            description=describe(certificate),
        )

    def include(self, id_type: int, value: bytes) -> bool:
        """Return whether the holder may call itself by an ID payload of that type and data.

        Names are compared whole and without regard to case; there are no wildcards (RFC 4945 3.1.2). A key ID, a
        GeneralName and unknown types are never in a certificate.
        """
        matches = _MATCHES.get(id_type)
        return matches is not None and matches(self, value)


def require_identity(names: CertificateNames, id_type: int, value: bytes) -> None:
    """Raise CertificateRejected unless the holder of ``names`` may call itself by that ID payload."""
    if not names.include(id_type, value):
        reason = f"the certificate of {names.description} is not for the identity that the peer claims"
        raise CertificateRejected(CertificateFault.WRONG_IDENTITY, reason)


def same_name(one: bytes, other: bytes) -> bool:
    """Return whether two DER Names are the same, whatever the case and the string types of their values are.

    RFC 5280 7.1, without the compatibility forms of Unicode. What is no Name is the same as nothing else.
    """
    if one == other:
        return True
    try:
        return _canonical(one) == _canonical(other)
    except (ValueError, TypeError):
        return False


def is_below(name: bytes, base: bytes) -> bool:
    """Return whether the DER Name ``name`` begins with all of ``base`` and goes on, compared as in `same_name`."""
    try:
        whole, above = _canonical(name), _canonical(base)
    except (ValueError, TypeError):
        return False
    return len(whole) > len(above) and whole[: len(above)] == above


def _canonical(name: bytes) -> list[frozenset[tuple[str, str | bytes]]]:
    return [
        frozenset(
            (
                attribute.oid.dotted_string,
                " ".join(attribute.value.casefold().split()) if isinstance(attribute.value, str) else attribute.value,
            )
            for attribute in relative_name
        )
        for relative_name in x509.Name.from_bytes(name).rdns
    ]


def _matches_host_name(names: CertificateNames, value: bytes) -> bool:
    return _text(value) in names.host_names


def _matches_mail_address(names: CertificateNames, value: bytes) -> bool:
    return _text(value) in names.mail_addresses


def _matches_address(names: CertificateNames, value: bytes) -> bool:
    return value in names.addresses


def _matches_subject(names: CertificateNames, value: bytes) -> bool:
    return value != _EMPTY_NAME and same_name(value, names.subject)


def _text(value: bytes) -> str:
    # Octets outside of ASCII become characters that no IA5String in a certificate has.
    return value.decode("ascii", "replace").lower()


_MATCHES: Mapping[int, Callable[[CertificateNames, bytes], bool]] = MappingProxyType(
    {
        IdType.IPV4_ADDR: _matches_address,
        IdType.FQDN: _matches_host_name,
        IdType.RFC822_ADDR: _matches_mail_address,
        IdType.IPV6_ADDR: _matches_address,
        IdType.DER_ASN1_DN: _matches_subject,
    }
)
