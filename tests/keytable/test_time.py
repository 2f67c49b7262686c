"""What time does to keys is told once, when it happens, and the table always knows when that will be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.keytable import (
    Direction,
    KeyActivated,
    KeyEvent,
    KeyExpired,
    KeyExpiring,
    KeyInstalled,
    KeyRemoved,
    KeyRow,
    KeyState,
    KeyTable,
    KeyUpdated,
    Lifetime,
    key_state,
)
from rkmp.storage import IN_MEMORY, Database
from tests.keytable.rows import NOON, after, lifetime, manual_row, memory_table, negotiated_row, open_table, recorded

TICK = timedelta(microseconds=1)
ENDLESS = datetime.max.replace(tzinfo=UTC)


def apply_manual(table: KeyTable, rows: list[KeyRow], wall: datetime) -> None:
    table.apply_manual(table.prepare_manual(rows), wall)


def kinds(events: list[KeyEvent]) -> list[type[KeyEvent]]:
    found = [type(event) for event in events]
    events.clear()
    return found


def test_the_life_of_a_key_is_told_step_by_step() -> None:
    table = memory_table()
    events = recorded(table)
    row = manual_row(accept_lifetime=lifetime(10, 110), send_lifetime=lifetime(20, 100))
    apply_manual(table, [row], NOON)
    assert kinds(events) == [KeyInstalled]
    told: list[tuple[datetime, type[KeyEvent]]] = []
    wall = NOON
    while (due := table.next_change(wall)) is not None:
        assert due > wall
        table.handle_time(due - TICK)
        assert events == []
        table.handle_time(wall := due)
        told += [(wall, kind) for kind in kinds(events)] or [(wall, KeyEvent)]
    # KeyEvent stands for a change of state that nobody is told of.
    assert told == [
        (after(10), KeyEvent),
        (after(20), KeyActivated),
        (after(100), KeyExpiring),
        (after(100) + TICK, KeyEvent),
        (after(110) + TICK, KeyExpired),
    ]
    apply_manual(table, [], wall)
    assert kinds(events) == [KeyRemoved]


def test_the_end_is_announced_with_the_seconds_that_are_left() -> None:
    table = memory_table()
    events = recorded(table)
    apply_manual(table, [manual_row(accept_lifetime=lifetime(0, 1000), send_lifetime=lifetime(0, 990))], NOON)
    table.handle_time(after(925.5))
    [expiring] = [event for event in events if isinstance(event, KeyExpiring)]
    assert expiring.seconds_left == 74
    table.handle_time(after(950))
    assert len(events) == 3


def test_the_end_of_a_long_life_is_announced_a_week_before() -> None:
    table = memory_table()
    year = 365 * 86400
    apply_manual(table, [manual_row(accept_lifetime=lifetime(0, year), send_lifetime=lifetime(0, year))], NOON)
    table.handle_time(NOON)
    assert table.next_change(NOON) == after(year - 7 * 86400)


def test_keys_without_an_end_and_disabled_ones_expect_nothing() -> None:
    table = memory_table()
    last = Lifetime(datetime.min.replace(tzinfo=UTC), ENDLESS)
    rows = [
        manual_row("endless"),
        manual_row("disabled", direction=Direction.DISABLED),
        manual_row("last", peers=("r3",), accept_lifetime=last, send_lifetime=last, direction=Direction.OUT),
    ]
    apply_manual(table, rows, NOON)
    table.handle_time(NOON)
    assert table.next_change(NOON) == ENDLESS - timedelta(days=7)
    apply_manual(table, rows[:2], NOON)
    assert table.next_change(NOON) is None
    assert table.counts(NOON)[KeyState.DISABLED] == 1


def test_a_shortened_life_is_told_as_an_update_and_ends_when_it_says() -> None:
    table = memory_table()
    row = negotiated_row()
    with table.transaction(NOON) as change:
        change.install(row)
    events = recorded(table)
    ended = replace(row, send_lifetime=lifetime(0, 10), accept_lifetime=lifetime(0, 100))
    with table.transaction(after(1)) as change:
        change.update(ended)
    assert kinds(events) == [KeyUpdated]
    table.handle_time(after(11))
    assert table.counts(after(11))[KeyState.ACCEPT_ONLY] == 1
    table.handle_time(after(3600))
    assert kinds(events) == [KeyExpired]


def test_what_happened_before_a_restart_is_not_told_again_and_the_rest_is() -> None:
    with Database(IN_MEMORY) as database:
        before = open_table(database)
        with before.transaction(NOON) as change:
            change.install(negotiated_row("active"))
            change.install(
                negotiated_row("coming", local_key_name="03", peer_key_name="04", send_lifetime=lifetime(60, 3600))
            )
        table = open_table(database)
        events = recorded(table)
        assert table.next_change(after(5)) == after(5)
        table.handle_time(after(5))
        assert events == []
        assert table.next_change(after(5)) == after(60)
        table.handle_time(after(60))
        assert [(type(event), event.admin_key_name) for event in events] == [(KeyActivated, "coming")]


def test_a_clock_that_is_set_back_makes_keys_wait_again() -> None:
    table = memory_table()
    apply_manual(table, [manual_row(accept_lifetime=lifetime(100), send_lifetime=lifetime(100))], NOON)
    events = recorded(table)
    table.handle_time(after(200))
    assert kinds(events) == [KeyActivated]
    assert table.next_change(after(50)) == after(50)
    table.handle_time(after(50))
    assert table.counts(after(50))[KeyState.PENDING] == 1
    assert table.next_change(after(50)) == after(100)
    table.handle_time(after(100))
    assert kinds(events) == [KeyActivated]


def test_a_subscriber_may_change_the_table_and_all_are_told_in_one_order() -> None:
    table = memory_table()
    first: list[tuple[str, str]] = []
    second: list[tuple[str, str]] = []

    def replace_expired(event: KeyEvent) -> None:
        first.append((type(event).__name__, event.admin_key_name))
        if isinstance(event, KeyExpired):
            table.remove(event.admin_key_name, event.at, "expired")

    table.subscribe(replace_expired)
    unsubscribe = table.subscribe(lambda event: second.append((type(event).__name__, event.admin_key_name)))
    with table.transaction(NOON) as change:
        change.install(negotiated_row(accept_lifetime=lifetime(0, 10), send_lifetime=lifetime(0, 10)))
    table.handle_time(after(11))
    assert first == second
    assert [kind for kind, _ in second] == ["KeyInstalled", "KeyActivated", "KeyExpired", "KeyRemoved"]
    unsubscribe()
    apply_manual(table, [manual_row()], after(12))
    assert len(first) == len(second) + 2


@dataclass
class Told:
    """What a naive table remembers of a row."""

    row: KeyRow
    state: KeyState
    is_warned: bool


class NaiveClock:
    """Looks at every row at every instant."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    def put(self, row: KeyRow, wall: datetime) -> Counter[tuple[str, str]]:
        name = row.admin_key_name
        if name not in self.told:
            self.told[name] = Told(row, KeyState.PENDING, False)
            happened = Counter({(name, "KeyInstalled"): 1})
        elif self.told[name].row == row:
            return Counter()
        else:
            self.told[name].row = row
            happened = Counter({(name, "KeyUpdated"): 1})
        return happened + self.look(name, wall)

    def look(self, name: str, wall: datetime) -> Counter[tuple[str, str]]:
        happened: Counter[tuple[str, str]] = Counter()
        told = self.told[name]
        before, told.state = told.state, key_state(told.row, wall)
        if told.state is KeyState.ACTIVE and before is not KeyState.ACTIVE:
            happened[name, "KeyActivated"] += 1
        if told.state is KeyState.EXPIRED and before is not KeyState.EXPIRED:
            happened[name, "KeyExpired"] += 1
        is_due = self.warning(told.row) <= wall
        if is_due and not told.is_warned and told.state is not KeyState.EXPIRED:
            happened[name, "KeyExpiring"] += 1
        told.is_warned = is_due
        return happened

    @staticmethod
    def warning(row: KeyRow) -> datetime:
        lifetimes = {
            Direction.IN: [row.accept_lifetime],
            Direction.OUT: [row.send_lifetime],
            Direction.BOTH: [row.accept_lifetime, row.send_lifetime],
            Direction.DISABLED: [],
        }[row.direction]
        ends = [each.end for each in lifetimes]
        known = [end for end in ends if end is not None]
        if not known or len(known) < len(ends):
            return ENDLESS
        return max(known) - (max(known) - min(each.start for each in lifetimes)) / 10


instants = st.integers(0, 60)


@st.composite
def changes(draw: st.DrawFn) -> KeyRow:
    def span() -> Lifetime:
        start, length = draw(instants), draw(st.one_of(st.none(), instants))
        return lifetime(start, None if length is None else start + length)

    name = draw(st.sampled_from("abc"))
    return manual_row(
        name, peers=(name,), direction=draw(st.sampled_from(Direction)), send_lifetime=span(), accept_lifetime=span()
    )


@given(st.lists(st.tuples(instants, st.one_of(st.none(), st.sampled_from("abc"), changes())), max_size=30))
@settings(max_examples=150, deadline=None)
def test_a_table_that_looks_only_at_what_is_due_misses_nothing(
    steps: list[tuple[int, KeyRow | str | None]],
) -> None:
    table, naive = memory_table(), NaiveClock()
    events = recorded(table)
    wall = NOON
    table.handle_time(wall)
    for second, step in steps:
        wall = after(second)
        expected: Counter[tuple[str, str]] = Counter()
        table.handle_time(wall)
        for name in naive.told:
            expected += naive.look(name, wall)
        if isinstance(step, KeyRow):
            table.apply_manual(table.prepare_manual_changes([step], []), wall)
            expected += naive.put(step, wall)
        elif step is not None:
            table.apply_manual(table.prepare_manual_changes([], [step]), wall)
            if naive.told.pop(step, None) is not None:
                expected[step, "KeyRemoved"] += 1
        assert Counter((event.admin_key_name, type(event).__name__) for event in events) == expected
        events.clear()
        states = Counter(told.state for told in naive.told.values())
        assert table.counts(wall) == {state: states[state] for state in KeyState}
        later = after(second + 7)
        states = Counter(key_state(told.row, later) for told in naive.told.values())
        assert table.counts(later) == {state: states[state] for state in KeyState}
        assert (table.next_change(wall) or ENDLESS) > wall
