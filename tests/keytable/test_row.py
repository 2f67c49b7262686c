"""A row that exists obeys RFC 7210 section 2, and its state at an instant is one of five."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rkmp.errors import KeyTableError
from rkmp.keytable import (
    ALG_IDS,
    KDFS,
    LDP_ALG_IDS,
    TCP_AO_ALGORITHMS,
    TCP_AO_PROTOCOLS,
    Direction,
    KeyState,
    Lifetime,
    fingerprint,
    key_state,
)
from rkmp.secret import Secret
from tests.keytable.rows import NOON, SECRET_OCTETS, after, lifetime, manual_row

PRIVATE: dict[str, Any] = {"protocol": "250"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"admin_key_name": ""}, "administrative name is empty"),
        ({"admin_key_name": "\ud800"}, "not valid Unicode"),
        ({"local_key_name": "1"}, "local key name '1' is not the two lowercase"),
        ({"local_key_name": "0A"}, "local key name '0A'"),
        ({"local_key_name": "001"}, "local key name '001'"),
        ({"local_key_name": "٠١"}, "local key name"),
        ({"local_key_name": "01\n"}, "local key name"),
        ({"peer_key_name": ""}, "peer key name ''"),
        ({"protocol": "ospf"}, "protocol 'ospf' is none of bgp, ldp"),
        ({"protocol": "239"}, "240 to 255"),
        ({"protocol": "256"}, "240 to 255"),
        ({"protocol": "0240"}, "240 to 255"),
        ({"protocol": "²"}, "is none of"),
        ({"kdf": "none"}, "TCP-AO does not use KDF 'none'"),
        ({"alg_id": "aes-128-cmac-96"}, "TCP-AO does not use KDF 'hmac-sha-1' with algorithm 'aes-128-cmac-96'"),
        ({"key": Secret(b"")}, "the key is empty"),
        ({"peers": ("192.0.2.1", "")}, "peer's name is empty"),
        ({"interfaces": ()}, "interfaces are empty"),
        ({"interfaces": ("",)}, "interfaces are empty"),
        (PRIVATE | {"kdf": "md5"}, "unknown"),
        (PRIVATE | {"alg_id": "md5"}, "unknown"),
        (PRIVATE | {"kdf": "none", "alg_id": "aes-128-cmac", "key": Secret(bytes(20))}, "20 octets; .* takes 16"),
        (PRIVATE | {"local_key_name": ""}, "local key name '' is not lowercase hexadecimal"),
        (PRIVATE | {"peer_key_name": "g1"}, "neither lowercase hexadecimal nor empty"),
    ],
)
def test_a_row_that_breaks_a_rule_cannot_exist(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(KeyTableError, match=reason) as refusal:
        manual_row(**changes)
    assert SECRET_OCTETS.hex() not in str(refusal.value)
    if changes.get("admin_key_name") is None:
        assert str(refusal.value).startswith("key 'manual': ")


@pytest.mark.parametrize("alg_id", LDP_ALG_IDS)
def test_hellos_of_ldp_have_sa_ids_and_use_the_key_as_it_is(alg_id: str) -> None:
    names = {"local_key_name": "0000002a", "peer_key_name": "ffffffff"}
    row = manual_row(protocol="ldp-discovery", kdf="none", alg_id=alg_id, key=Secret(bytes(64)), **names)
    assert row.alg_id == alg_id
    with pytest.raises(KeyTableError, match="SA ID"):
        replace(row, local_key_name="2a")
    with pytest.raises(KeyTableError, match="LDP discovery does not use"):
        replace(row, kdf="hmac-sha-1")
    with pytest.raises(KeyTableError, match="LDP discovery does not use"):
        replace(row, alg_id="hmac-sha-1-96")


@pytest.mark.parametrize("protocol", TCP_AO_PROTOCOLS)
@pytest.mark.parametrize(("kdf", "alg_id"), TCP_AO_ALGORITHMS)
def test_every_protocol_of_the_table_takes_every_pair_of_tcp_ao(protocol: str, kdf: str, alg_id: str) -> None:
    manual_row(protocol=protocol, kdf=kdf, alg_id=alg_id, key=Secret(b"any length"))


def test_protocols_for_private_use_have_names_and_algorithms_of_their_own() -> None:
    for kdf in KDFS:
        for alg_id in ALG_IDS:
            manual_row(protocol="240", kdf=kdf, alg_id=alg_id, key=Secret(bytes(16)), local_key_name="0000002a")
    manual_row(protocol="255", peer_key_name="")


def test_a_lifetime_is_in_order_and_in_utc() -> None:
    with pytest.raises(KeyTableError, match="before it starts"):
        Lifetime(NOON, NOON - timedelta(seconds=1))
    with pytest.raises(KeyTableError, match="without its time zone"):
        Lifetime(NOON.replace(tzinfo=None), None)
    with pytest.raises(KeyTableError, match="without its time zone"):
        Lifetime(NOON, NOON.replace(tzinfo=None))
    abroad = Lifetime(NOON.astimezone(timezone(timedelta(hours=5))), NOON.astimezone(timezone(timedelta(hours=-5))))
    assert abroad == Lifetime(NOON, NOON)
    assert abroad.start.tzinfo is UTC


def test_both_ends_belong_to_a_lifetime() -> None:
    tick = timedelta(microseconds=1)
    span = lifetime(0, 60)
    assert [span.contains(at) for at in (NOON - tick, NOON, after(60), after(60) + tick)] == [False, True, True, False]
    assert lifetime(0).contains(datetime.max.replace(tzinfo=UTC))
    assert span.end_or(NOON) == after(60)
    assert lifetime(0).end_or(NOON) == NOON


@pytest.mark.parametrize(
    ("direction", "states"),
    [
        (Direction.BOTH, ["pending", "accept-only", "active", "accept-only", "expired"]),
        (Direction.IN, ["pending", "accept-only", "accept-only", "accept-only", "expired"]),
        (Direction.OUT, ["pending", "pending", "active", "expired", "expired"]),
        (Direction.DISABLED, ["disabled"] * 5),
    ],
)
def test_the_state_follows_the_lifetimes_that_count(direction: Direction, states: list[str]) -> None:
    row = manual_row(direction=direction, accept_lifetime=lifetime(10, 40), send_lifetime=lifetime(20, 30))
    assert [key_state(row, after(at)).value for at in (5, 15, 25, 35, 45)] == states
    assert {state.value for state in KeyState} >= set(states)


def test_a_key_between_two_lifetimes_is_pending() -> None:
    row = manual_row(accept_lifetime=lifetime(0, 10), send_lifetime=lifetime(20, 30))
    assert key_state(row, after(15)) is KeyState.PENDING


def test_the_fingerprint_is_what_the_data_model_says() -> None:
    expected = hmac.new(SECRET_OCTETS, b"rkmp-key-fingerprint", hashlib.sha256).digest()[:8].hex()
    assert fingerprint(Secret(SECRET_OCTETS)) == expected
    assert len(expected) == 16


def test_a_row_shows_no_key_and_still_can_be_hashed() -> None:
    row = manual_row()
    assert SECRET_OCTETS.hex() not in repr(row)
    assert repr(SECRET_OCTETS)[2:-1] not in repr(row)
    assert {row, manual_row()} == {row}
    assert row != manual_row(key=Secret(b"another"))
