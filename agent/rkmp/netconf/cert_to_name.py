"""From a client's certificate to a user's name (RFC 7589 section 7; RFC 7407 section 2.3, ietf-x509-cert-to-name).

Entries are tried in their order. One matches a certificate, or the authority above it, by fingerprint; the first that
matches and can make a name of the certificate decides. It must not know connections or configuration.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

# The TLS HashAlgorithm registry (RFC 5246 section 7.4.1.4.1), which the first octet of a fingerprint is from.
_HASHES: Mapping[int, str] = {1: "md5", 2: "sha1", 3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"}


class MapType(Enum):
    """How a name is made of a certificate; the identities of ietf-x509-cert-to-name."""

    SPECIFIED = "specified"
    SAN_RFC822_NAME = "san-rfc822-name"
    SAN_DNS_NAME = "san-dns-name"
    SAN_IP_ADDRESS = "san-ip-address"
    SAN_ANY = "san-any"
    COMMON_NAME = "common-name"


@dataclass(frozen=True, slots=True)
class CertToName:
    """One entry of the list."""

    fingerprint: bytes
    """A hash algorithm's number, 1 octet, and the hash of a certificate in DER."""
    map_type: MapType
    name: str | None = None
    """The name that ``SPECIFIED`` gives."""


def name_of(entries: Iterable[CertToName], chain: Sequence[bytes]) -> str | None:
    """Return the user whose certificate is first in ``chain``, or None where no entry gives a name.

    ``chain`` are certificates in DER, verified: the client's, then those of the authorities above it. Raises
    ValueError for a certificate that cannot be read.
    """
    certificate = x509.load_der_x509_certificate(chain[0])
    for entry in entries:
        if any(has_fingerprint(each, entry.fingerprint) for each in chain):
            name = _mapped(entry, certificate)
            if name:
                return name
    return None


def has_fingerprint(certificate: bytes, fingerprint: bytes) -> bool:
    """Return whether a certificate in DER has a fingerprint; one of an unknown algorithm, none has."""
    algorithm = _HASHES.get(fingerprint[0]) if fingerprint else None
    if algorithm is None:
        return False
    # MD5 and SHA-1 are compared because RFC 6353 has them; whoever configures one of them trusts it.
    digest = hashlib.new(algorithm, certificate, usedforsecurity=False).digest()
    return hmac.compare_digest(digest, fingerprint[1:])


def _mapped(entry: CertToName, certificate: x509.Certificate) -> str | None:
    match entry.map_type:
        case MapType.SPECIFIED:
            return entry.name
        case MapType.COMMON_NAME:
            names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return str(names[0].value) if names else None
        case MapType.SAN_ANY:
            wanted: Sequence[type[x509.GeneralName]] = tuple(_ALTERNATIVES)
        case _:
            wanted = [kind for kind, (map_type, _) in _ALTERNATIVES.items() if map_type is entry.map_type]
    for alternative in _alternatives(certificate):
        if isinstance(alternative, tuple(wanted)):
            return _ALTERNATIVES[type(alternative)][1](alternative)
    return None


def _alternatives(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return
    if isinstance(extension.value, x509.SubjectAlternativeName):
        yield from extension.value


def _mail_address(name: x509.GeneralName) -> str:
    local, at, host = str(name.value).rpartition("@")
    return f"{local}{at}{host.lower()}"


def _dns_name(name: x509.GeneralName) -> str:
    return str(name.value).lower()


def _ip_address(name: x509.GeneralName) -> str:
    # IPv4 in dotted decimal, IPv6 as 32 hexadecimal digits.
    packed: bytes = name.value.packed
    return str(name.value) if len(packed) == 4 else packed.hex()


_ALTERNATIVES: Mapping[type[x509.GeneralName], tuple[MapType, Callable[[x509.GeneralName], str]]] = {
    x509.RFC822Name: (MapType.SAN_RFC822_NAME, _mail_address),
    x509.DNSName: (MapType.SAN_DNS_NAME, _dns_name),
    x509.IPAddress: (MapType.SAN_IP_ADDRESS, _ip_address),
}
