"""What an operator configures to prove who we are, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from rkmp.crypto.certificate_paths import load_trust_anchors
from rkmp.crypto.credentials import load_credential
from rkmp.crypto.signature_keys import CredentialError, KeyType, load_private_key
from rkmp.crypto.signatures import HASH_ALGORITHMS, sign, verify
from rkmp.secret import Secret
from rkmp.wire import IdType
from tests.crypto.authorities import AT, DAY, Holder, host, make, make_authority, usage
from tests.crypto.judges import run
from tests.crypto.keys import pem_of, private_key

OCTETS = b"what AUTH signs"


def own(issuer: Holder, key_type: KeyType = KeyType.ECDSA_P256, *more: tuple[x509.ExtensionType, bool]) -> Holder:
    return make("router", issuer, key_type=key_type, key_number=9, extensions=(host("router.example"), *more))


def key_pem(key_type: KeyType = KeyType.ECDSA_P256) -> Secret:
    return pem_of(private_key(key_type, 9))


@pytest.mark.parametrize("key_type", KeyType)
def test_a_credential_proves_its_names_to_who_trusts_the_authority(key_type: KeyType) -> None:
    root = make_authority("root")
    branch = make_authority("branch", root, key_number=1)
    credential = load_credential(own(branch, key_type).pem + branch.pem + root.pem, key_pem(key_type))
    assert credential.names.include(IdType.FQDN, b"router.example")

    method, data = sign(credential.private_key, OCTETS, HASH_ALGORITHMS)
    chain = load_trust_anchors([root.pem]).verify(credential.payloads, AT)
    verify(chain.public_key, method, data, OCTETS)
    assert chain.names == credential.names


def test_our_own_certificate_is_sent_first_and_no_root() -> None:
    root = make_authority("root")
    branch = make_authority("branch", root, key_number=1)
    router = own(branch)
    credential = load_credential(router.pem + root.pem + branch.pem, key_pem())
    assert credential.payloads == (router.der, branch.der)
    assert credential.certificates == (router.certificate, root.certificate, branch.certificate)


def test_a_certificate_that_we_signed_ourselves_is_sent() -> None:
    router = make("router", key_number=9, extensions=(host("router.example"),))
    assert load_credential(router.pem, key_pem()).payloads == (router.der,)


def test_the_first_certificate_to_expire_is_told() -> None:
    root = make_authority("root")
    branch = make_authority("branch", root, key_number=1, not_after=AT + DAY)
    credential = load_credential(own(branch).pem + branch.pem, key_pem())
    assert credential.first_to_expire == branch.certificate


def test_a_key_of_another_certificate_is_refused() -> None:
    root = make_authority("root")
    for pem in (root.pem + own(root).pem, own(root, KeyType.RSA).pem):
        with pytest.raises(CredentialError, match="does not belong to the first certificate, which is that of CN="):
            load_credential(pem, key_pem())


def test_a_certificate_that_may_not_sign_is_refused() -> None:
    with pytest.raises(CredentialError, match="key usage of the certificate of CN=router,C=XX"):
        load_credential(own(make_authority("root"), KeyType.ECDSA_P256, usage()).pem, key_pem())
    signing = own(make_authority("root"), KeyType.ECDSA_P256, usage(sign=True))
    assert load_credential(signing.pem, key_pem()).payloads == (signing.der,)


def test_what_cannot_be_read_is_refused() -> None:
    root = make_authority("root")
    with pytest.raises(CredentialError, match="no certificate in the PEM text"):
        load_credential(key_pem().reveal(), key_pem())
    with pytest.raises(CredentialError, match="no private key in the PEM text, but a certificate"):
        load_credential(own(root).pem, Secret(own(root).pem))
    broken = (x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"junk"), False)
    with pytest.raises(CredentialError, match="extensions of the certificate of CN=router,C=XX are malformed"):
        load_credential(make("router", root, key_number=9, extensions=(broken,)).pem, key_pem())


def test_a_credential_does_not_show_its_key() -> None:
    credential = load_credential(own(make_authority("root")).pem, key_pem())
    assert "object at" not in repr(credential)
    assert "ecdsa-p256" in repr(credential)


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ED25519, KeyType.RSA])
def test_what_strongswan_s_pki_issues_is_good_for_both(key_type: KeyType, tmp_path: Path) -> None:
    kind = {KeyType.ECDSA_P256: "ecdsa", KeyType.ED25519: "ed25519", KeyType.RSA: "rsa"}[key_type]
    size = {KeyType.ECDSA_P256: ("--size", "256"), KeyType.RSA: ("--size", "2048")}.get(key_type, ())
    ca_key, ca, branch_key, branch, key, certificate = (
        tmp_path / name for name in ("ca.key", "ca", "branch.key", "branch", "router.key", "router")
    )
    for file in (ca_key, branch_key, key):
        file.write_bytes(run("pki", "--gen", "--type", kind, *size, "--outform", "pem"))
    pem = ("--outform", "pem")
    ca.write_bytes(run("pki", "--self", "--ca", "--in", ca_key, "--type", "priv", "--dn", "C=XX, CN=root", *pem))
    issue_branch = ("--ca", "--in", branch_key, "--type", "priv", "--cacert", ca, "--cakey", ca_key, "--pathlen", "0")
    branch.write_bytes(run("pki", "--issue", *issue_branch, "--dn", "C=XX, CN=branch", *pem))
    issue = ("--in", key, "--type", "priv", "--cacert", branch, "--cakey", branch_key, "--flag", "ikeIntermediate")
    names = ("--san", "router.example", "--san", "192.0.2.7", "--san", "noc@router.example")
    certificate.write_bytes(run("pki", "--issue", *issue, *names, "--dn", "C=XX, CN=router", *pem))
    assert b"certificate trusted" in run("pki", "--verify", "--in", certificate, "--cacert", ca, "--cacert", branch)

    credential = load_credential(certificate.read_bytes() + branch.read_bytes(), Secret(key.read_bytes()))
    at = credential.certificates[0].not_valid_before_utc
    chain = load_trust_anchors([ca.read_bytes()]).verify(credential.payloads, at)
    assert len(chain.certificates) == 3
    for id_type, value in (
        (IdType.FQDN, b"router.example"),
        (IdType.IPV4_ADDR, bytes((192, 0, 2, 7))),
        (IdType.RFC822_ADDR, b"noc@router.example"),
        (IdType.DER_ASN1_DN, chain.names.subject),
    ):
        assert chain.names.include(id_type, value)
    assert load_private_key(Secret(key.read_bytes())).key_type is key_type


def test_a_certificate_that_leads_nowhere_is_refused() -> None:
    root, other = make_authority("root"), make_authority("another root", key_number=1)
    forged = make_authority("root", key_number=2)
    for stray in (other, forged):
        with pytest.raises(CredentialError, match="does not belong to the chain: it has issued none of the others"):
            load_credential(own(root).pem + stray.pem, key_pem())
