"""Both sides replace the IKE SA at once: the rule of nonces at work, and what only one of them notices (2.8.2)."""

from __future__ import annotations

import itertools

import pytest

from rkmp.ike import (
    ChildDeleted,
    CloseReason,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    IkeSaState,
    RekeyFailure,
    Role,
    Statistic,
)
from rkmp.wire import Delete, ExchangeType, Header, KeyExchangeId, Notify, NotifyType
from tests.ike.network import LDP, Router, assert_same_keys, closed, established, inject, request, reseal
from tests.ike.test_collisions import Chosen
from tests.ike.test_rekey_ike_sa import OFF, assert_same_ike_sa, forget_old_ones, settle_all

P256 = KeyExchangeId.ECP_256


def both(order: tuple[int, int, int, int] | None = None) -> tuple[Router, Router]:
    """Return alice and bob who have both asked; ``order``: alice's nonce, bob's answer, bob's nonce, alice's answer."""
    alice, bob = established()
    if order is not None:
        # A private key of Curve25519 is drawn after the first nonce of each.
        Chosen(alice, [order[0], 0, order[3]])
        Chosen(bob, [order[2], 0, order[1]])
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    return alice, bob


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
def test_every_order_of_nonces_leaves_one_ike_sa(order: tuple[int, int, int, int]) -> None:
    alice, bob = both(order)
    old = alice.ike_sa.local_spi
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    winner = bob if 1 in order[:2] else alice
    assert winner.ike_sa.role is Role.INITIATOR
    for router in (alice, bob):
        assert router.kinds() == ["IkeSaEstablished", "ChildKeysEstablished", "IkeSaRekeyed"]
        assert [child.send_id for child in router.ike_sa.children] == list(router.keys)
    assert alice.ike_sa.local_spi != old
    assert len(alice.keys) == 1
    alice.ike_sa.rekey_child(10, request(20, 21), 2.0)
    bob.ike_sa.check_liveness(2.0)
    settle_all(alice, bob, 2.0)
    assert_same_keys(alice, bob)
    forget_old_ones(alice, bob)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 4, 1, 2)], ids=["alice loses", "alice wins"])
@pytest.mark.parametrize("arrival", list(itertools.permutations(range(4))))
def test_the_order_of_arrival_does_not_matter(
    order: tuple[int, int, int, int], arrival: tuple[int, int, int, int]
) -> None:
    """Whatever arrives comes in one of all orders, and again until both have come to rest."""
    alice, bob = both(order)
    mail: list[tuple[Router, bytes]] = []
    for moment in range(1, 40):
        for sender, receiver in ((alice, bob), (bob, alice)):
            sender.handle_timer(float(moment))
            mail += [(receiver, datagram) for datagram in sender.sent()]
        for position in arrival:
            if position < len(mail):
                receiver, datagram = mail[position]
                receiver.receive(datagram, float(moment))
        mail = mail[4:]
    settle_all(alice, bob, 40.0)
    assert_same_ike_sa(alice, bob)
    assert (alice.ike_sa.role is Role.INITIATOR) == (order[0] != 1)
    assert len(alice.of(IkeSaRekeyed)) == len(bob.of(IkeSaRekeyed)) == 1
    assert_same_keys(alice, bob)
    forget_old_ones(alice, bob)


def test_only_one_side_notices() -> None:
    """RFC 7296 2.8.2: alice's request is late; bob has done his before it comes."""
    alice, bob = both((1, 2, 3, 4))
    (late,) = alice.sent()
    (from_bob,) = bob.sent()
    alice.receive(from_bob, 1.0)
    (answer,) = alice.sent()
    bob.receive(answer, 1.0)
    (deletion,) = bob.sent()
    bob.receive(late, 1.0)
    (refusal,) = bob.sent()
    alice.receive(refusal, 1.0)
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed", "IkeSaRekeyed"]
    assert alice.ike_sa.role is Role.RESPONDER
    alice.receive(deletion, 1.0)
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_a_delete_shows_that_the_peer_has_not_noticed() -> None:
    """RFC 7296 2.8.2, the drawing: the first peer forgets its own attempt and stops repeating it."""
    alice, bob = both()
    alice.sent()
    (from_bob,) = bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    (deletion,) = bob.sent()
    assert alice.of(IkeSaRekeyed) == []
    alice.receive(deletion, 1.0)
    assert alice.kinds()[2:] == ["IkeSaRekeyed"]
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_a_child_over_what_is_not_decided_yet_has_to_wait() -> None:
    alice, bob = both((1, 2, 3, 4))
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    bob.receive(from_alice, 1.0)
    (to_alice,) = bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    # Bob knows all four nonces, and that his is the one that stays. He uses it before alice has heard.
    assert bob.ike_sa.role is Role.INITIATOR
    (deletion,) = bob.sent()
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.1)
    bob.collect()
    (create,) = bob.sent()
    alice.receive(create, 1.1)
    assert alice.sent() == []
    assert alice.ike_sa.statistics[Statistic.POSTPONED] == 1
    alice.receive(to_alice, 1.2)
    assert alice.ike_sa.role is Role.RESPONDER
    alice.receive(create, 2.1)
    alice.receive(deletion, 2.1)
    settle_all(alice, bob, 2.1)
    assert_same_ike_sa(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2


def test_what_has_lost_can_be_deleted_before_we_know_it() -> None:
    alice, bob = both((3, 4, 1, 2))
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    bob.receive(from_alice, 1.0)
    (to_alice,) = bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    (deletion,) = bob.sent()
    assert deletion[:8] != from_bob[:8], "it goes over what has lost"
    alice.receive(deletion, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    assert alice.of(IkeSaRekeyed) == []
    alice.receive(to_alice, 1.0)
    assert alice.ike_sa.role is Role.INITIATOR
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_what_has_lost_and_is_never_deleted_is_forgotten() -> None:
    """Bob hears of alice's Delete of the old one before he hears her answer: he never knows that his has been made."""
    alice, bob = both((3, 4, 1, 2))
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    bob.receive(from_alice, 1.0)
    alice.receive(from_bob, 1.0)
    (never_arrives,) = alice.sent()
    alice.receive(bob.sent()[0], 1.0)
    (deletion,) = alice.sent()
    bob.receive(deletion, 1.0)
    assert bob.kinds()[2:] == ["IkeSaRekeyed"]
    alice.receive(bob.sent()[0], 1.0)
    assert_same_ike_sa(alice, bob)
    assert len(alice.ike_sa.local_spis) == 2
    bob.receive(never_arrives, 2.0)
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_a_refused_attempt_leaves_the_peer_s() -> None:
    alice, bob = both()
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    alice.receive(from_bob, 1.0)
    (to_bob,) = alice.sent()
    bob.receive(from_alice, 1.0)
    (to_alice,) = bob.sent()
    refusal = Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2))
    alice.receive(reseal(bob, alice, to_alice, (refusal,)), 1.0)
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed", "IkeSaRekeyed"]
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.INVALID_KE_PAYLOAD
    assert alice.ike_sa.role is Role.RESPONDER
    bob.receive(to_bob, 1.0)
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_refused_attempt_whose_rival_is_gone_leaves_the_old_one() -> None:
    """No peer does that which keeps to the rules: it deletes what would have remained, and refuses the other."""
    alice, bob = both((1, 2, 3, 4))
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(alice.sent()[0], 1.0)
    bob.sent()
    alice.receive(inject(bob, ExchangeType.INFORMATIONAL, (Delete(1),)), 1.0)
    alice.sent()
    old = bob.ike_sa._lineage.cores[0]
    assert old.protection is not None
    message_id = Header.parse(from_alice).message_id
    (answer,) = old.protection.seal(ExchangeType.CREATE_CHILD_SA, message_id, OFF, is_response=True)
    alice.receive(answer, 1.0)
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed"]
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.ike_sa.local_spis[0] == alice.ike_sa.local_spi
    assert not alice.ike_sa._core.context.children_outlive_it


def test_a_delete_over_what_is_not_decided_yet_waits_for_our_own_deletes() -> None:
    """It may be the end of the lineage, and then the peer has to know first which keys are gone."""
    alice, bob = both((1, 2, 3, 4))
    (from_bob,) = bob.sent()
    alice.sent()
    alice.receive(from_bob, 1.0)
    (answer,) = alice.sent()
    alice.ike_sa.delete_child(10, 1.0)
    bob.ike_sa.close("enough", 1.0)
    bob.receive(answer, 1.0)
    to_alice = bob.sent()
    assert len(to_alice) == 2, "a Delete of the old one, and of the new one"
    over_old, over_new = sorted(to_alice, key=lambda datagram: datagram[:8] != from_bob[:8])
    alice.receive(over_new, 1.0)
    assert alice.sent() == []
    assert alice.ike_sa.statistics[Statistic.POSTPONED] == 1
    alice.receive(over_old, 1.0)
    settle_all(alice, bob, 1.0)
    alice.receive(over_new, 2.0)
    settle_all(alice, bob, 2.0)
    assert alice.ike_sa.is_closed
    assert bob.ike_sa.is_closed
    assert len(alice.of(ChildDeleted)) == len(bob.of(ChildDeleted)) == 1
    assert_same_keys(alice, bob)


def test_a_peer_that_falls_silent_in_between_takes_both_along() -> None:
    alice, bob = both()
    alice.sent()
    alice.receive(bob.sent()[0], 1.0)
    alice.sent()
    for moment in range(2, 100):
        alice.handle_timer(float(moment))
    assert alice.kinds()[-1] == "IkeSaClosed"
    assert alice.ike_sa.is_finished


def test_a_close_while_both_are_at_it_closes_what_remains() -> None:
    alice, bob = both((1, 2, 3, 4))
    alice.ike_sa.close("enough", 1.0)
    settle_all(alice, bob)
    assert alice.ike_sa.is_closed
    assert bob.ike_sa.is_closed
    assert closed(alice).message == "enough"
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER
