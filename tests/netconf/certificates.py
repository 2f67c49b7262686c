"""Certificates for tests of TLS: an authority of its own, servers and clients, as files and as PEM."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rkmp.secret import Secret

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Holder:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def private_key(self) -> Secret:
        return Secret(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def fingerprint(self) -> bytes:
        """As ietf-x509-cert-to-name has it: the number of SHA-256, and the hash."""
        return b"\x04" + hashlib.sha256(self.der).digest()

    def write(self, directory: Path, name: str) -> Path:
        """Write certificate and key into one file, as clients take them."""
        path = directory / f"{name}.pem"
        path.write_bytes(self.pem + self.private_key.reveal())
        return path


def issue(
    common_name: str,
    issuer: Holder | None = None,
    *,
    alternatives: Sequence[x509.GeneralName] = (),
    is_authority: bool = False,
    is_expired: bool = False,
) -> Holder:
    """Return a certificate of ``issuer``, or one that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * DAY)
        .not_valid_after(now - DAY if is_expired else now + DAY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if not is_authority:
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usages, critical=False)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Holder(builder.sign((issuer.key if issuer else key), hashes.SHA256()), key)


LOCALHOST = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
AUTHORITY = issue("authority", is_authority=True)
SERVER = issue("server", AUTHORITY, alternatives=[LOCALHOST])
