"""Two routers under loss, duplication, reordering, cuts, crashes, rekeys from both sides and clocks that are off.

Each seed ends with equal key tables, mirrored KeyIDs and nothing left over, and at no step does a router send with a
key that its neighbor does not accept; ``python -m tests.engine.chaos SEED`` replays one.
"""

from __future__ import annotations

import pytest

from tests.engine.chaos import Chaos

SEEDS_A_TEST = 15


def run(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        Chaos(seed).run()


@pytest.mark.parametrize("first", range(0, 105, SEEDS_A_TEST))
def test_two_routers_agree_whatever_happens(first: int) -> None:
    run(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1600, SEEDS_A_TEST))
def test_two_routers_agree_whatever_else_happens(first: int) -> None:
    run(first)
