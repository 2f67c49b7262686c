"""Rows come, change and go whole: names are unique, key names unambiguous, negotiated rows durable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rkmp.errors import KeyTableError
from rkmp.keytable import Direction, KeyActivated, KeyInstalled, KeyRemoved, KeyRow, KeyUpdated
from rkmp.storage import Database
from tests.keytable.rows import (
    NOON,
    PEER,
    after,
    lifetime,
    manual_row,
    memory_table,
    negotiated_row,
    open_table,
    recorded,
)


def test_an_installed_row_is_found_by_name_and_by_scope_after_a_restart(tmp_path: Path) -> None:
    row = negotiated_row(peers=(PEER, "2001:db8::2"))
    with Database(tmp_path / "rkmp.db") as database:
        table = open_table(database)
        with table.transaction(NOON) as change:
            change.install(row)
    with Database(tmp_path / "rkmp.db") as database:
        table = open_table(database)
        assert table.rows() == (row,)
        assert table.get(row.admin_key_name) == row
        assert table.rows_for("2001:0db8:0::2", "bgp") == (row,)
        assert table.rows_for(PEER, "ldp") == ()


def test_a_block_that_raises_changes_nothing_and_tells_nothing() -> None:
    table = memory_table()
    kept = negotiated_row("kept")
    with table.transaction(NOON) as change:
        change.install(kept)
    events = recorded(table)

    def change_and_raise() -> None:
        with table.transaction(NOON) as change:
            change.update(replace(kept, send_lifetime=lifetime(0, 60)))
            change.install(negotiated_row("new", local_key_name="03", peer_key_name="04"))
            change.remove("kept", "test")
            raise KeyError

    with pytest.raises(KeyError):
        change_and_raise()
    assert table.rows() == (kept,)
    assert table.rows_for(PEER, "bgp") == (kept,)
    assert events == []


def test_a_refused_row_undoes_the_rest_of_its_block() -> None:
    table = memory_table()
    first = negotiated_row("first")

    def install_twice() -> None:
        with table.transaction(NOON) as change:
            change.install(first)
            change.install(replace(first, local_key_name="05"))

    with pytest.raises(KeyTableError, match="already a key of this name"):
        install_twice()
    assert table.rows() == ()


def test_events_follow_the_commit_in_order() -> None:
    table = memory_table()
    row = negotiated_row(send_lifetime=lifetime(60, 3600))
    events = recorded(table)
    with table.transaction(NOON) as change:
        change.install(row)
        assert events == []
    with table.transaction(after(1)) as change:
        change.update(replace(row, send_lifetime=lifetime(61, 3600)))
    table.remove(row.admin_key_name, after(2), "deleted by the peer")
    assert [type(event) for event in events] == [KeyInstalled, KeyUpdated, KeyRemoved]
    assert [event.at for event in events] == [NOON, after(1), after(2)]
    removed = events[-1]
    assert isinstance(removed, KeyRemoved)
    assert removed.reason == "deleted by the peer"
    assert (removed.admin_key_name, removed.protocol, removed.peers) == ("negotiated", "bgp", (PEER,))
    assert (removed.local_key_name, removed.peer_key_name, removed.is_negotiated) == ("01", "02", True)


def test_manual_rows_are_replaced_as_a_set() -> None:
    table = memory_table()
    one, two = manual_row("one"), manual_row("two", local_key_name="03", peer_key_name="04")
    table.apply_manual(table.prepare_manual([one, two]), NOON)
    events = recorded(table)
    changed = replace(two, direction=Direction.DISABLED)
    prepared = table.prepare_manual([changed])
    assert set(table.rows()) == {one, two}
    table.apply_manual(prepared, after(1))
    assert table.rows() == (changed,)
    assert [(type(event), event.admin_key_name) for event in events] == [(KeyRemoved, "one"), (KeyUpdated, "two")]
    assert table.prepare_manual([changed]).changed == ()


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (manual_row("other", peer_key_name="09"), "local key name 01"),
        (manual_row("other", local_key_name="09"), "peer key name 02"),
    ],
)
def test_key_names_that_a_message_could_not_tell_apart_are_refused(other: KeyRow, reason: str) -> None:
    table = memory_table()
    with pytest.raises(KeyTableError, match=reason):
        table.prepare_manual([manual_row(), other])
    with table.transaction(NOON) as change:
        change.install(negotiated_row())
    with pytest.raises(KeyTableError, match=reason):
        table.prepare_manual([other])


def test_the_same_names_are_fine_where_no_message_can_confuse_them() -> None:
    table = memory_table()
    table.prepare_manual(
        [
            manual_row("a", accept_lifetime=lifetime(0, 10), send_lifetime=lifetime(0, 10)),
            manual_row("later", accept_lifetime=lifetime(11), send_lifetime=lifetime(11)),
            manual_row("other peer", peers=("192.0.2.3",)),
            manual_row("other protocol", protocol="ldp"),
            manual_row("disabled", direction=Direction.DISABLED),
            manual_row("eth0", interfaces=("eth0",), peers=("192.0.2.4",)),
            manual_row("eth1", interfaces=("eth1",), peers=("192.0.2.4",)),
        ]
    )


def test_lifetimes_that_only_touch_overlap() -> None:
    """Both ends belong to a lifetime: in that instant two keys would match."""
    early = manual_row("early", accept_lifetime=lifetime(0, 10), send_lifetime=lifetime(0, 5))
    late = manual_row("late", accept_lifetime=lifetime(10, 20), send_lifetime=lifetime(12, 20))
    for pair in ([early, late], [late, early]):
        with pytest.raises(KeyTableError, match="accept lifetimes overlap"):
            memory_table().prepare_manual(pair)
    memory_table().prepare_manual([early, replace(late, accept_lifetime=lifetime(10.000001, 20))])


def test_manual_and_negotiated_keys_keep_to_their_owners() -> None:
    table = memory_table()
    with table.transaction(NOON) as change:
        change.install(negotiated_row())
    table.apply_manual(table.prepare_manual([manual_row(peers=("r3",))]), NOON)
    with pytest.raises(KeyTableError, match="there are two keys of this name"):
        table.prepare_manual([manual_row(peers=("r3",)), manual_row(peers=("r4",))])
    with pytest.raises(KeyTableError, match="a negotiated key has this name"):
        table.prepare_manual([manual_row("negotiated")])
    with pytest.raises(KeyTableError, match="a manual key has no provenance"):
        table.prepare_manual([negotiated_row("new", peers=("r5",))])
    with pytest.raises(KeyTableError, match="the key is configured; change the configuration"):
        table.remove("manual", NOON, "test")
    with pytest.raises(KeyTableError, match="there is no such key"):
        table.remove("absent", NOON, "test")

    def install(row: KeyRow) -> None:
        with table.transaction(NOON) as change:
            change.install(row)

    with pytest.raises(KeyTableError, match="manual keys come from the configuration"):
        install(manual_row("other", peers=("r6",)))
    assert {row.admin_key_name for row in table.rows()} == {"negotiated", "manual"}


def test_a_change_of_some_manual_rows_leaves_the_others() -> None:
    table = memory_table()
    rows = [manual_row(name, peers=(name,)) for name in ("r3", "r4", "r5")]
    table.apply_manual(table.prepare_manual(rows), NOON)
    events = recorded(table)
    changed = replace(rows[0], direction=Direction.IN)
    prepared = table.prepare_manual_changes([changed, rows[1]], ["r3", "r4", "r5", "absent"])
    table.apply_manual(prepared, after(1))
    assert set(table.rows()) == {changed, rows[1]}
    assert [(type(event), event.admin_key_name) for event in events] == [(KeyRemoved, "r5"), (KeyUpdated, "r3")]


def test_two_changed_rows_may_exchange_their_names() -> None:
    table = memory_table()
    one, two = manual_row("one"), manual_row("two", local_key_name="03", peer_key_name="04")
    table.apply_manual(table.prepare_manual([one, two]), NOON)
    swapped = [replace(two, admin_key_name="one"), replace(one, admin_key_name="two")]
    table.apply_manual(table.prepare_manual_changes(swapped, []), NOON)
    assert set(table.rows()) == set(swapped)


def test_a_block_that_takes_back_what_it_did_tells_nothing() -> None:
    table = memory_table()
    events = recorded(table)
    with table.transaction(NOON) as change:
        change.install(negotiated_row())
        change.remove("negotiated", "never mind")
    assert events == []
    with table.transaction(NOON) as change:
        change.install(negotiated_row())
    events.clear()
    with table.transaction(NOON) as change:
        change.update(negotiated_row())
    assert events == []


def test_a_change_joins_the_transaction_of_another_room_and_falls_with_it() -> None:
    database = Database(":memory:")
    table = open_table(database)
    events = recorded(table)

    def install_and_fail() -> None:
        with database.transaction():
            with table.transaction(NOON) as change:
                change.install(negotiated_row())
            with table.transaction(NOON) as change:
                change.update(replace(negotiated_row(), send_lifetime=lifetime(0, 60)))
            assert table.get("negotiated") is not None
            raise KeyError

    with pytest.raises(KeyError):
        install_and_fail()
    assert table.rows() == ()
    assert table.rows_for(PEER, "bgp") == ()
    with database.transaction():
        with table.transaction(NOON) as change:
            change.install(negotiated_row())
        with table.transaction(NOON) as change:
            change.remove("negotiated", "test")
        assert events == []
    assert [type(event) for event in events] == [KeyInstalled, KeyActivated, KeyRemoved]
