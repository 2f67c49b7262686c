"""Two routers under loss, duplication, reordering, cuts, crashes, rekeys from both sides and clocks that are off.

Each seed ends with equal key tables, mirrored KeyIDs and nothing left over, and at no step does a router send with a
key that its neighbor does not accept. A seed that fails says how to replay it.
"""

from __future__ import annotations

import pytest

from tests.engine.chaos import Chaos
from tests.engine.simulation import Violation

SEEDS_A_TEST = 15


def run(first: int, *, is_meddling: bool = False) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        Chaos(seed, is_meddling=is_meddling).run()


@pytest.mark.parametrize("first", range(0, 90, SEEDS_A_TEST))
def test_two_routers_agree_whatever_happens(first: int) -> None:
    run(first)


@pytest.mark.parametrize("first", range(0, 30, SEEDS_A_TEST))
def test_two_routers_agree_whatever_their_operators_do(first: int) -> None:
    run(first, is_meddling=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1600, SEEDS_A_TEST))
def test_two_routers_agree_whatever_else_happens(first: int) -> None:
    run(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1300, SEEDS_A_TEST))
def test_two_routers_agree_whatever_else_their_operators_do(first: int) -> None:
    run(first, is_meddling=True)


def test_a_seed_is_the_whole_story() -> None:
    one, other = Chaos(7).run(), Chaos(7).run()
    assert one.sent == other.sent
    for name in one.routers:
        assert one[name].events == other[name].events
        assert one[name].key_table.rows() == other[name].key_table.rows()


def test_a_seed_that_fails_says_how_to_replay_it() -> None:
    chaos = Chaos(7)
    chaos.network.cuts = [(100.0, 1500.0)]
    with pytest.raises(Violation, match=r"does not accept(.|\n)*replay it with: python -m tests\.engine\.chaos 7"):
        chaos.run()
