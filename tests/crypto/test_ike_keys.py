"""The key schedule against NIST's vectors, and its lengths for every suite."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES
from rkmp.crypto.ike_keys import (
    IkeKeys,
    child_key_material,
    derive_ike_keys,
    ike_keys_with_ppk,
    rekeyed_ike_keys,
    updated_ike_keys,
)
from rkmp.crypto.prf import PRF_KEY_LENGTH, prf, prf_plus
from rkmp.crypto.suites import IkeSuite
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import EncryptionId, IntegrityId, KeyExchangeId, PrfId
from tests.crypto.vectors import load

CASES = load("nist_ikev2_kdf")["cases"]


def octets_of(case: dict[str, Any]) -> dict[str, bytes]:
    """Return the octets of a case by name."""
    return {name: bytes.fromhex(value) for name, value in case.items() if name not in ("name", "source", "prf")}


VECTOR = octets_of(CASES[0])
NONCES = VECTOR["nonce_i"], VECTOR["nonce_r"]
SPIS = VECTOR["spi_i"], VECTOR["spi_r"]
SUITE = IkeSuite(
    EncryptionId.AES_CBC, 256, IntegrityId.HMAC_SHA2_256_128, PrfId.HMAC_SHA2_256, KeyExchangeId.CURVE25519
)


def concatenated(keys: IkeKeys) -> bytes:
    return b"".join(getattr(keys, field.name).reveal() for field in fields(keys))


def nist_keys(suite: IkeSuite = SUITE) -> IkeKeys:
    return derive_ike_keys(suite, *NONCES, Secret(VECTOR["shared_secret"]), *SPIS)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_nist(case: dict[str, Any]) -> None:
    """SP 800-135: the seed and the keys of an IKE SA, of its children, and of one that replaces it."""
    known, prf_id = octets_of(case), case["prf"]
    nonces, spis = (known["nonce_i"], known["nonce_r"]), (known["spi_i"], known["spi_r"])
    suite = replace(SUITE, prf=prf_id)
    assert prf(prf_id, b"".join(nonces), known["shared_secret"]) == known["skeyseed"]
    keys = derive_ike_keys(suite, *nonces, Secret(known["shared_secret"]), *spis)
    material = known["keying_material"]
    assert len(concatenated(keys)) >= 7 * 32
    assert material.startswith(concatenated(keys)[: len(material)])
    assert prf_plus(prf_id, known["skeyseed"], b"".join((*nonces, *spis)), len(material)) == material

    length, new_secret = len(known["child_keying_material"]), Secret(known["new_shared_secret"])
    without = child_key_material(prf_id, keys.sk_d, *nonces, length)
    with_secret = child_key_material(prf_id, keys.sk_d, *nonces, length, new_secret)
    assert without.reveal() == known["child_keying_material"]
    assert with_secret.reveal() == known["child_keying_material_with_new_secret"]
    assert child_key_material(prf_id, keys.sk_d, *nonces, 20).reveal() == known["child_keying_material"][:20]

    rekeyed = rekeyed_ike_keys(prf_id, keys.sk_d, suite, new_secret, *nonces, *spis)
    expected = prf_plus(prf_id, known["rekeyed_skeyseed"], b"".join((*nonces, *spis)), len(concatenated(rekeyed)))
    assert concatenated(rekeyed) == expected


def test_a_rekeyed_ike_sa_seeds_with_the_old_prf_and_expands_with_the_new() -> None:
    new_suite = IkeSuite(EncryptionId.AES_GCM_16, 128, 0, PrfId.HMAC_SHA2_512, KeyExchangeId.CURVE25519)
    keys = rekeyed_ike_keys(
        PrfId.HMAC_SHA2_256, nist_keys().sk_d, new_suite, Secret(VECTOR["new_shared_secret"]), *NONCES, *SPIS
    )
    material = concatenated(keys)
    expected = prf_plus(PrfId.HMAC_SHA2_512, VECTOR["rekeyed_skeyseed"], b"".join((*NONCES, *SPIS)), len(material))
    assert material == expected


@pytest.mark.parametrize("prf_id", PRF_KEY_LENGTH)
@pytest.mark.parametrize("cipher", ENCRYPTIONS)
def test_keys_have_the_lengths_of_their_suite(prf_id: int, cipher: tuple[int, int]) -> None:
    row = ENCRYPTIONS[cipher]
    for integrity in [0] if row.is_combined else INTEGRITIES:
        keys = nist_keys(IkeSuite(*cipher, integrity, prf_id, KeyExchangeId.CURVE25519))
        integrity_length = INTEGRITIES[integrity].key_length if integrity else 0
        assert {len(keys.sk_d), len(keys.sk_pi), len(keys.sk_pr)} == {PRF_KEY_LENGTH[prf_id]}
        assert {len(keys.sk_ai), len(keys.sk_ar)} == {integrity_length}
        assert {len(keys.sk_ei), len(keys.sk_er)} == {row.key_length}
        assert concatenated(keys) == prf_plus(
            prf_id,
            prf(prf_id, b"".join(NONCES), VECTOR["shared_secret"]),
            b"".join((*NONCES, *SPIS)),
            len(concatenated(keys)),
        )


FURTHER = [Secret(b"one" * 11), Secret(b"two" * 16)]


def test_children_of_several_key_exchanges_have_all_secrets_after_the_nonces() -> None:
    sk_d = nist_keys().sk_d
    seed = b"".join((VECTOR["new_shared_secret"], *NONCES, b"one" * 11, b"two" * 16))
    material = child_key_material(SUITE.prf, sk_d, *NONCES, 20, Secret(VECTOR["new_shared_secret"]), FURTHER)
    assert material.reveal() == prf_plus(SUITE.prf, sk_d, seed, 20)


def test_an_ike_sa_of_several_key_exchanges_has_all_secrets_after_the_nonces() -> None:
    sk_d = nist_keys().sk_d
    keys = rekeyed_ike_keys(SUITE.prf, sk_d, SUITE, Secret(VECTOR["new_shared_secret"]), *NONCES, *SPIS, FURTHER)
    seed = prf(SUITE.prf, sk_d, b"".join((VECTOR["new_shared_secret"], *NONCES, b"one" * 11, b"two" * 16)))
    assert concatenated(keys) == prf_plus(SUITE.prf, seed, b"".join((*NONCES, *SPIS)), 7 * 32)


def test_an_additional_key_exchange_replaces_every_key() -> None:
    keys = nist_keys()
    updated = updated_ike_keys(SUITE, keys.sk_d, FURTHER[0], *NONCES, *SPIS)
    seed = prf(SUITE.prf, keys.sk_d, b"".join((b"one" * 11, *NONCES)))
    assert concatenated(updated) == prf_plus(SUITE.prf, seed, b"".join((*NONCES, *SPIS)), 7 * 32)
    assert all(getattr(updated, field.name) != getattr(keys, field.name) for field in fields(keys))


@pytest.mark.parametrize("prf_id", PRF_KEY_LENGTH)
def test_a_ppk_changes_what_derives_and_authenticates(prf_id: int) -> None:
    keys = nist_keys(IkeSuite(EncryptionId.AES_GCM_16, 256, 0, prf_id, KeyExchangeId.CURVE25519))
    ppk = Secret(b"a post-quantum pre-shared key of any length at all")
    mixed = ike_keys_with_ppk(prf_id, keys, ppk)
    for name in ("sk_d", "sk_pi", "sk_pr"):
        # RFC 8784 3: with these PRFs one iteration of prf+ is enough.
        assert getattr(mixed, name).reveal() == prf(prf_id, ppk, getattr(keys, name).reveal() + b"\x01")
    for name in ("sk_ai", "sk_ar", "sk_ei", "sk_er"):
        assert getattr(mixed, name) == getattr(keys, name)


def test_too_much_key_material_is_refused() -> None:
    with pytest.raises(CryptoError):
        child_key_material(PrfId.HMAC_SHA2_256, Secret(b"d" * 32), *NONCES, 255 * 32 + 1)


def test_no_key_shows_itself() -> None:
    keys = nist_keys()
    shown = repr(keys)
    for field in fields(keys):
        octets = getattr(keys, field.name).reveal()
        assert octets.hex() not in shown
        assert repr(octets) not in shown
