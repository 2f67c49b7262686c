"""Sealed bodies: what goes in comes out, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES
from rkmp.crypto.protection import Protector
from rkmp.crypto.suites import IkeSuite
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import EncryptionId, IntegrityId, KeyExchangeId, PrfId

SUITES = [
    IkeSuite(*cipher, integrity, PrfId.HMAC_SHA2_256, KeyExchangeId.CURVE25519)
    for cipher, row in ENCRYPTIONS.items()
    for integrity in ([0] if row.is_combined else INTEGRITIES)
]
GCM = next(suite for suite in SUITES if suite.encryption == EncryptionId.AES_GCM_16 and suite.key_bits == 128)
CBC = next(
    suite
    for suite in SUITES
    if (suite.encryption, suite.key_bits, suite.integrity) == (EncryptionId.AES_CBC, 256, IntegrityId.HMAC_SHA2_384_192)
)
NAMES = [f"{suite.encryption_name}+{suite.integrity_name}" for suite in SUITES]
ASSOCIATED_DATA = b"the header of a message"


def random(length: int) -> bytes:
    return b"\x5a" * length


def keys(suite: IkeSuite, seed: bytes = b"key") -> tuple[Secret, Secret]:
    integrity = suite.integrity_algorithm
    return (
        Secret(hashlib.shake_256(seed + b"e").digest(suite.encryption_algorithm.key_length)),
        Secret(hashlib.shake_256(seed + b"a").digest(integrity.key_length if integrity else 0)),
    )


def protector(suite: IkeSuite, seed: bytes = b"key") -> Protector:
    return Protector(suite, *keys(suite, seed))


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
@given(associated_data=st.binary(max_size=60), plaintext=st.binary(max_size=100))
def test_what_is_sealed_can_be_opened(suite: IkeSuite, associated_data: bytes, plaintext: bytes) -> None:
    sender, receiver = protector(suite), protector(suite)
    body = sender.seal(associated_data, plaintext, random)
    assert len(body) == sender.body_length(len(plaintext))
    assert receiver.open(associated_data, body) == plaintext


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
@given(data=st.data())
def test_any_changed_bit_is_noticed(suite: IkeSuite, data: st.DataObject) -> None:
    body = bytearray(protector(suite).seal(ASSOCIATED_DATA, b"payloads", random))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CryptoError, match="integrity"):
        protector(suite).open(ASSOCIATED_DATA, bytes(body))


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_the_octets_before_the_body_are_protected_too(suite: IkeSuite) -> None:
    body = protector(suite).seal(ASSOCIATED_DATA, b"payloads", random)
    for other in (b"", ASSOCIATED_DATA[:-1], ASSOCIATED_DATA + b"\0", ASSOCIATED_DATA[:-1] + b"!"):
        with pytest.raises(CryptoError, match="integrity"):
            protector(suite).open(other, body)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
@given(body=st.binary(max_size=80))
def test_any_body_is_refused_without_the_key(suite: IkeSuite, body: bytes) -> None:
    with pytest.raises(CryptoError):
        protector(suite).open(ASSOCIATED_DATA, body)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_every_truncation_is_refused(suite: IkeSuite) -> None:
    body = protector(suite).seal(ASSOCIATED_DATA, b"payloads", random)
    for length in range(len(body)):
        with pytest.raises(CryptoError):
            protector(suite).open(ASSOCIATED_DATA, body[:length])


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_another_key_does_not_open(suite: IkeSuite) -> None:
    body = protector(suite).seal(ASSOCIATED_DATA, b"payloads", random)
    with pytest.raises(CryptoError, match="integrity"):
        protector(suite, b"another").open(ASSOCIATED_DATA, body)


def test_aes_gcm_never_repeats_an_iv() -> None:
    sender = protector(GCM)
    ivs = [sender.seal(b"", b"", lambda length: b"\xff" * length)[:8] for _ in range(100)]
    assert len(set(ivs)) == 100


def test_aes_gcm_is_laid_out_as_rfc_5282_says() -> None:
    key = keys(GCM)[0].reveal()
    body = protector(GCM).seal(ASSOCIATED_DATA, b"payloads", random)
    opened = AESGCM(key[:16]).decrypt(key[16:] + body[:8], body[8:], ASSOCIATED_DATA)
    assert opened == b"payloads\0"


def cbc_body(padded: bytes, iv: bytes = bytes(range(16))) -> bytes:
    """What a peer makes of octets that are padded already, computed step by step."""
    key, integrity_key = keys(CBC)
    encryptor = Cipher(algorithms.AES(key.reveal()), modes.CBC(iv)).encryptor()
    sealed = iv + encryptor.update(padded)
    return sealed + hmac.digest(integrity_key.reveal(), ASSOCIATED_DATA + sealed, "sha384")[:24]


def test_aes_cbc_is_laid_out_as_rfc_7296_says() -> None:
    iv = bytes(range(16))
    body = protector(CBC).seal(ASSOCIATED_DATA, b"payloads", lambda length: iv[:length])
    assert body == cbc_body(b"payloads" + bytes(7) + b"\x07", iv)


@pytest.mark.parametrize(
    ("padded", "plaintext"),
    [
        (b"payloads" + b"whatever"[:7] + b"\x07", b"payloads"),
        (b"payloads" + bytes(23) + b"\x17", b"payloads"),
        (b"a payload of 15" + b"\x00", b"a payload of 15"),
        (bytes(15) + b"\x0f", b""),
    ],
)
def test_any_padding_of_a_proper_length_is_taken_off(padded: bytes, plaintext: bytes) -> None:
    assert protector(CBC).open(ASSOCIATED_DATA, cbc_body(padded)) == plaintext


def test_padding_longer_than_its_payload_is_refused() -> None:
    with pytest.raises(CryptoError, match="padding"):
        protector(CBC).open(ASSOCIATED_DATA, cbc_body(bytes(15) + b"\x10"))
    key = keys(GCM)[0].reveal()
    iv = bytes(8)
    for padded in (b"", b"\x01"):
        body = iv + AESGCM(key[:16]).encrypt(key[16:] + iv, padded, ASSOCIATED_DATA)
        with pytest.raises(CryptoError, match="padding"):
            protector(GCM).open(ASSOCIATED_DATA, body)


def test_an_authentic_body_without_ciphertext_is_refused() -> None:
    with pytest.raises(CryptoError, match="padding"):
        protector(CBC).open(ASSOCIATED_DATA, cbc_body(b""))


@pytest.mark.parametrize("sealed", [b"", bytes(15), bytes(17)])
def test_an_authentic_body_of_partial_blocks_is_refused(sealed: bytes) -> None:
    icv = hmac.digest(keys(CBC)[1].reveal(), ASSOCIATED_DATA + sealed, "sha384")[:24]
    with pytest.raises(CryptoError, match="whole blocks"):
        protector(CBC).open(ASSOCIATED_DATA, sealed + icv)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_keys_of_another_length_are_refused(suite: IkeSuite) -> None:
    key, integrity_key = keys(suite)
    with pytest.raises(CryptoError, match="encryption key"):
        Protector(suite, Secret(key.reveal()[:-1]), integrity_key)
    with pytest.raises(CryptoError, match="integrity key"):
        Protector(suite, key, Secret(integrity_key.reveal() + b"\0"))
