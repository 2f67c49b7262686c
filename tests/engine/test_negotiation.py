"""A configured neighbor gets a key: who opens, what both sides hold afterwards, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.engine import (
    AssociationState,
    AssociationStateChange,
    Childless,
    EngineStatistic,
    IkePolicy,
    IkeSaUp,
    Initiate,
    PeerStatistic,
    ProposalConfiguration,
    TransformConfiguration,
)
from rkmp.errors import EngineRefusal
from rkmp.ike import Identity
from rkmp.keytable import Direction, fingerprint
from tests.engine.simulation import (
    AES,
    BGP,
    LDP,
    MSDP,
    SHA1,
    Simulation,
    configuration,
    peer,
    two_routers,
)

ON_DEMAND, IMMEDIATELY, NEVER = Initiate.ON_DEMAND, Initiate.IMMEDIATELY, Initiate.NEVER


def test_a_configured_neighbor_is_given_a_key_on_both_sides() -> None:
    simulation = two_routers()
    assert simulation.run_until(simulation.agree, 1.0)
    one, other = simulation["r1"].sending("r2", BGP, 1.0), simulation["r2"].sending("r1", BGP, 1.0)
    assert one is not None
    assert other is not None
    assert fingerprint(one.key) == fingerprint(other.key)
    assert (one.peer_key_name, one.local_key_name) == (other.local_key_name, other.peer_key_name)
    assert one.peer_key_name != one.local_key_name
    assert (one.peers, one.protocol, one.direction) == (("192.0.2.2",), "bgp", Direction.BOTH)
    assert one.provenance is not None
    assert other.provenance is not None
    assert (one.provenance.peer, one.provenance.association, one.provenance.role) == ("r2", "bgp", "initiator")
    assert other.provenance.role == "responder"
    assert one.provenance.ike_spi_local == other.provenance.ike_spi_remote


def test_the_most_wanted_transform_of_the_responder_is_taken() -> None:
    simulation = Simulation(1)
    ours, theirs = ProposalConfiguration("ao", (SHA1, AES)), ProposalConfiguration("ao", (AES, SHA1))
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], proposal=theirs))
    simulation.configure("r1", configuration("r1", [peer("r2")], proposal=ours))
    assert simulation.run_until(simulation.agree, 1.0)
    row = simulation["r1"].sending("r2", BGP, 1.0)
    assert row is not None
    assert (row.kdf, row.alg_id, len(row.key)) == ("aes-128-cmac", "aes-128-cmac-96", 16)


def test_a_wanted_send_id_is_announced_and_the_o_bit_reaches_the_row() -> None:
    simulation = Simulation(1)
    ours = TransformConfiguration("t", 1, 1, ignore_tcp_options=True, send_id=77)
    theirs = TransformConfiguration("t", 1, 1, ignore_tcp_options=True, send_id=88)
    simulation.configure(
        "r2", configuration("r2", [peer("r1", initiate=NEVER)], proposal=ProposalConfiguration("ao", (theirs,)))
    )
    simulation.configure("r1", configuration("r1", [peer("r2")], proposal=ProposalConfiguration("ao", (ours,))))
    assert simulation.run_until(simulation.agree, 1.0)
    row = simulation["r1"].sending("r2", BGP, 1.0)
    assert row is not None
    assert (row.peer_key_name, row.local_key_name, row.ignore_tcp_options) == ("4d", "58", True)


def test_several_protocols_are_keyed_over_one_ike_sa() -> None:
    simulation = two_routers(protocols=(BGP, LDP, MSDP))
    assert simulation.run_until(simulation.agree, 2.0)
    assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == 1
    keys = [simulation["r1"].sending("r2", protocol, simulation.now) for protocol in (BGP, LDP, MSDP)]
    assert len({fingerprint(row.key) for row in keys if row}) == 3
    # KeyIDs name keys in Delete and REKEY_SA, so they are unique per peer, not only per protocol.
    assert len({row.peer_key_name for row in keys if row}) == 3
    assert [row.provenance.role for row in keys if row and row.provenance] == ["initiator"] * 3


def test_both_sides_may_open_at_once_and_end_with_one_key() -> None:
    simulation = two_routers(initiate=(IMMEDIATELY, IMMEDIATELY))
    simulation.run(30)
    assert simulation.agree()
    assert len(simulation["r1"].key_table.rows()) == 1
    assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == 1


def test_a_side_that_never_initiates_waits_and_answers() -> None:
    simulation = Simulation(1)
    simulation.configure("r1", configuration("r1", [peer("r2", initiate=NEVER)]))
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    simulation.run(60)
    assert simulation.sent == 0
    simulation["r1"].engine.initiate("r2", simulation["r1"].at(simulation.now))
    assert simulation.run_until(simulation.agree, 1.0)
    assert simulation["r2"].association("r1", BGP, simulation.now).state is AssociationState.ESTABLISHED


def test_immediately_keeps_an_ike_sa_up_and_on_demand_does_not() -> None:
    for mode, count in ((IMMEDIATELY, 1), (ON_DEMAND, 0)):
        simulation = two_routers(initiate=(mode, NEVER))
        simulation.run(10)
        simulation.restart("r1")
        simulation.restart("r2")
        simulation.run(60)
        assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == count
        assert simulation.agree()


def test_a_peer_without_enabled_associations_needs_no_ike_sa() -> None:
    simulation = Simulation(1)
    wanted = peer("r2", initiate=IMMEDIATELY)
    wanted = replace(wanted, associations={BGP: replace(wanted.associations[BGP], enabled=False)})
    simulation.configure("r1", configuration("r1", [wanted]))
    simulation.run(60)
    assert simulation.sent == 0
    assert simulation["r1"].association("r2", BGP, simulation.now).state is AssociationState.IDLE
    with pytest.raises(EngineRefusal, match="no enabled association"):
        simulation["r1"].engine.initiate("r2", simulation["r1"].at(simulation.now))
    with pytest.raises(EngineRefusal, match="no enabled association"):
        simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))


def test_three_routers_key_each_pair() -> None:
    simulation = Simulation(4, ("r1", "r2", "r3"))
    for name in simulation.routers:
        others = [peer(other, initiate=IMMEDIATELY) for other in simulation.routers if other != name]
        simulation.configure(name, configuration(name, others))
    simulation.run(30)
    assert simulation.agree()
    assert len(simulation["r1"].key_table.rows()) == 2


def test_what_happens_is_told_and_shown() -> None:
    simulation = two_routers()
    simulation.run_until(simulation.agree, 1.0)
    r1 = simulation["r1"]
    (up,) = r1.happened(IkeSaUp)
    assert isinstance(up, IkeSaUp)
    assert (up.peer, up.role, up.remote_identity) == ("r2", "initiator", "r2.example.net")
    changes = [
        (e.before, e.after) for e in r1.happened(AssociationStateChange) if isinstance(e, AssociationStateChange)
    ]
    states = AssociationState
    assert changes == [(states.IDLE, states.NEGOTIATING), (states.NEGOTIATING, states.ESTABLISHED)]
    association = r1.association("r2", BGP, simulation.now)
    row = r1.sending("r2", BGP, simulation.now)
    assert row is not None
    assert row.provenance is not None
    assert association.state is states.ESTABLISHED
    assert association.current_key == row.admin_key_name
    assert association.next_key is None
    assert (association.send_id, association.recv_id) == (int(row.peer_key_name, 16), int(row.local_key_name, 16))
    assert association.established_at == row.provenance.negotiated_at
    assert association.next_rollover_at is not None
    assert association.last_error is None
    snapshot = r1.snapshot("r2", simulation.now)
    (ike_sa,) = snapshot.ike_sas
    assert (ike_sa.state, ike_sa.role, ike_sa.remote_identity) == ("established", "initiator", "r2.example.net")
    assert ike_sa.encryption
    assert ike_sa.prf
    assert ike_sa.key_exchange
    assert ike_sa.messages_in
    assert ike_sa.octets_out
    assert ike_sa.rekey_at is not None
    assert snapshot.statistics[PeerStatistic.IKE_SAS_ESTABLISHED] == 1
    assert snapshot.statistics[PeerStatistic.KEYS_INSTALLED] == 1
    assert r1.engine.peers(r1.at(simulation.now)) == (snapshot,)
    assert r1.engine.peer("nobody", r1.at(simulation.now)) is None


def test_without_a_configured_identity_addresses_are_names() -> None:
    simulation = Simulation(1)
    for name, other, mode in (("r2", "r1", NEVER), ("r1", "r2", ON_DEMAND)):
        wanted = peer(other, initiate=mode, remote_identity=None)
        simulation.configure(name, configuration(name, [wanted], local_identity=None))
    assert simulation.run_until(simulation.agree, 1.0)
    assert simulation["r1"].snapshot("r2", simulation.now).ike_sas[0].remote_identity == "192.0.2.2"


def test_two_peers_behind_one_address_are_told_apart_by_identity() -> None:
    simulation = Simulation(1)
    nobody = replace(peer("r1", initiate=NEVER), name="other", remote_identity=Identity.parse("fqdn", "other.example"))
    simulation.configure("r2", configuration("r2", [nobody, peer("r1", initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2")]))
    simulation.run(2)
    assert simulation["r2"].snapshot("r1", simulation.now).ike_sas
    assert not simulation["r2"].snapshot("other", simulation.now).ike_sas


def test_no_key_material_is_in_what_is_told_or_shown() -> None:
    simulation = two_routers(protocols=(BGP, LDP))
    simulation.run_until(simulation.agree, 5.0)
    for router in simulation.routers.values():
        told = repr(router.events) + repr(router.engine.peers(router.at(simulation.now)))
        for row in router.key_table.rows():
            assert row.key.reveal().hex() not in told
            assert repr(row.key.reveal()) not in told
    assert "a secret that two routers share" not in told


def exchanges_with_key_exchange(simulation: Simulation, name: str) -> list[bool]:
    """Return for each CREATE_CHILD_SA that is under way at a router whether it carries a KE payload."""
    conversations = simulation[name].engine._switchboard.all()
    under_way = [conversation.ike_sa._core.tasks.outstanding for conversation in conversations]
    return [each.exchange._key_exchange is not None for each in under_way if each is not None]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_key_of_its_own_key_exchange_is_asked_for_where_that_is_configured(wanted: bool) -> None:
    simulation = two_routers(perfect_forward_secrecy=wanted)
    simulation.run(5)
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    assert exchanges_with_key_exchange(simulation, "r1") == [wanted]
    simulation.run(5)
    assert len(r1.key_table.rows()) == 2
    assert simulation.agree()


def test_a_peer_without_a_key_exchange_is_refused_where_one_is_wanted() -> None:
    simulation = Simulation(1)
    wanted = peer("r1", (BGP, LDP), initiate=NEVER, perfect_forward_secrecy=True)
    simulation.configure("r2", configuration("r2", [wanted]))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP, LDP))]))
    simulation.run(1)
    # The first key is as good as its IKE SA, which was made for it.
    assert simulation["r1"].sending("r2", BGP, simulation.now) is not None
    assert simulation["r1"].sending("r2", LDP, simulation.now) is None
    assert "no transform" in (simulation["r1"].association("r2", LDP, simulation.now).last_error or "")
    assert "forward secrecy" in (simulation["r2"].association("r1", LDP, simulation.now).last_error or "")
    # The side that insists on it asks for it, which the other has nothing against.
    assert simulation.run_until(simulation.agree, 10)


def test_a_childless_ike_sa_is_kept_up_without_making_keys() -> None:
    policy = IkePolicy("p", childless=Childless.FORCE)
    simulation = two_routers(initiate=(IMMEDIATELY, NEVER), policy=policy)
    simulation.run(10)
    assert simulation.agree()
    before = simulation["r1"].key_table.rows()
    for name in ("r1", "r2"):
        simulation.restart(name)
    simulation.run(60)
    assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == 1
    assert simulation["r1"].key_table.rows() == before
    # And what there is can be replaced over it.
    simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))
    simulation.run(5)
    assert len(simulation["r1"].key_table.rows()) == 2
    assert simulation.agree()
