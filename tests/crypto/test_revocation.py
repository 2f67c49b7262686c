"""Which lists are taken, and that a list counts for what its issuer has signed and no further."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rkmp.crypto.certificates import CertificateFault, CertificateRejected
from rkmp.crypto.revocation import RevocationList, Revocations
from rkmp.crypto.signature_keys import CredentialError, KeyType
from tests.crypto.authorities import AT, DAY, Holder, host, make, make_authority

SERIAL_NUMBER = 0x1D


def pem(issuer: Holder, *serial_numbers: int, extension: x509.ExtensionType | None = None) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject).last_update(AT - DAY)
    builder = builder.next_update(AT + DAY)
    for number in serial_numbers:
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(AT - DAY).build()
        builder = builder.add_revoked_certificate(entry)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    algorithm = None if issuer.key_type is KeyType.ED25519 else hashes.SHA256()
    return builder.sign(issuer.handle, algorithm).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA_P256, KeyType.ED25519])
def test_a_revoked_certificate_is_found_whatever_key_its_issuer_has(key_type: KeyType) -> None:
    root = make_authority("root", key_type=key_type)
    leaf = make("r1", root, extensions=(host("r1.example"),))
    chain = (leaf.certificate, root.certificate)
    known = RevocationList.load(pem(root, 3, SERIAL_NUMBER))
    assert (known.revoked, known.issuer_text) == (2, "CN=root,C=XX")
    for _ in range(2):
        with pytest.raises(CertificateRejected, match="was revoked on 2029-12-31") as refusal:
            Revocations([known]).require_unrevoked(chain)
        assert refusal.value.fault is CertificateFault.REVOKED
    Revocations([RevocationList.load(pem(root, 3))]).require_unrevoked(chain)
    Revocations().require_unrevoked(chain)


def test_a_list_in_the_name_of_another_authority_revokes_nothing() -> None:
    root, impostor = make_authority("root"), make_authority("root", key_number=7)
    leaf = make("r1", root, extensions=(host("r1.example"),))
    Revocations([RevocationList.load(pem(impostor, SERIAL_NUMBER))]).require_unrevoked(
        (leaf.certificate, root.certificate)
    )


INDIRECT = x509.IssuingDistributionPoint(
    full_name=[x509.UniformResourceIdentifier("http://crl.example/")],
    relative_name=None,
    only_contains_user_certs=False,
    only_contains_ca_certs=False,
    only_some_reasons=None,
    indirect_crl=True,
    only_contains_attribute_certs=False,
)


@pytest.mark.parametrize(
    ("extension", "says"),
    [
        (x509.DeltaCRLIndicator(3), "delta list"),
        (INDIRECT, "indirect list"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), "not known here"),
    ],
)
def test_a_list_that_does_not_say_all_is_refused(extension: x509.ExtensionType, says: str) -> None:
    with pytest.raises(CredentialError, match=says):
        RevocationList.load(pem(make_authority("root"), extension=extension))


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_what_is_no_list_is_refused(text: bytes) -> None:
    with pytest.raises(CredentialError, match="malformed"):
        RevocationList.load(text)
