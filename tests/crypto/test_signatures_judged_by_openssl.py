"""Signatures, keys and algorithm identifiers against the openssl command."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rkmp.crypto.signature_keys import KeyType, load_private_key
from rkmp.crypto.signature_schemes import SCHEMES_BY_IDENTIFIER, SIGNATURE_SCHEMES, SignatureScheme
from rkmp.crypto.signatures import HASH_ALGORITHMS, sign, verify
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import AuthMethod
from tests.crypto.judges import run
from tests.crypto.keys import pem_of, private_key

OCTETS = b"the octets that are signed" * 20

# OpenSSL 3.0, which Debian 12 has, knows no ML-DSA.
JUDGED = [name for name in SIGNATURE_SCHEMES if not name.startswith("ml-dsa")]
GENERATED = {
    KeyType.RSA: ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    KeyType.ECDSA_P256: ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    KeyType.ECDSA_P384: ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    KeyType.ECDSA_P521: ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    KeyType.ED25519: ("-algorithm", "ED25519"),
    KeyType.ED448: ("-algorithm", "ED448"),
}


def options(scheme: SignatureScheme) -> list[str]:
    """What tells ``openssl pkeyutl`` to use a scheme."""
    family, _, hash_name = scheme.name.rpartition("-")
    if not family:
        return ["-rawin"]
    digest = ["-rawin", "-digest", hash_name]
    if family == "rsassa-pss":
        return [*digest, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
    return digest


def a_key_for(scheme: SignatureScheme) -> KeyType:
    return min(scheme.key_types, key=lambda key_type: key_type.value)


@pytest.mark.parametrize("name", JUDGED)
def test_openssl_verifies_what_is_signed_and_signs_what_is_verified(name: str, tmp_path: Path) -> None:
    scheme = SIGNATURE_SCHEMES[name]
    key = private_key(a_key_for(scheme))
    octets, private, public, signature = (tmp_path / file for file in ("octets", "private", "public", "signature"))
    octets.write_bytes(OCTETS)
    private.write_bytes(pem_of(key).reveal())
    public.write_bytes(key.public_key.handle.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    signature.write_bytes(scheme.sign(key.handle, OCTETS))
    how = options(scheme)
    verdict = run(
        "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-in", octets, "-sigfile", signature, *how
    )
    assert b"Signature Verified Successfully" in verdict

    theirs = run("openssl", "pkeyutl", "-sign", "-inkey", private, "-in", octets, *how)
    data = bytes((len(scheme.identifiers[0]),)) + scheme.identifiers[0] + theirs
    verify(key.public_key, AuthMethod.DIGITAL_SIGNATURE, data, OCTETS)
    with pytest.raises(CryptoError):
        verify(key.public_key, AuthMethod.DIGITAL_SIGNATURE, data, OCTETS + b"\0")


@pytest.mark.parametrize("name", JUDGED)
def test_openssl_writes_the_same_algorithm_into_certificates(name: str, tmp_path: Path) -> None:
    scheme = SIGNATURE_SCHEMES[name]
    private = tmp_path / "private"
    private.write_bytes(pem_of(private_key(a_key_for(scheme))).reveal())
    family, _, hash_name = name.rpartition("-")
    how = [f"-{hash_name}"] if family else []
    if family == "rsassa-pss":
        how += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    written = run("openssl", "req", "-x509", "-key", private, "-subj", "/CN=test", "-outform", "DER", *how)
    assert scheme.identifiers[0] in written


@pytest.mark.parametrize("identifier", SCHEMES_BY_IDENTIFIER, ids=bytes.hex)
def test_every_identifier_is_der(identifier: bytes) -> None:
    parsed = run("openssl", "asn1parse", "-inform", "DER", standard_input=identifier).decode()
    assert f"hl=2 l={len(identifier) - 2:4} cons: SEQUENCE" in parsed.splitlines()[0]


@pytest.mark.parametrize("key_type", GENERATED)
def test_keys_that_openssl_makes_are_loaded_and_sign(key_type: KeyType) -> None:
    pem = run("openssl", "genpkey", *GENERATED[key_type])
    key = load_private_key(Secret(pem))
    assert key.key_type is key_type
    method, data = sign(key, OCTETS, HASH_ALGORITHMS)
    verify(key.public_key, method, data, OCTETS)
    spki = run("openssl", "pkey", "-pubout", "-outform", "DER", standard_input=pem)
    assert key.public_key.spki == spki


@pytest.mark.parametrize(
    ("key_type", "arguments"),
    [
        (KeyType.RSA, ("rsa", "--size", "2048")),
        (KeyType.ECDSA_P256, ("ecdsa", "--size", "256")),
        (KeyType.ECDSA_P384, ("ecdsa", "--size", "384")),
        (KeyType.ECDSA_P521, ("ecdsa", "--size", "521")),
        (KeyType.ED25519, ("ed25519",)),
        (KeyType.ED448, ("ed448",)),
    ],
)
def test_keys_that_strongswan_makes_are_loaded(key_type: KeyType, arguments: tuple[str, ...]) -> None:
    assert load_private_key(Secret(run("pki", "--gen", "--outform", "pem", "--type", *arguments))).key_type is key_type


def test_a_key_with_its_parameters_before_it_is_loaded() -> None:
    pem = run("openssl", "ecparam", "-name", "prime256v1", "-genkey")
    assert b"BEGIN EC PARAMETERS" in pem
    assert load_private_key(Secret(pem)).key_type is KeyType.ECDSA_P256
