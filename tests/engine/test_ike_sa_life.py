"""How IKE SAs end and begin again: lifetime, silence, a peer that has forgotten, one that says it is new."""

from __future__ import annotations

import pytest

from rkmp.engine import (
    AssociationState,
    EngineStatistic,
    IkePolicy,
    IkeSaDown,
    IkeSaReplaced,
    IkeSaUp,
    Initiate,
    PeerStatistic,
)
from rkmp.ike import Retransmission
from tests.engine.simulation import BGP, LDP, Simulation, configuration, peer, two_routers

ON_DEMAND, IMMEDIATELY, NEVER = Initiate.ON_DEMAND, Initiate.IMMEDIATELY, Initiate.NEVER


def keyed(**settings: object) -> Simulation:
    simulation = two_routers(**settings)  # type: ignore[arg-type]
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 10)
    simulation.run(2)
    return simulation


def ike_sas(simulation: Simulation, name: str = "r1") -> int:
    return simulation[name].engine.statistics()["ike-sas"]


def test_a_peer_that_falls_silent_is_noticed_and_costs_no_key() -> None:
    quick = IkePolicy("p", liveness_interval=20, retransmission=Retransmission(1.0, 1.5, 3))
    simulation = keyed(policy=quick)
    simulation["r2"].crash()
    simulation.run(40)
    assert ike_sas(simulation) == 0
    assert simulation["r1"].sending("r2", BGP, simulation.now) is not None
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.state is AssociationState.ESTABLISHED
    assert simulation["r1"].snapshot("r2", simulation.now).statistics[PeerStatistic.IKE_SAS_LOST] == 1
    (down,) = simulation["r1"].happened(IkeSaDown)
    assert isinstance(down, IkeSaDown)
    assert "answered none of 3 transmissions" in down.reason


def test_without_liveness_checks_silence_is_silence() -> None:
    simulation = keyed(policy=IkePolicy("p", liveness_interval=0))
    sent = simulation.sent
    simulation.run(600)
    assert simulation.sent == sent


def test_a_lively_ike_sa_is_checked_from_one_side_only() -> None:
    simulation = keyed(policy=IkePolicy("p", liveness_interval=30))
    sent = simulation.sent
    simulation.run(300)
    assert 18 <= simulation.sent - sent <= 22


def test_a_peer_that_is_kept_up_is_opened_to_again() -> None:
    simulation = keyed(initiate=(IMMEDIATELY, NEVER), policy=IkePolicy("p", liveness_interval=10))
    simulation.restart("r2")
    assert simulation.run_until(lambda: bool(simulation["r1"].happened(IkeSaDown)), 30)
    assert simulation.run_until(lambda: ike_sas(simulation) == 1, 30)
    simulation.run(30)
    assert ike_sas(simulation) == ike_sas(simulation, "r2") == 1


def test_a_peer_that_has_forgotten_the_ike_sa_says_so_and_is_asked_anew() -> None:
    simulation = keyed()
    simulation.restart("r2")
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    begun = simulation.now
    assert simulation.run_until(lambda: len(simulation["r1"].key_table.rows()) == 2, 10)
    # Two seconds of doubt, not the whole schedule of retransmissions.
    assert simulation.now - begun < 4
    assert simulation["r2"].engine.statistics()["errors-sent"] >= 1


def test_a_forged_hint_that_the_peer_has_forgotten_costs_nothing() -> None:
    simulation = keyed()
    (shown,) = simulation["r1"].snapshot("r2", simulation.now).ike_sas
    header = shown.local_spi + shown.remote_spi
    invalid_ike_spi = bytes((41, 0x20, 37, 0x20)) + bytes(4) + (36).to_bytes(4)
    forged = header + invalid_ike_spi + bytes((0, 0, 0, 8, 0, 0, 0, 4))
    r1 = simulation["r1"]
    for _ in range(3):
        r1.engine.receive(forged, "ike", (simulation["r2"].address, 500), r1.at(simulation.now))
        simulation.run(0.5)
    simulation.run(30)
    assert ike_sas(simulation) == 1
    assert r1.happened(IkeSaDown) == []


def test_a_router_that_comes_up_with_initial_contact_replaces_its_old_ike_sa() -> None:
    simulation = keyed(initiate=(IMMEDIATELY, IMMEDIATELY), overlap=60)
    simulation.run(30)
    before = {shown.local_spi for shown in simulation["r2"].snapshot("r1", simulation.now).ike_sas}
    simulation.restart("r1")
    simulation.run(3)
    after = {shown.local_spi for shown in simulation["r2"].snapshot("r1", simulation.now).ike_sas}
    assert len(after) == 1
    assert not before & after
    simulation.run(120)
    # The new IKE SA brought a key that supersedes the old one (G15, G17).
    assert simulation.agree()
    assert len(simulation["r1"].key_table.rows()) == 1


def test_an_ike_sa_without_purpose_beside_another_is_closed() -> None:
    for seed in range(20):
        simulation = two_routers(seed, initiate=(IMMEDIATELY, IMMEDIATELY))
        simulation.run(60)
        assert ike_sas(simulation) == ike_sas(simulation, "r2") == 1, seed
        assert simulation.agree()
        assert len(simulation["r1"].key_table.rows()) == 1, seed


def test_a_peer_that_closes_every_ike_sa_is_not_asked_over_and_over() -> None:
    simulation = Simulation(1)
    closing = IkePolicy("p", retain_ike_sa=False)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], policy=closing))
    simulation.configure("r1", configuration("r1", [peer("r2", initiate=IMMEDIATELY)]))
    simulation.run(3600)
    assert len(simulation["r1"].happened(IkeSaUp)) < 25


def test_an_ike_sa_that_is_not_retained_lets_both_sides_finish() -> None:
    simulation = Simulation(1)
    policy = IkePolicy("p", retain_ike_sa=False)
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP, LDP), initiate=NEVER)], policy=policy))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP, LDP))], policy=policy))
    simulation.run(20)
    assert simulation.agree()
    assert ike_sas(simulation) == ike_sas(simulation, "r2") == 0
    assert len(simulation["r1"].happened(IkeSaUp)) == 1


def test_messages_follow_a_peer_to_another_port_but_not_to_another_address() -> None:
    simulation = keyed()
    r1, r2 = simulation["r1"], simulation["r2"]
    taken: list[bytes] = []

    def keep(source: str, _to: str, data: bytes) -> bytes | None:
        if source == r1.address:
            taken.append(data)
            return None
        return data

    simulation.network.filter = keep
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.run(0.1)
    r2.engine.receive(taken[0], "ike", ("192.0.2.66", 500), r2.at(simulation.now))
    assert r2.engine.datagrams() == []
    assert r2.engine.statistics()["dropped-other-address"] == 1
    r2.engine.receive(taken[0], "ike", (r1.address, 40000), r2.at(simulation.now))
    (answer,) = r2.engine.datagrams()
    assert answer.remote == (r1.address, 40000)


def test_the_marker_is_accepted_and_answered_in_kind() -> None:
    simulation = Simulation(1)
    marked: list[bool] = []

    def mark(source: str, _to: str, data: bytes) -> bytes:
        if source == simulation["r1"].address and not data.startswith(bytes(4)):
            return bytes(4) + data
        marked.append(data.startswith(bytes(4)))
        return data

    simulation.network.filter = mark
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    assert simulation.run_until(simulation.agree, 1)
    assert marked
    assert all(marked)


def test_an_initiator_marks_where_neither_port_is_that_of_ike() -> None:
    simulation = Simulation(1)
    settings = configuration("r1", [peer("r2", port=4500)])
    listener = settings.listeners["ike"]
    settings = configuration("r1", [peer("r2", port=4500)], listeners={"ike": type(listener)("ike", "192.0.2.1", 4501)})
    simulation["r1"].configure(settings, 0.0)
    (datagram,) = simulation["r1"].engine.datagrams()
    assert datagram.remote == ("192.0.2.2", 4500)
    assert datagram.data.startswith(bytes(4))


@pytest.mark.parametrize(("outage", "is_lost", "keys"), [(24.0, False, 2), (1000.0, True, 1)])
def test_an_ike_sa_outlives_its_lifetime_while_something_is_negotiated_over_it(
    outage: float, is_lost: bool, keys: int
) -> None:
    simulation = Simulation(1)
    patience = Retransmission(1.0, 1.2, 60)
    patient = IkePolicy("p", lifetime=100, retransmission=patience, liveness_interval=0)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2")], policy=patient))
    simulation.run(85.0)
    simulation.network.cuts = [(85.0, 85.0 + outage)]
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    simulation.run(74.0)
    assert simulation["r1"].happened(IkeSaDown) == []
    assert simulation.run_until(lambda: bool(simulation["r1"].happened(IkeSaDown)), 20) == is_lost
    assert bool(simulation["r1"].happened(IkeSaReplaced)) == (not is_lost)
    assert len(simulation["r1"].key_table.rows()) == keys


def test_a_key_that_arrives_after_its_association_has_gone_is_deleted() -> None:
    simulation = keyed()
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP, LDP), initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP, LDP))]))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP,))]))
    simulation.run(3)
    for router in simulation.routers.values():
        assert [row.protocol for row in router.key_table.rows()] == ["bgp"]


def test_what_is_half_open_is_given_up_when_it_changes_who_may_call() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    simulation["r1"].configure(configuration("r1", [peer("r2")]), 0.0)
    (first,) = simulation["r1"].engine.datagrams()
    r2 = simulation["r2"]
    r2.engine.receive(first.data, "ike", (simulation["r1"].address, 500), r2.at(0.0))
    assert r2.engine.statistics()["half-open-ike-sas"] == 1
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], secret=b"another one"))
    assert r2.engine.statistics()["half-open-ike-sas"] == 0
    assert r2.events == []


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_an_ike_sa_that_a_peer_rekeys_goes_on_under_its_new_spis(name: str) -> None:
    simulation = keyed(policy=IkePolicy("p", liveness_interval=10))
    (before,) = simulation["r1"].snapshot("r2", simulation.now).ike_sas
    router = simulation[name]
    (conversation,) = router.engine._switchboard.all()
    conversation.ike_sa.rekey(simulation.now)
    router.engine.touch(conversation)
    router.engine.handle_timer(router.at(simulation.now))
    simulation.run(60)
    (after,) = simulation["r1"].snapshot("r2", simulation.now).ike_sas
    assert after.local_spi != before.local_spi
    assert after.remote_spi != before.remote_spi
    assert after.state == "established"
    assert after.role == ("initiator" if name == "r1" else "responder")
    assert ike_sas(simulation) == ike_sas(simulation, "r2") == 1
    assert not simulation["r1"].happened(IkeSaDown)
    # Keys are negotiated over it as before, from either side, and nothing of the old one is left behind.
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    simulation.run(5)
    assert len(simulation["r1"].key_table.rows()) == 2
    assert simulation.agree()
    for each in ("r1", "r2"):
        switchboard = simulation[each].engine._switchboard
        (conversation,) = switchboard.all()
        assert list(switchboard._by_spi) == list(conversation.ike_sa.local_spis)
        assert simulation[each].engine.statistics()[EngineStatistic.INTERNAL_ERRORS] == 0
