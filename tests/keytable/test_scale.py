"""Ten thousand keys cost no more per question or change than ten do (ratios in one run, so any machine will do)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from rkmp.keytable import KeyRow, KeyState, KeyTable
from tests.keytable.rows import NOON, after, lifetime, manual_row, memory_table

FEW, MANY = 10, 10_000
ALLOWED = 25
"""Times slower with a thousand times the rows; a scan would be hundreds. Leaves room for a busy machine."""


def table_of(count: int) -> tuple[KeyTable, list[KeyRow]]:
    rows = [
        manual_row(
            f"key-{number}", peers=(f"10.{number >> 8}.{number & 255}.1",), send_lifetime=lifetime(0, 3600 + number)
        )
        for number in range(count)
    ]
    table = memory_table()
    table.apply_manual(table.prepare_manual(rows), NOON)
    return table, rows


def best(action: Callable[[], object]) -> float:
    """Return the least seconds that fifty calls took one by one: what the work costs when nobody disturbs it."""
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return min(times)


def questions(table: KeyTable, rows: list[KeyRow]) -> dict[str, Callable[[], object]]:
    row = rows[len(rows) // 2]
    [peer] = row.peers
    changed = replace(row, ignore_tcp_options=True)

    def change_one() -> None:
        for wanted in (changed, row):
            table.apply_manual(table.prepare_manual_changes([wanted], []), after(1))

    def add_and_remove_one() -> None:
        table.apply_manual(table.prepare_manual_changes([manual_row("one more", peers=("r2",))], []), after(1))
        table.apply_manual(table.prepare_manual_changes([], ["one more"]), after(1))

    return {
        "get": lambda: table.get(row.admin_key_name),
        "rows_for": lambda: table.rows_for(peer, "bgp"),
        "select_for_sending": lambda: table.select_for_sending(peer, "bgp", after(1)),
        "select_for_receiving": lambda: table.select_for_receiving(peer, "bgp", "01", after(1)),
        "selected_for_sending": lambda: table.selected_for_sending(row, after(1)),
        "next_change": lambda: table.next_change(after(1)),
        "handle_time": lambda: table.handle_time(after(1)),
        "counts": lambda: table.counts(after(1)),
        "change one": change_one,
        "add and remove one": add_and_remove_one,
    }


def test_no_question_and_no_change_grows_with_the_table() -> None:
    few, many = questions(*table_of(FEW)), questions(*table_of(MANY))
    slower = {name: best(many[name]) / best(few[name]) for name in few}
    assert {name: ratio for name, ratio in slower.items() if ratio > ALLOWED} == {}


def test_many_keys_of_one_neighbor_are_selected_among_without_a_scan() -> None:
    """A year of daily keys laid in beforehand, as RFC 7210 section 6 describes."""
    day = 86400
    rows = [
        manual_row(
            f"day-{number}",
            local_key_name=f"{number % 256:02x}",
            peer_key_name=f"{number % 256:02x}",
            send_lifetime=lifetime(number * day, (number + 1) * day),
            accept_lifetime=lifetime(number * day - 3600, (number + 1) * day + 3600),
        )
        for number in range(3650)
    ]
    table = memory_table()
    table.apply_manual(table.prepare_manual(rows), NOON)
    for number in (0, 1, 1000, 3649):
        at = after(number * day + 7)
        assert table.select_for_sending("192.0.2.2", "bgp", at) is rows[number]
        assert table.select_for_receiving("192.0.2.2", "bgp", f"{number % 256:02x}", at) is rows[number]
    at = after(3000 * day + 7)
    alone, _ = table_of(FEW)
    slower = best(lambda: table.select_for_sending("192.0.2.2", "bgp", at)) / best(
        lambda: alone.select_for_sending("10.0.1.1", "bgp", after(1))
    )
    assert slower < ALLOWED


def test_the_schedule_forgets_rows_that_change_again_and_again() -> None:
    table, rows = table_of(FEW)
    for second in range(2000):
        changed = replace(rows[0], send_lifetime=lifetime(0, 5000 + second))
        table.apply_manual(table.prepare_manual_changes([changed], []), after(1))
    assert len(table._schedule._heap) < 200
    table.handle_time(after(5000))
    assert table.counts(after(5000))[KeyState.ACTIVE] == 1
