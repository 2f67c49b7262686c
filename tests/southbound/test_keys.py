"""Which keys a consumer should hold at an instant, read from the key table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rkmp.errors import SouthboundError
from rkmp.keytable import Direction, KeyRow
from rkmp.secret import Secret
from rkmp.southbound import HelloKey, Holding, Neighbor, NeighborSockets
from rkmp.southbound.bird_files import require_expressible
from rkmp.southbound.keys import MasterKeyTuple, WantedKeys, wanted_keys
from rkmp.southbound.steps import HeldKey
from tests.keytable.rows import NOON, PEER, after, lifetime, manual_row, memory_table, negotiated_row

TICK = timedelta(microseconds=1)


def wanted(*rows: KeyRow, seconds: float = 0, protocol: str = "bgp") -> WantedKeys:
    table = memory_table()
    table.apply_manual(table.prepare_manual([row for row in rows if row.provenance is None]), NOON)
    with table.transaction(NOON) as change:
        for row in rows:
            if row.provenance is not None:
                change.install(row)
    return wanted_keys(table, PEER, protocol, after(seconds))


def names(found: WantedKeys) -> list[str]:
    return [key.name for key in found.keys]


def test_the_send_id_is_the_peers_name_of_the_key_and_the_recv_id_ours() -> None:
    (key,) = wanted(manual_row(local_key_name="0a", peer_key_name="ff", ignore_tcp_options=True)).keys
    assert isinstance(key, MasterKeyTuple)
    assert (key.send_id, key.recv_id, key.ignore_tcp_options) == (255, 10, True)


def test_a_key_is_held_while_it_is_accepted_both_ends_included() -> None:
    row = negotiated_row()
    assert names(wanted(row, seconds=-1)) == []
    assert wanted(row, seconds=-1).pending == {"negotiated"}
    assert names(wanted(row, seconds=0)) == ["negotiated"]
    assert names(wanted(row, seconds=3660)) == ["negotiated"]
    assert names(wanted(row, seconds=3661)) == []
    assert wanted(row, seconds=3661).pending == frozenset()


def test_the_key_that_began_last_is_preferred_and_the_one_before_retires_when_its_sending_ends() -> None:
    old = negotiated_row("old", send_lifetime=lifetime(0, 100), accept_lifetime=lifetime(0, 200))
    new = negotiated_row("new", local_key_name="03", peer_key_name="04", send_lifetime=lifetime(100, 500))
    assert wanted(old, new, seconds=50).preferred == "old"
    both = wanted(old, new, seconds=101)
    assert (names(both), both.preferred, both.retiring) == (["old", "new"], "new", frozenset({"old"}))


def test_a_key_that_is_only_accepted_is_held_and_never_preferred() -> None:
    found = wanted(negotiated_row(direction=Direction.IN))
    assert (names(found), found.preferred) == (["negotiated"], None)
    assert names(wanted(negotiated_row(direction=Direction.DISABLED))) == []


def test_the_last_key_stays_to_the_end_of_its_accept_lifetime() -> None:
    found = wanted(negotiated_row(), seconds=3601)
    assert (names(found), found.preferred) == (["negotiated"], None)


@pytest.mark.parametrize(
    ("seconds", "next_change"),
    [(-5, NOON), (0, after(3600) + TICK), (3601, after(3660) + TICK), (3661, None)],
)
def test_the_next_change_is_the_next_end_or_begin(seconds: float, next_change: object) -> None:
    assert wanted(negotiated_row(), seconds=seconds).next_change == next_change


def test_keys_of_no_tcp_ao_and_of_others_are_not_given_away() -> None:
    other = manual_row("other", protocol="240", kdf="none", alg_id="hmac-sha-1-96", local_key_name="abcd")
    assert names(wanted(other, protocol="240")) == []
    assert names(wanted(manual_row(peers=("192.0.2.77",)))) == []


HELLO: dict[str, Any] = {
    "protocol": "ldp-discovery",
    "local_key_name": "0000ab01",
    "peer_key_name": "ffffffff",
    "kdf": "none",
    "alg_id": "hmac-sha-256",
    "key": Secret(bytes(range(32))),
}


def test_keys_of_hellos_have_sa_ids_of_four_octets_and_are_no_keys_of_tcp() -> None:
    old = negotiated_row("old", **HELLO, send_lifetime=lifetime(0, 100), accept_lifetime=lifetime(0, 200))
    new = negotiated_row(
        "new", **{**HELLO, "local_key_name": "0000ab02", "peer_key_name": "01" * 4}, send_lifetime=lifetime(100, 500)
    )
    found = wanted(old, new, seconds=101, protocol="ldp-discovery")
    assert found.keys[0] == HelloKey("old", 0xFFFFFFFF, 0xAB01, "hmac-sha-256", Secret(bytes(range(32))))
    assert (names(found), found.preferred, found.retiring) == (["old", "new"], "new", frozenset({"old"}))
    assert not found.keys[0].shares_id(found.keys[1])
    assert names(wanted(old, protocol="ldp")) == []
    with pytest.raises(SouthboundError, match="LDP's Hellos"):
        NeighborSockets(Neighbor.of(PEER)).hold(Holding((HeldKey(found.keys[0]),)))
    with pytest.raises(SouthboundError, match="BIRD does not have"):
        require_expressible(found.keys[0])


def test_no_repr_shows_a_secret() -> None:
    found = wanted(manual_row(key=Secret(b"very secret indeed")))
    assert isinstance(found.keys[0], MasterKeyTuple)
    assert "very secret" not in repr(found)
