"""What monitoring shows: how long handshakes and negotiations took, clocks that were set, and what peers count."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rkmp.engine import EngineStatistic, IkeSaDown, IkeSaUp, NegotiationSuccess
from rkmp.ike import Statistic
from rkmp.instant import Instant
from tests.engine.network import Network
from tests.engine.simulation import BASE, BGP, Simulation, configuration, peer, two_routers

ROUND_TRIP = 0.2


def slow() -> Network:
    return Network(delay=(ROUND_TRIP / 2, ROUND_TRIP / 2))


def opened(simulation: Simulation, name: str) -> list[float]:
    return [event.seconds for event in simulation[name].happened(IkeSaUp) if isinstance(event, IkeSaUp)]


def negotiated(simulation: Simulation, name: str) -> list[tuple[str, bool, float]]:
    return [
        (event.protocol, event.replaces, round(event.seconds, 6))
        for event in simulation[name].happened(NegotiationSuccess)
        if isinstance(event, NegotiationSuccess)
    ]


def test_each_side_counts_from_the_first_message_that_it_saw() -> None:
    """IKE_SA_INIT and IKE_AUTH: two round trips for the initiator, one for the responder."""
    simulation = two_routers(network=slow())
    assert simulation.run_until(simulation.agree, 5)
    assert opened(simulation, "r1") == [pytest.approx(2 * ROUND_TRIP)]
    assert opened(simulation, "r2") == [pytest.approx(ROUND_TRIP)]


def test_what_was_lost_counts_as_well() -> None:
    network = slow()
    network.cuts.append((0.0, 1.0))
    simulation = two_routers(network=network)
    assert simulation.run_until(simulation.agree, 30)
    assert opened(simulation, "r1")[0] > 1.0
    assert opened(simulation, "r2") == [pytest.approx(ROUND_TRIP)]


def test_who_asked_for_a_key_tells_how_long_it_took() -> None:
    """The first key of a peer comes with IKE_AUTH, one that follows takes a round trip."""
    simulation = two_routers(network=slow())
    assert simulation.run_until(simulation.agree, 5)
    simulation.run(5)
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.pump()
    simulation.run(5)
    assert negotiated(simulation, "r1") == [
        ("bgp", False, 2 * ROUND_TRIP),
        ("bgp", True, ROUND_TRIP),
    ]
    assert negotiated(simulation, "r2") == []
    names = {event.key_name for event in r1.happened(NegotiationSuccess) if isinstance(event, NegotiationSuccess)}
    assert {row.admin_key_name for row in r1.key_table.rows()} <= names


def test_a_clock_that_is_set_changes_no_duration_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    simulation = Simulation(1, ("r1",))
    engine = simulation["r1"].engine
    engine.apply(engine.prepare(configuration("r1", [peer("r2")])), Instant(0.0, BASE))
    engine.handle_timer(Instant(1.0, BASE + timedelta(seconds=1.5)))
    assert EngineStatistic.CLOCK_CHANGES not in engine.statistics(), "half a second is what a clock may be slow by"
    engine.handle_timer(Instant(2.0, BASE + timedelta(hours=1)))
    engine.handle_timer(Instant(3.0, BASE + timedelta(hours=1, seconds=1)))
    assert engine.statistics()[EngineStatistic.CLOCK_CHANGES] == 1
    assert [record.getMessage() for record in caplog.records] == ["civil time was set by +3598.0 s"]


def test_what_ike_sas_have_counted_stays_with_their_peer_when_they_are_gone() -> None:
    simulation = two_routers(network=slow())
    assert simulation.run_until(simulation.agree, 5)
    simulation.network.cuts.append((simulation.now, simulation.now + 600))
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.pump()
    simulation.run(300)
    assert r1.happened(IkeSaDown)
    counted = r1.snapshot("r2", simulation.now).ike_statistics
    assert counted[Statistic.RETRANSMISSIONS] > 1
    of_all = r1.engine.statistics()
    assert {name: of_all[name] for name in counted} == counted, "there is no other peer"
