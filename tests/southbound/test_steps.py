"""The order of steps: a connection can be verified at every moment, whatever is done late or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.secret import Secret
from rkmp.southbound.keys import MasterKeyTuple, WantedKeys
from rkmp.southbound.steps import (
    Add,
    HeldKey,
    Holding,
    Prefer,
    Remove,
    Retire,
    Step,
    Usage,
    adopted,
    after,
    next_step,
)


def key(number: int, name: str | None = None, secret: bytes = b"secret") -> MasterKeyTuple:
    return MasterKeyTuple(name or f"key-{number}", number, number, "hmac-sha-1-96", Secret(secret), False)


def holding(*keys: MasterKeyTuple, preferred: str | None = None) -> Holding:
    return Holding(tuple(HeldKey(each) for each in keys), preferred)


def using(*names: str) -> Usage:
    return Usage(frozenset(names), connections=1)


def steps_until_done(held: Holding, wanted: WantedKeys, usage: Usage | None = None) -> list[Step]:
    steps: list[Step] = []
    while (step := next_step(held, wanted, usage)) is not None:
        steps.append(step)
        held = after(held, step)
        assert len(steps) < 100
    return steps


def test_a_first_key_is_added_and_preferred() -> None:
    wanted = WantedKeys((key(1),), "key-1")
    assert steps_until_done(Holding(), wanted) == [Add(key(1)), Prefer("key-1")]


def test_a_key_that_is_only_accepted_is_added_and_not_preferred() -> None:
    wanted = WantedKeys((key(1), key(2)), "key-1")
    assert steps_until_done(holding(key(1), preferred="key-1"), wanted) == [Add(key(2))]


def test_the_old_key_is_retired_once_the_peer_has_switched() -> None:
    wanted = WantedKeys((key(1), key(2)), "key-2", retiring=frozenset({"key-1"}))
    held = holding(key(1), preferred="key-1")
    assert steps_until_done(held, wanted, using("key-1")) == [Add(key(2)), Prefer("key-2")]
    preferred = holding(key(1), key(2), preferred="key-2")
    assert steps_until_done(preferred, wanted, using("key-2")) == [Retire("key-1")]
    # A consumer that does not report is believed.
    assert steps_until_done(preferred, wanted, None) == [Retire("key-1")]


def test_a_key_whose_time_is_over_goes_even_if_it_is_in_use() -> None:
    held = holding(key(1), key(2), preferred="key-2")
    assert steps_until_done(held, WantedKeys((key(2),), "key-2"), using("key-1")) == [Remove("key-1")]
    assert steps_until_done(held, WantedKeys(), using("key-1")) == [Remove("key-1"), Remove("key-2")]


def test_a_clock_that_was_set_back_takes_no_key_away() -> None:
    held = holding(key(1), preferred="key-1")
    assert steps_until_done(held, WantedKeys(pending=frozenset({"key-1"})), using("key-1")) == []


@pytest.mark.parametrize("name", ["key-1", "another"])
def test_new_material_comes_only_after_the_old_of_its_id_is_gone(name: str) -> None:
    new = key(1, name, b"new")
    steps = steps_until_done(holding(key(1), preferred="key-1"), WantedKeys((new,), name))
    assert steps == [Remove("key-1"), Add(new), Prefer(name)]


def test_other_keys_are_there_before_one_with_a_reused_id_goes() -> None:
    new = key(1, "new", b"new")
    steps = steps_until_done(holding(key(1), preferred="key-1"), WantedKeys((key(2), new), "new"))
    assert steps == [Add(key(2)), Remove("key-1"), Add(new), Prefer("new")]


def test_an_operators_key_stays_until_another_is_in_use() -> None:
    foreign = Holding((HeldKey(key(9, "of-the-file"), is_foreign=True),), "of-the-file")
    assert steps_until_done(foreign, WantedKeys(), using("of-the-file")) == []
    wanted = WantedKeys((key(1),), "key-1")
    assert steps_until_done(foreign, wanted, using("of-the-file")) == [Add(key(1)), Prefer("key-1")]
    both = Holding((*foreign.keys, HeldKey(key(1))), "key-1")
    assert steps_until_done(both, wanted, using("key-1")) == [Remove("of-the-file")]


def test_an_operators_key_that_is_in_the_table_is_the_tables() -> None:
    foreign = Holding((HeldKey(key(1, "of-the-file"), is_foreign=True),), "of-the-file")
    wanted = WantedKeys((key(1),), "key-1")
    assert adopted(foreign, wanted) == holding(key(1), preferred="key-1")
    other = WantedKeys((key(1, secret=b"other"),), "key-1")
    assert adopted(foreign, other) == foreign


names = st.sampled_from(range(1, 7))


@given(
    held=st.lists(names, unique=True),
    preferred=names,
    wanted=st.lists(names, unique=True),
    wanted_preferred=names,
    sending=st.sets(names),
)
def test_steps_end_with_what_is_wanted_and_never_leave_a_gap(
    held: list[int], preferred: int, wanted: list[int], wanted_preferred: int, sending: set[int]
) -> None:
    before = holding(*map(key, held), preferred=f"key-{preferred}" if preferred in held else None)
    now = WantedKeys(tuple(map(key, wanted)), f"key-{wanted_preferred}" if wanted_preferred in wanted else None)
    common = set(held) & set(wanted)
    state = before
    for step in steps_until_done(before, now, using(*(f"key-{number}" for number in sending))):
        state = after(state, step)
        present = {each.key.send_id for each in state.keys}
        assert common <= present
        if wanted:
            assert present
        if isinstance(step, Remove):
            # Everything new was there first.
            assert set(wanted) <= present
    assert sorted(each.key.name for each in state.keys) == sorted(each.name for each in now.keys)
    if now.preferred is not None:
        assert state.preferred == now.preferred
