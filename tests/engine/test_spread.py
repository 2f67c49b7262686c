"""Thousands of keys that were agreed on at once are not replaced at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from rkmp.engine import IkePolicy, Initiate, RolloverStarted
from rkmp.ike import Retransmission
from rkmp.keytable import KeyRow, Lifetime
from tests.engine.simulation import BASE, BGP, Simulation, configuration
from tests.engine.test_scale import crowd
from tests.keytable.rows import negotiated_row, provenance

MANY = 1000
LIFE, LEAD, OVERLAP = 86400, 8640, 600
JITTER = 0.1 * LEAD
SLICES = 12
"""Parts of the time in which the rollovers begin."""


def agreed_at_once(role: str) -> Simulation:
    """Return a router with a key for each of a thousand neighbors, all from the same instant, who are out of reach."""
    simulation = Simulation(3, ["r1"])
    router, day = simulation["r1"], Lifetime(BASE, BASE + timedelta(seconds=LIFE))
    peers = [replace(each, initiate=Initiate.ON_DEMAND) for each in crowd(MANY)]
    with router.key_table.transaction(BASE) as change:
        for number, peer in enumerate(peers):
            change.install(
                _row(f"{peer.name}-bgp-20260101T000000-{number % 256:02x}", peer.address, peer.name, day, role)
            )
    settings = {"key_lifetime": LIFE, "rollover_lead": LEAD, "overlap": OVERLAP}
    wanted = [
        replace(peer, associations={BGP: replace(peer.associations[BGP], **settings)})  # type: ignore[arg-type]
        for peer in peers
    ]
    # Who does not answer is waited for, so that each begins once.
    patient = IkePolicy("p", retransmission=Retransmission(initial_timeout=2 * JITTER, tries=1))
    simulation.configure("r1", configuration("r1", wanted, policy=patient))
    return simulation


def _row(name: str, neighbor: str, peer: str, day: Lifetime, role: str) -> KeyRow:
    accept = Lifetime(day.start, day.end_or(BASE) + timedelta(seconds=OVERLAP))
    came_from = provenance(peer=peer, negotiated_at=BASE, role=role)
    return negotiated_row(name, peers=(neighbor,), send_lifetime=day, accept_lifetime=accept, provenance=came_from)


def begun(simulation: Simulation, first: float) -> list[int]:
    """Return how many rollovers begin in each of the slices from ``first`` seconds on."""
    router = simulation["r1"]
    simulation.run(first - simulation.now)
    assert not router.happened(RolloverStarted)
    counts = []
    for _ in range(SLICES):
        before = len(router.happened(RolloverStarted))
        simulation.run(JITTER / SLICES)
        counts.append(len(router.happened(RolloverStarted)) - before)
    return counts


def test_a_thousand_rollovers_are_spread_over_a_tenth_of_the_lead() -> None:
    counts = begun(agreed_at_once("initiator"), LIFE - LEAD - 1)
    assert sum(counts) >= 0.99 * MANY
    # A share of a thousand: with chance alone a slice has some 83, and 60 or 110 once in hundreds of runs.
    assert all(0.6 * MANY / SLICES < count < 1.5 * MANY / SLICES for count in counts), counts


@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_each_side_has_its_own_time_and_keeps_it_over_a_restart(role: str) -> None:
    simulation = agreed_at_once(role)

    def planned() -> dict[str, float]:
        snapshots = simulation["r1"].engine.peers(simulation["r1"].at(simulation.now))
        moments = {peer.name: peer.associations[0].next_rollover_at for peer in snapshots}
        return {name: (at - BASE).total_seconds() for name, at in moments.items() if at is not None}

    before = planned()
    lead = LEAD if role == "initiator" else 0.75 * LEAD
    assert len(before) == MANY
    assert all(LIFE - lead <= at <= LIFE - lead + JITTER for at in before.values())
    assert max(Counter(round(at) for at in before.values()).values()) < 10
    simulation.restart("r1")
    assert planned() == before
