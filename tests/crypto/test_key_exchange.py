"""Key exchanges against published examples, between two sides, and against what a hostile peer may send."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.key_exchange import KEY_EXCHANGES, respond, start
from rkmp.errors import CryptoError
from rkmp.instant import Random
from rkmp.wire import KeyExchangeId
from tests.crypto.vectors import load

DIFFIE_HELLMAN = [
    KeyExchangeId.CURVE25519,
    KeyExchangeId.ECP_256,
    KeyExchangeId.ECP_384,
    KeyExchangeId.ECP_521,
]
ML_KEM = [KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024]
PRIMES = {
    KeyExchangeId.ECP_256: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    KeyExchangeId.ECP_384: 2**384 - 2**128 - 2**96 + 2**32 - 1,
    KeyExchangeId.ECP_521: 2**521 - 1,
}
ECP_VECTORS = load("rfc5903")["groups"]
ML_KEM_VECTORS = load("ml_kem")["vectors"]


def seeded(seed: bytes) -> Random:
    """A reproducible source of randomness."""
    calls = 0

    def random(length: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(seed + calls.to_bytes(4)).digest(length)

    return random


def scripted(*answers: bytes) -> Random:
    """A source that gives exactly these octets."""
    waiting = list(answers)

    def random(length: int) -> bytes:
        answer = waiting.pop(0)
        assert len(answer) == length
        return answer

    return random


def test_every_method_is_tested_here() -> None:
    assert set(KEY_EXCHANGES) == {*DIFFIE_HELLMAN, *ML_KEM}


@pytest.mark.parametrize("method", KEY_EXCHANGES)
@settings(max_examples=5, deadline=None)
@given(seed=st.binary(min_size=1, max_size=8))
def test_both_sides_get_the_same_secret(method: int, seed: bytes) -> None:
    row = KEY_EXCHANGES[method]
    pending = start(method, seeded(seed + b"i"))
    answer, secret = respond(method, pending.public_value, seeded(seed + b"r"))
    assert (len(pending.public_value), len(answer)) == (row.request_length, row.answer_length)
    assert pending.finish(answer) == secret
    assert any(secret.reveal())


@pytest.mark.parametrize("method", KEY_EXCHANGES)
def test_private_keys_come_from_the_randomness_that_is_passed_in(method: int) -> None:
    first, second, other = (start(method, seeded(seed)) for seed in (b"a", b"a", b"b"))
    assert first.public_value == second.public_value != other.public_value


@pytest.mark.parametrize("method", DIFFIE_HELLMAN)
def test_a_diffie_hellman_answer_is_reproducible(method: int) -> None:
    request = start(method, seeded(b"i")).public_value
    assert respond(method, request, seeded(b"r")) == respond(method, request, seeded(b"r"))


def test_rfc_8031_appendix_a() -> None:
    random_i = bytes.fromhex("751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94")
    random_r = bytes.fromhex("0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688")
    public_i = bytes.fromhex("48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766")
    public_r = bytes.fromhex("0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25")
    shared = bytes.fromhex("c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950")
    pending = start(31, scripted(random_i))
    assert pending.public_value == public_i
    answer, secret = respond(31, public_i, scripted(random_r))
    assert answer == public_r
    assert secret.reveal() == pending.finish(answer).reveal() == shared


@pytest.mark.parametrize(
    ("scalar", "peer_value", "secret"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_rfc_7748_section_5_2(scalar: str, peer_value: str, secret: str) -> None:
    pending = start(31, scripted(bytes.fromhex(scalar)))
    assert pending.finish(bytes.fromhex(peer_value)).reveal().hex() == secret


@pytest.mark.parametrize("vector", ECP_VECTORS, ids=[vector["section"] for vector in ECP_VECTORS])
def test_rfc_5903_section_8(vector: dict[str, Any]) -> None:
    octets: dict[str, bytes] = {
        name: bytes.fromhex(vector[name]) for name in vector if name not in ("section", "method")
    }
    length = len(octets["i"]) + 8

    def private_key(name: str) -> Random:
        # The key is made of eight octets more than it has, modulo the order less one, plus one.
        return scripted((int.from_bytes(octets[name]) - 1).to_bytes(length))

    pending = start(vector["method"], private_key("i"))
    assert pending.public_value == octets["gix"] + octets["giy"]
    answer, secret = respond(vector["method"], pending.public_value, private_key("r"))
    assert answer == octets["grx"] + octets["gry"]
    assert secret.reveal() == pending.finish(answer).reveal() == octets["girx"]


@pytest.mark.parametrize("vector", ML_KEM_VECTORS, ids=[str(vector["method"]) for vector in ML_KEM_VECTORS])
def test_ml_kem_known_answers(vector: dict[str, Any]) -> None:
    pending = start(vector["method"], scripted(bytes.fromhex(vector["d"] + vector["z"])))
    assert pending.public_value.hex() == vector["encapsulation_key"]
    assert pending.finish(bytes.fromhex(vector["ciphertext"])).reveal().hex() == vector["shared_secret"]


@pytest.mark.parametrize("method", ML_KEM)
def test_a_wrong_ciphertext_makes_a_wrong_secret_and_no_error(method: int) -> None:
    pending = start(method, seeded(b"i"))
    answer, secret = respond(method, pending.public_value, seeded(b"r"))
    assert pending.finish(bytes((answer[0] ^ 1,)) + answer[1:]) != secret


@pytest.mark.parametrize("method", ML_KEM)
def test_an_encapsulation_key_out_of_range_is_refused(method: int) -> None:
    # Twelve set bits are 4095, which is not below the modulus 3329.
    with pytest.raises(CryptoError, match="encapsulation key"):
        respond(method, b"\xff" * KEY_EXCHANGES[method].request_length, seeded(b"r"))


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize("method", KEY_EXCHANGES)
@pytest.mark.parametrize(
    "change", [lambda value: b"", lambda value: value[:-1], lambda value: value + b"\0"], ids=["empty", "short", "long"]
)
def test_values_of_another_length_are_refused(method: int, change: Change) -> None:
    pending = start(method, seeded(b"i"))
    answer, _ = respond(method, pending.public_value, seeded(b"r"))
    with pytest.raises(CryptoError, match="octets"):
        respond(method, change(pending.public_value), seeded(b"r"))
    with pytest.raises(CryptoError, match="octets"):
        pending.finish(change(answer))


# All points of small order on Curve25519, from RFC 7748's references; each makes an all-zero secret.
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("value", SMALL_ORDER)
def test_curve25519_points_of_small_order_are_refused(value: str) -> None:
    with pytest.raises(CryptoError, match="all-zero"):
        respond(31, bytes.fromhex(value), seeded(b"r"))
    with pytest.raises(CryptoError, match="all-zero"):
        start(31, seeded(b"i")).finish(bytes.fromhex(value))


@pytest.mark.parametrize("method", PRIMES)
def test_points_off_the_curve_are_refused(method: int) -> None:
    pending = start(method, seeded(b"i"))
    half = len(pending.public_value) // 2
    x, y = pending.public_value[:half], pending.public_value[half:]
    out_of_range = PRIMES[KeyExchangeId(method)].to_bytes(half)
    for value in (
        bytes(2 * half),
        x + bytes((*y[:-1], y[-1] ^ 1)),
        y + x,
        out_of_range + y,
        x + out_of_range,
        b"\xff" * (2 * half),
    ):
        with pytest.raises(CryptoError, match="no point"):
            respond(method, value, seeded(b"r"))
        with pytest.raises(CryptoError, match="no point"):
            pending.finish(value)


@pytest.mark.parametrize("method", PRIMES)
@pytest.mark.parametrize("octet", [b"\x00", b"\xff"])
def test_any_randomness_makes_a_private_key_in_range(method: int, octet: bytes) -> None:
    pending = start(method, lambda length: octet * length)
    answer, secret = respond(method, pending.public_value, seeded(b"r"))
    assert pending.finish(answer) == secret


@pytest.mark.parametrize("method", [0, 14, 35, 9999])
def test_unknown_methods_are_refused(method: int) -> None:
    with pytest.raises(CryptoError, match="not implemented"):
        start(method, seeded(b"i"))
    with pytest.raises(CryptoError, match="not implemented"):
        respond(method, b"", seeded(b"r"))
