"""Both sides act at once: the rule of nonces, and the table of RFC 7296 2.25, as far as children go (G23)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.ike import (
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    ChildRefused,
    IkeSaState,
    Statistic,
    is_redundant,
)
from rkmp.wire import Notify, NotifyType
from tests.ike.network import BGP, LDP, Router, assert_same_keys, established, inside, refused, request, settle

nonces = st.tuples(st.binary(min_size=16, max_size=32), st.binary(min_size=16, max_size=32))


# -- the rule --------------------------------------------------------------------------------------------------------


def test_the_exchange_with_the_lowest_of_the_four_nonces_loses() -> None:
    low, high = b"\x00" + bytes(15), b"\x01" + bytes(15)
    assert is_redundant((low, b"\xff" * 16), (high, high))
    assert is_redundant((b"\xff" * 16, low), (high, high))
    assert not is_redundant((high, high), (low, b"\xff" * 16))


def test_octets_are_compared_one_by_one_and_not_as_numbers() -> None:
    assert is_redundant((b"\x00" + b"\xff" * 31, b"\xff" * 16), (b"\x01" + bytes(15), b"\xff" * 16))


def test_the_beginning_of_another_nonce_is_lower() -> None:
    assert is_redundant((b"\x05" * 16, b"\xff" * 16), (b"\x05" * 17, b"\xff" * 16))
    assert not is_redundant((b"\x05" * 17, b"\xff" * 16), (b"\x05" * 16, b"\xff" * 16))


@given(nonces, nonces)
def test_the_two_sides_never_disagree(ours: tuple[bytes, bytes], theirs: tuple[bytes, bytes]) -> None:
    assert is_redundant(ours, theirs) != is_redundant(theirs, ours) or sorted(ours) == sorted(theirs)
    assert is_redundant(ours, theirs) == is_redundant(ours[::-1], theirs[::-1])


# -- the rule at work ------------------------------------------------------------------------------------------------


@dataclass
class Chosen:
    """Randomness that begins each nonce with an octet of the test's choosing; the rest is the router's own."""

    router: Router
    first_octets: list[int]
    drawn: int = field(default=0)

    def __post_init__(self) -> None:
        self._random = self.router.random
        self.router.random = self
        for ike_sa in self.router.ike_sas:
            ike_sa._core.context.random = self

    def __call__(self, length: int) -> bytes:
        octets = self._random(length)
        if length == 32 and self.first_octets:
            return bytes((self.first_octets.pop(0),)) + octets[1:]
        return octets


def at_once(send_id: int | None) -> tuple[Router, Router]:
    """Return two routers that have both asked, for a new key or to replace the one of BGP."""
    if send_id is None:
        alice, bob = established()
        for router in (alice, bob):
            router.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    else:
        alice, bob = established()
        alice.ike_sa.rekey_child(10, request(20, 21), 1.0)
        bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    alice.collect()
    bob.collect()
    return alice, bob


def assert_resolved(alice: Router, bob: Router, protocol: int) -> None:
    """One new key is left, the same on both sides, and it is the one in use."""
    assert_same_keys(alice, bob)
    ours, theirs = alice.current(protocol), bob.current(protocol)
    assert ours is not None
    assert theirs is not None
    assert ours[1] == theirs[1]
    assert alice.redundant == bob.redundant == set()
    live = [child for child, _ in alice.keys.values() if child.routing_protocol == protocol]
    assert len(live) == (2 if protocol == BGP else 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
@pytest.mark.parametrize("send_id", [None, 10], ids=["create", "rekey"])
def test_every_order_of_nonces_leaves_one_key(order: tuple[int, int, int, int], send_id: int | None) -> None:
    """``order``: alice's nonce and bob's answer to it, bob's nonce and alice's answer to it."""
    alice, bob = established()
    Chosen(alice, [order[0], order[3]])
    Chosen(bob, [order[2], order[1]])
    if send_id is None:
        alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
        bob.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    else:
        alice.ike_sa.rekey_child(10, request(20, 21), 1.0)
        bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    alice.collect()
    bob.collect()
    settle(alice, bob, 1.0)
    protocol = LDP if send_id is None else BGP
    assert_resolved(alice, bob, protocol)
    loser, winner = (alice, bob) if 1 in order[:2] else (bob, alice)
    (survivor,) = (child for child, _ in loser.keys.values() if child.send_id >= 100 and child.send_id != 200)
    assert not survivor.requester
    assert loser.last(ChildDeleted).reason is ChildDeletion.REDUNDANT
    assert winner.last(ChildDeleted).reason is ChildDeletion.REDUNDANT
    redundant = [event for event in loser.of(ChildKeysEstablished) if event.redundant]  # type: ignore[attr-defined]
    assert len(redundant) == 1
    assert not any(event.redundant for event in winner.of(ChildKeysEstablished))  # type: ignore[attr-defined]


def test_a_redundant_key_is_accepted_until_it_is_deleted() -> None:
    alice, bob = at_once(10)
    # Bob's answer to alice brings the lowest nonce.
    Chosen(alice, [0xFF])
    Chosen(bob, [0x00])
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    bob.receive(from_alice, 1.0)
    alice.receive(from_bob, 1.0)
    (answer,) = bob.sent()
    alice.receive(answer, 1.0)
    event = alice.last(ChildKeysEstablished)
    assert event.redundant
    assert event.child.send_id in alice.keys
    settle(alice, bob, 1.0)


def test_a_rival_counts_even_when_it_is_gone_already() -> None:
    """Alice's key has won, was replaced and deleted before bob hears that his own has been made."""
    alice, bob = established()
    # Bob's nonce is the lowest of the four.
    Chosen(alice, [0x03, 0x02])
    Chosen(bob, [0x01, 0x04])
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    bob.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    bob.collect()
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    alice.receive(from_bob, 1.0)
    (late,) = alice.sent()
    bob.receive(from_alice, 1.0)
    alice.receive(bob.sent()[0], 1.0)
    alice.ike_sa.rekey_child(30, request(40, 41, protocol=LDP), 2.0)
    alice.collect()
    settle(alice, bob, 2.0)
    alice.ike_sa.delete_child(30, 3.0)
    alice.collect()
    settle(alice, bob, 3.0)
    bob.receive(late, 4.0)
    assert bob.last(ChildKeysEstablished).redundant
    settle(alice, bob, 4.0)
    assert_same_keys(alice, bob)
    ours, theirs = alice.current(LDP), bob.current(LDP)
    assert ours is not None
    assert theirs is not None
    assert ours[0].send_id == 40
    assert ours[1] == theirs[1]


# -- one side sees it, the other does not ----------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", [False, True], ids=["kept", "deleted"])
def test_a_request_that_comes_after_the_peer_was_done_is_ignored(*, deleted: bool) -> None:
    """RFC 7296 2.8.1, the second sequence: alice's request is lost, and bob's rekeying completes meanwhile."""
    alice, bob = at_once(10)
    (late,) = alice.sent()
    (from_bob,) = bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    if deleted:
        bob.ike_sa.delete_child(200, 2.0)
        bob.collect()
        (deletion,) = bob.sent()
        alice.receive(deletion, 2.0)
        bob.receive(alice.sent()[0], 2.0)
    bob.receive(late, 3.0)
    (answer,) = bob.sent()
    (notify,) = inside(alice, answer)
    assert isinstance(notify, Notify)
    assert notify.notify_type == (NotifyType.CHILD_SA_NOT_FOUND if deleted else NotifyType.TEMPORARY_FAILURE)
    alice.receive(answer, 3.0)
    assert refused(alice).reason is ChildRefusal.ALREADY_REPLACED
    assert_same_keys(alice, bob)
    assert len(alice.keys) == (1 if deleted else 2)
    assert alice.sent() == bob.sent() == []


def test_a_rekey_that_waits_while_the_peer_does_it_is_not_sent() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.rekey_child(10, request(20, 21), 1.0)
    alice.collect()
    (check,) = alice.sent()
    bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    bob.collect()
    (from_bob,) = bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(check, 1.0)
    settle(alice, bob, 1.0)
    assert refused(alice).reason is ChildRefusal.ALREADY_REPLACED
    assert len(alice.keys) == 2
    assert_same_keys(alice, bob)


# -- RFC 7296 2.25.1 -------------------------------------------------------------------------------------------------


def test_rekey_of_a_child_that_is_being_closed_fails_for_now() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    alice.collect()
    bob.collect()
    (deletion,), (rekey,) = alice.sent(), bob.sent()
    alice.receive(rekey, 1.0)
    (answer,) = alice.sent()
    assert inside(bob, answer) == (Notify(NotifyType.TEMPORARY_FAILURE),)
    bob.receive(deletion, 1.0)
    (empty,) = bob.sent()
    bob.receive(answer, 1.0)
    alice.receive(empty, 1.0)
    assert alice.keys == bob.keys == {}
    assert len(bob.of(ChildRefused)) == 1


def test_close_of_a_child_that_is_being_rekeyed_is_answered_as_usual() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    alice.collect()
    bob.collect()
    (deletion,), (rekey,) = alice.sent(), bob.sent()
    bob.receive(deletion, 1.0)
    (answer,) = bob.sent()
    assert len(inside(alice, answer)) == 1
    alice.receive(answer, 1.0)
    alice.receive(rekey, 1.0)
    (not_found,) = alice.sent()
    bob.receive(not_found, 1.0)
    assert refused(bob).reason is ChildRefusal.ALREADY_REPLACED
    assert alice.keys == bob.keys == {}
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_rekey_that_was_answered_before_the_old_key_went_makes_a_key() -> None:
    """Bob's answer is lost, alice deletes the old key, and then has the answer again."""
    alice, bob = established()
    bob.ike_sa.rekey_child(200, request(20, 21), 1.0)
    bob.collect()
    (rekey,) = bob.sent()
    alice.receive(rekey, 1.0)
    alice.sent()
    alice.ike_sa.delete_child(10, 1.5)
    alice.collect()
    (deletion,) = alice.sent()
    bob.receive(deletion, 1.5)
    alice.receive(bob.sent()[0], 1.5)
    alice.receive(rekey, 2.0)
    bob.receive(alice.sent()[0], 2.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


# -- what is known on one side only ------------------------------------------------------------------------------------


def made_by_bob_unheard_by_alice() -> tuple[Router, Router, bytes]:
    """Return the two after bob has made a key (his 201) for alice, and his answer, which is still on its way."""
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    (answer,) = bob.sent()
    return alice, bob, answer


def test_a_key_that_alice_is_yet_to_hear_of_is_not_called_unknown() -> None:
    alice, bob, answer = made_by_bob_unheard_by_alice()
    bob.ike_sa.rekey_child(201, request(50, 51, protocol=LDP), 1.1)
    bob.collect()
    alice.receive(bob.sent()[0], 1.1)
    (refusal,) = alice.sent()
    assert inside(bob, refusal) == (Notify(NotifyType.TEMPORARY_FAILURE),)
    bob.receive(refusal, 1.2)
    alice.receive(answer, 1.3)
    assert_same_keys(alice, bob)
    bob.ike_sa.rekey_child(201, request(50, 51, protocol=LDP), 2.0)
    bob.collect()
    settle(alice, bob, 2.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 3


def test_a_delete_of_what_alice_is_yet_to_hear_of_waits() -> None:
    alice, bob, answer = made_by_bob_unheard_by_alice()
    bob.ike_sa.delete_child(201, 1.1)
    bob.collect()
    (deletion,) = bob.sent()
    alice.receive(deletion, 1.1)
    assert alice.sent() == []
    assert alice.ike_sa.statistics[Statistic.POSTPONED] == 1
    alice.receive(answer, 1.2)
    alice.receive(deletion, 2.1)
    settle(alice, bob, 2.1)
    assert_same_keys(alice, bob)
    assert set(alice.keys) == {10}


def test_a_key_is_not_asked_for_when_the_peer_has_made_it_meanwhile() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    settle(alice, bob, 1.0)
    assert refused(alice).reason is ChildRefusal.ALREADY_REPLACED
    assert refused(alice).send_ids == (30, 31)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2


def test_what_the_peer_made_before_we_asked_is_no_rival() -> None:
    """Asking for a new key beside an old one is for the layer above to do, and for the peer's policy to refuse."""
    alice, bob = established()
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0)
    bob.collect()
    settle(alice, bob, 1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 2.0)
    alice.collect()
    settle(alice, bob, 2.0)
    assert refused(alice).reason is ChildRefusal.TEMPORARY_FAILURE


def test_a_key_that_is_about_to_be_deleted_as_redundant_is_not_replaced() -> None:
    alice, bob = established()
    Chosen(alice, [0x01, 0x03])
    Chosen(bob, [0x02, 0x04])
    alice.ike_sa.rekey_child(10, request(20, 21), 1.0)
    bob.ike_sa.rekey_child(200, request(50, 51), 1.0)
    alice.collect()
    bob.collect()
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    bob.receive(from_alice, 1.0)
    alice.receive(from_bob, 1.0)
    (late,) = bob.sent()
    # Bob takes alice's key (his 201) for the new one, and wants to replace it, before he hears that his own won.
    bob.ike_sa.rekey_child(201, request(60, 61), 1.1)
    settle(alice, bob, 1.2)
    assert refused(bob).reason is ChildRefusal.ALREADY_REPLACED
    alice.receive(late, 1.3)
    settle(alice, bob, 1.3)
    assert_resolved(alice, bob, BGP)
