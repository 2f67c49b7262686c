"""Ten thousand peers: what one datagram, one timer and one changed peer cost does not grow with their number."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

import pytest

from rkmp.engine import AssociationConfiguration, EngineConfiguration, Initiate, PeerConfiguration, PreSharedKeyName
from rkmp.ike import Identity
from tests.engine.simulation import BGP, LISTENER, Router, Simulation, configuration, peer

FEW, MANY = 100, 10_000
ALLOWANCE = 6
"""How much dearer something may be among a hundred times as many peers, on a machine that does other things besides."""


def crowd(count: int) -> list[PeerConfiguration]:
    """Return peers that have nothing to do."""
    associations = {BGP: AssociationConfiguration(BGP, "192.0.2.2", ("ao",))}
    peers = []
    for number in range(count):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        peers.append(
            PeerConfiguration(
                f"p{number}",
                address,
                "p",
                PreSharedKeyName("k"),
                PreSharedKeyName("k"),
                {BGP: replace(associations[BGP], neighbor=address)},
                initiate=Initiate.NEVER,
                remote_identity=Identity.parse("fqdn", f"p{number}.example.net"),
            )
        )
    return peers


def among(count: int) -> Simulation:
    simulation = Simulation(1)
    simulation.checks_continuity = False
    simulation.configure("r2", configuration("r2", [*crowd(count), peer("r1", initiate=Initiate.NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(2)
    return simulation


def best(deed: Callable[[], object], times: int = 7) -> float:
    """Return the shortest time that ``deed`` took."""

    def once() -> float:
        begun = time.perf_counter()
        deed()
        return time.perf_counter() - begun

    return min(once() for _ in repeat(None, times))


def rekey(simulation: Simulation) -> None:
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.run(0.3)


def drop(router: Router) -> None:
    for _ in repeat(None, 50):
        router.engine.receive(bytes(range(1, 29)) * 2, LISTENER, ("203.0.113.1", 500), router.at(2.0))


def change_one(router: Router, before: EngineConfiguration) -> None:
    changed = replace(before.peers["p7"], port=before.peers["p7"].port + 1)
    after = replace(before, peers={**before.peers, "p7": changed})
    router.engine.apply(router.engine.prepare(after), router.at(2.0))
    router.engine.apply(router.engine.prepare(before), router.at(2.0))


@pytest.fixture(scope="module")
def few() -> Simulation:
    return among(FEW)


@pytest.fixture(scope="module")
def many() -> Simulation:
    return among(MANY)


def test_a_negotiation_costs_the_same_among_many_peers(few: Simulation, many: Simulation) -> None:
    assert best(lambda: rekey(many)) < ALLOWANCE * best(lambda: rekey(few))
    assert many["r2"].engine.statistics()["ike-sas"] == 1


def test_a_datagram_that_is_nobodys_costs_the_same_among_many_peers(few: Simulation, many: Simulation) -> None:
    assert best(lambda: drop(many["r2"])) < ALLOWANCE * best(lambda: drop(few["r2"]))


def test_a_changed_peer_costs_little_more_than_looking_for_it(many: Simulation) -> None:
    router = many["r2"]
    before = router.configuration
    # Ten thousand identity checks and one copied dictionary; building the peers anew takes seconds.
    assert best(lambda: change_one(router, before), 5) < 0.1
    assert len(router.engine._peers) == MANY + 1


def test_an_idle_peer_sets_no_timer(many: Simulation) -> None:
    assert len(many["r2"].engine._timers) < 10
