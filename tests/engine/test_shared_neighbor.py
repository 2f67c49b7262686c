"""Several peers whose keys are for one neighbor and protocol: their KeyIDs are kept apart (RFC 5925 section 3.1)."""

from __future__ import annotations

import pytest

from rkmp.engine import Initiate, NegotiationFailure, ProposalConfiguration
from rkmp.keytable import fingerprint
from tests.engine.configurations import BOTH, SHA1
from tests.engine.simulation import BGP, Simulation, configuration, peer

NEIGHBOR = "198.51.100.9"
NEVER, ON_DEMAND = Initiate.NEVER, Initiate.ON_DEMAND
ONE = ProposalConfiguration("ao", (SHA1,))
LIFETIMES = {"key_lifetime": 60, "rollover_lead": 20, "overlap": 5}


def hub_and_spokes(hub: Initiate, spokes: Initiate, proposal: ProposalConfiguration) -> Simulation:
    """Return r1 with peers r2 and r3, which have the same neighbor there; all of them replace keys often."""
    simulation = Simulation(4, names=("r1", "r2", "r3"))
    peers = [peer(name, (BGP,), neighbor=NEIGHBOR, initiate=hub, **LIFETIMES) for name in ("r2", "r3")]
    simulation.configure("r1", configuration("r1", peers, proposal=proposal))
    for name in ("r2", "r3"):
        only = [peer("r1", (BGP,), initiate=spokes, **LIFETIMES)]
        simulation.configure(name, configuration(name, only, proposal=proposal))
    return simulation


@pytest.mark.parametrize("proposal", [BOTH, ONE], ids=["two transforms", "one transform"])
@pytest.mark.parametrize(
    ("hub", "spokes"), [(NEVER, ON_DEMAND), (ON_DEMAND, NEVER), (ON_DEMAND, ON_DEMAND)], ids=["spokes", "hub", "all"]
)
def test_each_has_keys_of_its_own_at_all_times(
    hub: Initiate, spokes: Initiate, proposal: ProposalConfiguration
) -> None:
    simulation = hub_and_spokes(hub, spokes, proposal)
    simulation.run(10)
    for _ in range(150):
        simulation.run(1)
        table = simulation["r1"].key_table.rows_for(NEIGHBOR, "bgp")
        for side in ("local_key_name", "peer_key_name"):
            names = [getattr(row, side) for row in table]
            assert len(names) == len(set(names))
        for name in ("r2", "r3"):
            here, there = (
                simulation["r1"].snapshot(name, simulation.now),
                simulation[name].snapshot("r1", simulation.now),
            )
            assert here.associations[0].current_key is not None
            assert there.associations[0].current_key is not None
            held = {fingerprint(row.key) for row in table if row.provenance is not None and row.provenance.peer == name}
            assert held & {fingerprint(row.key) for row in simulation[name].key_table.rows()}
    assert all(simulation["r1"].snapshot(name, simulation.now).associations[0].rollovers >= 2 for name in ("r2", "r3"))


def test_a_key_id_that_was_taken_while_we_asked_is_no_failure() -> None:
    simulation = hub_and_spokes(ON_DEMAND, NEVER, BOTH)
    simulation.run(10)
    assert not simulation["r1"].happened(NegotiationFailure)


def test_a_taken_key_id_is_told_apart_from_transforms_that_differ() -> None:
    simulation = hub_and_spokes(NEVER, ON_DEMAND, ONE)
    simulation.run(10)
    (failure,) = simulation["r1"].happened(NegotiationFailure)
    assert isinstance(failure, NegotiationFailure)
    assert failure.reason == (
        "nothing of what the peer offers can be taken: it announces KeyID 1, which received segments of another key "
        f"for bgp with {NEIGHBOR} carry"
    )
    assert simulation["r1"].snapshot(failure.peer, simulation.now).associations[0].last_error is None
    assert simulation["r1"].sending("r2", BGP, simulation.now) is None
