"""The authority of a fleet with certificates, small on purpose: one key, kept here, and certificates of a year.

ECDSA P-256 and PEM throughout. The authority's key is encrypted where there is a passphrase; the routers' keys are not,
as their configurations, which hold them, are not either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from rkmp.cli.exit_status import USAGE
from rkmp.cli.fleet.inventory import RESERVED, Fleet, FleetRouter
from rkmp.cli.private_file import read_private
from rkmp.errors import CommandError
from rkmp.secret import Secret

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEWAL_DAYS = 90
"""A certificate that expires within so many days is made anew by the next run."""
AUTHORITY_RENEWAL_DAYS = CERTIFICATE_DAYS + RENEWAL_DAYS
"""As much for the authority's own, so that no certificate outlives its issuer's."""
_SKEW = timedelta(hours=1)
"""How far the clock of a router may be behind."""


@dataclass(frozen=True, slots=True)
class Certified:
    """PEM: a certificate with its key, and the authority that issued it."""

    chain: str
    private_key: Secret
    authority: str


@dataclass(frozen=True, slots=True)
class _Pair:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def certified_routers(
    fleet: Fleet, directory: Path, *, rotate: bool, now: datetime, passphrase: Secret | None
) -> tuple[Mapping[str, Certified], frozenset[str], Mapping[str, Secret]]:
    """Return the certificates of routers by name, the names of those that were made, and what is to be written.

    A certificate is made where there is none, where it is about to expire, is for another identity or of another
    authority, and where ``rotate`` asks for it. Raises :class:`CommandError` where a file cannot be used.
    """
    files: dict[str, Secret] = {}
    made: set[str] = set()

    def made_pair(name: str, pair: _Pair, encryption: KeySerializationEncryption) -> _Pair:
        made.add(name)
        files[f"{name}-key.pem"] = Secret(_key_pem(pair.key, encryption))
        files[f"{name}.pem"] = Secret(_pem(pair.certificate).encode())
        return pair

    authority = _read_pair(directory, RESERVED, passphrase)
    if authority is None or _days_left(authority, now) <= AUTHORITY_RENEWAL_DAYS:
        sealed = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())
        authority = made_pair(RESERVED, _make_authority(now), sealed)
    certified = {}
    for router in fleet.routers.values():
        pair = _read_pair(directory, router.name, None)
        if rotate or pair is None or not _still_serves(pair, router, authority, now):
            pair = made_pair(router.name, _issue(router, authority, now), NoEncryption())
        key = Secret(_key_pem(pair.key, NoEncryption()))
        certified[router.name] = Certified(_pem(pair.certificate), key, _pem(authority.certificate))
    return certified, frozenset(made), files


def _days_left(pair: _Pair, now: datetime) -> float:
    return (pair.certificate.not_valid_after_utc - now) / timedelta(days=1)


def _still_serves(pair: _Pair, router: FleetRouter, authority: _Pair, now: datetime) -> bool:
    try:
        names = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        pair.certificate.verify_directly_issued_by(authority.certificate)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return names.get_values_for_type(x509.DNSName) == [router.identity] and _days_left(pair, now) > RENEWAL_DAYS


def _make_authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rkmp fleet authority")])
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(key, SHA256())
    )
    return _Pair(key, certificate)


def _issue(router: FleetRouter, authority: _Pair, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, router.name)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(router.identity)]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, SHA256())
    )
    return _Pair(key, certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _read_pair(directory: Path, name: str, passphrase: Secret | None) -> _Pair | None:
    """Return the key and certificate of ``name``, None where one of them is not there."""
    key_path, certificate_path = directory / f"{name}-key.pem", directory / f"{name}.pem"
    key_octets, certificate_octets = read_private(key_path), read_private(certificate_path)
    if key_octets is None or certificate_octets is None:
        return None
    try:
        key = load_pem_private_key(key_octets, None if passphrase is None else passphrase.reveal())
        certificate = x509.load_pem_x509_certificate(certificate_octets)
    except TypeError:
        # The library's way to say that there is a passphrase too few or too many.
        is_open = passphrase is not None
        what = "is not encrypted" if is_open else "is encrypted: give --authority-passphrase-file"
        raise CommandError(f"{key_path} {what}", USAGE) from None
    except ValueError:
        # Without the exception's words: it saw the key.
        why = "" if passphrase is None else ", or the passphrase is another"
        raise CommandError(f"{key_path} and {certificate_path} are no key and certificate{why}", USAGE) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CommandError(f"{key_path} is not the key of {certificate_path}", USAGE)
    return _Pair(key, certificate)
