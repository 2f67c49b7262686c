"""On which ways messages travel: translators of addresses, port 4500, non-ESP markers, both versions of IP."""

from __future__ import annotations

from typing import Any

import pytest

from rkmp.crypto.suites import HYBRID_IKE_PROPOSALS
from rkmp.engine import (
    EngineStatistic,
    IkePolicy,
    IkeSaUp,
    Initiate,
    Listener,
    NatFound,
    NatPolicy,
    NegotiationFailure,
    OutgoingDatagram,
)
from rkmp.engine.datagrams import NAT_KEEPALIVE, NON_ESP_MARKER
from rkmp.errors import EngineRefusal
from tests.engine.network import Network, Translator
from tests.engine.simulation import (
    BGP,
    LISTENER,
    Simulation,
    address_of,
    configuration,
    peer,
    two_routers,
)

NEVER = Initiate.NEVER
ALLOWED = IkePolicy("p", nat=NatPolicy.ALLOW, liveness_interval=0)
INSIDE = "10.0.0.1"


def behind_a_translator(policy1: IkePolicy, policy2: IkePolicy, **listener: object) -> Simulation:
    """Return r1, which opens from behind a translator, and r2, which sees it at its usual address."""
    network = Network(translator=Translator(INSIDE, address_of("r1")))
    simulation = Simulation(1, network=network)
    simulation["r1"].addresses = {INSIDE}
    listeners = {LISTENER: Listener(LISTENER, INSIDE, **listener)}  # type: ignore[arg-type]
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)], policy=policy2))
    simulation.configure("r1", configuration("r1", [peer("r2")], policy=policy1, listeners=listeners))
    return simulation


def translated(simulation: Simulation) -> list[tuple[int, int, bytes]]:
    """Return what has passed the translator from inside: ports from and to, and the datagram."""
    translator = simulation.network.translator
    assert translator is not None
    return translator.seen


def found(simulation: Simulation, name: str) -> NatFound:
    (event,) = simulation[name].happened(NatFound)
    assert isinstance(event, NatFound)
    return event


def test_without_a_translator_none_is_found_and_nothing_moves() -> None:
    simulation = two_routers()
    simulation.run(5)
    (shown,) = simulation["r1"].snapshot("r2", simulation.now).ike_sas
    assert (shown.nat_local, shown.nat_remote) == (False, False)
    assert simulation["r1"].happened(NatFound) == []
    assert all(c.path.local[1] == c.path.remote[1] == 500 for c in simulation["r1"].engine._switchboard.all())


def test_behind_a_translator_messages_move_to_port_4500_and_keys_work_where_policy_allows() -> None:
    simulation = behind_a_translator(ALLOWED, ALLOWED)
    assert simulation.run_until(simulation.agree, 5)
    first, *others = translated(simulation)
    assert first[:2] == (500, 500)
    assert not first[2].startswith(NON_ESP_MARKER)
    assert others
    for source, destination, data in others:
        assert (source, destination) == (4500, 4500)
        assert data.startswith(NON_ESP_MARKER)
    assert found(simulation, "r1") == NatFound("r2", address_of("r2"), nat_local=True, nat_remote=False, refused=False)
    assert found(simulation, "r2") == NatFound("r1", address_of("r1"), nat_local=False, nat_remote=True, refused=False)
    for name, local in (("r1", True), ("r2", False)):
        (shown,) = simulation[name].snapshot("r2" if name == "r1" else "r1", simulation.now).ike_sas
        assert (shown.nat_local, shown.nat_remote) == (local, not local)
    # The side that is not translated finds the other through what the translator remembers.
    r2 = simulation["r2"]
    r2.engine.rekey("r1", BGP, r2.at(simulation.now))
    simulation.run(5)
    assert len(r2.key_table.rows()) == 2
    assert simulation.agree()


def test_a_translator_is_kept_from_forgetting_us_by_the_side_that_is_behind_it() -> None:
    simulation = behind_a_translator(ALLOWED, ALLOWED)
    assert simulation.run_until(simulation.agree, 5)
    simulation.run(5)
    before, sent = len(translated(simulation)), simulation.sent
    simulation.run(100)
    kept = translated(simulation)[before:]
    assert [data for _, _, data in kept] == [NAT_KEEPALIVE] * 5
    # Nobody answers, and nobody takes it for a broken message.
    assert simulation.sent - sent == 5
    assert simulation["r2"].engine.statistics().get(EngineStatistic.DROPPED_NOT_IKE, 0) == 0


def test_a_translator_that_gives_us_another_port_is_followed() -> None:
    simulation = behind_a_translator(ALLOWED, ALLOWED)
    assert simulation.run_until(simulation.agree, 5)
    simulation.run(5)
    translator = simulation.network.translator
    assert translator is not None
    translator.ports = {4500: 51515}
    r1, r2 = simulation["r1"], simulation["r2"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.run(1)
    assert [conversation.remote[1] for conversation in r2.engine._switchboard.all()] == [51515]
    r2.engine.rekey("r1", BGP, r2.at(simulation.now))
    simulation.run(20)
    assert simulation.agree()


def test_the_answer_to_a_repeated_request_goes_to_where_it_came_from_this_time() -> None:
    simulation = behind_a_translator(ALLOWED, ALLOWED)
    assert simulation.run_until(simulation.agree, 5)
    simulation.run(5)
    r1, r2 = simulation["r1"], simulation["r2"]
    translator = simulation.network.translator
    assert translator is not None
    lost: list[bytes] = []

    def lose_an_answer(source: str, _destination: str, data: bytes) -> bytes | None:
        if source == r2.address and not lost:
            # The translator loses its memory, and what is on its way with it.
            lost.append(data)
            translator.ports = {4500: 51515}
            return None
        return data

    simulation.network.filter = lose_an_answer
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))
    simulation.run(4)
    assert lost
    assert len(r1.key_table.rows()) == 2
    assert simulation.agree()
    assert [conversation.remote[1] for conversation in r2.engine._switchboard.all()] == [51515]


REFUSED = IkePolicy("p")


@pytest.mark.parametrize(
    ("policy1", "policy2", "refusing"), [(REFUSED, ALLOWED, "r1"), (ALLOWED, REFUSED, "r2"), (REFUSED, REFUSED, "r1")]
)
def test_no_key_is_negotiated_through_a_translator_unless_both_sides_allow_it(
    policy1: IkePolicy, policy2: IkePolicy, refusing: str
) -> None:
    simulation = behind_a_translator(policy1, policy2)
    simulation.run(60)
    for router in simulation.routers.values():
        assert not router.key_table.rows()
        assert router.engine.statistics()[EngineStatistic.IKE_SAS] == 1
    other = "r2" if refusing == "r1" else "r1"
    assert found(simulation, refusing).refused
    association = simulation[refusing].association(other, BGP, simulation.now)
    whose = "our" if refusing == "r1" else "the peer's"
    assert f"{whose} address is translated on the way" in (association.last_error or "")
    failures = [e for e in simulation["r1"].happened(NegotiationFailure) if isinstance(e, NegotiationFailure)]
    assert failures
    assert {failure.protocol for failure in failures} == {"bgp"}
    # It is tried again, with growing pauses, over the IKE SA that there is.
    assert len(failures) < 15
    assert len(simulation["r1"].happened(IkeSaUp)) == 1


def test_without_a_port_for_translated_peers_messages_stay_where_they_are() -> None:
    simulation = behind_a_translator(ALLOWED, ALLOWED, port=5000)
    assert simulation.run_until(simulation.agree, 5)
    assert {(source, destination) for source, destination, _ in translated(simulation)} == {(5000, 500)}


def opening(listener: Listener, **of_peer: Any) -> OutgoingDatagram:
    """Return the first datagram that r1 sends from ``listener`` to r2."""
    simulation = Simulation(1)
    wanted = configuration("r1", [peer("r2", **of_peer)], listeners={LISTENER: listener})
    simulation["r1"].configure(wanted, 0.0)
    (datagram,) = simulation["r1"].engine.datagrams()
    return datagram


@pytest.mark.parametrize(
    ("ports", "remote", "expected", "is_marked"),
    [
        ({}, {}, (500, 500), False),
        ({}, {"port": 4500}, (4500, 4500), True),
        ({}, {"port": 4501}, (500, 4501), False),
        ({"port": 4501}, {"port": 4500}, (4501, 4500), True),
        ({"port": 4501}, {}, (4501, 500), False),
        ({"port": 4501, "nat_port": 4502}, {"port": 4500}, (4502, 4500), True),
        ({"port": 4501}, {"port": 4500, "non_esp_marker": False}, (4501, 4500), False),
        ({}, {"non_esp_marker": True}, (500, 500), True),
    ],
)
def test_the_first_message_is_marked_as_the_ports_or_the_peers_entry_say(
    ports: dict[str, int], remote: dict[str, Any], expected: tuple[int, int], is_marked: bool
) -> None:
    datagram = opening(Listener(LISTENER, address_of("r1"), **ports), **remote)
    assert (datagram.local[1], datagram.remote[1]) == expected
    assert datagram.data.startswith(NON_ESP_MARKER) == is_marked


def test_a_listener_on_the_usual_port_has_the_usual_port_for_translated_peers() -> None:
    assert Listener("a", "192.0.2.1").ports == (500, 4500)
    assert Listener("a", "192.0.2.1", 501).ports == (501,)
    assert Listener("a", "192.0.2.1", 501, 502).ports == (501, 502)


@pytest.mark.parametrize(
    "listeners",
    [
        [Listener("a", "192.0.2.1", 500, 500)],
        [Listener("a", "192.0.2.1"), Listener("b", "192.0.2.1", 4500)],
        [Listener("a", "192.0.2.1", 501, 502), Listener("b", "192.0.2.1", 503, 502)],
    ],
)
def test_a_port_is_taken_once(listeners: list[Listener]) -> None:
    wanted = configuration("r1", [], listeners={listener.name: listener for listener in listeners})
    with pytest.raises(EngineRefusal, match="port"):
        Simulation(1)["r1"].configure(wanted, 0.0)


@pytest.mark.parametrize(("version", "largest"), [(4, 548), (6, 1232)])
def test_fragments_fit_the_version_of_ip(version: int, largest: int) -> None:
    simulation = Simulation(1)
    sizes: list[int] = []

    def measure(_source: str, _destination: str, data: bytes) -> bytes:
        sizes.append(len(data))
        return data

    simulation.network.filter = measure
    addresses = {name: address_of(name) if version == 4 else f"2001:db8::{name[1:]}" for name in ("r1", "r2")}
    policy = IkePolicy("p", proposals=HYBRID_IKE_PROPOSALS)
    for name, other, initiate in (("r2", "r1", NEVER), ("r1", "r2", Initiate.ON_DEMAND)):
        simulation[name].addresses = {addresses[name]}
        wanted = peer(other, address=addresses[other], initiate=initiate)
        listeners = {LISTENER: Listener(LISTENER, addresses[name])}
        simulation.configure(name, configuration(name, [wanted], policy=policy, listeners=listeners))
    simulation.run(5)
    assert simulation.agree()
    # A public value of ML-KEM-768 is 1184 octets long.
    assert simulation["r1"].engine.statistics()["fragmented"] >= 1
    assert max(sizes) <= largest
