"""INFORMATIONAL: is the peer there, what is gone, and what it has to tell."""

from __future__ import annotations

import pytest

from rkmp.ike import (
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    CloseReason,
    IkeSaClosed,
    IkeSaState,
    LivenessFailed,
    NotifyReceived,
    Statistic,
)
from rkmp.wire import (
    Configuration,
    Delete,
    Encrypted,
    ExchangeType,
    Message,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    UnknownPayload,
)
from tests.ike.network import (
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


def told(*payloads: Payload) -> tuple[Router, Router]:
    """Let bob have an INFORMATIONAL request of alice's that she did not make up herself."""
    alice, bob = established()
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, payloads), 1.0)
    return alice, bob


def answer_of(alice: Router, bob: Router) -> tuple[Payload, ...]:
    (datagram,) = bob.sent()
    return inside(alice, datagram)


# -- liveness --------------------------------------------------------------------------------------------------------


def test_a_peer_that_is_there_answers_an_empty_request_with_an_empty_response() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(5.0)
    alice.collect()
    transcript = settle(alice, bob, 6.0)
    assert [Message.parse(datagram).exchange_type for datagram in transcript] == [ExchangeType.INFORMATIONAL] * 2
    assert inside(bob, transcript[0]) == inside(alice, transcript[1]) == ()
    assert alice.ike_sa.last_heard == bob.ike_sa.last_heard == 6.0
    assert len(alice.events) == 2


def test_a_request_under_way_is_check_enough() -> None:
    alice, _ = established()
    alice.ike_sa.check_liveness(5.0)
    alice.ike_sa.check_liveness(5.0)
    alice.collect()
    assert len(alice.sent()) == 1
    assert alice.ike_sa._core.tasks.queued == ()


def test_before_there_is_an_ike_sa_nobody_is_asked() -> None:
    alice = Router()
    alice.initiate(request())
    alice.ike_sa.check_liveness(0.5)
    assert alice.ike_sa._core.tasks.queued == ()


def test_a_peer_that_is_gone_is_found_out_and_its_keys_stay() -> None:
    alice, _ = established()
    alice.ike_sa.check_liveness(5.0)
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert alice.kinds()[2:] == ["LivenessFailed", "IkeSaClosed"]
    assert alice.last(LivenessFailed).transmissions == 6
    assert closed(alice) == IkeSaClosed(CloseReason.LIVENESS_FAILED, closed(alice).message, was_established=True)
    assert set(alice.keys) == {10}


def test_only_what_is_protected_shows_that_the_peer_is_there() -> None:
    alice, bob = established()
    heard = alice.ike_sa.last_heard
    hint = Message(alice.ike_sa.local_spi, alice.ike_sa.remote_spi, 37, 2, (Notify(NotifyType.INVALID_IKE_SPI),))
    alice.receive(Message(*_names(hint), is_response=True).to_bytes(), 9.0)
    alice.receive(Message(*_names(hint)).to_bytes(), 9.0)
    assert alice.ike_sa.last_heard == heard
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    bob.ike_sa.check_liveness(10.0)
    bob.collect()
    settle(alice, bob, 10.0)
    assert alice.ike_sa.last_heard == 10.0


def _names(message: Message) -> tuple[bytes, bytes, int, int, tuple[Payload, ...]]:
    return message.initiator_spi, message.responder_spi, message.exchange_type, message.message_id, message.payloads


# -- deleting children -----------------------------------------------------------------------------------------------


def test_each_side_names_a_deleted_key_by_its_own_key_id() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    alice.collect()
    transcript = settle(alice, bob, 1.0)
    assert inside(bob, transcript[0]) == (Delete(201, (b"\x0a",)),)
    assert inside(alice, transcript[1]) == (Delete(201, (b"\xc8",)),)
    assert alice.last(ChildDeleted).reason is ChildDeletion.LOCAL
    assert bob.last(ChildDeleted).reason is ChildDeletion.BY_PEER
    assert alice.keys == bob.keys == {}
    assert alice.ike_sa.children == bob.ike_sa.children == ()
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_deletes_that_cross_are_not_answered_by_deletes() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    bob.ike_sa.delete_child(200, 1.0)
    alice.collect()
    bob.collect()
    transcript = settle(alice, bob, 1.0)
    assert [inside(reader, datagram) for reader, datagram in zip((bob, alice), transcript[2:], strict=True)] == [(), ()]
    for router in (alice, bob):
        assert [event for event in router.kinds() if event == "ChildDeleted"] == ["ChildDeleted"]
        assert router.keys == {}


def test_a_delete_that_waits_is_dropped_when_the_peer_was_faster() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.delete_child(10, 1.0)
    alice.collect()
    bob.ike_sa.delete_child(200, 1.0)
    bob.collect()
    (deletion,) = bob.sent()
    alice.receive(deletion, 1.0)
    transcript = settle(alice, bob, 1.0)
    assert len(transcript) == 3
    assert alice.keys == bob.keys == {}


def test_a_child_is_deleted_once() -> None:
    alice, bob = established()
    alice.ike_sa.delete_child(10, 1.0)
    alice.ike_sa.delete_child(10, 1.0)
    alice.ike_sa.delete_child(99, 1.0)
    alice.collect()
    assert alice.ike_sa._core.tasks.queued == ()
    assert len(settle(alice, bob, 1.0)) == 2
    assert len(alice.of(ChildDeleted)) == 1


def test_several_keys_can_be_deleted_at_once() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, (Delete(201, (b"\x0a", b"\x1e", b"\x0a")),)), 2.0)
    assert answer_of(alice, bob) == (Delete(201, (b"\xc8", b"\xc9")),)
    assert bob.keys == {}
    assert len(bob.of(ChildDeleted)) == 2


@pytest.mark.parametrize(
    "delete", [Delete(201, (b"\x63",)), Delete(201, (bytes(4),)), Delete(3, (bytes(4),)), Delete(250, (b"\x0a",))]
)
def test_what_is_not_there_is_not_deleted(delete: Delete) -> None:
    alice, bob = told(delete)
    assert answer_of(alice, bob) == ()
    assert len(bob.keys) == 1
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_key_whose_delete_is_not_answered_is_gone_all_the_same() -> None:
    alice, _ = established()
    alice.ike_sa.delete_child(10, 1.0)
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert alice.kinds()[2:] == ["LivenessFailed", "ChildDeleted", "IkeSaClosed"]
    assert alice.keys == {}


# -- deleting the IKE SA ---------------------------------------------------------------------------------------------


def test_the_ike_sa_is_deleted_and_the_keys_stay() -> None:
    alice, bob = established()
    alice.ike_sa.close("no longer wanted", 1.0)
    assert alice.ike_sa.state is IkeSaState.CLOSING
    alice.collect()
    transcript = settle(alice, bob, 1.0)
    assert inside_closed(transcript) == 2
    assert closed(alice) == IkeSaClosed(CloseReason.CLOSED_LOCALLY, "no longer wanted", was_established=True)
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1
    assert alice.of(ChildDeleted) == bob.of(ChildDeleted) == []
    assert alice.ike_sa.is_finished
    assert not bob.ike_sa.is_finished
    assert alice.ike_sa._core.context.secrets is bob.ike_sa._core.context.secrets is None


def inside_closed(transcript: list[bytes]) -> int:
    return sum(Message.parse(datagram).exchange_type == ExchangeType.INFORMATIONAL for datagram in transcript)


def test_the_layer_above_can_say_why() -> None:
    alice, _ = established()
    alice.ike_sa.abandon("a newer one took its place", 1.0, CloseReason.REPLACED)
    alice.collect()
    assert closed(alice).reason is CloseReason.REPLACED
    assert alice.sent() == []
    assert alice.ike_sa.is_finished
    assert len(alice.keys) == 1


def test_the_last_response_is_repeated_while_the_peer_may_need_it() -> None:
    alice, bob = established(linger=30.0)
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    (deletion,) = alice.sent()
    bob.receive(deletion, 1.0)
    (response,) = bob.sent()
    bob.receive(deletion, 2.0)
    assert bob.sent() == [response]
    assert bob.next_timer() == 31.0
    bob.handle_timer(31.0)
    assert bob.ike_sa.is_finished
    alice.receive(response, 2.0)
    assert alice.ike_sa.is_finished


def test_deletes_of_the_ike_sa_that_cross_end_it_once() -> None:
    alice, bob = established()
    alice.ike_sa.close("enough", 1.0)
    bob.ike_sa.close("enough", 1.0)
    alice.collect()
    bob.collect()
    settle(alice, bob, 1.0)
    for router in (alice, bob):
        assert [kind for kind in router.kinds() if kind == "IkeSaClosed"] == ["IkeSaClosed"]
        assert closed(router).reason is CloseReason.CLOSED_LOCALLY


def test_a_delete_that_is_not_answered_ends_the_ike_sa_as_well() -> None:
    alice, _ = established()
    alice.ike_sa.close("enough", 1.0)
    alice.ike_sa.close("enough", 1.0)
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert alice.kinds()[2:] == ["IkeSaClosed"]
    assert closed(alice).reason is CloseReason.CLOSED_LOCALLY


def test_what_waits_is_refused_when_the_ike_sa_closes() -> None:
    alice, _ = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    assert refused(alice).reason is ChildRefusal.IKE_SA_CLOSED
    assert refused(alice).send_ids == (30, 31)
    alice.ike_sa.create_child(request(32, 33, protocol=LDP), 1.0)
    alice.collect()
    assert refused(alice).send_ids == (32, 33)


def test_what_is_under_way_still_makes_a_key_while_the_ike_sa_closes() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    assert set(alice.keys) == {10, 30}
    assert_same_keys(alice, bob)
    assert closed(alice).reason is CloseReason.CLOSED_LOCALLY
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER


def test_a_delete_waits_for_the_answer_that_may_have_made_a_key() -> None:
    """Bob made a key, his answer was lost, and he deletes the IKE SA: alice must not be left without that key."""
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    (asked,) = alice.sent()
    bob.receive(asked, 1.0)
    bob.sent()
    bob.ike_sa.close("enough", 1.1)
    bob.collect()
    (deletion,) = bob.sent()
    alice.receive(deletion, 1.1)
    assert alice.sent() == []
    assert alice.ike_sa.statistics[Statistic.POSTPONED] == 1
    alice.handle_timer(2.0)
    bob.receive(alice.sent()[0], 2.0)
    alice.receive(bob.sent()[0], 2.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2
    alice.receive(deletion, 2.1)
    bob.receive(alice.sent()[0], 2.1)
    assert closed(alice).reason is CloseReason.CLOSED_BY_PEER
    assert closed(bob).reason is CloseReason.CLOSED_LOCALLY


def test_a_peer_is_told_of_deleted_keys_before_the_ike_sa_goes() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.delete_child(10, 1.0)
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    assert bob.kinds()[2:] == ["ChildDeleted", "IkeSaClosed"]
    assert alice.kinds()[2:] == ["ChildDeleted", "IkeSaClosed"]
    assert alice.keys == bob.keys == {}


def test_a_delete_of_the_ike_sa_waits_for_our_deletes() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.delete_child(10, 1.0)
    bob.ike_sa.close("enough", 1.0)
    alice.collect()
    bob.collect()
    (check,), (deletion,) = alice.sent(), bob.sent()
    alice.receive(deletion, 1.0)
    assert alice.sent() == []
    bob.receive(check, 1.0)
    settle(alice, bob, 1.0)
    assert alice.keys == bob.keys == {}
    bob.handle_timer(2.0)
    settle(alice, bob, 2.0)
    assert closed(alice).reason is CloseReason.CLOSED_BY_PEER
    assert closed(bob).reason is CloseReason.CLOSED_LOCALLY


def test_silence_counts_for_more_than_that_we_were_closing() -> None:
    """The peer may have made a key in the answer that never came; the layer above has to know."""
    alice, _ = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.ike_sa.close("enough", 1.0)
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert alice.kinds()[2:] == ["LivenessFailed", "ChildRefused", "IkeSaClosed"]
    assert refused(alice).reason is ChildRefusal.NO_RESPONSE
    assert closed(alice).reason is CloseReason.LIVENESS_FAILED


def test_nothing_new_is_begun_on_an_ike_sa_that_closes() -> None:
    alice, bob = established()
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    alice.sent()
    bob.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    bob.collect()
    (asked,) = bob.sent()
    alice.receive(asked, 1.0)
    (answer,) = alice.sent()
    assert inside(bob, answer) == (Notify(NotifyType.TEMPORARY_FAILURE),)
    bob.receive(answer, 1.0)
    assert refused(bob).reason is ChildRefusal.TEMPORARY_FAILURE
    assert refused(alice).requester is False
    assert_same_keys(alice, bob)


def test_a_close_that_comes_too_early_waits_for_the_ike_sa() -> None:
    alice = Router()
    _, bob = established()
    bob.ike_sas.clear()
    bob.openings.clear()
    bob.keys.clear()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    assert alice.ike_sa.state is IkeSaState.AUTH_SENT
    alice.ike_sa.close("changed our mind", 0.0)
    settle(alice, bob)
    assert alice.kinds() == ["IkeSaEstablished", "ChildKeysEstablished", "IkeSaClosed"]
    assert closed(alice).message == "changed our mind"
    assert_same_keys(alice, bob)


def test_before_anybody_is_authenticated_a_close_is_silent() -> None:
    alice = Router()
    alice.initiate(request())
    alice.sent()
    alice.ike_sa.close("changed our mind", 0.0)
    alice.collect()
    assert alice.sent() == []
    assert alice.kinds() == ["ChildRefused", "IkeSaClosed"]
    assert not closed(alice).was_established


def test_a_key_and_the_ike_sa_can_go_in_one_message() -> None:
    alice, bob = told(Delete(201, (b"\x0a",)), Delete(1))
    (datagram,) = bob.sent()
    assert inside(alice, datagram) == ()
    assert bob.kinds()[2:] == ["ChildDeleted", "IkeSaClosed"]


def test_message_ids_do_not_come_round() -> None:
    alice, bob = established()
    for router in (alice, bob):
        router.ike_sa._core.tasks.next_message_id = 2**32 - 2
        router.ike_sa._core.tasks.expected_message_id = 2**32 - 2
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 2.0)
    alice.collect()
    transcript = settle(alice, bob, 2.0)
    assert Message.parse(transcript[0]).message_id == 2**32 - 1
    assert refused(alice).reason is ChildRefusal.IKE_SA_CLOSED
    assert closed(alice).reason is CloseReason.MESSAGE_IDS_EXHAUSTED
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER


# -- notifies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notify_type", [NotifyType.INVALID_SPI, NotifyType.NO_PROPOSAL_CHOSEN, 8200])
def test_an_error_is_reported_and_changes_nothing(notify_type: int) -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, (Notify(notify_type, b"?"),)), 2.0)
    assert answer_of(alice, bob) == ()
    assert bob.last(NotifyReceived) == NotifyReceived(notify_type, b"?")
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED
    assert len(bob.keys) == 1


def test_a_dispute_is_about_the_exchange_before_it() -> None:
    """RFC 7296 2.21.2: only the exchange that follows IKE_AUTH may end the IKE SA like that."""
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, (Notify(NotifyType.AUTHENTICATION_FAILED),)), 2.0)
    assert bob.last(NotifyReceived).notify_type == NotifyType.AUTHENTICATION_FAILED
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_responder_has_nothing_to_dispute() -> None:
    alice, bob = established()
    alice.receive(inject(bob, ExchangeType.INFORMATIONAL, (Notify(NotifyType.AUTHENTICATION_FAILED),)), 2.0)
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED


def test_status_notifies_and_configuration_are_passed_over() -> None:
    alice, bob = told(Notify(40960), Notify(NotifyType.AUTH_LIFETIME, bytes(4)), Configuration(1, ()))
    assert answer_of(alice, bob) == ()
    assert bob.of(NotifyReceived) == []


def test_an_unknown_critical_payload_is_refused_and_the_ike_sa_stays() -> None:
    alice, bob = told(UnknownPayload(200, critical=True, data=b""))
    assert answer_of(alice, bob) == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8"),)
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_malformed_request_ends_the_ike_sa() -> None:
    alice, bob = told(Nonce(bytes(16)))
    assert answer_of(alice, bob) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX
    assert bob.of(ChildKeysEstablished)
    assert len(bob.keys) == 1


def test_octets_that_are_no_payloads_end_the_ike_sa_once_they_are_authentic() -> None:
    alice, bob = established()
    protection = alice.ike_sa._core.protection
    assert protection is not None
    garbled = inject(alice, ExchangeType.INFORMATIONAL, (UnknownPayload(200, critical=False, data=bytes(9)),))
    message = Message.parse(garbled)
    body_length = len(garbled) - 32
    header = garbled[:28] + bytes((40, 0)) + garbled[30:32]
    assert message.payloads
    assert len(header) == 32
    plaintext = bytes((0, 0, 0, 13)) + bytes(9)
    sealed = protection._outgoing.seal(header, plaintext, alice.random)
    assert len(sealed) == body_length
    bob.receive(header + sealed, 1.0)
    assert answer_of(alice, bob) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [
        ((Notify(NotifyType.INVALID_SYNTAX),), CloseReason.INVALID_SYNTAX),
        ((Nonce(bytes(16)),), CloseReason.INVALID_SYNTAX),
    ],
    ids=["told", "found"],
)
@pytest.mark.parametrize("command", ["check_liveness", "delete_child", "close"])
def test_an_answer_that_will_not_do_ends_the_ike_sa(
    payloads: tuple[Payload, ...], reason: CloseReason, command: str
) -> None:
    alice, bob = established()
    match command:
        case "check_liveness":
            alice.ike_sa.check_liveness(1.0)
        case "delete_child":
            alice.ike_sa.delete_child(10, 1.0)
        case "close":
            alice.ike_sa.close("enough", 1.0)
            reason = CloseReason.CLOSED_LOCALLY
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    (datagram,) = bob.sent()
    response = reseal_closed(alice, bob, datagram, payloads)
    alice.receive(response, 1.0)
    settle(alice, bob, 1.0)
    assert closed(alice).reason is reason
    assert (alice.keys == {}) == (command == "delete_child")


def reseal_closed(alice: Router, bob: Router, datagram: bytes, payloads: tuple[Payload, ...]) -> bytes:
    """Do what :func:`reseal` does, for an IKE SA whose other end may have forgotten its keys."""
    if bob.ike_sa._core.protection is not None:
        return reseal(bob, alice, datagram, payloads)
    protection = alice.ike_sa._core.protection
    assert protection is not None
    message = Message.parse(datagram)
    mirrored = type(protection).__new__(type(protection))
    context = alice.ike_sa._core.context
    mirrored._context = type(
        "Mirror",
        (),
        {
            "initiator_spi": context.initiator_spi,
            "responder_spi": context.responder_spi,
            "is_initiator": False,
            "random": staticmethod(bob.random),
            "fragment_limit": None,
        },
    )()
    mirrored._outgoing = protection._incoming
    (datagram,) = mirrored.seal(message.exchange_type, message.message_id, payloads, is_response=True)
    return datagram


def test_a_message_whose_integrity_fails_is_counted_and_forgotten() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    (datagram,) = alice.sent()
    for position in range(28, len(datagram)):
        changed = bytearray(datagram)
        changed[position] ^= 1
        bob.ike_sa.receive(bytes(changed), 1.0)
    dropped = bob.ike_sa.statistics
    assert dropped[Statistic.DROPPED_INTEGRITY] + dropped[Statistic.DROPPED_MALFORMED] == len(datagram) - 28
    assert dropped[Statistic.DROPPED_INTEGRITY] >= len(datagram) - 32
    bob.collect()
    assert bob.sent() == []
    bob.receive(datagram, 1.0)
    assert len(bob.sent()) == 1


def test_a_response_of_another_exchange_is_counted_and_forgotten() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    alice.sent()
    protection = bob.ike_sa._core.protection
    assert protection is not None
    (answer,) = protection.seal(ExchangeType.INFORMATIONAL, 2, (), is_response=True)
    alice.receive(answer, 1.0)
    assert alice.ike_sa.statistics[Statistic.DROPPED_UNEXPECTED] == 1
    assert alice.ike_sa._core.tasks.outstanding is not None


def test_a_message_with_another_spi_of_the_peer_is_not_even_looked_at() -> None:
    alice, bob = established()
    datagram = inject(alice, ExchangeType.INFORMATIONAL, ())
    bob.receive(b"somebody" + datagram[8:], 1.0)
    assert bob.ike_sa.statistics[Statistic.DROPPED_WRONG_SPI] == 1
    assert Statistic.DROPPED_INTEGRITY not in bob.ike_sa.statistics


def test_a_message_of_nothing_but_a_header_is_not_protected() -> None:
    alice, bob = established()
    context = alice.ike_sa._core.context
    for payloads in ((), (Encrypted(0, b""),)):
        message = Message(context.initiator_spi, context.responder_spi, 37, 2, payloads, is_initiator=True)
        bob.receive(message.to_bytes(), 1.0)
    assert bob.ike_sa.statistics[Statistic.DROPPED_UNAUTHENTICATED] == 1
    assert bob.ike_sa.statistics[Statistic.DROPPED_INTEGRITY] == 1


def test_requests_out_of_the_window_get_no_answer() -> None:
    alice, bob = established()
    alice.ike_sa._core.tasks.next_message_id += 1
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, ()), 1.0)
    assert bob.sent() == []
    assert bob.ike_sa.statistics[Statistic.DROPPED_OUT_OF_WINDOW] == 1
    alice.ike_sa._core.tasks.next_message_id -= 2
    bob.receive(inject(alice, ExchangeType.INFORMATIONAL, ()), 1.0)
    assert bob.sent() == []
    assert bob.ike_sa.statistics[Statistic.DROPPED_STALE] == 1


def test_exchanges_that_nobody_knows_get_no_answer() -> None:
    alice, bob = established()
    for exchange_type in (ExchangeType.IKE_SESSION_RESUME, ExchangeType.IKE_AUTH, 240):
        bob.receive(inject(alice, exchange_type, ()), 1.0)
    assert bob.sent() == []
    assert bob.ike_sa.statistics[Statistic.DROPPED_UNEXPECTED] == 3
