"""X.509 certificates as octets: what CERT and CERTREQ payloads carry, PEM files, and what to tell about them.

RFC 7296 3.6 and 3.7 (encoding 4, X.509 Certificate - Signature). Reads certificates and describes them; whether one is
to be believed is for :mod:`rkmp.crypto.certificate_paths` to say, and whom it names for
:mod:`rkmp.crypto.certificate_names`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rkmp.crypto.signature_keys import CredentialError, PublicKey
from rkmp.errors import CryptoError

AUTHORITY_LENGTH = 20
"""The octets by which CERTREQ names an authority: the SHA-1 of its SubjectPublicKeyInfo (RFC 7296 3.7)."""

_LONGEST_DESCRIPTION = 200

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class CertificateFault(Enum):
    """Why a peer's certificate is not accepted; the value is the name that an operator reads."""

    MALFORMED = "malformed"
    UNSUITABLE_KEY = "unsuitable-key"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    WRONG_USAGE = "wrong-usage"
    UNTRUSTED = "untrusted"
    WRONG_IDENTITY = "wrong-identity"


class CertificateRejected(CryptoError):
    """A peer's certificate does not do; ``fault`` sorts the reason, the message tells it."""

    def __init__(self, fault: CertificateFault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CertificateSummary:
    """What a list of certificates shows an operator; names as RFC 4514 writes them, numbers in hexadecimal digits.

    ``fingerprint`` is the SHA-256 of the certificate; it cannot be used before ``not_before`` nor after ``not_after``,
    both UTC.
    """

    subject: str
    issuer: str
    serial_number: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


def parse_certificate(octets: bytes) -> x509.Certificate:
    """Return the certificate in a CERT payload of encoding 4; CertificateRejected unless it is one and no more."""
    try:
        return x509.load_der_x509_certificate(octets)
    except (ValueError, x509.InvalidVersion):
        raise CertificateRejected(CertificateFault.MALFORMED, "the certificate is malformed") from None


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """Return what a CERT payload of encoding 4 carries."""
    return certificate.public_bytes(Encoding.DER)


def load_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return every certificate in ``pem``, in order and at least one; raises CredentialError."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise CredentialError("there is no certificate in the PEM text")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, x509.InvalidVersion):
        raise CredentialError("a certificate in the PEM text is malformed") from None


def authority_of(certificate: x509.Certificate) -> bytes:
    """Return the 20 octets by which CERTREQ names the holder of ``certificate`` as an authority.

    Raises CertificateRejected when its key cannot be read.
    """
    try:
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        raise _unsuitable(certificate, "its public key is malformed or of an unknown kind") from None
    # SHA-1 is a name here and protects nothing: who finds another key of that name only gets a certificate shown.
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303
    digest.update(spki)
    return digest.finalize()


def encode_authorities(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return what a CERTREQ payload of encoding 4 carries that asks for a certificate under ``certificates``."""
    return b"".join(map(authority_of, certificates))


def parse_authorities(octets: bytes) -> tuple[bytes, ...]:
    """Return the names, of 20 octets each, in a CERTREQ payload of encoding 4; none stands for any authority.

    Raises CryptoError when the octets are not whole names.
    """
    if len(octets) % AUTHORITY_LENGTH:
        raise CryptoError(f"{len(octets)} octets cannot be a list of certification authorities")
    return tuple(octets[start : start + AUTHORITY_LENGTH] for start in range(0, len(octets), AUTHORITY_LENGTH))


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """Return the key that ``certificate`` certifies; CertificateRejected for one that is malformed or too weak."""
    try:
        return PublicKey.of(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise _unsuitable(certificate, "its public key is malformed or of an unknown kind") from None
    except CryptoError as refusal:
        raise _unsuitable(certificate, str(refusal)) from None


def extension_of(certificate: x509.Certificate, extension_type: type[_Extension]) -> _Extension | None:
    """Return an extension of ``certificate``, None without it; CertificateRejected if the extensions are malformed."""
    try:
        return certificate.extensions.get_extension_for_class(extension_type).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        reason = f"the extensions of the certificate of {describe(certificate)} are malformed"
        raise CertificateRejected(CertificateFault.MALFORMED, reason) from None


def may_sign(certificate: x509.Certificate) -> bool:
    """Return whether the key usage, where there is one, lets the key sign AUTH (RFC 4945 5.1.3.2)."""
    usage = extension_of(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature or usage.content_commitment


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Return whether subject and issuer are the same; CertificateRejected if they cannot be read."""
    try:
        return certificate.issuer == certificate.subject
    except (ValueError, TypeError):
        reason = "the names in a certificate are malformed"
        raise CertificateRejected(CertificateFault.MALFORMED, reason) from None


def first_to_expire(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the certificate that ends the validity of all of ``certificates``, which may not be empty."""
    return min(certificates, key=lambda certificate: certificate.not_valid_after_utc)


def summary_of(certificate: x509.Certificate) -> CertificateSummary:
    """Return what to show of ``certificate``."""
    return CertificateSummary(
        subject=_name_text(certificate, "subject"),
        issuer=_name_text(certificate, "issuer"),
        serial_number=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def describe(certificate: x509.Certificate) -> str:
    """Return a short text by which a log may name ``certificate``, whatever a stranger wrote into it."""
    return _name_text(certificate, "subject") or f"serial number {certificate.serial_number:x}"


def printable(text: str) -> str:
    """Return ``text`` on one line and without anything that acts on a terminal; its length is bounded."""
    shown = "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text[:_LONGEST_DESCRIPTION]
    )
    return shown if len(text) <= _LONGEST_DESCRIPTION else f"{shown}..."


def _name_text(certificate: x509.Certificate, field: str) -> str:
    try:
        name: x509.Name = getattr(certificate, field)
        return printable(name.rfc4514_string())
    except (ValueError, TypeError):
        return f"unreadable {field}"


def _unsuitable(certificate: x509.Certificate, reason: str) -> CertificateRejected:
    message = f"the certificate of {describe(certificate)} cannot be used: {reason}"
    return CertificateRejected(CertificateFault.UNSUITABLE_KEY, message)
