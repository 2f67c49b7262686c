"""An operator clears a peer: its keys are gone, and soon there are others."""

from __future__ import annotations

import pytest

from rkmp.engine import Initiate
from tests.engine.simulation import BGP, two_routers


@pytest.mark.parametrize("initiate", [(Initiate.ON_DEMAND, Initiate.NEVER), (Initiate.ON_DEMAND, Initiate.ON_DEMAND)])
@pytest.mark.parametrize("name", ["r1", "r2"])
@pytest.mark.parametrize("delay", [None, 0.0, 0.015, 0.03, 0.5, 7.0])
def test_clearing_costs_the_keys_for_less_than_a_second(
    name: str, delay: float | None, initiate: tuple[Initiate, Initiate]
) -> None:
    """Whoever clears, in the middle of a rollover or not, and even if the side that clears does not open IKE SAs."""
    simulation = two_routers(initiate=initiate, overlap=60)
    simulation.checks_continuity = False
    simulation.run(10)
    if delay is not None:
        simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
        simulation.run(delay)
    router, other = simulation[name], "r2" if name == "r1" else "r1"
    before = router.key_table.rows()
    router.engine.clear(other, router.at(simulation.now))
    simulation.run(1.0)
    assert not set(before) & set(router.key_table.rows())
    one, another = (simulation[n].sending(o, BGP, simulation.now) for n, o in (("r1", "r2"), ("r2", "r1")))
    assert one is not None
    assert another is not None
    assert one.key == another.key
