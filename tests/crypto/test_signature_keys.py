"""Keys as operators and peers hand them over, and those that are refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.signature_keys import (
    CredentialError,
    KeyType,
    PrivateKey,
    PublicKey,
    load_private_key,
    load_public_key,
)
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from tests.crypto.keys import pem_of, private_key, weak_rsa_handle

PASSPHRASE = Secret(b"correct horse")


def private_pem(
    handle: Any, private_format: PrivateFormat = PrivateFormat.PKCS8, passphrase: Secret | None = None
) -> Secret:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())
    return Secret(handle.private_bytes(Encoding.PEM, private_format, encryption))


def public_pem(handle: Any) -> bytes:
    pem: bytes = handle.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def refused_handles() -> list[Any]:
    return [weak_rsa_handle(), ec.generate_private_key(ec.SECP256K1()), ec.generate_private_key(ec.BrainpoolP256R1())]


@pytest.mark.parametrize("key_type", KeyType)
def test_keys_of_every_type_are_loaded(key_type: KeyType) -> None:
    key = private_key(key_type)
    assert key.key_type is key_type
    loaded = load_private_key(pem_of(key))
    assert loaded.key_type is key_type
    assert loaded.public_key == key.public_key
    assert load_public_key(public_pem(key.handle)) == key.public_key
    assert PublicKey.from_spki(key.public_key.spki) == key.public_key
    assert PublicKey.from_spki(key.public_key.spki).spki == key.public_key.spki


@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA_P256])
def test_traditional_and_encrypted_formats_are_loaded(key_type: KeyType) -> None:
    key = private_key(key_type)
    for private_format in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        for passphrase in (None, PASSPHRASE):
            pem = private_pem(key.handle, private_format, passphrase)
            assert load_private_key(pem, passphrase).public_key == key.public_key


def test_a_passphrase_that_is_missing_wrong_or_too_much_is_named() -> None:
    key = private_key(KeyType.ECDSA_P256)
    encrypted, plain = private_pem(key.handle, passphrase=PASSPHRASE), private_pem(key.handle)
    with pytest.raises(CredentialError, match="is encrypted: give its passphrase"):
        load_private_key(encrypted)
    with pytest.raises(CredentialError, match="has another passphrase"):
        load_private_key(encrypted, Secret(b"wrong"))
    with pytest.raises(CredentialError, match="is not encrypted: give no passphrase"):
        load_private_key(plain, PASSPHRASE)


@pytest.mark.parametrize(
    ("pem", "what"),
    [
        (b"", "no PEM at all"),
        (b"ssh-ed25519 AAAA", "no PEM at all"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "a certificate"),
        (b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "a public key"),
        (b"-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n", "something else"),
    ],
)
def test_what_is_no_private_key_is_named(pem: bytes, what: str) -> None:
    with pytest.raises(CredentialError, match=f"there is no private key in the PEM text, but {what}"):
        load_private_key(Secret(pem))


def test_what_is_no_public_key_is_named() -> None:
    pem = pem_of(private_key(KeyType.ED25519)).reveal()
    with pytest.raises(CredentialError, match="there is no public key in the PEM text, but a private key"):
        load_public_key(pem)
    with pytest.raises(CredentialError, match="the public key is malformed"):
        load_public_key(b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n")


def test_a_malformed_private_key_is_refused() -> None:
    with pytest.raises(CredentialError, match="the private key is malformed"):
        load_private_key(Secret(b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))


@pytest.mark.parametrize("handle", refused_handles(), ids=["rsa-1024", "secp256k1", "brainpool"])
def test_weak_and_unusual_keys_are_refused_wherever_they_come_from(handle: Any) -> None:
    with pytest.raises(CredentialError, match="the private key cannot be used"):
        load_private_key(private_pem(handle))
    with pytest.raises(CredentialError, match="the public key cannot be used"):
        load_public_key(public_pem(handle))
    spki = handle.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(CryptoError):
        PublicKey.from_spki(spki)
    with pytest.raises(CryptoError):
        PrivateKey.of(handle)


def test_keys_that_sign_nothing_in_ikev2_are_refused() -> None:
    for handle in (x25519.X25519PrivateKey.generate(), dsa.generate_private_key(2048)):
        with pytest.raises(CredentialError, match="signs nothing in IKEv2"):
            load_private_key(private_pem(handle))
        with pytest.raises(CredentialError, match="signs nothing in IKEv2"):
            load_public_key(public_pem(handle))


def test_an_rsa_key_that_nobody_could_verify_is_refused() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 16384) + 1)
    with pytest.raises(CryptoError, match="16385 bits"):
        PublicKey.of(numbers.public_key())


@given(st.binary(max_size=120))
def test_any_octets_are_a_raw_public_key_or_refused(octets: bytes) -> None:
    with pytest.raises(CryptoError):
        PublicKey.from_spki(octets)


@pytest.mark.parametrize("key_type", KeyType)
def test_no_private_key_shows_itself(key_type: KeyType) -> None:
    key = private_key(key_type)
    assert "object at" not in repr(key)
    assert key_type.value in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_no_error_shows_a_private_key() -> None:
    pem = private_pem(weak_rsa_handle()).reveal()
    with pytest.raises(CredentialError) as failure:
        load_private_key(Secret(pem))
    body = pem.decode().splitlines()[1]
    assert body not in str(failure.value)
    assert failure.value.__cause__ is None


def test_a_private_key_that_is_loaded_again_is_the_same_one() -> None:
    pem = pem_of(private_key(KeyType.ED25519))
    assert load_private_key(pem) == load_private_key(pem)
    assert load_private_key(pem) != private_key(KeyType.ED25519, 1)
