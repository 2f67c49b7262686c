"""The secrets of a fleet, made once and kept in one directory that only its owner can read.

A secret of a pair is used again by the next run, so that nothing changes where nothing was asked for; ``rotate`` makes
it anew. The authority of a fleet with certificates is small on purpose: one key, kept here, and certificates of a year.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from rkmp.cli.exit_status import USAGE
from rkmp.cli.fleet.inventory import Fleet, FleetRouter, Link
from rkmp.cli.private_file import write_private
from rkmp.errors import CommandError
from rkmp.secret import Secret

SECRET_OCTETS = 32
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEWAL_DAYS = 90
"""A certificate that expires within so many days is made anew by the next run."""
_SKEW = timedelta(hours=1)
"""How far the clock of a router may be behind."""


class Credentials(Protocol):
    """How the routers of a fleet prove to each other who they are."""

    def pre_shared_key(self, link: Link) -> Secret | None:
        """Return the secret of a link, or None where the fleet has certificates."""

    def certificate(self, router: FleetRouter) -> Certified | None:
        """Return what a router proves who it is with, or None where the fleet has pre-shared keys."""


@dataclass(frozen=True, slots=True)
class Certified:
    """PEM: a certificate with its key, and the authority that issued it."""

    chain: str
    private_key: Secret
    authority: str


def open_credentials(fleet: Fleet, directory: Path, *, rotate: bool, now: datetime) -> Credentials:
    """Return the credentials of ``fleet``, with what is missing made and written below ``directory``.

    Raises :class:`CommandError` where a file cannot be read or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make {directory}: {error.strerror}", USAGE) from error
    if fleet.credentials == "psk":
        return PreSharedKeys(fleet, directory / "pre-shared-keys.json", rotate=rotate)
    return Authority(fleet, directory, rotate=rotate, now=now)


class PreSharedKeys:
    """One secret a link, of 32 random octets in base64url, in one JSON file by the link's name."""

    def __init__(self, fleet: Fleet, path: Path, *, rotate: bool) -> None:
        kept = {} if rotate else _read_json(path)
        # Links that are gone stay in the file: another inventory may share it.
        wanted = {link.name: kept.get(link.name) or secrets.token_urlsafe(SECRET_OCTETS) for link in fleet.links}
        if rotate:
            kept = _read_json(path)
        if kept | wanted != kept:
            write_private(path, json.dumps(kept | wanted, indent=2, sort_keys=True).encode() + b"\n")
        self._secrets = {name: Secret(text.encode()) for name, text in wanted.items()}

    def pre_shared_key(self, link: Link) -> Secret | None:
        """Return the secret of a link of the fleet."""
        return self._secrets[link.name]

    def certificate(self, router: FleetRouter) -> Certified | None:  # noqa: ARG002 - the other kind's
        """Return None."""
        return None


class Authority:
    """A certificate authority of ECDSA P-256 and a certificate for each router, as PEM files."""

    def __init__(self, fleet: Fleet, directory: Path, *, rotate: bool, now: datetime) -> None:
        self._now = now
        self._key, self._certificate = self._pair(directory, "authority", self._make_authority)
        self._routers = {
            router.name: self._pair(directory, router.name, functools.partial(self._issue, router), again=rotate)
            for router in fleet.routers.values()
        }

    def pre_shared_key(self, link: Link) -> Secret | None:  # noqa: ARG002 - the other kind's
        """Return None."""
        return None

    def certificate(self, router: FleetRouter) -> Certified | None:
        """Return what a router of the fleet proves who it is with."""
        key, certificate = self._routers[router.name]
        return Certified(_pem(certificate), Secret(_key_pem(key)), _pem(self._certificate))

    def _pair(
        self,
        directory: Path,
        name: str,
        make: Callable[[ec.EllipticCurvePrivateKey], x509.Certificate],
        *,
        again: bool = False,
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Return the key and certificate of ``name``, made where there is none, it is about to expire, or ``again``."""
        key_path, certificate_path = directory / f"{name}-key.pem", directory / f"{name}.pem"
        if not again and key_path.exists() and certificate_path.exists():
            key, certificate = _read_pair(key_path, certificate_path)
            if certificate.not_valid_after_utc - self._now > timedelta(days=RENEWAL_DAYS):
                return key, certificate
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = make(key)
        write_private(key_path, _key_pem(key))
        write_private(certificate_path, _pem(certificate).encode())
        return key, certificate

    def _make_authority(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rkmp fleet authority")])
        return (
            self._builder(subject, subject, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .sign(key, SHA256())
        )

    def _issue(self, router: FleetRouter, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, router.name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            self._builder(subject, self._certificate.subject, key.public_key(), CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(router.identity)]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, SHA256())
        )

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _SKEW)
            .not_valid_after(self._now + timedelta(days=days))
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


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_pair(key_path: Path, certificate_path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError, TypeError):
        # Without the exception's words: it saw the key.
        raise CommandError(f"{key_path} and {certificate_path} are no key and certificate", USAGE) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CommandError(f"{key_path} is not the key of {certificate_path}", USAGE)
    return key, certificate


def _read_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise CommandError(f"cannot read {path}", USAGE) from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise CommandError(f"{path} does not hold secrets by the names of links", USAGE)
    return content
