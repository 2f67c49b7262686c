"""PRFs against RFC 4868, and their expansion against the definition of RFC 7296 2.13."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.crypto.prf import PRF_HMAC_SHA1, PRF_KEY_LENGTH, PRFS, prf, prf_plus
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import PrfId
from tests.crypto.vectors import load

PRF_FIELDS = {
    "prf-hmac-sha-256": PrfId.HMAC_SHA2_256,
    "prf-hmac-sha-384": PrfId.HMAC_SHA2_384,
    "prf-hmac-sha-512": PrfId.HMAC_SHA2_512,
}
CASES = load("rfc4868")["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_rfc_4868(case: dict[str, Any]) -> None:
    key, data = bytes.fromhex(case["key"]), bytes.fromhex(case["data"])
    results = {field: prf(prf_id, key, data).hex() for field, prf_id in PRF_FIELDS.items() if field in case}
    assert results
    assert results == {field: case[field] for field in results}


def test_every_prf_has_vectors() -> None:
    assert set(PRF_FIELDS.values()) == set(PRFS)
    assert all(any(field in case for case in CASES) for field in PRF_FIELDS)


@pytest.mark.parametrize("prf_id", PRFS)
def test_a_prf_makes_as_many_octets_as_its_key_has(prf_id: int) -> None:
    assert len(prf(prf_id, b"key", b"data")) == PRF_KEY_LENGTH[prf_id] == PRFS[prf_id].key_length


@pytest.mark.parametrize(
    ("key", "data", "digest"),
    [
        (b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ],
)
def test_sha_1_is_computed_as_rfc_2202_has_it_and_not_negotiated(key: bytes, data: bytes, digest: str) -> None:
    assert prf(PRF_HMAC_SHA1, key, data).hex() == digest
    assert PRF_HMAC_SHA1 not in PRFS


@given(
    st.sampled_from(sorted({*PRFS, PRF_HMAC_SHA1})),
    st.binary(max_size=70),
    st.binary(max_size=100),
    st.integers(0, 400),
)
def test_expansion_chains_its_blocks(prf_id: int, key: bytes, seed: bytes, length: int) -> None:
    expected, block, counter = b"", b"", 1
    while len(expected) < length:
        block = prf(prf_id, key, block + seed + bytes((counter,)))
        expected += block
        counter += 1
    assert prf_plus(prf_id, key, seed, length) == expected[:length]


@pytest.mark.parametrize("prf_id", PRFS)
def test_expansion_ends_with_its_counter(prf_id: int) -> None:
    most = 255 * PRF_KEY_LENGTH[prf_id]
    assert len(prf_plus(prf_id, b"key", b"seed", most)) == most
    with pytest.raises(CryptoError):
        prf_plus(prf_id, b"key", b"seed", most + 1)


def test_a_secret_is_a_key_like_any_other() -> None:
    assert prf(5, Secret(b"key"), b"data") == prf(5, b"key", b"data")
    assert prf_plus(5, Secret(b"key"), b"seed", 40) == prf_plus(prf=5, key=b"key", seed=b"seed", length=40)


@pytest.mark.parametrize("prf_id", [0, 1, 8, 999])
def test_unknown_prfs_are_refused(prf_id: int) -> None:
    with pytest.raises(CryptoError, match="not implemented"):
        prf(prf_id, b"key", b"data")
    with pytest.raises(CryptoError, match="not implemented"):
        prf_plus(prf_id, b"key", b"seed", 1)
