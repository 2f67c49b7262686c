"""One key follows another: when, who begins, in which steps, and what a loss, a crash or a clock does to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rkmp.engine import (
    AssociationState,
    AssociationStateChange,
    IkePolicy,
    Initiate,
    NegotiationFailure,
    RequestCompleted,
    RolloverCompleted,
    RolloverStarted,
)
from rkmp.keytable import Direction, KeyState, key_state
from tests.engine.network import Network
from tests.engine.simulation import BASE, BGP, LDP, Simulation, configuration, peer, two_routers


def keyed(**settings: object) -> Simulation:
    """Return two routers that hold a first key, agreed at about second 0."""
    simulation = two_routers(**settings)  # type: ignore[arg-type]
    assert simulation.run_until(lambda: simulation.agree() and simulation.established(), 60.0)
    simulation.run(5)
    return simulation


def rekey(simulation: Simulation, name: str = "r1", protocol: int = BGP) -> int:
    router = simulation[name]
    request = router.engine.rekey("r2" if name == "r1" else "r1", protocol, router.at(simulation.now))
    simulation.pump()
    return request


@pytest.mark.parametrize("initiate", [Initiate.ON_DEMAND, Initiate.NEVER], ids=["both ask", "one asks"])
@pytest.mark.parametrize(
    ("one", "other"),
    [((86400, None, None), (60, 1, 1)), ((60, 59, 1), (60, 1, 59)), ((3600, 60, 3000), (60, 30, 1))],
    ids=["a day and a minute", "little lead and little overlap", "long and short overlap"],
)
def test_the_sides_may_have_quite_different_lifetimes(
    one: tuple[int, int | None, int | None], other: tuple[int, int | None, int | None], initiate: Initiate
) -> None:
    """At every step the simulation requires that what one sends with is accepted by the other."""
    simulation = Simulation(9)
    fields = ("key_lifetime", "rollover_lead", "overlap")
    first = peer("r2", (BGP,), **dict(zip(fields, one, strict=True)))
    second = peer("r1", (BGP,), initiate=initiate, **dict(zip(fields, other, strict=True)))
    simulation.configure("r1", configuration("r1", [first]))
    simulation.configure("r2", configuration("r2", [second]))
    simulation.run(200)
    assert len(simulation["r1"].happened(RolloverCompleted)) >= 3
    assert not simulation["r1"].happened(NegotiationFailure)


def completions(simulation: Simulation, name: str = "r1") -> list[RequestCompleted]:
    return [event for event in simulation[name].events if isinstance(event, RequestCompleted)]


def test_a_key_is_replaced_before_it_ends_and_never_stops_working() -> None:
    simulation = keyed(key_lifetime=600, rollover_lead=100, overlap=60)
    first = simulation["r1"].sending("r2", BGP, simulation.now)
    assert first is not None
    assert first.send_lifetime.end is not None
    shown = simulation["r1"].association("r2", BGP, simulation.now).next_rollover_at
    assert shown is not None
    assert timedelta(seconds=90) <= first.send_lifetime.end - shown <= timedelta(seconds=100)
    assert simulation.run_until(lambda: len(simulation["r1"].key_table.rows()) == 2, 600)
    begun = simulation["r1"].at(simulation.now).wall
    assert timedelta(0) <= begun - shown < timedelta(seconds=1)
    assert simulation.run_until(lambda: simulation["r1"].association("r2", BGP, simulation.now).rollovers == 1, 100)
    assert simulation.agree()
    started, completed = simulation["r1"].happened(RolloverStarted), simulation["r1"].happened(RolloverCompleted)
    assert [(e.reason, e.key_name) for e in started if isinstance(e, RolloverStarted)] == [
        ("lifetime", first.admin_key_name)
    ]
    (event,) = completed
    assert isinstance(event, RolloverCompleted)
    assert event.replaced_key_name == first.admin_key_name
    reasons = [event.reason for event in simulation["r2"].events if isinstance(event, RolloverStarted)]
    assert reasons == ["peer"]


def test_ten_rollovers_in_a_row_leave_one_key_and_no_child_behind() -> None:
    simulation = keyed(key_lifetime=600, protocols=(BGP, LDP))
    simulation.run(6000)
    assert simulation.run_until(simulation.established, 120)
    simulation.run(1)
    assert simulation.agree()
    for name, other in (("r1", "r2"), ("r2", "r1")):
        router = simulation[name]
        assert len(router.key_table.rows()) == 2
        assert router.association(other, BGP, simulation.now).rollovers >= 10
        assert len(router.engine._peers[other].conversations) == 1
        (conversation,) = router.engine._peers[other].conversations.values()
        assert len(conversation.ike_sa.children) == 2


def test_the_side_that_asked_rolls_first_and_the_other_only_when_it_does_not() -> None:
    simulation = keyed(key_lifetime=600, rollover_lead=200, overlap=60)
    assert simulation.run_until(lambda: len(simulation["r1"].key_table.rows()) == 2, 600)
    assert 400 <= simulation.now <= 421
    assert [row.provenance.role for row in simulation["r1"].key_table.rows() if row.provenance] == ["initiator"] * 2

    simulation = keyed(key_lifetime=600, rollover_lead=200, overlap=60)
    # The first is set not to roll over at all before its key ends.
    late = configuration("r1", [peer("r2", key_lifetime=600, rollover_lead=1, overlap=60)])
    simulation.configure("r1", late)
    assert simulation.run_until(lambda: len(simulation["r1"].key_table.rows()) == 2, 600)
    assert 450 <= simulation.now <= 471
    simulation.run(1)
    roles = {row.provenance.role for row in simulation["r2"].key_table.rows() if row.provenance}
    assert roles == {"responder", "initiator"}


def test_rekey_on_demand_reports_the_new_key() -> None:
    simulation = keyed()
    before = simulation["r1"].sending("r2", BGP, simulation.now)
    request = rekey(simulation)
    assert simulation.run_until(lambda: bool(completions(simulation)), 1.0)
    (done,) = completions(simulation)
    assert done.request == request
    assert done.error is None
    assert before is not None
    assert done.key_name is not None
    assert done.key_name != before.admin_key_name
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.state is AssociationState.ROLLING_OVER
    assert (association.current_key, association.next_key) == (before.admin_key_name, done.key_name)
    simulation.run(10)
    assert simulation["r1"].association("r2", BGP, simulation.now).current_key == done.key_name


def test_a_rekey_asked_for_during_another_waits_for_that_one() -> None:
    simulation = keyed()
    requests = [rekey(simulation), rekey(simulation)]
    simulation.run(1)
    done = completions(simulation)
    assert [event.request for event in done] == requests
    assert len({event.key_name for event in done}) == 1


def test_rekey_from_the_responder_works_over_the_same_ike_sa() -> None:
    simulation = keyed(initiate=(Initiate.ON_DEMAND, Initiate.NEVER))
    rekey(simulation, "r2")
    assert simulation.run_until(lambda: bool(completions(simulation, "r2")), 1.0)
    simulation.run(20)
    assert simulation["r2"].sending("r1", BGP, simulation.now) is not None
    assert simulation["r2"].snapshot("r1", simulation.now).ike_sas[0].role == "responder"


def test_both_sides_may_rekey_at_once() -> None:
    for seed in range(30):
        simulation = two_routers(seed, overlap=60, network=Network(delay=(0.001, 0.2)))
        simulation.run(5)
        rekey(simulation, "r1")
        rekey(simulation, "r2")
        simulation.run(200)
        assert simulation.agree(), seed
        assert len(simulation["r1"].key_table.rows()) == 1
        for name in ("r1", "r2"):
            (done,) = completions(simulation, name)
            assert done.error is None


def test_the_answering_side_switches_only_when_it_knows_that_the_new_key_arrived() -> None:
    simulation = keyed(overlap=60)
    first = simulation["r2"].sending("r1", BGP, simulation.now)
    assert first is not None
    # Everything that r2 says from now on is lost: its answer too.
    simulation.network.filter = lambda source, _to, data: None if source == simulation["r2"].address else data
    rekey(simulation)
    simulation.run(20)
    rows = simulation["r2"].key_table.rows_for(simulation["r1"].address, "bgp")
    assert [row.direction for row in rows] == [Direction.BOTH, Direction.IN]
    assert simulation["r2"].sending("r1", BGP, simulation.now) == first
    assert key_state(rows[1], simulation["r2"].at(simulation.now).wall) is KeyState.ACCEPT_ONLY
    assert simulation["r2"].association("r1", BGP, simulation.now).next_key == rows[1].admin_key_name
    assert len(simulation["r1"].key_table.rows()) == 1
    simulation.network.filter = lambda _source, _to, data: data
    simulation.run(300)
    assert simulation.agree()
    assert len(simulation["r2"].key_table.rows()) == 1


def test_the_asking_side_retires_the_old_key_only_when_it_knows_that_the_other_has_switched() -> None:
    simulation = keyed(overlap=60)
    count = 0

    def lose_after_the_answer(source: str, _to: str, data: bytes) -> bytes | None:
        nonlocal count
        if source == simulation["r2"].address:
            count += 1
            return data if count == 1 else None
        return data

    simulation.network.filter = lose_after_the_answer
    rekey(simulation)
    simulation.run(20)
    rows = simulation["r1"].key_table.rows_for(simulation["r2"].address, "bgp")
    assert len(rows) == 2
    wall = simulation["r1"].at(simulation.now).wall
    assert not rows[0].send_lifetime.contains(wall)
    # r1 sends with the new key, and accepts the old one for as long as it was meant to live.
    assert rows[0].accept_lifetime.end is not None
    assert rows[0].accept_lifetime.end > wall + timedelta(hours=1)
    # A dead IKE SA does not leave it at that.
    simulation.network.filter = lambda _source, _to, data: data
    simulation.run(300)
    assert simulation.agree()
    assert len(simulation["r1"].key_table.rows()) == 1


def test_a_key_of_which_nobody_heard_again_is_used_when_there_is_no_other() -> None:
    simulation = keyed(key_lifetime=60, rollover_lead=20, overlap=10, initiate=(Initiate.ON_DEMAND, Initiate.NEVER))
    simulation.checks_continuity = False
    simulation.network.filter = lambda source, _to, data: None if source == simulation["r2"].address else data
    rekey(simulation)
    simulation.run(2)
    waiting = simulation["r2"].association("r1", BGP, simulation.now).next_key
    simulation["r1"].crash()
    simulation.run(56)
    association = simulation["r2"].association("r1", BGP, simulation.now)
    assert association.current_key == waiting


def test_a_key_that_ends_without_a_replacement_is_reported_lost() -> None:
    simulation = keyed(key_lifetime=60, rollover_lead=20, overlap=10)
    simulation.checks_continuity = False
    simulation["r2"].crash()
    simulation.run(120)
    r1 = simulation["r1"]
    association = r1.association("r2", BGP, simulation.now)
    assert association.current_key is None
    assert association.state in (AssociationState.FAILED, AssociationState.NEGOTIATING)
    assert association.last_error is not None
    lost = [e for e in r1.events if isinstance(e, AssociationStateChange) and "lifetime ended" in e.reason]
    assert lost
    assert r1.happened(NegotiationFailure)
    simulation["r2"].start(simulation.now)
    assert simulation.run_until(simulation.agree, 700)


def test_a_failed_rollover_keeps_the_key_and_is_tried_again() -> None:
    simulation = keyed(key_lifetime=600, rollover_lead=300, overlap=60)
    simulation.network.cuts = [(0, 450)]
    simulation.run(420)
    association = simulation["r1"].association("r2", BGP, simulation.now)
    assert association.state in (AssociationState.ESTABLISHED, AssociationState.ROLLING_OVER)
    assert association.current_key is not None
    assert association.last_error is not None
    assert "no answer" in association.last_error
    simulation.run(170)
    assert simulation.agree() or simulation["r1"].association("r2", BGP, simulation.now).rollovers
    assert simulation["r1"].association("r2", BGP, simulation.now).last_error is None


@pytest.mark.parametrize("who", ["r1", "r2"])
def test_a_restart_keeps_the_keys_and_the_next_rollover_supersedes_them(who: str) -> None:
    simulation = keyed(key_lifetime=600, overlap=60)
    before = {name: set(router.key_table.rows()) for name, router in simulation.routers.items()}
    simulation.restart(who)
    other = "r2" if who == "r1" else "r1"
    assert set(simulation[who].key_table.rows()) == before[who]
    association = simulation[who].association(other, BGP, simulation.now)
    assert association.state is AssociationState.ESTABLISHED
    assert simulation.run_until(lambda: not before[who] & set(simulation[who].key_table.rows()), 700)
    simulation.run(20)
    assert simulation.run_until(simulation.agree, 100)


def test_a_restart_never_announces_a_live_key_id_again() -> None:
    simulation = keyed(overlap=600)
    seen: set[str] = set()
    for _ in range(5):
        rekey(simulation)
        simulation.run(2)
        simulation.restart("r1")
        simulation.run(2)
    rows = simulation["r1"].key_table.rows_for(simulation["r2"].address, "bgp")
    assert len(rows) >= 6
    for row in rows:
        assert not {row.peer_key_name, row.local_key_name} & seen
        seen |= {row.peer_key_name, row.local_key_name}


def test_a_restart_in_the_middle_of_a_rollover_is_finished_with_another_key() -> None:
    for delay in (0.005, 0.015, 0.025, 0.035, 0.045):
        for who in ("r1", "r2"):
            simulation = keyed(overlap=60, initiate=(Initiate.ON_DEMAND, Initiate.ON_DEMAND))
            rekey(simulation)
            simulation.run(delay)
            simulation.restart(who)
            simulation.run(300)
            assert simulation.agree(), (who, delay)
            assert len(simulation["r1"].key_table.rows()) == 1


def test_a_key_that_only_one_side_may_hold_is_kept_until_somebody_may_begin() -> None:
    """r1 crashes before it hears that r2 agreed, and r2 may not open an IKE SA: the old key serves on."""
    simulation = keyed(overlap=60, initiate=(Initiate.ON_DEMAND, Initiate.NEVER))
    simulation.network.filter = lambda source, _to, data: None if source == simulation["r2"].address else data
    rekey(simulation)
    simulation.run(0.05)
    simulation.restart("r1")
    simulation.network.filter = lambda _source, _to, data: data
    simulation.run(5)
    # r1 never had the new key, so nothing tells it that something is missing; r2 may not begin.
    assert [row.direction for row in simulation["r2"].key_table.rows()] == [Direction.BOTH, Direction.IN]
    rekey(simulation)
    simulation.run(100)
    assert simulation.agree()


def test_clocks_that_disagree_by_minutes_roll_over_all_the_same() -> None:
    simulation = Simulation(3, skew=0)
    simulation["r1"].skew, simulation["r2"].skew = 150.0, -150.0
    for name, other, mode in (("r2", "r1", Initiate.NEVER), ("r1", "r2", Initiate.ON_DEMAND)):
        settings = peer(other, initiate=mode, key_lifetime=600, overlap=60)
        simulation.configure(name, configuration(name, [settings]))
    simulation.run(3000)
    assert simulation.run_until(simulation.agree, 120)
    assert simulation["r1"].association("r2", BGP, simulation.now).rollovers >= 4


def test_a_clock_set_back_gets_a_key_that_can_be_used_now() -> None:
    simulation = keyed()
    simulation.checks_continuity = False
    simulation["r1"].skew = -7200.0
    assert simulation["r1"].sending("r2", BGP, simulation.now) is None
    simulation["r1"].engine.handle_timer(simulation["r1"].at(simulation.now))
    simulation.run(1)
    assert simulation["r1"].sending("r2", BGP, simulation.now) is not None


def test_a_clock_set_forward_past_the_rollover_rolls_at_once() -> None:
    simulation = keyed(key_lifetime=86400)
    simulation.checks_continuity = False
    simulation["r1"].skew = 86400 - 3600.0
    simulation["r1"].engine.handle_timer(simulation["r1"].at(simulation.now))
    simulation.run(1)
    assert len(simulation["r1"].key_table.rows()) == 2


def test_different_lifetimes_on_the_two_sides_roll_by_the_shorter() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER, key_lifetime=300)]))
    simulation.configure("r1", configuration("r1", [peer("r2", key_lifetime=86400)]))
    simulation.run(2000)
    assert simulation["r1"].association("r2", BGP, simulation.now).current_key is not None
    assert len(simulation["r2"].happened(RolloverCompleted)) >= 5


def test_overlaps_that_differ_by_far_never_leave_a_gap() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", configuration("r2", [peer("r1", initiate=Initiate.NEVER, overlap=6000)]))
    simulation.configure("r1", configuration("r1", [peer("r2", overlap=12)]))
    simulation.run(5)
    for _ in range(3):
        rekey(simulation, "r1")
        simulation.run(30)
        rekey(simulation, "r2")
        simulation.run(30)
    assert simulation["r1"].sending("r2", BGP, simulation.now) is not None


def test_an_ike_sa_that_is_not_retained_is_opened_again_for_each_rollover() -> None:
    simulation = keyed(policy=IkePolicy("p", retain_ike_sa=False), key_lifetime=600, overlap=60, protocols=(BGP, LDP))
    simulation.run(30)
    for router in simulation.routers.values():
        assert router.engine.statistics()["ike-sas"] == 0
    assert simulation.agree()
    simulation.run(1000)
    assert simulation.run_until(simulation.established, 100)
    assert simulation.agree()
    assert simulation["r1"].association("r2", BGP, simulation.now).rollovers >= 1


def test_requests_that_wait_end_with_the_association() -> None:
    simulation = keyed()
    simulation["r2"].crash()
    request = rekey(simulation)
    simulation.run(1)
    simulation.configure("r1", configuration("r1", []))
    (done,) = completions(simulation)
    assert (done.request, done.key_name) == (request, None)
    assert done.error is not None
    assert "removed" in done.error


def test_a_rekey_of_an_unreachable_peer_fails_with_the_reason() -> None:
    simulation = keyed()
    simulation["r2"].crash()
    rekey(simulation)
    assert simulation.run_until(lambda: bool(completions(simulation)), 300)
    (done,) = completions(simulation)
    assert done.key_name is None
    assert done.error is not None
    assert "no answer" in done.error


def test_times_are_those_of_the_configuration() -> None:
    simulation = two_routers(key_lifetime=1000, overlap=100)
    simulation.run_until(simulation.agree, 1)
    row = simulation["r1"].sending("r2", BGP, simulation.now)
    assert row is not None
    assert row.provenance is not None
    agreed = row.provenance.negotiated_at
    assert BASE <= agreed <= BASE + timedelta(seconds=1)
    assert (row.send_lifetime.start, row.send_lifetime.end) == (agreed, agreed + timedelta(seconds=1000))
    assert (row.accept_lifetime.start, row.accept_lifetime.end) == (agreed, agreed + timedelta(seconds=1100))
    assert replace(row, admin_key_name="other") != row
