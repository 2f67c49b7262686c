"""IKE SAs are rekeyed before their lifetimes end, and what hangs on them goes on; or they end and are reopened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.engine import (
    AssociationState,
    EngineStatistic,
    IkePolicy,
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    Initiate,
    NegotiationFailure,
    PeerStatistic,
)
from rkmp.engine.state import IkeSaSnapshot
from tests.engine.network import Network
from tests.engine.simulation import BASE, BGP, LDP, Simulation, configuration, peer, two_routers

ON_DEMAND, IMMEDIATELY, NEVER = Initiate.ON_DEMAND, Initiate.IMMEDIATELY, Initiate.NEVER
SHORT = IkePolicy("p", lifetime=100)
STRONGER = IkeProposal(encryption=((20, 256),), integrity=(), prf=(7,), key_exchange=(21,))


def keyed(**settings: object) -> Simulation:
    simulation = two_routers(**settings)  # type: ignore[arg-type]
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 10)
    return simulation


def shown(simulation: Simulation, name: str) -> IkeSaSnapshot:
    (ike_sa,) = simulation[name].snapshot("r2" if name == "r1" else "r1", simulation.now).ike_sas
    return ike_sa


def replaced(simulation: Simulation, name: str) -> list[IkeSaReplaced]:
    return [event for event in simulation[name].happened(IkeSaReplaced) if isinstance(event, IkeSaReplaced)]


def counted(simulation: Simulation, name: str, statistic: str) -> int:
    return simulation[name].snapshot("r2" if name == "r1" else "r1", simulation.now).statistics.get(statistic, 0)


def test_an_ike_sa_is_rekeyed_before_its_lifetime_ends_by_its_initiator() -> None:
    simulation = keyed(policy=SHORT)
    before, rows = shown(simulation, "r1"), simulation["r1"].key_table.rows()
    simulation.run(86)
    assert not replaced(simulation, "r1")
    simulation.run(9)
    (event,) = replaced(simulation, "r1")
    after = shown(simulation, "r1")
    assert (event.old_local_spi, event.local_spi) == (before.local_spi, after.local_spi)
    assert event.role == after.role == "initiator"
    assert shown(simulation, "r2").role == "responder"
    assert [each.local_spi for each in replaced(simulation, "r2")] == [after.remote_spi]
    simulation.run(2000)
    assert counted(simulation, "r1", PeerStatistic.IKE_SAS_REKEYED) in range(20, 26)
    for name in ("r1", "r2"):
        assert simulation[name].happened(IkeSaDown) == []
        assert len(simulation[name].happened(IkeSaUp)) == 1
        assert simulation[name].engine.statistics()[EngineStatistic.INTERNAL_ERRORS] == 0
    # It cost no key, and made none.
    assert simulation["r1"].key_table.rows() == rows


def test_both_times_are_shown_and_true() -> None:
    simulation = keyed(policy=SHORT)
    before = shown(simulation, "r1")
    assert before.rekey_at is not None
    assert before.expires_at is not None
    assert before.rekey_at < before.expires_at
    assert simulation.run_until(lambda: bool(replaced(simulation, "r1")), 100)
    assert abs((before.rekey_at - BASE).total_seconds() - simulation.now) < 0.1
    after = shown(simulation, "r1")
    assert after.rekey_at is not None
    assert after.rekey_at > before.expires_at


def test_the_responder_rekeys_where_the_initiator_does_not() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], policy=SHORT))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(92)
    assert not replaced(simulation, "r1")
    simulation.run(6)
    assert [event.role for event in replaced(simulation, "r2")] == ["initiator"]
    assert [event.role for event in replaced(simulation, "r1")] == ["responder"]
    assert counted(simulation, "r2", PeerStatistic.IKE_SA_REKEYS_FAILED) == 0


def test_rekeyings_of_many_are_spread() -> None:
    moments = set()
    for seed in range(12):
        simulation = two_routers(seed, policy=replace(SHORT, lifetime=14400))
        simulation.run(5)
        moment = shown(simulation, "r1").rekey_at
        assert moment is not None
        moments.add(round((moment - BASE).total_seconds() / 30))
    assert len(moments) > 6


@pytest.mark.parametrize("seed", range(12))
def test_keys_roll_over_while_the_ike_sa_is_rekeyed_by_both_sides_at_once(seed: int) -> None:
    simulation = two_routers(
        seed,
        protocols=(BGP, LDP),
        network=Network(loss=0.2, duplication=0.2, delay=(0.01, 0.4)),
        policy=replace(SHORT, lifetime=120),
        key_lifetime=300,
        rollover_lead=120,
        overlap=30,
    )
    simulation.run(40)

    def rekey(name: str) -> None:
        router = simulation[name]
        for conversation in router.engine._switchboard.all():
            if conversation.is_open:
                conversation.renew(simulation.now)
                router.engine.touch(conversation)
        router.engine.rekey("r2" if name == "r1" else "r1", BGP, router.at(simulation.now))

    for moment in range(50, 1200, 40):
        for name in ("r1", "r2"):
            simulation.plan(float(moment), lambda name=name: rekey(name))  # type: ignore[misc]
    simulation.run(1200)
    simulation.network.loss = simulation.network.duplication = 0.0
    simulation.run(200)
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 300)
    for name in ("r1", "r2"):
        assert len(replaced(simulation, name)) > 20
        assert simulation[name].engine.statistics()[EngineStatistic.INTERNAL_ERRORS] == 0


def test_a_key_that_was_agreed_before_is_settled_after_its_ike_sa_was_rekeyed() -> None:
    simulation = keyed(policy=SHORT, overlap=20)
    simulation.run(80)
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    for conversation in r1.engine._switchboard.all():
        conversation.renew(simulation.now)
        r1.engine.touch(conversation)
    simulation.run(1)
    assert replaced(simulation, "r1")
    simulation.run(40)
    assert simulation.agree()
    assert len(r1.key_table.rows()) == 1
    assert r1.association("r2", BGP, simulation.now).state is AssociationState.ESTABLISHED


def test_a_peer_that_refuses_is_asked_again_reported_and_in_the_end_opened_to_anew() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], policy=replace(SHORT, lifetime=14400)))
    simulation.configure("r1", configuration("r1", [peer("r2", initiate=IMMEDIATELY)], policy=SHORT))
    simulation.run(20)
    r1 = simulation["r1"]
    assert simulation.agree()
    # Its IKE policy is another one now, which makes no difference to the IKE SA that there is.
    for conversation in r1.engine._switchboard.all():
        context = conversation.ike_sa._core.context
        context.settings = replace(context.settings, proposals=(STRONGER,))
    simulation.run(75)
    failures = [event for event in r1.happened(NegotiationFailure) if isinstance(event, NegotiationFailure)]
    assert len(failures) > 2
    for failure in failures:
        assert failure.protocol is None
        assert failure.reason.startswith("the IKE SA is not rekeyed: ")
        assert failure.notify_type in (14, 17)
    assert counted(simulation, "r1", PeerStatistic.IKE_SA_REKEYS_FAILED) == len(failures)
    assert not r1.happened(IkeSaDown)
    simulation.run(15)
    (down,) = r1.happened(IkeSaDown)
    assert isinstance(down, IkeSaDown)
    assert down.reason.startswith("its lifetime has ended, and it was not rekeyed: no ")
    assert len(r1.happened(IkeSaUp)) == 2
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 20_000)


def test_an_ike_sa_that_is_not_retained_is_not_rekeyed() -> None:
    simulation = Simulation(1)
    # r2 has nothing for the second association of r1, so that the IKE SA is wanted for longer than it may live.
    short = replace(SHORT, retain_ike_sa=False)
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP,), initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP, LDP))], policy=short))
    simulation.run(105)
    (down,) = simulation["r1"].happened(IkeSaDown)
    assert isinstance(down, IkeSaDown)
    assert down.reason == "its lifetime has ended"
    assert not replaced(simulation, "r1")


def test_the_responder_leaves_it_to_the_initiator_to_end_an_ike_sa() -> None:
    simulation = Simulation(1)
    short = replace(SHORT, retain_ike_sa=False)
    for name, other in (("r2", "r1"), ("r1", "r2")):
        initiate = ON_DEMAND if name == "r1" else NEVER
        # Each lacks the other's second association.
        protocols = (BGP, LDP) if name == "r1" else (BGP, 3)
        simulation.configure(name, configuration(name, [peer(other, protocols, initiate=initiate)], policy=short))
    simulation.run(108)
    downs = [event for event in simulation["r2"].happened(IkeSaDown) if isinstance(event, IkeSaDown)]
    assert downs[0].reason == "the peer deleted the IKE SA"


def test_of_two_ike_sas_with_a_peer_only_one_is_rekeyed() -> None:
    for seed in range(30):
        simulation = two_routers(seed, protocols=(BGP, LDP), initiate=(ON_DEMAND, ON_DEMAND), policy=SHORT)
        simulation.run(600)
        for router in simulation.routers.values():
            assert router.engine.statistics()[EngineStatistic.IKE_SAS] == 1, seed
