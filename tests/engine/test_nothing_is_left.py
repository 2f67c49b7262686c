"""Every failure frees what it took: what is counted after each is what serves, and nothing once the peers are gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rkmp.engine import EngineStatistic, IkePolicy, Initiate, NatPolicy
from rkmp.ike import Retransmission
from tests.engine.census import holdings, leaks
from tests.engine.network import Network, Translator
from tests.engine.simulation import (
    BGP,
    LDP,
    LISTENER,
    Simulation,
    address_of,
    configuration,
    peer,
    two_routers,
)
from tests.engine.test_failures import CASES
from tests.engine.test_failures import run as fail
from tests.engine.test_key_table_faults import FullDisk

NEVER = Initiate.NEVER
QUICK = IkePolicy("p", retransmission=Retransmission(0.5, 1.5, 3), liveness_interval=10)
LONGEST_MEMORY = 200.0
"""Seconds after which every retransmission, half-open IKE SA, replaced one and repeated response is over."""


def check(simulation: Simulation, *, tidy: bool = True) -> None:
    """Assert that nothing is held without a reason, and nothing at all when there are no peers any more."""
    for router in simulation.routers.values():
        assert leaks(router) == []
    if not tidy:
        return
    for router in simulation.routers.values():
        if not router.is_up:
            router.start(simulation.now)
        router.configure(configuration(router.name, []), simulation.now)
    simulation.run(LONGEST_MEMORY)
    for router in simulation.routers.values():
        assert holdings(router) == dict.fromkeys(holdings(router), 0), router.name
        assert router.engine.next_timer() is None
        assert router.engine.statistics().get(EngineStatistic.INTERNAL_ERRORS, 0) == 0
        assert not router.key_table.rows()


@pytest.mark.parametrize("name", CASES)
def test_after_each_kind_of_refusal(name: str) -> None:
    check(fail(CASES[name]))


def refused_association() -> Simulation:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", (BGP,), initiate=NEVER)]))
    simulation.configure("r1", configuration("r1", [peer("r2", (LDP, BGP))]))
    simulation.run(30)
    return simulation


def refused_for_want_of_a_key_exchange() -> Simulation:
    simulation = Simulation(1)
    wanted = peer("r1", (BGP, LDP), initiate=NEVER, perfect_forward_secrecy=True)
    simulation.configure("r2", configuration("r2", [wanted]))
    simulation.configure("r1", configuration("r1", [peer("r2", (BGP, LDP))]))
    simulation.run(30)
    return simulation


def refused_because_of_a_translator() -> Simulation:
    simulation = Simulation(1, network=Network(translator=Translator("10.0.0.1", address_of("r1"))))
    simulation["r1"].addresses = {"10.0.0.1"}
    listener = configuration("r1", []).listeners[LISTENER]
    listeners = {LISTENER: type(listener)(LISTENER, "10.0.0.1")}
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=NEVER)]))
    policy = IkePolicy("p", nat=NatPolicy.ALLOW)
    simulation.configure("r1", configuration("r1", [peer("r2")], policy=policy, listeners=listeners))
    simulation.run(30)
    return simulation


@pytest.mark.parametrize(
    "make", [refused_association, refused_for_want_of_a_key_exchange, refused_because_of_a_translator]
)
def test_after_a_refusal_over_an_ike_sa_that_stays(make: Callable[[], Simulation]) -> None:
    simulation = make()
    assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == 1
    check(simulation)


def begin_rollover(simulation: Simulation) -> None:
    r1 = simulation["r1"]
    r1.engine.rekey("r2", BGP, r1.at(simulation.now))


def begin_rekeying(simulation: Simulation) -> None:
    simulation["r1"].rekey_ike_sas(simulation.now)


def begin_clearing(simulation: Simulation) -> None:
    r1 = simulation["r1"]
    r1.engine.clear("r2", r1.at(simulation.now))


def begin_all(simulation: Simulation) -> None:
    begin_rekeying(simulation)
    begin_rollover(simulation)
    r2 = simulation["r2"]
    r2.rekey_ike_sas(simulation.now)
    r2.engine.rekey("r1", BGP, r2.at(simulation.now))


DEEDS = (begin_rollover, begin_rekeying, begin_clearing, begin_all)


@pytest.mark.parametrize("messages", range(8))
@pytest.mark.parametrize("deed", [None, *DEEDS])
def test_after_the_peer_has_vanished_in_the_middle(deed: Callable[[Simulation], None] | None, messages: int) -> None:
    """Whichever message is the last that arrives, of a handshake or of what is done over an IKE SA."""
    simulation = two_routers(policy=QUICK)
    simulation.checks_continuity = False
    simulation.configure("r1", configuration("r1", [], policy=QUICK))
    simulation.run(60)
    left = [messages]

    def only_so_many(_source: str, _destination: str, data: bytes) -> bytes | None:
        left[0] -= 1
        return data if left[0] >= 0 else None

    if deed is None:
        simulation.network.filter = only_so_many
        simulation.configure("r1", configuration("r1", [peer("r2")], policy=QUICK))
    else:
        simulation.configure("r1", configuration("r1", [peer("r2")], policy=QUICK))
        assert simulation.run_until(simulation.agree, 5)
        simulation.run(3)
        simulation.network.filter = only_so_many
        deed(simulation)
    simulation.run(90)
    assert simulation["r2"].engine.statistics()[EngineStatistic.IKE_SAS] == 0
    assert simulation["r2"].engine.statistics()[EngineStatistic.HALF_OPEN_IKE_SAS] == 0
    check(simulation)


def take_peer_away(simulation: Simulation, name: str) -> None:
    simulation.configure(name, configuration(name, [], policy=QUICK))


def take_association_away(simulation: Simulation, name: str) -> None:
    other = "r2" if name == "r1" else "r1"
    simulation.configure(name, configuration(name, [peer(other, (LDP,))], policy=QUICK))


def switch_off(simulation: Simulation, name: str) -> None:
    simulation.configure(name, configuration(name, [], enabled=False))


def change_secret(simulation: Simulation, name: str) -> None:
    other = "r2" if name == "r1" else "r1"
    simulation.configure(name, configuration(name, [peer(other)], policy=QUICK, secret=b"quite another one"))


@pytest.mark.parametrize("name", ["r1", "r2"])
@pytest.mark.parametrize("change", [take_peer_away, take_association_away, switch_off, change_secret])
@pytest.mark.parametrize("deed", [None, *DEEDS])
def test_after_an_operator_has_changed_his_mind_in_the_middle(
    deed: Callable[[Simulation], None] | None, change: Callable[[Simulation, str], None], name: str
) -> None:
    for delay in (0.0, 0.015, 0.03, 0.045, 0.06):
        simulation = two_routers(policy=QUICK)
        simulation.checks_continuity = False
        if deed is not None:
            assert simulation.run_until(simulation.agree, 5)
            simulation.run(3)
            deed(simulation)
        simulation.run(delay)
        change(simulation, name)
        check(simulation, tidy=False)
        simulation.run(60)
        # An agent that is switched off lets its keys be; here they are not to be counted.
        simulation.configure(name, configuration(name, [peer("r2" if name == "r1" else "r1")], policy=QUICK))
        check(simulation)


@pytest.mark.parametrize("name", ["r1", "r2"])
@pytest.mark.parametrize("is_rollover", [False, True])
def test_after_the_key_table_has_refused(monkeypatch: pytest.MonkeyPatch, name: str, is_rollover: bool) -> None:
    simulation = two_routers(policy=QUICK)
    if not is_rollover:
        simulation.configure("r1", configuration("r1", [], policy=QUICK))
        simulation.run(60)
    else:
        simulation.run(5)
    disk = FullDisk(simulation[name], monkeypatch)
    disk.is_full = True
    if is_rollover:
        begin_rollover(simulation)
    else:
        simulation.configure("r1", configuration("r1", [peer("r2")], policy=QUICK))
    simulation.run(30)
    check(simulation, tidy=False)
    disk.is_full = False
    check(simulation)


def test_after_silence_and_after_a_peer_that_has_forgotten() -> None:
    simulation = two_routers(policy=QUICK, initiate=(Initiate.IMMEDIATELY, NEVER))
    simulation.run(5)
    for _ in range(3):
        simulation.restart("r2")
        simulation.run(30)
        check(simulation, tidy=False)
    simulation["r2"].crash()
    simulation.run(60)
    assert simulation["r1"].engine.statistics()[EngineStatistic.IKE_SAS] == 0
    check(simulation)
