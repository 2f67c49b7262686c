"""Two routers under loss, duplication, reordering, cuts, crashes, rekeys from both sides and clocks that are off.

Each seed ends with equal key tables, mirrored KeyIDs and nothing left over, or with both sides having reported that
they have no key; at no step does a router send with a key that its neighbor does not accept, or have two to send with.
A seed that fails says how to replay it. ``python -m tests.engine.chaos --seeds 10000`` runs many more.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.engine import AtExpiry
from rkmp.secret import Secret
from tests.engine.chaos import Chaos
from tests.engine.chaos_kinds import Kind
from tests.engine.simulation import Violation

SEEDS_A_TEST = 20
UNKNOWN = Secret(bytes(20))


@pytest.mark.parametrize("first", range(0, 60, SEEDS_A_TEST))
def test_two_routers_agree_or_say_why_not_whatever_happens(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        Chaos(seed).run()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(60, 800, SEEDS_A_TEST))
def test_two_routers_agree_or_say_why_not_whatever_else_happens(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        Chaos(seed).run()


def test_seeds_are_of_every_kind() -> None:
    assert {Chaos(seed).kind for seed in range(10)} == set(Kind)


@pytest.mark.parametrize("seed", [4, 7, 8])
def test_a_seed_is_the_whole_story(seed: int) -> None:
    one, other = Chaos(seed).run(), Chaos(seed).run()
    assert one.sent == other.sent
    for name in one.routers:
        assert one[name].events == other[name].events
        # All but the keys themselves, into which ML-KEM brings something of its own.
        rows = [[replace(row, key=UNKNOWN) for row in each[name].key_table.rows()] for each in (one, other)]
        assert rows[0] == rows[1]


def test_without_an_extension_a_network_that_is_cut_for_long_drops_what_worked() -> None:
    chaos = Chaos(5)
    assert chaos.kind is Kind.CUT_OFF
    chaos.network.cuts = [(60.0, 900.0)]
    chaos.at_expiry, chaos.simulation.lets_keys_end = [(AtExpiry.FAIL_CLOSED, None)] * 2, False
    with pytest.raises(Violation, match="not accepted"):
        chaos.run()


def test_a_seed_that_fails_says_how_to_replay_it() -> None:
    chaos = Chaos(0)
    chaos.network.cuts = [(100.0, 1500.0)]
    chaos.at_expiry = [(AtExpiry.FAIL_CLOSED, None)] * 2
    with pytest.raises(Violation, match=r"not accepted(.|\n)*replay it with: python -m tests\.engine\.chaos --seed 0"):
        chaos.run()
