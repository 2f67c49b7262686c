"""IKE_AUTH when somebody is not who he should be, or when the child is refused and the IKE SA stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.errors import IkeError
from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildDeleted,
    ChildDeletion,
    ChildKeysEstablished,
    ChildRefusal,
    ChildRefused,
    CloseReason,
    Identity,
    IkeSaClosed,
    IkeSaState,
    LocalAuthentication,
    NegotiationFailed,
    NegotiationFailure,
    Statistic,
)
from rkmp.secret import Secret
from rkmp.wire import (
    Authentication,
    AuthMethod,
    CodePoints,
    Delete,
    IdInitiator,
    IdResponder,
    Message,
    Notify,
    NotifyType,
    Payload,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnknownPayload,
    UnknownSelector,
    UnrecognisedTransform,
)
from tests.ike.network import (
    AES,
    BGP,
    LDP,
    SHA1,
    Router,
    assert_same_keys,
    closed,
    inside,
    pair,
    refused,
    request,
    reseal,
    settle,
)

OTHER = Secret(b"another key")


def until_auth(alice: Router, bob: Router) -> bytes:
    """Return alice's IKE_AUTH request."""
    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (datagram,) = alice.sent()
    return datagram


def until_answer(alice: Router, bob: Router) -> bytes:
    """Return bob's IKE_AUTH response."""
    bob.receive(until_auth(alice, bob))
    (datagram,) = bob.sent()
    return datagram


def with_changed_request(change: object) -> tuple[Router, Router]:
    """Let bob have alice's IKE_AUTH request with payloads changed."""
    alice, bob = pair()
    datagram = until_auth(alice, bob)
    payloads = tuple(p for payload in inside(bob, datagram) if (p := change(payload)) is not None)  # type: ignore[operator]
    bob.receive(reseal(alice, bob, datagram, payloads))
    return alice, bob


def with_changed_answer(change: object) -> tuple[Router, Router]:
    """Let alice have bob's IKE_AUTH response with payloads changed, and everything that follows."""
    alice, bob = pair()
    datagram = until_answer(alice, bob)
    payloads = tuple(p for payload in inside(alice, datagram) if (p := change(payload)) is not None)  # type: ignore[operator]
    alice.receive(reseal(bob, alice, datagram, payloads))
    settle(alice, bob)
    return alice, bob


# -- who it is -------------------------------------------------------------------------------------------------------


def test_a_wrong_key_of_the_initiator_is_found_by_the_responder() -> None:
    alice, bob = pair()
    alice.psk = OTHER
    datagram = until_answer(alice, bob)
    assert inside(alice, datagram) == (Notify(NotifyType.AUTHENTICATION_FAILED),)
    failure = bob.last(AuthenticationFailed)
    assert (failure.reason, failure.identity) == (AuthenticationFailure.WRONG_KEY, alice.identity)
    assert closed(bob) == IkeSaClosed(CloseReason.AUTHENTICATION_FAILED, failure.message, was_established=False)
    alice.receive(datagram)
    assert alice.kinds() == ["AuthenticationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER
    assert alice.last(AuthenticationFailed).identity is None
    assert refused(alice).reason is ChildRefusal.IKE_SA_CLOSED
    assert closed(alice).reason is CloseReason.AUTHENTICATION_FAILED
    assert alice.keys == bob.keys == {}


def test_an_unknown_initiator_is_told_from_one_with_a_wrong_key() -> None:
    alice, bob = pair()
    alice.identity = Identity.parse("fqdn", "mallory.example")
    until_answer(alice, bob)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.UNKNOWN_IDENTITY
    assert bob.last(AuthenticationFailed).identity == alice.identity


def test_a_refusal_is_repeated_to_those_who_did_not_get_it() -> None:
    alice, bob = pair(linger=30.0)
    alice.psk = OTHER
    datagram = until_auth(alice, bob)
    bob.receive(datagram, 1.0)
    (refusal,) = bob.sent()
    assert bob.ike_sa.is_closed
    assert not bob.ike_sa.is_finished
    bob.receive(datagram, 2.0)
    assert bob.sent() == [refusal]
    bob.handle_timer(31.0)
    assert bob.ike_sa.is_finished
    assert bob.next_timer() is None


def test_a_wrong_key_of_the_responder_is_found_by_the_initiator_who_tells_it() -> None:
    alice, bob = pair()
    bob.psk = OTHER
    alice.initiate(request(10, 11))
    transcript = settle(alice, bob)
    assert alice.kinds() == ["AuthenticationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY
    assert alice.last(AuthenticationFailed).identity == bob.identity
    # RFC 7296 2.21.2: in an exchange of its own, because bob thinks that all is well.
    assert Message.parse(transcript[4]).exchange_type == 37
    assert bob.kinds() == [
        "IkeSaEstablished",
        "ChildKeysEstablished",
        "AuthenticationFailed",
        "ChildDeleted",
        "IkeSaClosed",
    ]
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER
    assert bob.last(ChildDeleted).reason is ChildDeletion.REJECTED_BY_PEER
    assert closed(bob).reason is CloseReason.AUTHENTICATION_FAILED
    assert alice.keys == bob.keys == {}


def test_an_unexpected_responder_is_refused() -> None:
    alice, bob = pair()
    bob.identity = Identity.parse("fqdn", "mallory.example")
    alice.initiate(request(10, 11))
    settle(alice, bob)
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.UNKNOWN_IDENTITY
    assert closed(bob).reason is CloseReason.AUTHENTICATION_FAILED


def test_the_complaint_of_an_initiator_is_repeated_and_then_given_up() -> None:
    alice, bob = pair()
    bob.psk = OTHER
    alice.receive(until_answer(alice, bob))
    assert alice.ike_sa.state is IkeSaState.CLOSING
    while (timer := alice.next_timer()) is not None:
        alice.handle_timer(timer)
    assert closed(alice).reason is CloseReason.AUTHENTICATION_FAILED
    assert alice.kinds() == ["AuthenticationFailed", "ChildRefused", "IkeSaClosed"]


def _method(payload: Payload) -> Payload:
    if isinstance(payload, Authentication):
        return replace(payload, method=AuthMethod.DIGITAL_SIGNATURE)
    return payload


def test_another_method_of_authentication_has_its_own_reason() -> None:
    _, bob = with_changed_request(_method)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.UNSUPPORTED_METHOD
    alice, _ = with_changed_answer(_method)
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.UNSUPPORTED_METHOD


def test_an_identity_that_cannot_be_what_it_claims_is_unknown() -> None:
    def shorten(payload: Payload) -> Payload:
        return IdInitiator(1, b"\x01\x02") if isinstance(payload, IdInitiator) else payload

    _, bob = with_changed_request(shorten)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.UNKNOWN_IDENTITY
    assert bob.last(AuthenticationFailed).identity == Identity(1, b"\x01\x02")


@pytest.mark.parametrize("kind", [IdInitiator, IdResponder])
def test_what_was_signed_cannot_be_changed(kind: type[Payload]) -> None:
    """An identity that policy knows does not help without the AUTH that covers it."""

    def other(payload: Payload) -> Payload:
        return kind(11, b"router") if isinstance(payload, kind) else payload  # type: ignore[call-arg]

    alice, bob = pair()
    if kind is IdInitiator:
        bob.peer_identity = Identity(11, b"router")
        datagram = until_auth(alice, bob)
        bob.receive(reseal(alice, bob, datagram, tuple(other(p) for p in inside(bob, datagram))))
        assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY
    else:
        datagram = until_answer(alice, bob)
        alice.peer_identity = Identity(11, b"router")
        alice.receive(reseal(bob, alice, datagram, tuple(other(p) for p in inside(alice, datagram))))
        assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY


def test_somebody_in_the_middle_cannot_be_authenticated() -> None:
    """Mallory changes IKE_SA_INIT on its way (here: drops a proposal's Vendor ID); AUTH covers every octet of it."""
    alice, bob = pair(require_vendor_id=False)
    alice.initiate(request())
    message = Message.parse(alice.sent()[0])
    bob.receive(replace(message, payloads=message.payloads[:-1]).to_bytes())
    settle(alice, bob)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER


class Penniless(Router):
    """A router that has lost its own key."""

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        raise IkeError(NotifyType.AUTHENTICATION_FAILED, "our key is gone")


def test_whoever_has_nothing_to_prove_itself_with_says_so() -> None:
    _, bob = pair()
    alice: Router = Penniless()
    alice.initiate(request())
    settle(alice, bob)
    assert alice.kinds() == ["AuthenticationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.NO_CREDENTIALS
    alice = Router()
    bob = Penniless(identity=bob.identity, peer_identity=bob.peer_identity)
    alice.initiate(request())
    settle(alice, bob)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.NO_CREDENTIALS
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER


# -- messages that make no sense -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", [IdInitiator, Authentication, SecurityAssociation, TrafficSelectorsInitiator, TrafficSelectorsResponder]
)
def test_a_request_that_lacks_a_payload_is_malformed(missing: type[Payload]) -> None:
    alice, bob = with_changed_request(lambda p: None if isinstance(p, missing) else p)
    (datagram,) = bob.sent()
    assert inside(alice, datagram) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    alice.receive(datagram)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert alice.last(NegotiationFailed).notify_type == NotifyType.INVALID_SYNTAX
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED


def test_a_request_with_an_unknown_critical_payload_is_refused_whole() -> None:
    def add(payload: Payload) -> Payload:
        if isinstance(payload, TrafficSelectorsInitiator):
            return UnknownPayload(201, critical=True, data=b"")
        return payload

    alice, bob = with_changed_request(add)
    (datagram,) = bob.sent()
    assert inside(alice, datagram) == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc9"),)
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD
    alice.receive(datagram)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD


def test_an_answer_that_makes_no_sense_ends_the_ike_sa_on_both_sides() -> None:
    alice, bob = with_changed_answer(lambda p: None if isinstance(p, IdResponder) else p)
    assert alice.kinds() == ["NegotiationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert bob.last(ChildDeleted).reason is ChildDeletion.REJECTED_BY_PEER
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.keys == bob.keys == {}


def test_a_responder_can_refuse_for_a_reason_of_its_own() -> None:
    alice, bob = pair()
    datagram = until_answer(alice, bob)
    alice.receive(reseal(bob, alice, datagram, (Notify(8200),)))
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.REFUSED
    assert alice.last(NegotiationFailed).notify_type == 8200


def test_an_open_message_where_there_should_be_a_protected_one_is_nothing() -> None:
    alice, bob = pair()
    datagram = until_answer(alice, bob)
    message = Message.parse(datagram)
    alice.receive(replace(message, payloads=(Notify(NotifyType.AUTHENTICATION_FAILED),)).to_bytes())
    assert alice.ike_sa.state is IkeSaState.AUTH_SENT
    assert alice.ike_sa.statistics[Statistic.DROPPED_UNAUTHENTICATED] == 1
    alice.receive(datagram)
    assert_same_keys(alice, bob)


def test_a_request_that_overtakes_the_answer_waits_for_its_repetition() -> None:
    alice, bob = pair()
    answer = until_answer(alice, bob)
    bob.ike_sa.create_child(request(30, 31, protocol=LDP), 0.0)
    bob.collect()
    (overtaking,) = bob.sent()
    alice.receive(overtaking)
    assert alice.ike_sa.statistics[Statistic.DROPPED_UNEXPECTED] == 1
    alice.receive(answer)
    alice.receive(overtaking)
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2


# -- a child that is refused -----------------------------------------------------------------------------------------


def assert_refused_with_the_ike_sa_kept(alice: Router, bob: Router, reason: ChildRefusal, notify_type: int) -> None:
    assert alice.kinds() == bob.kinds() == ["IkeSaEstablished", "ChildRefused"]
    ours, theirs = refused(alice), refused(bob)
    assert (ours.reason, ours.notify_type, ours.requester) == (reason, notify_type, True)
    assert (theirs.reason, theirs.notify_type, theirs.requester) == (reason, notify_type, False)
    assert ours.send_ids == (10, 11)
    assert theirs.send_ids == ()
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.keys == bob.keys == {}


@pytest.mark.parametrize(
    ("notify_type", "reason"),
    [
        (NotifyType.TS_UNACCEPTABLE, ChildRefusal.TS_UNACCEPTABLE),
        (NotifyType.NO_PROPOSAL_CHOSEN, ChildRefusal.NO_PROPOSAL_CHOSEN),
        (NotifyType.TEMPORARY_FAILURE, ChildRefusal.TEMPORARY_FAILURE),
        (NotifyType.NO_ADDITIONAL_SAS, ChildRefusal.NO_ADDITIONAL_SAS),
        (NotifyType.INTERNAL_ADDRESS_FAILURE, ChildRefusal.REFUSED),
    ],
)
def test_policy_refuses_a_child_and_the_ike_sa_stays(notify_type: NotifyType, reason: ChildRefusal) -> None:
    alice, bob = pair()
    bob.refuse[BGP] = IkeError(notify_type, "not for you")
    alice.initiate(request(10, 11))
    transcript = settle(alice, bob)
    answer = inside(alice, transcript[3])
    assert [type(payload) for payload in answer] == [IdResponder, Authentication, Notify]
    assert_refused_with_the_ike_sa_kept(alice, bob, reason, notify_type)
    assert refused(bob).message == "not for you"
    assert refused(bob).routing_protocol == BGP


def test_after_a_refusal_another_child_can_be_had() -> None:
    alice, bob = pair()
    bob.refuse[BGP] = IkeError(NotifyType.TS_UNACCEPTABLE, "not for you")
    alice.initiate(request(10, 11))
    settle(alice, bob)
    alice.ike_sa.create_child(request(10, 11, protocol=LDP), 1.0)
    alice.collect()
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


def test_algorithms_that_settings_do_not_allow_are_not_offered_to_policy() -> None:
    alice, bob = pair()
    bob.settings = replace(bob.settings, algorithm_pairs={})
    alice.initiate(request(10, 11))
    settle(alice, bob)
    assert_refused_with_the_ike_sa_kept(alice, bob, ChildRefusal.NO_PROPOSAL_CHOSEN, NotifyType.NO_PROPOSAL_CHOSEN)


def _selectors(initiator: tuple[object, ...], responder: tuple[object, ...]) -> object:
    def change(payload: Payload) -> Payload:
        if isinstance(payload, TrafficSelectorsInitiator):
            return TrafficSelectorsInitiator(initiator)  # type: ignore[arg-type]
        if isinstance(payload, TrafficSelectorsResponder):
            return TrafficSelectorsResponder(responder)  # type: ignore[arg-type]
        return payload

    return change


BGP_ONLY, LDP_ONLY = RoutingProtocolSelector(BGP), RoutingProtocolSelector(LDP)


@pytest.mark.parametrize(
    "change",
    [
        _selectors((BGP_ONLY,), (LDP_ONLY,)),
        _selectors((BGP_ONLY, LDP_ONLY), (BGP_ONLY, LDP_ONLY)),
        _selectors((), ()),
        _selectors((UnknownSelector(7 + 235, b""),), (UnknownSelector(7 + 235, b""),)),
    ],
    ids=["different", "two", "none", "unknown"],
)
def test_selectors_that_do_not_name_one_protocol_are_unacceptable(change: object) -> None:
    alice, bob = with_changed_request(change)
    settle(alice, bob)
    assert_refused_with_the_ike_sa_kept(alice, bob, ChildRefusal.TS_UNACCEPTABLE, NotifyType.TS_UNACCEPTABLE)
    assert refused(bob).routing_protocol is None


def _proposals(*proposals: RkmpProposal) -> object:
    return lambda p: SecurityAssociation(proposals) if isinstance(p, SecurityAssociation) else p


@pytest.mark.parametrize(
    "change",
    [
        _proposals(RkmpProposal(1, 210, b"", (UnrecognisedTransform(bytes(4)),))),
        _proposals(RkmpProposal(1, 201, b"", (UnrecognisedTransform(bytes(5)),))),
        _proposals(RkmpProposal(1, 201, b"", (TcpAoTransform(1, 1, 2), TcpAoTransform(1, 241, 241)))),
        _proposals(RkmpProposal(1, 201, b"\x02", (TcpAoTransform(1, *AES),))),
        _proposals(RkmpProposal(1, 201, bytes(4), (TcpAoTransform(0, *AES),))),
    ],
    ids=["protocol", "length", "pairs", "other-spi", "long-spi"],
)
def test_proposals_that_nobody_can_choose_are_refused(change: object) -> None:
    alice, bob = with_changed_request(change)
    settle(alice, bob)
    assert_refused_with_the_ike_sa_kept(alice, bob, ChildRefusal.NO_PROPOSAL_CHOSEN, NotifyType.NO_PROPOSAL_CHOSEN)


def test_a_proposal_may_repeat_the_key_id_as_its_spi() -> None:
    alice, bob = with_changed_request(_proposals(RkmpProposal(1, 201, b"\x0a", (TcpAoTransform(10, *AES),))))
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert list(alice.keys) == [10]


def test_what_cannot_be_chosen_is_passed_over_for_what_can() -> None:
    def change(payload: Payload) -> Payload:
        if not isinstance(payload, SecurityAssociation):
            return payload
        return SecurityAssociation(
            (
                RkmpProposal(1, 201, b"", (UnrecognisedTransform(bytes(12)), TcpAoTransform(10, *AES))),
                RkmpProposal(2, 250, b"", (UnrecognisedTransform(bytes(1)),)),
            )
        )

    alice, bob = with_changed_request(change)
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert list(alice.keys) == [10]


def test_private_numbers_are_for_peers_that_announce_them() -> None:
    alice, bob = pair()
    alice.settings = replace(alice.settings, require_vendor_id=False, code_points=CodePoints(210, 211, 250))
    alice.initiate(request(10, 11))
    settle(alice, bob)
    assert_refused_with_the_ike_sa_kept(alice, bob, ChildRefusal.NO_PROPOSAL_CHOSEN, NotifyType.NO_PROPOSAL_CHOSEN)
    assert "announce" in refused(bob).message


# -- an answer that accepts what was not offered (G32) ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        _proposals(RkmpProposal(2, 201, b"", (TcpAoTransform(200, *AES),))),
        _proposals(RkmpProposal(1, 201, b"", (TcpAoTransform(200, *SHA1),))),
        _proposals(RkmpProposal(1, 201, b"", (TcpAoTransform(200, 1, 2),))),
        _proposals(RkmpProposal(1, 201, b"", (TcpAoTransform(200, *AES, ignore_tcp_options=True),))),
        _proposals(RkmpProposal(3, 201, b"", (TcpAoTransform(200, *AES),))),
        _proposals(RkmpProposal(1, 202, b"", (UnrecognisedTransform(bytes(8)),))),
        _proposals(RkmpProposal(1, 201, b"", (TcpAoTransform(200, *AES), TcpAoTransform(201, *AES)))),
        _proposals(RkmpProposal(1, 201, b"", (UnrecognisedTransform(bytes(9)),))),
        _proposals(RkmpProposal(1, 201, b"\x01", (TcpAoTransform(200, *AES),))),
        _proposals(
            RkmpProposal(1, 201, b"", (TcpAoTransform(200, *AES),)),
            RkmpProposal(2, 201, b"", (TcpAoTransform(201, *SHA1),)),
        ),
        _selectors((LDP_ONLY,), (LDP_ONLY,)),
        _selectors((BGP_ONLY,), (LDP_ONLY,)),
        lambda p: None if isinstance(p, SecurityAssociation) else p,
        lambda p: None if isinstance(p, TrafficSelectorsResponder) else p,
    ],
    ids=[
        "number-of-other",
        "algorithms-of-other",
        "mismatched-pair",
        "flag",
        "number",
        "protocol",
        "two-transforms",
        "length",
        "spi",
        "two-proposals",
        "other-protocol",
        "different-selectors",
        "no-sa",
        "no-selectors",
    ],
)
def test_an_answer_that_is_not_an_offer_of_ours_is_undone(change: object) -> None:
    alice, bob = with_changed_answer(change)
    assert alice.kinds() == ["IkeSaEstablished", "ChildRefused"]
    assert refused(alice).reason is ChildRefusal.INCONSISTENT_ANSWER
    assert bob.kinds() == ["IkeSaEstablished", "ChildKeysEstablished", "ChildDeleted"]
    assert bob.last(ChildDeleted).reason is ChildDeletion.REJECTED_BY_PEER
    assert alice.keys == bob.keys == {}
    assert alice.ike_sa.children == bob.ike_sa.children == ()
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_the_answer_is_undone_in_an_exchange_of_its_own() -> None:
    alice, bob = pair()
    datagram = until_answer(alice, bob)
    wrong = SecurityAssociation((RkmpProposal(3, 201, b"", (TcpAoTransform(200, *AES),)),))
    answer = tuple(wrong if isinstance(p, SecurityAssociation) else p for p in inside(alice, datagram))
    alice.receive(reseal(bob, alice, datagram, answer))
    (undo,) = alice.sent()
    assert inside(bob, undo) == (Notify(NotifyType.NO_PROPOSAL_CHOSEN), Delete(201, (b"\x0a", b"\x0b")))


def test_a_peer_cannot_announce_a_key_id_that_is_in_use() -> None:
    alice, bob = pair()
    asked = replace(request(10, 11), peer_send_ids_in_use=frozenset({200}))
    alice.initiate(asked)
    settle(alice, bob)
    assert refused(alice).reason is ChildRefusal.INCONSISTENT_ANSWER
    assert alice.of(ChildKeysEstablished) == []
    assert bob.keys == {}


def test_every_request_ends_in_a_key_or_a_refusal() -> None:
    for change in (lambda p: p, _method, _selectors((), ())):
        alice, _ = with_changed_answer(change)
        assert len(alice.of(ChildKeysEstablished)) + len(alice.of(ChildRefused)) == 1
