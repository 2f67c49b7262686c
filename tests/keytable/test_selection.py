"""Selection against a naive reading of RFC 7210 section 3: look at every row, apply every condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.errors import KeyTableError
from rkmp.keytable import Direction, KeyRow, KeyTable, Lifetime
from tests.keytable.rows import NOON, PEER, after, lifetime, manual_row, memory_table, negotiated_row, provenance

# Small worlds, in which rows meet often.
PEERS = ("192.0.2.1", "2001:db8::1", "r3")
WRITTEN = {"2001:db8::1": "2001:0DB8:0::1"}
PROTOCOLS = ("bgp", "ldp")
INTERFACES = ("all", "eth0", "eth1")
KEY_NAMES = ("01", "02", "03")
ALGORITHMS = (("hmac-sha-1", "hmac-sha-1-96"), ("aes-128-cmac", "aes-128-cmac-96"))
HORIZON = 8


def sets(values: tuple[str, ...], minimum: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=minimum, max_size=2, unique=True).map(tuple)


@st.composite
def lifetimes(draw: st.DrawFn) -> Lifetime:
    start = draw(st.integers(0, HORIZON))
    length = draw(st.one_of(st.none(), st.integers(0, HORIZON // 2)))
    return lifetime(start, None if length is None else start + length)


@st.composite
def rows(draw: st.DrawFn) -> KeyRow:
    kdf, alg_id = draw(st.sampled_from(ALGORITHMS))
    return manual_row(
        draw(st.sampled_from("abcdef")),
        peers=draw(sets(PEERS, 0)),
        protocol=draw(st.sampled_from(PROTOCOLS)),
        interfaces=draw(sets(INTERFACES, 1)),
        local_key_name=draw(st.sampled_from(KEY_NAMES)),
        peer_key_name=draw(st.sampled_from(KEY_NAMES)),
        direction=draw(st.sampled_from(Direction)),
        send_lifetime=draw(lifetimes()),
        accept_lifetime=draw(lifetimes()),
        kdf=kdf,
        alg_id=alg_id,
        provenance=draw(st.sampled_from([None, provenance()])),
    )


class NaiveTable:
    """RFC 7210 section 3, word for word."""

    def __init__(self) -> None:
        self.rows: dict[str, KeyRow] = {}

    def matching(self, peer: str, protocol: str, interface: str | None) -> list[KeyRow]:
        return [
            row
            for row in self.rows.values()
            if peer in row.peers
            and row.protocol == protocol
            and (interface is None or interface in row.interfaces or "all" in row.interfaces)
        ]

    def sending(
        self, peer: str, protocol: str, at: datetime, interface: str | None, preference: tuple[str, ...] = ()
    ) -> KeyRow | None:
        found = [
            row
            for row in self.matching(peer, protocol, interface)
            if row.direction in (Direction.OUT, Direction.BOTH)
            and row.send_lifetime.start <= at
            and (row.send_lifetime.end is None or at <= row.send_lifetime.end)
        ]
        for alg_id in preference:
            preferred = [row for row in found if row.alg_id == alg_id]
            if preferred:
                found = preferred
                break
        return max(found, key=lambda row: (row.send_lifetime.start, row.admin_key_name), default=None)

    def receiving(self, peer: str, protocol: str, name: str, at: datetime, interface: str | None) -> list[KeyRow]:
        return [
            row
            for row in self.matching(peer, protocol, interface)
            if row.direction in (Direction.IN, Direction.BOTH)
            and row.local_key_name == name
            and row.accept_lifetime.start <= at
            and (row.accept_lifetime.end is None or at <= row.accept_lifetime.end)
        ]

    def is_ambiguous(self) -> bool:
        """Whether some message, at some instant, would be meant for two keys, or name two keys to its receiver."""
        for at in map(after, range(2 * HORIZON)):
            for protocol in PROTOCOLS:
                for peer in PEERS:
                    for interface in ("eth0", "eth1", "another"):
                        for name in KEY_NAMES:
                            sent = [
                                row
                                for row in self.matching(peer, protocol, interface)
                                if row.peer_key_name == name
                                and row.direction in (Direction.OUT, Direction.BOTH)
                                and row.send_lifetime.contains(at)
                            ]
                            if len(self.receiving(peer, protocol, name, at, interface)) > 1 or len(sent) > 1:
                                return True
        return False


def install(table: KeyTable, row: KeyRow) -> None:
    if row.provenance is None:
        table.apply_manual(table.prepare_manual_changes([row], []), NOON)
        return
    with table.transaction(NOON) as change:
        if table.get(row.admin_key_name) is None:
            change.install(row)
        else:
            change.update(row)


def remove(table: KeyTable, name: str) -> None:
    row = table.get(name)
    if row is not None and row.provenance is None:
        table.apply_manual(table.prepare_manual_changes([], [name]), NOON)
    elif row is not None:
        table.remove(name, NOON, "test")


@given(st.lists(st.one_of(rows(), st.sampled_from("abcdef")), max_size=10))
@settings(max_examples=120, deadline=None)
def test_the_table_agrees_with_a_naive_reading(steps: list[KeyRow | str]) -> None:
    table, naive = memory_table(), NaiveTable()
    for step in steps:
        if isinstance(step, str):
            remove(table, step)
            naive.rows.pop(step, None)
            continue
        before = naive.rows.get(step.admin_key_name)
        naive.rows[step.admin_key_name] = step
        changes_owner = before is not None and (before.provenance is None) != (step.provenance is None)
        if changes_owner or naive.is_ambiguous():
            with pytest.raises(KeyTableError):
                install(table, step)
            naive.rows.pop(step.admin_key_name)
            if before is not None:
                naive.rows[step.admin_key_name] = before
        else:
            install(table, step)
    assert {row.admin_key_name: row for row in table.rows()} == naive.rows
    compare(table, naive)


def compare(table: KeyTable, naive: NaiveTable) -> None:
    preference = ("aes-128-cmac-96", "hmac-sha-1-96")
    for at in map(after, range(2 * HORIZON)):
        selected: set[str] = set()
        for protocol in PROTOCOLS:
            for peer in PEERS:
                asked = WRITTEN.get(peer, peer)
                assert set(table.rows_for(asked, protocol)) == set(naive.matching(peer, protocol, None))
                for interface in (None, "eth0", "eth1", "another"):
                    expected = naive.sending(peer, protocol, at, interface)
                    assert table.select_for_sending(asked, protocol, at, interface) == expected
                    if expected is not None and (
                        ("all" in expected.interfaces and interface is None) or interface in expected.interfaces
                    ):
                        selected.add(expected.admin_key_name)
                    assert table.select_for_sending(
                        asked, protocol, at, interface, preference=preference
                    ) == naive.sending(peer, protocol, at, interface, preference)
                    for name in KEY_NAMES:
                        found = table.select_for_receiving(asked, protocol, name, at, interface)
                        candidates = naive.receiving(peer, protocol, name, at, interface)
                        assert found in candidates if candidates else found is None
        assert {row.admin_key_name for row in table.rows() if table.selected_for_sending(row, at)} == selected


def test_the_most_recent_start_wins_and_then_the_greatest_name() -> None:
    table = memory_table()
    old = negotiated_row("z-old", send_lifetime=lifetime(0, 100))
    new = negotiated_row("a-new", local_key_name="03", peer_key_name="04", send_lifetime=lifetime(50, 100))
    twin = replace(new, admin_key_name="b-new", local_key_name="05", peer_key_name="06")
    with table.transaction(NOON) as change:
        change.install(old)
        change.install(new)
        change.install(twin)
    assert table.select_for_sending(PEER, "bgp", after(49)) == old
    assert table.select_for_sending(PEER, "bgp", after(50)) == twin
    assert table.rows_for(PEER, "bgp") == (old, new, twin)


def test_a_preferred_algorithm_comes_before_a_later_start() -> None:
    table = memory_table()
    strong = manual_row("strong", kdf="aes-128-cmac", alg_id="aes-128-cmac-96")
    recent = manual_row("recent", local_key_name="03", peer_key_name="04", send_lifetime=lifetime(10))
    table.apply_manual(table.prepare_manual([strong, recent]), NOON)
    assert table.select_for_sending(PEER, "bgp", after(20)) == recent
    assert table.select_for_sending(PEER, "bgp", after(20), preference=["aes-128-cmac-96"]) == strong


def test_of_keys_for_several_interfaces_the_latest_is_taken_when_none_is_named() -> None:
    table = memory_table()
    first = manual_row("first", interfaces=("eth0",), accept_lifetime=lifetime(0))
    second = manual_row("second", interfaces=("eth1",), accept_lifetime=lifetime(5))
    table.apply_manual(table.prepare_manual([first, second]), NOON)
    assert table.select_for_receiving(PEER, "bgp", "01", after(9)) == second
    assert table.select_for_receiving(PEER, "bgp", "01", after(9), "eth0") == first
    assert table.select_for_receiving(PEER, "bgp", "01", after(9), "eth2") is None
    assert table.select_for_receiving("r9", "bgp", "01", after(9)) is None
    assert table.select_for_sending("r9", "bgp", after(9)) is None
