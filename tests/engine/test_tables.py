"""The pure parts: transitions, deadlines, KeyIDs, offers and the times of a key."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rkmp.engine import (
    TRANSITIONS,
    AssociationConfiguration,
    AssociationInput,
    AssociationState,
    ProposalConfiguration,
    SecurityProtocol,
    TransformConfiguration,
    protocol_name,
    reactions,
)
from rkmp.engine.algorithms import NO_KDF
from rkmp.engine.datagrams import needs_marker, without_marker
from rkmp.engine.key_schedule import (
    LEAST_ACCEPTANCE,
    MAXIMUM_MARGIN,
    handed_over,
    lifetimes_of_new_key,
    margin,
    never_sent,
    rollover_time,
    superseded,
)
from rkmp.engine.offers import child_request
from rkmp.engine.send_ids import allocate_id, allocate_send_id
from rkmp.engine.timers import Timers
from rkmp.ike import Event, Path
from rkmp.ike.purposes import FIRST_SA_ID, LDP_DISCOVERY
from rkmp.keytable import Direction, KeyRow, Lifetime, Provenance
from rkmp.secret import Secret
from rkmp.wire import LdpDiscoveryTransform
from tests.engine.simulation import AES, BASE, BGP, BOTH, SHA1

DAY = AssociationConfiguration(BGP, "192.0.2.2", ("ao",))


def row(role: str = "initiator", name: str = "k", *, association: AssociationConfiguration = DAY) -> KeyRow:
    lifetimes = lifetimes_of_new_key(association, BASE, None)
    return KeyRow(
        name, "01", "02", ("192.0.2.2",), "bgp", False, "hmac-sha-1", "hmac-sha-1-96", Secret(b"k" * 20),
        Direction.BOTH, lifetimes.send, lifetimes.accept,
        provenance=Provenance("r2", "bgp", bytes(8), bytes(8), BASE, role),
    )  # fmt: skip


# -- states ------------------------------------------------------------------------------------------------------------


def test_every_state_answers_every_input() -> None:
    assert set(TRANSITIONS) == set(itertools.product(AssociationState, AssociationInput))


def test_every_state_can_be_reached_and_left() -> None:
    for state in AssociationState:
        others = [pair for pair in TRANSITIONS if pair[0] is not state]
        assert state is AssociationState.IDLE or any(TRANSITIONS[pair] is state for pair in others)
        assert any(after is not state for (before, _), after in TRANSITIONS.items() if before is state)


def test_a_refused_rollover_never_makes_an_association_failed() -> None:
    for state in (AssociationState.ESTABLISHED, AssociationState.ROLLING_OVER):
        assert TRANSITIONS[state, AssociationInput.REJECTED] is AssociationState.ESTABLISHED


# -- timers ------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", b"a", b"c"]), st.none() | st.integers(0, 20)), max_size=60),
    st.integers(0, 25),
)
def test_timers_are_a_table_of_deadlines(settings: list[tuple[str | bytes, int | None]], now: int) -> None:
    timers: Timers[str | bytes] = Timers()
    expected: dict[str | bytes, int] = {}
    for key, deadline in settings:
        timers.set(key, deadline)
        expected.pop(key, None)
        if deadline is not None:
            expected[key] = deadline
        assert timers.next() == min(expected.values(), default=None)
        assert len(timers) == len(expected)
    due = timers.take_due(now)
    assert sorted(due, key=repr) == sorted((k for k, deadline in expected.items() if deadline <= now), key=repr)
    assert [expected[key] for key in due] == sorted(expected[key] for key in due)
    assert timers.next() == min((deadline for deadline in expected.values() if deadline > now), default=None)


def test_deadlines_that_move_and_move_take_no_room() -> None:
    timers: Timers[str] = Timers()
    timers.set("other", 1e9)
    for moment in range(10_000):
        timers.set("k", moment + 30.0)
    assert len(timers._heap) < 100
    assert timers.next() == 10_029.0
    timers.set("k", None)
    assert timers.next() == 1e9


# -- KeyIDs and offers -------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 255)), st.integers(0, 255), st.none() | st.integers(0, 255))
def test_a_free_key_id_is_found_if_there_is_one(in_use: set[int], after: int, preferred: int | None) -> None:
    found = allocate_send_id(in_use, preferred=preferred, after=after)
    if len(in_use) == 256:
        assert found is None
        return
    assert found is not None
    assert found not in in_use
    assert 0 <= found <= 255
    if preferred is not None and preferred not in in_use:
        assert found == preferred
    else:
        skipped = [(after + step) % 256 for step in range(1, (found - after - 1) % 256 + 1)]
        assert set(skipped) <= in_use


NEAR_AN_END = st.integers(0, 300) | st.integers(0xFFFFFF00, 0xFFFFFFFF)


@given(st.sets(NEAR_AN_END), NEAR_AN_END, st.none() | NEAR_AN_END.filter(lambda number: number > 255))
def test_an_sa_id_is_found_that_is_no_key_id(in_use: set[int], after: int, preferred: int | None) -> None:
    found = allocate_id(LDP_DISCOVERY, in_use, preferred=preferred, after=after)
    assert found is not None
    assert found not in in_use
    assert FIRST_SA_ID <= found <= 0xFFFFFFFF
    if preferred is not None and preferred not in in_use:
        assert found == preferred
    elif 255 < after < found:
        assert set(range(after + 1, found)) <= in_use


def test_hellos_are_offered_with_sa_ids_of_their_own() -> None:
    hellos = ProposalConfiguration(
        "hellos",
        tuple(TransformConfiguration(f"t{number}", number, NO_KDF) for number in (2, 1, 4)),
        SecurityProtocol.LDP_DISCOVERY,
    )
    association = AssociationConfiguration(LDP_DISCOVERY, "192.0.2.2", ("hellos",))
    request = child_request(association, [hellos], {1001}, frozenset(), after=1000)
    assert request is not None
    assert request.proposals == (
        (LdpDiscoveryTransform(1002, 2), LdpDiscoveryTransform(1003, 1), LdpDiscoveryTransform(1004, 4)),
    )


def test_an_offer_has_a_key_id_of_its_own_for_each_transform() -> None:
    request = child_request(DAY, [BOTH], {1, 2}, frozenset({9}), after=0)
    assert request is not None
    assert [[t.send_id for t in proposal] for proposal in request.proposals] == [[3, 4]]
    assert (request.routing_protocol, request.peer_send_ids_in_use) == (BGP, frozenset({9}))


def test_a_policy_is_offered_only_once_and_in_the_order_of_the_configuration() -> None:
    again = TransformConfiguration("again", 1, 1, send_id=7)
    plain = TransformConfiguration("plain", 1, 1, ignore_tcp_options=True)
    proposals = [ProposalConfiguration("a", (AES, SHA1)), ProposalConfiguration("b", (again, plain))]
    request = child_request(DAY, proposals, set(), frozenset(), after=10)
    assert request is not None
    policies = [[(t.auth_alg, t.kdf, t.ignore_tcp_options) for t in proposal] for proposal in request.proposals]
    assert policies == [[(2, 2, False), (1, 1, False)], [(1, 1, True)]]
    assert request.send_ids == (11, 12, 13)


def test_when_key_ids_are_short_the_least_wanted_goes_without() -> None:
    request = child_request(DAY, [BOTH], set(range(255)), frozenset(), after=0)
    assert request is not None
    assert request.send_ids == (255,)
    assert child_request(DAY, [BOTH], set(range(256)), frozenset(), after=0) is None


def test_private_use_protocols_are_written_in_decimal() -> None:
    assert [protocol_name(number) for number in (1, 2, 3, 4, 5, 250)] == [
        "bgp",
        "ldp",
        "msdp",
        "pim-port",
        "pcep",
        "250",
    ]


def test_markers() -> None:
    assert without_marker(bytes(4) + b"x") == (b"x", True)
    assert without_marker(b"x") == (b"x", False)
    assert needs_marker(Path(("192.0.2.1", 4500), ("192.0.2.2", 4500)))
    assert not needs_marker(Path(("192.0.2.1", 500), ("192.0.2.2", 4500)))
    assert not needs_marker(Path(("192.0.2.1", 4500), ("192.0.2.2", 500)))


# -- the times of a key ------------------------------------------------------------------------------------------------

LIFETIMES = st.builds(
    lambda lifetime, lead, overlap: replace(DAY, key_lifetime=lifetime, rollover_lead=lead, overlap=overlap),
    st.integers(60, 10**6),
    st.none() | st.integers(1, 29),
    st.none() | st.integers(1, 29),
)


@given(LIFETIMES, st.integers(0, 10**5))
def test_a_replacement_is_accepted_before_it_is_sent_with_and_the_replaced_key_after(
    association: AssociationConfiguration, age: int
) -> None:
    old = row(association=association)
    now = BASE + timedelta(seconds=min(age, association.key_lifetime))
    new = lifetimes_of_new_key(association, now, old)
    assert new.accept.start == now <= new.send.start
    assert new.send.start - now <= min(MAXIMUM_MARGIN, association.overlap_time / 2)
    assert new.accept.end is not None
    assert new.send.end is not None
    acceptance = max(association.overlap_time, LEAST_ACCEPTANCE)
    assert new.accept.end - new.send.end == acceptance
    left = handed_over(old, new.send.start)
    # No moment without a key to send with, and none with two.
    assert left.send_lifetime.end == new.send.start or left == old
    assert old.send_lifetime.end_or(now) >= new.send.start
    assert left.accept_lifetime == old.accept_lifetime
    gone = superseded(left, association, now, new.send.start)
    assert gone.send_lifetime == left.send_lifetime
    assert gone.accept_lifetime.end_or(now) <= now + acceptance
    # The peer goes on sending with it for a margin of its own, whatever ours is.
    assert acceptance > MAXIMUM_MARGIN
    assert gone.accept_lifetime.end_or(now) - gone.send_lifetime.end_or(now) >= acceptance / 2
    later = timedelta(seconds=1)
    assert superseded(gone, association, now + later, new.send.start + later) == gone


def test_no_step_moves_an_instant_later() -> None:
    old = replace(row(), send_lifetime=Lifetime(BASE, BASE), accept_lifetime=Lifetime(BASE, BASE))
    later = BASE + timedelta(days=3)
    assert handed_over(old, later) == superseded(old, DAY, later, later) == old


@given(st.integers(-100, 100))
def test_a_key_whose_time_comes_after_that_of_its_successor_is_only_accepted(seconds: int) -> None:
    old = replace(row(), send_lifetime=Lifetime(BASE, BASE + timedelta(days=1)))
    start = BASE + timedelta(seconds=seconds)
    left = handed_over(old, start)
    assert left.for_sending == (start > BASE)
    assert left.accept_lifetime == old.accept_lifetime
    assert left.send_lifetime.end == (max(BASE, start))


def test_a_key_from_the_future_is_cut_off_by_a_clock_set_back() -> None:
    now = BASE - timedelta(days=30)
    left = superseded(row(), DAY, now, now + margin(DAY))
    assert not left.for_sending
    assert left.accept_lifetime.end == now + DAY.overlap_time


def test_a_key_that_is_only_accepted_is_never_sent_with_once_it_is_replaced() -> None:
    waiting = replace(row(), direction=Direction.IN)
    gone = superseded(waiting, DAY, BASE + timedelta(hours=1), BASE + timedelta(hours=1))
    assert gone.send_lifetime.start == gone.send_lifetime.end
    assert never_sent(row()).direction is Direction.IN


def test_who_asked_rolls_first_and_keys_do_not_roll_all_at_once() -> None:
    lead = DAY.lead
    times = []
    for number in range(200):
        first, second = (rollover_time(DAY, row(role, f"k{number}")) for role in ("initiator", "responder"))
        assert first is not None
        assert second is not None
        end = row().send_lifetime.end
        assert end is not None
        assert 0.9 * lead <= end - first <= lead
        assert 0.65 * lead <= end - second <= 0.75 * lead
        times.append(first)
    assert len(set(times)) > 150
    assert rollover_time(DAY, replace(row(), send_lifetime=Lifetime(BASE, None))) is None


def test_absent_times_are_a_tenth_of_the_lifetime() -> None:
    assert (DAY.lead, DAY.overlap_time) == (timedelta(seconds=8640), timedelta(seconds=8640))
    assert replace(DAY, rollover_lead=5, overlap=7).lead == timedelta(seconds=5)


def test_every_event_of_an_ike_sa_has_a_reaction() -> None:
    # By name: a dataclass with slots is made twice.
    events = {event.__name__ for event in Event.__subclasses__()}
    assert {event.__name__ for event in reactions._REACTIONS} == events
