"""Session ids are never zero, never shared, and not used again soon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rkmp.netconf.session_table import LARGEST_SESSION_ID, SessionTable


def enter(table: SessionTable) -> Any:
    session: Any = SimpleNamespace(id=table.next_id())
    table.add(session)
    return session


def test_sessions_are_found_by_id_until_they_leave() -> None:
    table = SessionTable()
    first = enter(table)
    second = enter(table)
    found = table.get(first.id)
    assert found == first
    assert list(table) == [first, second]
    table.remove(first)
    table.remove(first)
    assert table.get(first.id) is None
    assert list(table) == [second]
    assert len(table) == 1


def test_an_id_is_not_used_again_when_its_session_is_gone() -> None:
    table = SessionTable()
    seen = set()
    for _ in range(50):
        session = enter(table)
        assert session.id not in seen
        seen.add(session.id)
        table.remove(session)
    assert 0 not in seen


def test_ids_start_again_after_the_largest_and_pass_over_those_in_use() -> None:
    table = SessionTable()
    oldest = enter(table)
    table._last_id = LARGEST_SESSION_ID - 1
    assert enter(table).id == LARGEST_SESSION_ID
    assert enter(table).id == oldest.id + 1
