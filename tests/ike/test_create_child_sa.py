"""CREATE_CHILD_SA: further protocols, new keys for old, another key exchange, and everything that can be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.errors import IkeError
from rkmp.ike import (
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    IkeSaState,
    IkeSettings,
    LivenessFailed,
    Statistic,
)
from rkmp.wire import (
    Delete,
    EncryptionId,
    ExchangeType,
    KeyExchange,
    KeyExchangeId,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnknownPayload,
)
from tests.ike.network import (
    AES,
    BGP,
    LDP,
    Router,
    assert_same_keys,
    closed,
    established,
    inject,
    inside,
    refused,
    request,
    reseal,
    settle,
)

X25519, P256 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256


def ask(alice: Router, bob: Router, send_id: int | None = None, **kinds: object) -> list[bytes]:
    """Let alice ask for a key (for LDP, or one that replaces ``send_id``) and return the messages."""
    if send_id is None:
        alice.ike_sa.create_child(request(30, 31, protocol=LDP, **kinds), 1.0)  # type: ignore[arg-type]
    else:
        alice.ike_sa.rekey_child(send_id, request(20, 21, **kinds), 1.0)  # type: ignore[arg-type]
    alice.collect()
    return settle(alice, bob, 1.0)


def answered(change: object, send_id: int | None = None, **kinds: object) -> tuple[Router, Router]:
    """Let alice ask, and have bob's answer with its payloads changed."""
    alice, bob = established()
    if send_id is None:
        alice.ike_sa.create_child(request(30, 31, protocol=LDP, **kinds), 1.0)  # type: ignore[arg-type]
    else:
        alice.ike_sa.rekey_child(send_id, request(20, 21, **kinds), 1.0)  # type: ignore[arg-type]
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    (datagram,) = bob.sent()
    payloads = tuple(p for payload in inside(alice, datagram) if (p := change(payload)) is not None)  # type: ignore[operator]
    alice.receive(reseal(bob, alice, datagram, payloads), 1.0)
    settle(alice, bob, 1.0)
    return alice, bob


def told(*payloads: Payload) -> tuple[Router, Router]:
    """Let bob have a CREATE_CHILD_SA request of alice's that she did not make up herself, and alice the answer."""
    alice, bob = established()
    bob.receive(inject(alice, ExchangeType.CREATE_CHILD_SA, payloads), 1.0)
    return alice, bob


def answer_of(alice: Router, bob: Router) -> tuple[Payload, ...]:
    (datagram,) = bob.sent()
    return inside(alice, datagram)


OFFER = SecurityAssociation((RkmpProposal(1, 201, b"", (TcpAoTransform(30, *AES),)),))
NONCE = Nonce(bytes(32))
SELECTORS = tuple(
    kind((RoutingProtocolSelector(LDP),)) for kind in (TrafficSelectorsInitiator, TrafficSelectorsResponder)
)
BGP_SELECTORS = tuple(
    kind((RoutingProtocolSelector(BGP),)) for kind in (TrafficSelectorsInitiator, TrafficSelectorsResponder)
)
REKEY = Notify(NotifyType.REKEY_SA, protocol_id=201, spi=b"\x0a")


# -- further protocols -----------------------------------------------------------------------------------------------


def test_a_further_protocol_gets_a_key_of_its_own() -> None:
    alice, bob = established()
    transcript = ask(alice, bob)
    assert_same_keys(alice, bob)
    assert [child.routing_protocol for child, _ in alice.keys.values()] == [BGP, LDP]
    assert len({key.reveal() for _, key in alice.keys.values()}) == 2
    assert [type(p).__name__ for p in inside(bob, transcript[0])] == [
        "SecurityAssociation",
        "Nonce",
        "TrafficSelectorsInitiator",
        "TrafficSelectorsResponder",
    ]
    assert [type(p) for p in inside(alice, transcript[1])] == [type(p) for p in inside(bob, transcript[0])]


def test_the_responder_of_the_ike_sa_can_ask_too() -> None:
    alice, bob = established()
    ask(bob, alice)
    assert_same_keys(alice, bob)
    assert bob.keys[30][0].requester
    assert not alice.keys[bob.keys[30][0].peer_send_id][0].requester


def test_requests_go_one_after_the_other() -> None:
    alice, bob = established()
    for number, protocol in enumerate((LDP, 3, 4, 5)):
        alice.ike_sa.create_child(request(30 + 2 * number, 31 + 2 * number, protocol=protocol), 1.0)
    alice.collect()
    assert len(alice.outgoing) == 1
    settle(alice, bob, 1.0)
    assert_same_keys(alice, bob)
    assert [child.routing_protocol for child, _ in alice.keys.values()] == [BGP, LDP, 3, 4, 5]


def test_both_may_ask_at_the_same_time() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    bob.ike_sa.create_child(request(30, 31, protocol=3), 1.0)
    alice.collect()
    bob.collect()
    settle(alice, bob, 1.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 3


# -- rekeying --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pfs", [False, True])
def test_a_new_key_replaces_an_old_one_which_stays_until_it_is_deleted(*, pfs: bool) -> None:
    alice, bob = established()
    old_key = alice.keys[10][1]
    transcript = ask(alice, bob, 10, pfs=pfs)
    assert REKEY in inside(bob, transcript[0])
    assert_same_keys(alice, bob)
    assert set(alice.keys) == {10, 20}
    assert alice.keys[20][1] != old_key
    ours, theirs = alice.last(ChildKeysEstablished), bob.last(ChildKeysEstablished)
    assert (ours.rekeyed_send_id, ours.rekeyed_peer_send_id) == (10, 200)
    assert (theirs.rekeyed_send_id, theirs.rekeyed_peer_send_id) == (200, 10)
    assert not ours.redundant
    assert (alice.ike_sa.children[0].replaced_by, bob.ike_sa.children[0].replaced_by) == (20, 201)
    alice.ike_sa.delete_child(10, 60.0)
    alice.collect()
    settle(alice, bob, 60.0)
    assert set(alice.keys) == {20}
    assert_same_keys(alice, bob)


def test_the_other_side_can_replace_a_key_as_well() -> None:
    alice, bob = established()
    ask(bob, alice, 200)
    assert_same_keys(alice, bob)
    assert alice.last(ChildKeysEstablished).rekeyed_send_id == 10


def test_keys_can_be_replaced_again_and_again() -> None:
    alice, bob = established()
    current, seen = 10, {alice.keys[10][1].reveal()}
    for number in range(20, 60, 2):
        alice.ike_sa.rekey_child(current, request(number, number + 1), 1.0)
        alice.ike_sa.delete_child(current, 1.0)
        alice.collect()
        settle(alice, bob, 1.0)
        current = number
        assert set(alice.keys) == {current}
        assert_same_keys(alice, bob)
        seen.add(alice.keys[current][1].reveal())
    assert len(seen) == 21


def test_perfect_forward_secrecy_adds_a_key_exchange_of_the_ike_sa_s_method() -> None:
    alice, bob = established()
    transcript = ask(alice, bob, pfs=True)
    offered = next(p for p in inside(bob, transcript[0]) if isinstance(p, KeyExchange))
    answered_with = next(p for p in inside(alice, transcript[1]) if isinstance(p, KeyExchange))
    assert offered.method == answered_with.method == X25519
    assert_same_keys(alice, bob)


def test_a_key_that_is_not_there_cannot_be_replaced() -> None:
    alice, bob = established()
    assert ask(alice, bob, 99) == []
    assert refused(alice).reason is ChildRefusal.CHILD_SA_NOT_FOUND
    assert (refused(alice).rekeyed_send_id, refused(alice).send_ids) == (99, (20, 21))
    assert refused(alice).notify_type is None


def test_a_key_that_was_replaced_cannot_be_replaced_again() -> None:
    alice, bob = established()
    ask(alice, bob, 10)
    alice.ike_sa.rekey_child(10, request(40, 41), 2.0)
    alice.collect()
    assert alice.sent() == []
    assert refused(alice).reason is ChildRefusal.ALREADY_REPLACED


def test_a_key_that_is_being_deleted_cannot_be_replaced() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    alice.ike_sa.rekey_child(10, request(20, 21), 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    assert refused(alice).reason is ChildRefusal.CHILD_SA_NOT_FOUND
    assert alice.keys == bob.keys == {}


def test_a_successor_that_is_gone_leaves_its_predecessor_replaceable() -> None:
    alice, bob = established()
    ask(alice, bob, 10)
    alice.ike_sa.delete_child(20, 2.0)
    alice.ike_sa.rekey_child(10, request(40, 41), 2.0)
    alice.collect()
    settle(alice, bob, 2.0)
    assert set(alice.keys) == {10, 40}
    assert_same_keys(alice, bob)


def test_a_key_id_that_came_into_use_meanwhile_is_not_announced() -> None:
    alice, bob = established()
    alice.next_send_id = 30
    bob.ike_sa.create_child(request(50, 51, protocol=3), 1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    assert refused(alice).reason is ChildRefusal.TEMPORARY_FAILURE
    assert_same_keys(alice, bob)


def test_policy_cannot_announce_a_key_id_twice() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=3), 1.0)
    alice.next_send_id = 30
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0)
    alice.collect()
    bob.collect()
    settle(alice, bob, 1.0)
    assert refused(bob).reason is ChildRefusal.TEMPORARY_FAILURE
    assert_same_keys(alice, bob)


# -- refusals, told and understood -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notify_type", "reason"),
    [
        (NotifyType.TS_UNACCEPTABLE, ChildRefusal.TS_UNACCEPTABLE),
        (NotifyType.NO_PROPOSAL_CHOSEN, ChildRefusal.NO_PROPOSAL_CHOSEN),
        (NotifyType.TEMPORARY_FAILURE, ChildRefusal.TEMPORARY_FAILURE),
        (NotifyType.NO_ADDITIONAL_SAS, ChildRefusal.NO_ADDITIONAL_SAS),
        (NotifyType.FAILED_CP_REQUIRED, ChildRefusal.REFUSED),
    ],
)
def test_policy_refuses_and_both_sides_know_why(notify_type: NotifyType, reason: ChildRefusal) -> None:
    alice, bob = established()
    bob.refuse[LDP] = IkeError(notify_type, "not for you")
    transcript = ask(alice, bob)
    assert inside(alice, transcript[1]) == (Notify(notify_type),)
    for router, requester in ((alice, True), (bob, False)):
        event = refused(router)
        assert (event.reason, event.notify_type, event.requester) == (reason, notify_type, requester)
        assert event.routing_protocol == LDP
        assert router.ike_sa.state is IkeSaState.ESTABLISHED
    assert refused(alice).send_ids == (30, 31)
    assert_same_keys(alice, bob)


def test_a_refused_rekey_leaves_the_old_key_alone() -> None:
    alice, bob = established()
    bob.refuse[BGP] = IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "no more")
    ask(alice, bob, 10)
    assert (refused(alice).rekeyed_send_id, refused(bob).rekeyed_send_id) == (10, 200)
    assert set(alice.keys) == {10}
    assert alice.ike_sa.children[0].replaced_by is None
    assert_same_keys(alice, bob)


def test_a_key_exchange_of_another_method_is_refused_by_naming_ours() -> None:
    alice, bob = told(OFFER, NONCE, KeyExchange(P256, bytes(64)), *SELECTORS)
    assert answer_of(alice, bob) == (Notify(NotifyType.INVALID_KE_PAYLOAD, X25519.to_bytes(2)),)
    assert refused(bob).reason is ChildRefusal.INVALID_KE_PAYLOAD
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def _refusal(notify: Notify) -> object:
    return lambda p: notify if isinstance(p, SecurityAssociation) else None


def test_the_method_that_the_peer_wants_is_tried_once() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP, pfs=True), 1.0)
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    (datagram,) = bob.sent()
    wish = Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2))
    alice.receive(reseal(bob, alice, datagram, (wish,)), 1.0)
    (second,) = alice.sent()
    offered = next(p for p in inside(bob, second) if isinstance(p, KeyExchange))
    assert offered.method == P256
    assert alice.of(ChildRefused) == []
    # Bob's own method is the IKE SA's: he refuses in turn, and that is that.
    bob.receive(second, 1.0)
    settle(alice, bob, 1.0)
    assert refused(alice).reason is ChildRefusal.INVALID_KE_PAYLOAD
    assert len(alice.of(ChildRefused)) == 1


@pytest.mark.parametrize("data", [b"", b"\x00\x0e", b"\x00\x1f"], ids=["none", "unknown", "the-same"])
def test_a_method_that_makes_no_sense_is_a_refusal(data: bytes) -> None:
    alice, _ = answered(_refusal(Notify(NotifyType.INVALID_KE_PAYLOAD, data)), pfs=True)
    assert refused(alice).reason is ChildRefusal.INVALID_KE_PAYLOAD
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_method_is_not_taken_where_none_was_asked_for() -> None:
    alice, _ = answered(_refusal(Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2))))
    assert refused(alice).reason is ChildRefusal.INVALID_KE_PAYLOAD


def test_a_key_that_the_peer_does_not_know_is_not_found() -> None:
    rekey = Notify(NotifyType.REKEY_SA, protocol_id=201, spi=b"\x63")
    alice, bob = told(rekey, OFFER, NONCE, *BGP_SELECTORS)
    # RFC 7296 2.25: with the SPI as it was.
    assert answer_of(alice, bob) == (Notify(NotifyType.CHILD_SA_NOT_FOUND, protocol_id=201, spi=b"\x63"),)
    assert refused(bob).reason is ChildRefusal.CHILD_SA_NOT_FOUND


@pytest.mark.parametrize(
    "rekey", [replace(REKEY, protocol_id=3), replace(REKEY, spi=bytes(4)), replace(REKEY, spi=b"")]
)
def test_a_key_named_in_another_way_is_not_found(rekey: Notify) -> None:
    alice, bob = told(rekey, OFFER, NONCE, *BGP_SELECTORS)
    (answer,) = answer_of(alice, bob)
    assert isinstance(answer, Notify)
    assert (answer.notify_type, answer.spi) == (NotifyType.CHILD_SA_NOT_FOUND, rekey.spi)


def test_when_the_peer_does_not_find_the_key_it_can_no_longer_be_named() -> None:
    notify = Notify(NotifyType.CHILD_SA_NOT_FOUND, protocol_id=201, spi=b"\x0a")
    alice, _ = answered(_refusal(notify), 10)
    assert refused(alice).reason is ChildRefusal.CHILD_SA_NOT_FOUND
    assert alice.ike_sa.children == ()
    # Whether the key is still good is not for the IKE SA to say.
    assert alice.of(ChildDeleted) == []
    assert set(alice.keys) == {10}


def test_a_rekey_cannot_change_the_protocol() -> None:
    alice, bob = told(REKEY, OFFER, NONCE, *SELECTORS)
    assert answer_of(alice, bob) == (Notify(NotifyType.TS_UNACCEPTABLE),)
    assert refused(bob).rekeyed_send_id == 200


def test_a_key_id_of_a_live_key_cannot_be_offered_again() -> None:
    offer = SecurityAssociation((RkmpProposal(1, 201, b"", (TcpAoTransform(10, *AES),)),))
    alice, bob = told(offer, NONCE, *SELECTORS)
    assert answer_of(alice, bob) == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)


def test_selectors_are_needed() -> None:
    alice, bob = told(OFFER, NONCE)
    assert answer_of(alice, bob) == (Notify(NotifyType.TS_UNACCEPTABLE),)


def test_an_unknown_critical_payload_is_refused_and_the_ike_sa_stays() -> None:
    alice, bob = told(OFFER, NONCE, *SELECTORS, UnknownPayload(200, critical=True, data=b""))
    assert answer_of(alice, bob) == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8"),)
    assert refused(bob).reason is ChildRefusal.UNSUPPORTED_CRITICAL_PAYLOAD
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED
    alice, bob = answered(_refusal(Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8")))
    assert refused(alice).reason is ChildRefusal.UNSUPPORTED_CRITICAL_PAYLOAD


@pytest.mark.parametrize(
    "payloads",
    [
        (NONCE, *SELECTORS),
        (OFFER, *SELECTORS),
        (OFFER, NONCE, NONCE, *SELECTORS),
        (OFFER, NONCE, *SELECTORS, Delete(201, (b"\x0a",))),
        (OFFER, NONCE, KeyExchange(X25519, bytes(32)), *SELECTORS),
        (OFFER, NONCE, KeyExchange(X25519, bytes(31)), *SELECTORS),
    ],
    ids=["no-offer", "no-nonce", "two-nonces", "delete", "all-zero", "short"],
)
def test_a_malformed_request_ends_the_ike_sa_on_both_sides(payloads: tuple[Payload, ...]) -> None:
    alice, bob = told(*payloads)
    (datagram,) = bob.sent()
    assert inside(alice, datagram) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert refused(bob).reason is ChildRefusal.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX
    assert closed(bob).was_established
    # RP keys outlive the IKE SA.
    assert len(bob.keys) == 1
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    alice.sent()
    alice.receive(datagram)
    assert refused(alice).reason is ChildRefusal.INVALID_SYNTAX
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX


def test_a_short_nonce_ends_the_ike_sa() -> None:
    settings = IkeSettings(
        proposals=(IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_512,), (X25519,)),)
    )
    alice, bob = established(proposals=settings.proposals)
    bob.receive(inject(alice, ExchangeType.CREATE_CHILD_SA, (OFFER, Nonce(bytes(31)), *SELECTORS)), 1.0)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX


# -- answers that will not do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pfs", [False, True])
def test_an_answer_with_another_idea_of_the_key_exchange_is_undone(*, pfs: bool) -> None:
    def change(payload: Payload) -> Payload | None:
        if isinstance(payload, KeyExchange):
            return None
        return payload

    def add(payload: Payload) -> Payload:
        return KeyExchange(X25519, bytes(range(32))) if isinstance(payload, TrafficSelectorsResponder) else payload

    alice, bob = answered(change if pfs else add, pfs=pfs)
    assert refused(alice).reason is ChildRefusal.INCONSISTENT_ANSWER
    assert bob.last(ChildDeleted).reason is ChildDeletion.REJECTED_BY_PEER
    assert_same_keys(alice, bob)
    assert set(alice.keys) == {10}


def test_an_answer_that_is_not_our_offer_is_undone_and_the_old_key_stays() -> None:
    def change(payload: Payload) -> Payload:
        if isinstance(payload, SecurityAssociation):
            return SecurityAssociation((RkmpProposal(2, 201, b"", (TcpAoTransform(201, *AES),)),))
        return payload

    alice, bob = answered(change, 10)
    assert refused(alice).reason is ChildRefusal.INCONSISTENT_ANSWER
    assert refused(alice).rekeyed_send_id == 10
    assert_same_keys(alice, bob)
    assert set(alice.keys) == {10}
    # And it can be tried again.
    alice.ike_sa.rekey_child(10, request(40, 41), 2.0)
    alice.collect()
    settle(alice, bob, 2.0)
    assert set(alice.keys) == {10, 40}
    assert_same_keys(alice, bob)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: KeyExchange(p.method, bytes(32)) if isinstance(p, KeyExchange) else p,
        lambda p: None if isinstance(p, Nonce) else p,
        lambda p: UnknownPayload(200, critical=True, data=b"") if isinstance(p, Nonce) else p,
    ],
    ids=["all-zero", "no-nonce", "critical"],
)
def test_an_answer_that_makes_no_sense_ends_the_ike_sa(change: object) -> None:
    alice, bob = answered(change, pfs=True)
    assert len(alice.of(ChildRefused)) == 1
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER
    assert len(alice.keys) == 1


def test_no_answer_ends_the_ike_sa_but_no_keys() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.ike_sa.create_child(request(32, 33, protocol=3), 1.0)
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert alice.kinds()[2:] == ["LivenessFailed", "ChildRefused", "ChildRefused", "IkeSaClosed"]
    assert alice.last(LivenessFailed).transmissions == 6
    reasons = [event.reason for event in alice.events if isinstance(event, ChildRefused)]
    assert reasons == [ChildRefusal.NO_RESPONSE, ChildRefusal.IKE_SA_CLOSED]
    assert closed(alice).reason is CloseReason.LIVENESS_FAILED
    assert set(alice.keys) == {10}
    assert alice.ike_sa.statistics[Statistic.RETRANSMISSIONS] == 5
    assert_same_keys(alice, bob)


# -- the draft's way of refusing (G18) -------------------------------------------------------------------------------


def test_a_refusal_that_comes_as_informational_is_understood() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    alice.sent()
    alice.receive(inject(bob, ExchangeType.INFORMATIONAL, (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)), 1.5)
    assert len(alice.sent()) == 1
    assert alice.of(ChildRefused) == []
    alice.handle_timer(4.5)
    assert refused(alice).reason is ChildRefusal.NO_PROPOSAL_CHOSEN
    assert refused(alice).notify_type == NotifyType.NO_PROPOSAL_CHOSEN
    assert refused(alice).send_ids == (30, 31)
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_response_counts_for_more_than_the_informational_beside_it() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    (asked,) = alice.sent()
    alice.receive(inject(bob, ExchangeType.INFORMATIONAL, (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)), 1.5)
    alice.sent()
    bob.receive(asked, 2.0)
    settle(alice, bob, 2.0)
    assert alice.of(ChildRefused) == []
    assert_same_keys(alice, bob)
    alice.handle_timer(100.0)
    assert alice.of(ChildRefused) == []
