"""From whatever a router's chain holds, the steps lead to what the key table wants, and never through a gap."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rkmp.keytable import KeyRow, Lifetime
from rkmp.secret import Secret
from rkmp.southbound.chain_documents import ChainEdit, RemoteChain, owned_after
from rkmp.southbound.chain_keys import KEY_CHAIN_NAMESPACE, ChainKey
from rkmp.southbound.chain_plan import decided, planned, recognised
from rkmp.southbound.keys import wanted_keys
from rkmp.southbound.steps import Add, Remove, after, next_step
from tests.keytable.rows import PEER, memory_table
from tests.southbound.test_chain_keys import TERMS, chain, sent_with
from tests.southbound.test_key_api import at, row

FOREIGN = ChainKey(7, f"{{{KEY_CHAIN_NAMESPACE}}}md5", Lifetime(at(0), at(1)), Lifetime(at(0), None))
MOST_STEPS = 20

ROWS = st.lists(
    st.tuples(st.integers(-500, 2000), st.integers(600, 4000)), max_size=4, unique_by=lambda each: each[0]
).map(lambda spans: [row(number, start, start + life, 600) for number, (start, life) in enumerate(spans, 1)])


def proved(key: ChainKey, there: ChainKey) -> bool:
    return key.secret == there.secret


def edited(before: RemoteChain, edit: ChainEdit) -> RemoteChain:
    """Return what a router makes of an edit."""
    keys = {key_id: key for key_id, key in before.keys.items() if key_id not in edit.removals}
    keys |= {key.key_id: key for key in edit.puts}
    return replace(before, owned=owned_after(before, edit), keys=keys)


@st.composite
def beginnings(draw: st.DrawFn) -> tuple[list[KeyRow], RemoteChain]:
    """Return the rows of a key table, and a chain with some of them, strays, changed keys and a foreign one."""
    rows = draw(ROWS)
    there = [each for each in rows if draw(st.booleans())]
    preferred = draw(st.sampled_from([*there, None]))
    start = chain(preferred, *there, *([row(9)] if draw(st.booleans()) else []))
    keys = dict(start.keys)
    for key_id, key in start.keys.items():
        changes = {"accept_lifetime": Lifetime(at(0), at(1)), "secret": Secret(b"another"), "algorithm": "{x}y"}
        name = draw(st.sampled_from(["", *changes]))
        keys[key_id] = replace(key, **({name: changes[name]} if name else {}))  # type: ignore[arg-type]
    return rows, replace(start, keys={**keys, 7: FOREIGN})


@given(beginning=beginnings(), now=st.integers(-100, 3000))
def test_the_steps_lead_to_what_is_wanted_without_a_gap(beginning: tuple[list[KeyRow], RemoteChain], now: int) -> None:
    rows, there = beginning
    table, moment = memory_table(), at(now)
    with table.transaction(at(-9000)) as change:
        for each in rows:
            change.install(each)
    wanted = wanted_keys(table, PEER, "bgp", moment)
    names = frozenset(key.name for key in wanted.keys)
    usable = {TERMS.key_id(key): key.secret for key in wanted.keys}

    def sends(on: RemoteChain) -> bool:
        found = sent_with(replace(on, keys={i: key for i, key in on.keys.items() if i in usable}), moment)
        return found is not None and found.secret == usable[found.key_id]

    recognition = recognised(there, rows, names, TERMS)
    holding, key_ids = recognition.holding, dict(recognition.key_ids)
    there = edited(there, planned(there, decided(holding, wanted), rows, TERMS, proved))
    for _ in range(MOST_STEPS):
        step = next_step(holding, wanted, None)
        if step is None:
            break
        removals = frozenset({key_ids[step.name]} if isinstance(step, Remove) else ())
        holding = after(holding, step)
        edit = planned(there, decided(holding, wanted), rows, TERMS, proved, removals)
        assert len(edit.removals) <= 1
        sent, there = sends(there), edited(there, edit)
        # Before anything is to be sent with, nothing has to be.
        assert sends(there) or not sent or wanted.preferred is None
        if isinstance(step, Add):
            key_ids[step.key.name] = TERMS.key_id(step.key)
    assert step is None
    assert {held.key.name for held in holding.keys} - wanted.pending == names
    assert holding.preferred == wanted.preferred or wanted.preferred is None
    assert there.keys[7] == FOREIGN
    assert all(there.keys[key_id].secret == secret for key_id, secret in usable.items())
    assert there.owned == {key_ids[held.key.name] for held in holding.keys}
    if wanted.preferred is not None:
        assert sends(there)
        again = recognised(there, rows, names, TERMS).holding
        assert again.preferred == wanted.preferred
        assert {held.key.name for held in again.keys} == {held.key.name for held in holding.keys}
