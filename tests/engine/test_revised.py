"""Looking for what has changed costs what has changed, and misses nothing."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from rkmp.engine.revised import Revised, may_differ

NAMES = st.sampled_from("abcdef")


@given(st.lists(st.dictionaries(NAMES, st.none() | st.integers(0, 3)), max_size=5), st.integers(0, 5))
def test_every_difference_is_among_the_names(changes: list[dict[str, int | None]], since: int) -> None:
    revisions: list[Revised[int]] = [Revised({}, {})]
    for changed in changes:
        revisions.append(Revised(revisions[-1], changed))
    before, after = revisions[min(since, len(changes))], revisions[-1]
    different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert different <= set(may_differ(before, after))


def test_only_the_names_of_the_last_change_are_looked_at() -> None:
    before = Revised({}, {str(number): number for number in range(1000)})
    after = Revised(before, {"7": 8, "9": None})
    assert set(may_differ(before, after)) == {"7", "9"}
    assert after == {str(number): 8 if number == 7 else number for number in range(1000) if number != 9}


def test_nothing_differs_from_itself() -> None:
    same = {"a": 1}
    assert not may_differ(same, same)


def test_mappings_of_other_kinds_are_compared_entry_by_entry() -> None:
    one, other = object(), object()
    assert set(may_differ({"a": one}, {"a": one, "b": other})) == {"b"}
    assert set(may_differ({"a": one}, {"a": other})) == {"a"}
    assert set(may_differ({"a": one}, {})) == {"a"}
    assert set(may_differ({"a": one}, Revised({"a": one}, {"b": other}))) == {"b"}


def test_what_was_is_not_kept_alive() -> None:
    class Entry:
        pass

    entry = Entry()
    first = Revised({}, {"a": entry})
    second = Revised(first, {"a": None})
    gc.collect()
    first_entry_holders = [held for held in gc.get_referrers(entry) if isinstance(held, Revised)]
    assert first_entry_holders == [first]
    assert second.changed_since({}) is None
