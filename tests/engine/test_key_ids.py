"""KeyIDs run out, which operators see, and come back once the keys that carry them are gone (RFC 5925 section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from rkmp.engine import (
    AssociationState,
    IkePolicy,
    NegotiationFailure,
    PeerStatistic,
    RolloverCompleted,
    failure_statistic,
)
from rkmp.ike import ChildRefusal
from rkmp.keytable import Lifetime
from rkmp.wire import NotifyType
from tests.engine.simulation import BGP, Router, Simulation, address_of, configuration, peer, two_routers
from tests.keytable.rows import manual_row

EXHAUSTED = "all 256 KeyIDs towards this peer are in use"
OTHER = {"r1": "r2", "r2": "r1"}


def take_manually(router: Router, key_ids: Iterable[int], now: float) -> None:
    """Let the keys of an operator be those that take ``key_ids``, two each; they can be used in a year."""
    wall, taken = router.at(now).wall, list(key_ids)
    later = Lifetime(wall.replace(year=wall.year + 1), None)
    rows = [
        manual_row(
            f"manual-{one:02x}",
            local_key_name=f"{one:02x}",
            peer_key_name=f"{other:02x}",
            peers=(address_of(OTHER[router.name]),),
            send_lifetime=later,
            accept_lifetime=later,
        )
        for one, other in zip(taken[::2], taken[1::2], strict=True)
    ]
    router.key_table.apply_manual(router.key_table.prepare_manual(rows), wall)


def rekey(simulation: Simulation, name: str) -> None:
    router = simulation[name]
    router.engine.rekey(OTHER[name], BGP, router.at(simulation.now))


def failures(simulation: Simulation, name: str) -> list[NegotiationFailure]:
    return [event for event in simulation[name].happened(NegotiationFailure) if isinstance(event, NegotiationFailure)]


def counted(simulation: Simulation, name: str) -> tuple[int, int]:
    statistics = simulation[name].snapshot(OTHER[name], simulation.now).statistics
    of_reason = statistics.get(failure_statistic(ChildRefusal.NO_ADDITIONAL_SAS), 0)
    return statistics.get(PeerStatistic.NEGOTIATIONS_FAILED, 0), of_reason


def test_who_has_no_key_id_to_announce_says_so_and_asks_again_when_there_is_one() -> None:
    simulation = Simulation(1)
    r1, r2 = simulation["r1"], simulation["r2"]
    take_manually(r1, range(256), simulation.now)
    r2.configure(configuration("r2", [peer("r1")]), simulation.now)
    r1.configure(configuration("r1", [peer("r2")]), simulation.now)
    simulation["r2"].crash()
    simulation.run(20)
    association = r1.association("r2", BGP, simulation.now)
    assert association.state is AssociationState.FAILED
    assert association.last_error == EXHAUSTED
    assert {(each.protocol, each.reason, each.notify_type) for each in failures(simulation, "r1")} == {
        ("bgp", EXHAUSTED, NotifyType.NO_ADDITIONAL_SAS)
    }
    assert counted(simulation, "r1") == (len(failures(simulation, "r1")),) * 2
    assert simulation.sent == 0
    # Nothing has to be done but to take a key away.
    r2.start(simulation.now)
    take_manually(r1, range(254), simulation.now)
    assert simulation.run_until(lambda: r1.sending("r2", BGP, simulation.now) is not None, 60)
    association = r1.association("r2", BGP, simulation.now)
    assert association.last_error is None
    assert association.send_id in (254, 255)


def test_a_peer_without_a_key_id_for_its_answer_refuses_and_both_say_why() -> None:
    simulation = two_routers(overlap=600)
    simulation.run(5)
    in_use = simulation["r2"].engine._peers["r1"].key_ids_in_use()
    # Two are left: the next key has both of them.
    take_manually(simulation["r2"], sorted(set(range(256)) - in_use)[2:], simulation.now)
    for _ in range(3):
        rekey(simulation, "r1")
        simulation.run(1)
    before = simulation["r1"].sending("r2", BGP, simulation.now)
    assert failures(simulation, "r1")[-1].notify_type == NotifyType.NO_ADDITIONAL_SAS
    assert failures(simulation, "r1")[-1].reason.startswith("no further key is allowed: ")
    assert EXHAUSTED in failures(simulation, "r2")[-1].reason
    assert counted(simulation, "r1")[1] >= 1
    assert counted(simulation, "r2")[1] >= 1
    # It costs no key that there is.
    assert before is not None
    assert simulation["r1"].association("r2", BGP, simulation.now).state in (
        AssociationState.ESTABLISHED,
        AssociationState.ROLLING_OVER,
    )
    take_manually(simulation["r2"], (), simulation.now)
    rekey(simulation, "r1")
    simulation.run(700)
    assert simulation.agree()


def test_keys_that_are_retired_slowly_use_them_up_and_give_them_back() -> None:
    simulation = two_routers(overlap=3000, policy=IkePolicy("p", liveness_interval=0))
    simulation.run(2)
    for _ in range(130):
        rekey(simulation, "r1")
        simulation.run(0.2)
    assert failures(simulation, "r1")[-1].reason == EXHAUSTED
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.current_key is not None
    assert association.last_error == EXHAUSTED
    assert len(simulation["r1"].key_table.rows()) == 128
    simulation.run(3100)
    assert len(simulation["r1"].key_table.rows()) == 1
    rekey(simulation, "r1")
    simulation.run(3100)
    assert simulation.agree()
    assert simulation["r1"].association("r2", BGP, simulation.now).last_error is None


def test_a_key_id_comes_back_late_and_none_is_lost_on_the_way() -> None:
    simulation = two_routers(overlap=2)
    simulation.run(2)
    announced: list[int] = []
    for number in range(200):
        rekey(simulation, "r1" if number % 3 else "r2")
        simulation.run(5)
        association = simulation["r1"].association("r2", BGP, simulation.now)
        assert association.send_id is not None
        announced.append(association.send_id)
    assert not failures(simulation, "r1")
    assert not failures(simulation, "r2")
    assert len(simulation["r1"].happened(RolloverCompleted)) >= 199
    # In a circle through all of them, so that no old segment is taken for a new one.
    for place, key_id in enumerate(announced):
        assert key_id not in announced[max(0, place - 60) : place]
    assert len(set(announced)) > 100
