"""Certificates made for tests: authorities and what they issue, right or wrong on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from rkmp.crypto.signature_keys import KeyType, PrivateHandle
from tests.crypto.keys import private_key

AT = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

_HASHED: dict[KeyType, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    KeyType.RSA: hashes.SHA256(),
    KeyType.ECDSA_P256: hashes.SHA256(),
    KeyType.ECDSA_P384: hashes.SHA384(),
    KeyType.ECDSA_P521: hashes.SHA512(),
}

Extensions = Sequence[tuple[x509.ExtensionType, bool]]
"""Extensions, each with whether it is critical."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate with the key that it certifies."""

    certificate: x509.Certificate
    handle: PrivateHandle
    key_type: KeyType

    @property
    def der(self) -> bytes:
        """The certificate as a CERT payload carries it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as a file holds it."""
        return self.certificate.public_bytes(Encoding.PEM)


def name_of(common_name: str) -> x509.Name:
    """Return a distinguished name with a country and that common name."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def usage(*, sign: bool = False, certify: bool = False, commit: bool = False) -> tuple[x509.KeyUsage, bool]:
    """Return a critical key usage with what is asked for, and key encipherment."""
    return (
        x509.KeyUsage(
            digital_signature=sign,
            content_commitment=commit,
            key_encipherment=True,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=certify,
            crl_sign=certify,
            encipher_only=False,
            decipher_only=False,
        ),
        True,
    )


def host(*names: str) -> tuple[x509.SubjectAlternativeName, bool]:
    """Return a subjectAltName with host names."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False


def purposes(*dotted: str) -> tuple[x509.ExtendedKeyUsage, bool]:
    """Return an extended key usage."""
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in dotted]), False


def make(
    common_name: str,
    issuer: Holder | None = None,
    *,
    key_type: KeyType = KeyType.ECDSA_P256,
    key_number: int = 0,
    handle: PrivateHandle | None = None,
    extensions: Extensions = (),
    not_before: datetime = AT - 10 * DAY,
    not_after: datetime = AT + 10 * DAY,
    subject: x509.Name | None = None,
) -> Holder:
    """Return a certificate with exactly these extensions, self-signed without an issuer."""
    own = private_key(key_type, key_number).handle if handle is None else handle
    signing_type = key_type if issuer is None else issuer.key_type
    subject = name_of(common_name) if subject is None else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(own.public_key())
        .serial_number(0x1D)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signing = own if issuer is None else issuer.handle
    return Holder(builder.sign(signing, _HASHED.get(signing_type)), own, key_type)


def make_authority(
    common_name: str,
    issuer: Holder | None = None,
    *,
    key_type: KeyType = KeyType.ECDSA_P256,
    key_number: int = 0,
    handle: rsa.RSAPrivateKey | None = None,
    path_length: int | None = None,
    more: Extensions = (),
    not_before: datetime = AT - 20 * DAY,
    not_after: datetime = AT + 20 * DAY,
) -> Holder:
    """Return an authority, as it should be, with ``more`` extensions."""
    constraints = (x509.BasicConstraints(ca=True, path_length=path_length), True)
    return make(
        common_name,
        issuer,
        key_type=key_type,
        key_number=key_number,
        handle=handle,
        extensions=(constraints, usage(certify=True), *more),
        not_before=not_before,
        not_after=not_after,
    )
