"""A configuration in force is replaced by another: only what differs is touched, and what goes is told to the peer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.engine import (
    AssociationState,
    EngineConfiguration,
    IkePolicy,
    IkeSaDown,
    Initiate,
    Listener,
    PreSharedKeyName,
    ProposalConfiguration,
    RequestCompleted,
    TransformConfiguration,
)
from rkmp.errors import EngineRefusal
from rkmp.ike import Identity, Retransmission
from rkmp.secret import Secret
from rkmp.wire import CodePoints
from tests.engine.simulation import AES, BGP, BOTH, LDP, SHA1, Simulation, configuration, peer, two_routers

NEVER = Initiate.NEVER


def keyed(**settings: object) -> Simulation:
    simulation = two_routers(**settings)  # type: ignore[arg-type]
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 10)
    simulation.run(2)
    return simulation


def test_a_removed_association_takes_its_key_with_it_on_both_sides() -> None:
    simulation = keyed(protocols=(BGP, LDP))
    simulation.forget_continuity()
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP,))]))
    # Not for so long that r2 asks again.
    simulation.run(0.4)
    for router in simulation.routers.values():
        assert [row.protocol for row in router.key_table.rows()] == ["bgp"]
    assert simulation["r2"].association("r1", LDP, simulation.now).state is AssociationState.IDLE
    assert simulation["r1"].engine.statistics()["ike-sas"] == 1


def test_a_disabled_association_is_as_good_as_removed_and_comes_back() -> None:
    simulation = keyed(protocols=(BGP, LDP))
    simulation.forget_continuity()
    wanted = peer("r2", (BGP, LDP))
    disabled = replace(
        wanted, associations={**wanted.associations, LDP: replace(wanted.associations[LDP], enabled=False)}
    )
    simulation.configure("r1", configuration("r1", [disabled]))
    simulation.run(1)
    assert [row.protocol for row in simulation["r2"].key_table.rows()] == ["bgp"]
    simulation.configure("r1", configuration("r1", [wanted]))
    assert simulation.run_until(simulation.agree, 10)


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_a_peer_that_goes_deletes_keys_and_ike_sa_at_the_other_side(how: str) -> None:
    simulation = keyed(protocols=(BGP, LDP))
    simulation.forget_continuity()
    gone = [] if how == "removed" else [peer("r2", (BGP, LDP), enabled=False)]
    simulation.configure("r1", configuration("r1", gone))
    simulation.run(1)
    for router in simulation.routers.values():
        assert router.key_table.rows() == ()
        assert router.engine.statistics()["ike-sas"] == 0
    assert simulation["r1"].engine.peers(simulation["r1"].at(simulation.now)) == ()
    assert simulation["r2"].happened(IkeSaDown)
    with pytest.raises(EngineRefusal, match="no enabled peer r2"):
        simulation["r1"].engine.rekey("r2", BGP, simulation["r1"].at(simulation.now))


def test_a_peer_that_goes_is_forgotten_even_if_it_does_not_answer() -> None:
    simulation = keyed()
    simulation.forget_continuity()
    simulation["r2"].crash()
    simulation.configure("r1", configuration("r1", []))
    assert simulation["r1"].key_table.rows() == ()
    simulation.run(120)
    assert simulation["r1"].engine._switchboard.all() == []


def test_switching_rkmp_off_keeps_the_keys() -> None:
    simulation = keyed()
    before = simulation["r1"].key_table.rows()
    on = simulation["r1"].configuration
    simulation.configure("r1", replace(on, enabled=False))
    simulation.run(1)
    assert simulation["r1"].key_table.rows() == before
    assert simulation["r2"].engine.statistics()["ike-sas"] == 0
    assert simulation["r2"].association("r1", BGP, simulation.now).state is AssociationState.ESTABLISHED
    with pytest.raises(EngineRefusal, match="disabled"):
        simulation["r1"].engine.initiate("r2", simulation["r1"].at(simulation.now))
    simulation.configure("r1", on)
    simulation.run(1)
    assert simulation["r1"].key_table.rows() == before
    assert simulation.agree()


def test_another_neighbor_address_gets_another_key() -> None:
    simulation = keyed()
    simulation.forget_continuity()
    simulation.checks_continuity = False
    simulation.configure("r1", configuration("r1", [peer("r2", neighbor="198.51.100.2")]))
    simulation.run(5)
    (row,) = simulation["r1"].key_table.rows()
    assert row.peers == ("198.51.100.2",)


@pytest.mark.parametrize(
    "change",
    [
        {"secret": b"another secret, on both sides"},
        {"code_points": CodePoints(211, 212, 242)},
        {"require_vendor_id": False},
    ],
)
def test_what_ike_stands_on_changes_and_the_key_is_replaced_without_a_gap(change: dict[str, object]) -> None:
    simulation = keyed(overlap=60)
    before = set(simulation["r1"].key_table.rows())
    for name, other, mode in (("r2", "r1", NEVER), ("r1", "r2", Initiate.ON_DEMAND)):
        wanted = configuration(name, [peer(other, initiate=mode, overlap=60)], **change)  # type: ignore[arg-type]
        simulation.configure(name, wanted)
        simulation.run(0.5)
    simulation.run(200)
    assert simulation.agree()
    assert not before & set(simulation["r1"].key_table.rows())
    assert simulation["r1"].engine.statistics()["ike-sas"] == 1


def test_a_key_survives_a_change_of_secret_on_one_side_only() -> None:
    simulation = keyed()
    before = simulation["r1"].sending("r2", BGP, simulation.now)
    simulation.configure("r1", configuration("r1", [peer("r2")], secret=b"changed here, not there yet"))
    simulation.run(100)
    assert simulation["r1"].sending("r2", BGP, simulation.now) == before
    error = simulation["r1"].association("r2", BGP, simulation.now).last_error
    assert error is not None
    assert "pre-shared key" in error


def test_other_transforms_replace_the_key() -> None:
    simulation = keyed(overlap=60)
    assert simulation["r1"].key_table.rows()[0].kdf == "hmac-sha-1"
    for name, other, mode in (("r2", "r1", NEVER), ("r1", "r2", Initiate.ON_DEMAND)):
        wanted = configuration(
            name, [peer(other, initiate=mode, overlap=60)], proposal=ProposalConfiguration("ao", (AES,))
        )
        simulation.configure(name, wanted)
    simulation.run(200)
    assert simulation.agree()
    assert [row.kdf for row in simulation["r1"].key_table.rows()] == ["aes-128-cmac"]


def test_another_list_of_proposals_replaces_the_key() -> None:
    simulation = keyed(overlap=60)
    before = set(simulation["r1"].key_table.rows())
    proposals = {"ao": BOTH, "other": ProposalConfiguration("other", (SHA1,))}
    simulation.configure("r1", configuration("r1", [peer("r2", overlap=60, proposals=("other",))], proposals=proposals))
    simulation.run(100)
    assert not before & set(simulation["r1"].key_table.rows())


def test_what_does_not_concern_the_key_leaves_it_alone() -> None:
    simulation = keyed()
    before = simulation["r1"].key_table.rows()
    sent = simulation.sent
    policy = IkePolicy("p", lifetime=7200, liveness_interval=0, retransmission=Retransmission(2.0, 2.0, 3))
    wanted = peer("r2", key_lifetime=7200, overlap=100)
    simulation.configure("r1", configuration("r1", [wanted, peer("r3", enabled=False)], policy=policy))
    simulation.run(5)
    assert simulation["r1"].key_table.rows() == before
    assert simulation.sent == sent


def test_clear_drops_everything_on_both_sides_and_begins_anew() -> None:
    simulation = keyed(protocols=(BGP, LDP))
    before = {row.admin_key_name for row in simulation["r1"].key_table.rows()}
    spis = {ike_sa.local_spi for ike_sa in simulation["r1"].snapshot("r2", simulation.now).ike_sas}
    simulation.forget_continuity()
    simulation.checks_continuity = False
    simulation["r1"].engine.clear("r2", simulation["r1"].at(simulation.now))
    simulation.run(10)
    assert simulation.agree()
    assert not before & {row.admin_key_name for row in simulation["r1"].key_table.rows()}
    shown = simulation["r1"].snapshot("r2", simulation.now).ike_sas
    assert len(shown) == 1
    assert shown[0].local_spi not in spis
    assert simulation["r2"].engine.statistics()["ike-sas"] == 1


def test_keys_of_what_is_not_configured_any_more_are_removed_at_start() -> None:
    simulation = keyed(protocols=(BGP, LDP))
    router = simulation["r1"]
    router.configuration = configuration("r1", [peer("r2", (BGP,))])
    router.restart(simulation.now)
    assert [row.protocol for row in router.key_table.rows()] == ["bgp"]


def test_a_start_that_is_switched_off_removes_nothing_yet() -> None:
    simulation = keyed()
    router = simulation["r1"]
    wanted = router.configuration
    router.configuration = replace(configuration("r1", []), enabled=False)
    router.restart(simulation.now)
    assert len(router.key_table.rows()) == 1
    router.configure(wanted, simulation.now)
    assert len(router.key_table.rows()) == 1


def test_only_what_changed_is_touched() -> None:
    simulation = Simulation(1)
    peers = {f"r{number}": peer(f"r{number}", initiate=NEVER) for number in range(2, 102)}
    simulation.configure("r1", configuration("r1", peers.values()))
    engine = simulation["r1"].engine
    touched: list[str] = []
    for known in engine._peers.values():
        known.reconfigure = lambda wanted, _at, **_: touched.append(wanted.name)  # type: ignore[method-assign]
    changed = replace(peers["r7"], port=4500)
    after = replace(simulation["r1"].configuration, peers={**peers, "r7": changed})
    engine.apply(engine.prepare(after), simulation["r1"].at(simulation.now))
    assert touched == ["r7"]


def test_a_prepared_configuration_applies_also_after_another_one() -> None:
    simulation = Simulation(1)
    engine, at = simulation["r1"].engine, simulation["r1"].at(0.0)
    first = engine.prepare(configuration("r1", [peer("r2", initiate=NEVER)]))
    second = engine.prepare(configuration("r1", [peer("r3", initiate=NEVER)]))
    engine.apply(first, at)
    engine.apply(second, at)
    assert [shown.name for shown in engine.peers(at)] == ["r3"]


def test_shut_down_says_good_bye_and_keeps_keys() -> None:
    simulation = keyed()
    router = simulation["r1"]
    router.engine.shut_down(router.at(simulation.now))
    simulation.pump()
    router.crash()
    simulation.run(1)
    assert len(router.key_table.rows()) == 1
    assert router.happened(IkeSaDown) == []
    assert simulation["r2"].engine.statistics()["ike-sas"] == 0
    assert simulation["r2"].sending("r1", BGP, simulation.now) is not None


def test_shut_down_answers_those_who_wait() -> None:
    simulation = keyed()
    router = simulation["r1"]
    router.engine.rekey("r2", BGP, router.at(simulation.now))
    router.engine.shut_down(router.at(simulation.now))
    simulation.pump()
    (told,) = [event for event in router.events if isinstance(event, RequestCompleted)]
    assert told.error == "the agent stops"


# -- what is refused ---------------------------------------------------------------------------------------------------

V6 = Listener("ike6", "2001:db8::1")
ANY = Listener("any", "0.0.0.0")  # noqa: S104 - it is refused


def with_association(**changes: object) -> EngineConfiguration:
    return configuration("r1", [peer("r2", (BGP,), **changes)])


REFUSED: dict[str, tuple[EngineConfiguration, str]] = {
    "listener address": (configuration("r1", [], listeners={"x": Listener("x", "nowhere")}), "listener x"),
    "two listeners on one port": (
        configuration("r1", [], listeners={"a": Listener("a", "192.0.2.1"), "b": Listener("b", "192.0.2.1")}),
        "listeners a and b",
    ),
    "transform": (
        configuration("r1", [], proposal=ProposalConfiguration("ao", (TransformConfiguration("t", 1, 2),))),
        "proposal ao, transform t",
    ),
    "policy without proposals": (configuration("r1", [], policy=IkePolicy("p", proposals=())), "no proposal"),
    "peer address": (configuration("r1", [peer("r2", address="nowhere")]), "nowhere"),
    "any address": (configuration("r1", [peer("r2", address="0.0.0.0")]), "not the address of one router"),  # noqa: S104
    "multicast": (configuration("r1", [peer("r2", address="224.0.0.5")]), "not the address of one router"),
    "the router itself": (configuration("r1", [peer("r2", address="192.0.2.1")]), "is this router itself"),
    "any neighbor": (configuration("r1", [peer("r2", neighbor="::")]), "neighbor: :: is not the address of one"),
    "multicast neighbor": (configuration("r1", [peer("r2", neighbor="224.0.0.2")]), "not the address of one router"),
    "no such listener": (configuration("r1", [peer("r2", listener="x")]), "no listener x"),
    "no listener of its version": (configuration("r1", [peer("r2", address="2001:db8::2")]), "no listener for IPv6"),
    "listener of the other version": (
        configuration("r1", [peer("r2", listener="ike6")], listeners={"ike6": V6}),
        "cannot be reached through the IPv6 listener ike6",
    ),
    "no identity": (configuration("r1", [peer("r2")], local_identity=None, listeners={"any": ANY}), "local-identity"),
    "missing secret": (
        configuration("r1", [peer("r2", local_authentication=PreSharedKeyName("x"))]),
        "pre-shared key x is missing",
    ),
    "empty secret": (configuration("r1", [peer("r2")], secret=b""), "pre-shared key k is empty"),
    "missing policy": (configuration("r1", [peer("r2", ike_policy="x")]), "IKE policy x is missing"),
    "missing proposal": (with_association(proposals=("x",)), "proposal x is missing"),
    "no transform": (with_association(proposals=()), "no transform"),
    "unassigned protocol": (configuration("r1", [peer("r2", (9,))]), "association 9"),
    "neighbor": (with_association(neighbor="nowhere"), "neighbor"),
    "lead": (with_association(key_lifetime=60, rollover_lead=60), "rollover lead"),
    "overlap": (with_association(key_lifetime=60, overlap=60), "overlap"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_carried_out_is_refused_with_a_reason(what: str) -> None:
    simulation = Simulation(1)
    engine = simulation["r1"].engine
    wanted, says = REFUSED[what]
    with pytest.raises(EngineRefusal) as refusal:
        engine.prepare(wanted)
    assert says in refusal.value.reason
    assert "secret that two routers" not in str(refusal.value)
    # Nothing of it is looked at while RKMP is off, or the peer is.
    engine.prepare(replace(wanted, enabled=False))
    assert engine.configuration == EngineConfiguration(enabled=False)


def test_peers_that_are_not_enabled_may_be_unfit() -> None:
    simulation = Simulation(1)
    simulation["r1"].engine.prepare(configuration("r1", [peer("r2", address="nowhere", enabled=False)]))


def test_listeners_serve_peers_of_their_ip_version_the_first_by_name() -> None:
    simulation = Simulation(1)
    listeners = {"b": Listener("b", "192.0.2.1"), "a": Listener("a", "192.0.2.1", 4501), "ike6": V6}
    router = simulation["r1"]
    peers = [peer("r2"), peer("r3", address="2001:db8::3", neighbor="2001:db8::3"), peer("r4", listener="b")]
    router.configure(configuration("r1", peers, listeners=listeners), 0.0)
    sent = {datagram.remote[0]: datagram for datagram in router.engine.datagrams()}
    assert {to: datagram.listener for to, datagram in sent.items()} == {
        "192.0.2.2": "a",
        "2001:db8::3": "ike6",
        "192.0.2.4": "b",
    }
    # G37: no marker where one of the ports is 500.
    assert not any(datagram.data.startswith(bytes(4)) for datagram in sent.values())


def test_secrets_and_identities_are_compared_by_value() -> None:
    simulation = keyed()
    sent = simulation.sent
    same = replace(
        simulation["r1"].configuration,
        pre_shared_keys={"k": Secret(b"a secret that two routers share")},
        local_identity=Identity.parse("fqdn", "r1.example.net"),
    )
    simulation.configure("r1", same)
    simulation.run(1)
    assert simulation.sent == sent
