"""AUTH by a shared key, step by step as RFC 7296 2.15 writes it."""

from __future__ import annotations

import hmac

import pytest

from rkmp.crypto.authentication import shared_key_auth, signed_octets, verify_shared_key_auth
from rkmp.secret import Secret
from rkmp.wire import IdInitiator, IdType, PrfId

MESSAGE = b"the first message, header and all"
NONCE = b"n" * 32
SK_P = Secret(b"p" * 32)
IDENTIFICATION = IdInitiator(IdType.FQDN, b"router.example")
PRE_SHARED_KEY = Secret(b"correct horse battery staple")
HASHES = {PrfId.HMAC_SHA2_256: "sha256", PrfId.HMAC_SHA2_384: "sha384", PrfId.HMAC_SHA2_512: "sha512"}


@pytest.mark.parametrize(("prf_id", "hash_name"), HASHES.items())
def test_auth_is_what_the_rfc_writes(prf_id: int, hash_name: str) -> None:
    octets = signed_octets(prf_id, MESSAGE, NONCE, SK_P, IDENTIFICATION.to_bytes())
    body = b"\x02\x00\x00\x00router.example"
    assert octets == MESSAGE + NONCE + hmac.digest(SK_P.reveal(), body, hash_name)
    with_more = signed_octets(prf_id, MESSAGE, NONCE, SK_P, IDENTIFICATION.to_bytes(), b"what RFC 9242 adds")
    assert with_more == octets + b"what RFC 9242 adds"
    padded = hmac.digest(PRE_SHARED_KEY.reveal(), b"Key Pad for IKEv2", hash_name)
    expected = hmac.digest(padded, octets, hash_name)
    assert shared_key_auth(prf_id, PRE_SHARED_KEY, octets) == expected
    assert verify_shared_key_auth(prf_id, PRE_SHARED_KEY, octets, expected)


def test_nothing_else_is_accepted() -> None:
    octets = signed_octets(PrfId.HMAC_SHA2_256, MESSAGE, NONCE, SK_P, IDENTIFICATION.to_bytes())
    auth = shared_key_auth(PrfId.HMAC_SHA2_256, PRE_SHARED_KEY, octets)
    for key, signed, data in (
        (Secret(b"wrong"), octets, auth),
        (PRE_SHARED_KEY, octets + b"\0", auth),
        (PRE_SHARED_KEY, octets, auth[:-1]),
        (PRE_SHARED_KEY, octets, auth + b"\0"),
        (PRE_SHARED_KEY, octets, b""),
        (PRE_SHARED_KEY, octets, bytes((auth[0] ^ 1,)) + auth[1:]),
    ):
        assert not verify_shared_key_auth(PrfId.HMAC_SHA2_256, key, signed, data)
