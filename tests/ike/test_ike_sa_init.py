"""IKE_SA_INIT when it does not go straight: cookies, other groups, refusals, answers that anybody might have sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.ike import (
    CloseReason,
    CookieKeeper,
    IkeSaEstablished,
    IkeSaState,
    IkeSettings,
    NegotiationFailed,
    NegotiationFailure,
    Statistic,
)
from rkmp.ike.exchanges.ike_sa_init import MAX_RESTARTS
from rkmp.wire import (
    CodePoints,
    EncryptionId,
    KeyExchange,
    KeyExchangeId,
    Message,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    Proposal,
    SecurityAssociation,
    Transform,
    TransformType,
    UnknownPayload,
    VendorId,
)
from tests.ike.network import Router, assert_same_keys, closed, pair, refused, request, settle

GCM = ((EncryptionId.AES_GCM_16, 256),)
X25519, P256, P384 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256, KeyExchangeId.ECP_384


def offering(*methods: int, prf: int = PrfId.HMAC_SHA2_256) -> IkeSettings:
    return IkeSettings(proposals=(IkeProposal(GCM, (), (prf,), methods),))


def answered(alice: Router, *payloads: Payload, responder_spi: bytes = bytes(8)) -> None:
    """Let alice have an answer to IKE_SA_INIT that nobody in particular sent."""
    sent = alice.ike_sa
    message = Message(sent.local_spi, responder_spi, 34, 0, payloads, is_response=True)
    alice.receive(message.to_bytes(), 0.5)


def opening() -> tuple[Router, Message]:
    """Return alice and the request that she sent."""
    alice = Router()
    alice.initiate(request())
    return alice, Message.parse(alice.sent()[0])


# -- cookies ---------------------------------------------------------------------------------------------------------


def test_a_cookie_comes_back_first_and_all_else_stays_as_it_was() -> None:
    alice, first = opening()
    answered(alice, Notify(NotifyType.COOKIE, b"cookie"))
    second = Message.parse(alice.sent()[0])
    assert second.payloads == (Notify(NotifyType.COOKIE, b"cookie"), *first.payloads)
    assert (second.message_id, second.initiator_spi, second.responder_spi) == (0, first.initiator_spi, bytes(8))
    assert alice.ike_sa.statistics[Statistic.INIT_RESTARTS] == 1


def test_a_handshake_completes_through_cookies() -> None:
    alice, bob = pair()
    keeper, remote = CookieKeeper(bob.random), ("192.0.2.1", 500)
    alice.initiate(request())
    (first,) = alice.sent()
    challenge = keeper.challenge(first, remote, 0.0)
    assert challenge is not None
    alice.receive(challenge)
    (second,) = alice.sent()
    assert keeper.challenge(second, remote, 0.0) is None
    bob.receive(second)
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


def test_the_same_cookie_again_changes_nothing() -> None:
    alice, _ = opening()
    for _ in range(3):
        answered(alice, Notify(NotifyType.COOKIE, b"cookie"))
    assert len(alice.sent()) == 1
    assert alice.ike_sa.statistics[Statistic.DROPPED_UNAUTHENTICATED] == 2


@pytest.mark.parametrize("cookie", [b"", bytes(65)])
def test_a_cookie_of_no_legal_length_is_none(cookie: bytes) -> None:
    alice, _ = opening()
    answered(alice, Notify(NotifyType.COOKIE, cookie))
    assert alice.sent() == []
    assert alice.ike_sa.state is IkeSaState.INIT_SENT


def test_forged_cookies_cost_a_bounded_number_of_datagrams() -> None:
    alice, _ = opening()
    for number in range(50):
        answered(alice, Notify(NotifyType.COOKIE, bytes((number,))))
    assert len(alice.sent()) == MAX_RESTARTS
    assert alice.ike_sa.state is IkeSaState.INIT_SENT


# -- another group ---------------------------------------------------------------------------------------------------


def test_another_group_is_taken_and_all_proposals_are_made_again() -> None:
    alice, bob = pair()
    alice.settings, bob.settings = offering(X25519, P256), offering(P256)
    alice.initiate(request())
    transcript = settle(alice, bob)
    first, refusal, second = (Message.parse(datagram) for datagram in transcript[:3])
    assert refusal.payloads == (Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2)),)
    assert refusal.responder_spi == bytes(8)
    # RFC 7296 1.2: the whole list again, so that nobody can talk us down unseen.
    assert [type(p) for p in first.payloads] == [type(p) for p in second.payloads]
    assert (first.payloads[0], first.payloads[2]) == (second.payloads[0], second.payloads[2])
    assert isinstance(second.payloads[1], KeyExchange)
    assert second.payloads[1].method == P256
    assert alice.last(IkeSaEstablished).suite.key_exchange == P256
    assert_same_keys(alice, bob)


def test_a_cookie_is_kept_when_the_group_changes() -> None:
    alice = Router(settings=offering(X25519, P256))
    alice.initiate(request())
    alice.sent()
    answered(alice, Notify(NotifyType.COOKIE, b"cookie"))
    answered(alice, Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2)))
    last = Message.parse(alice.sent()[-1])
    assert last.payloads[0] == Notify(NotifyType.COOKIE, b"cookie")
    assert isinstance(last.payloads[2], KeyExchange)
    assert last.payloads[2].method == P256


def test_a_group_that_was_not_offered_is_not_taken() -> None:
    alice = Router(settings=offering(X25519, P256))
    alice.initiate(request())
    alice.sent()
    answered(alice, Notify(NotifyType.INVALID_KE_PAYLOAD, P384.to_bytes(2)))
    assert alice.sent() == []
    alice.handle_timer(3.5)
    failure = alice.last(NegotiationFailed)
    assert (failure.reason, failure.notify_type) == (NegotiationFailure.INVALID_KE_PAYLOAD, 17)
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED


def test_the_same_group_again_changes_nothing() -> None:
    alice = Router(settings=offering(X25519, P256))
    alice.initiate(request())
    alice.sent()
    for _ in range(3):
        answered(alice, Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2)))
    assert len(alice.sent()) == 1
    # Nor does it make us doubt what is under way.
    alice.handle_timer(3.4)
    assert alice.ike_sa.state is IkeSaState.INIT_SENT


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x13\x00"])
def test_a_group_that_cannot_be_read_is_not_taken(data: bytes) -> None:
    alice, _ = opening()
    answered(alice, Notify(NotifyType.INVALID_KE_PAYLOAD, data))
    assert alice.sent() == []


def test_whoever_forges_a_weaker_group_gains_nothing() -> None:
    """The attacker makes alice start with P-256; bob, who sees X25519 in her list, insists on what he prefers."""
    alice, bob = pair()
    alice.settings, bob.settings = offering(X25519, P256), offering(X25519, P256)
    alice.initiate(request())
    alice.sent()
    answered(alice, Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2)))
    settle(alice, bob)
    assert alice.last(IkeSaEstablished).suite.key_exchange == X25519
    assert_same_keys(alice, bob)


# -- refusals --------------------------------------------------------------------------------------------------------


def test_disjoint_proposals_are_reported_on_both_sides() -> None:
    alice, bob = pair()
    alice.settings, bob.settings = offering(X25519), offering(X25519, prf=PrfId.HMAC_SHA2_512)
    alice.initiate(request())
    (opening_request,) = alice.sent()
    bob.receive(opening_request)
    assert bob.kinds() == ["NegotiationFailed", "IkeSaClosed"]
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.NO_PROPOSAL_CHOSEN
    assert bob.ike_sa.is_finished
    (refusal,) = bob.sent()
    assert Message.parse(refusal).payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert Message.parse(refusal).responder_spi == bytes(8)
    alice.receive(refusal, 0.1)
    # RFC 7296 2.21.1: not acted upon at once, because anybody might have sent it.
    assert alice.ike_sa.state is IkeSaState.INIT_SENT
    alice.handle_timer(3.1)
    assert alice.kinds() == ["NegotiationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.NO_PROPOSAL_CHOSEN
    assert alice.last(NegotiationFailed).notify_type == NotifyType.NO_PROPOSAL_CHOSEN
    assert refused(alice).send_ids == (10, 11)


def test_a_forged_refusal_does_not_keep_the_real_answer_out() -> None:
    alice, bob = pair()
    alice.initiate(request())
    (opening_request,) = alice.sent()
    answered(alice, Notify(NotifyType.NO_PROPOSAL_CHOSEN))
    bob.receive(opening_request)
    settle(alice, bob, 2.0)
    assert_same_keys(alice, bob)
    assert alice.of(NegotiationFailed) == []


def test_the_request_is_repeated_while_a_refusal_is_doubted() -> None:
    alice, _ = opening()
    answered(alice, Notify(NotifyType.NO_PROPOSAL_CHOSEN))
    alice.handle_timer(1.0)
    assert len(alice.sent()) == 1
    assert alice.ike_sa.statistics[Statistic.RETRANSMISSIONS] == 1


def test_the_first_refusal_sets_the_time_and_the_last_the_reason() -> None:
    alice, _ = opening()
    answered(alice, Notify(NotifyType.NO_PROPOSAL_CHOSEN))
    sent = alice.ike_sa
    later = Message(sent.local_spi, bytes(8), 34, 0, (Notify(NotifyType.INVALID_SYNTAX),), is_response=True)
    alice.receive(later.to_bytes(), 3.0)
    alice.handle_timer(3.5)
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX


@pytest.mark.parametrize(
    ("notify_type", "reason"),
    [
        (NotifyType.NO_PROPOSAL_CHOSEN, NegotiationFailure.NO_PROPOSAL_CHOSEN),
        (NotifyType.INVALID_MAJOR_VERSION, NegotiationFailure.INVALID_MAJOR_VERSION),
        (NotifyType.INVALID_SYNTAX, NegotiationFailure.INVALID_SYNTAX),
        (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD),
        (NotifyType.TEMPORARY_FAILURE, NegotiationFailure.REFUSED),
        (9999, NegotiationFailure.REFUSED),
    ],
)
def test_each_refusal_has_its_reason(notify_type: int, reason: NegotiationFailure) -> None:
    alice, _ = opening()
    answered(alice, Notify(notify_type))
    alice.handle_timer(3.5)
    assert alice.last(NegotiationFailed).reason is reason
    assert alice.last(NegotiationFailed).notify_type == notify_type


def test_an_unknown_critical_payload_is_refused_by_its_type() -> None:
    alice, first = opening()
    bob = Router()
    changed = replace(first, payloads=(*first.payloads, UnknownPayload(200, critical=True, data=b"?")))
    bob.receive(changed.to_bytes())
    assert Message.parse(bob.sent()[0]).payloads == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\xc8"),)
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.ike_sa.state is IkeSaState.INIT_SENT


def test_unknown_payloads_that_are_not_critical_are_passed_over() -> None:
    alice, first = opening()
    bob = Router(identity=alice.peer_identity, peer_identity=alice.identity)
    changed = replace(first, payloads=(*first.payloads, UnknownPayload(200, critical=False, data=b"?")))
    bob.receive(changed.to_bytes())
    assert bob.ike_sa.state is IkeSaState.HALF_OPEN


@pytest.mark.parametrize("missing", [SecurityAssociation, KeyExchange, Nonce])
def test_what_is_malformed_gets_no_answer_without_protection(missing: type[Payload]) -> None:
    _, first = opening()
    bob = Router()
    bob.receive(replace(first, payloads=tuple(p for p in first.payloads if not isinstance(p, missing))).to_bytes())
    assert bob.sent() == []
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert bob.ike_sa.is_finished


def test_a_public_value_that_is_none_gets_no_answer() -> None:
    _, first = opening()
    bob = Router()
    payloads = tuple(KeyExchange(X25519, bytes(32)) if isinstance(p, KeyExchange) else p for p in first.payloads)
    bob.receive(replace(first, payloads=payloads).to_bytes())
    assert bob.sent() == []
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED


def test_octets_that_are_no_message_open_nothing() -> None:
    alice, bob = pair()
    alice.initiate(request())
    (datagram,) = alice.sent()
    bob.receive(datagram[:-1])
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    assert bob.ike_sa.statistics[Statistic.DROPPED_MALFORMED] == 1
    assert bob.sent() == []


# -- answers that cannot be used -------------------------------------------------------------------------------------


def doubted(alice: Router, bob: Router, change: object) -> NegotiationFailed:
    """Let ``change`` work on bob's answer, and return what alice makes of it once she stops hoping."""
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    answer = Message.parse(bob.sent()[0])
    payloads = tuple(p for payload in answer.payloads if (p := change(payload)) is not None)  # type: ignore[operator]
    alice.receive(replace(answer, payloads=payloads).to_bytes(), 0.2)
    assert alice.ike_sa.state is IkeSaState.INIT_SENT
    assert alice.sent() == []
    assert alice.ike_sa.statistics[Statistic.DROPPED_UNAUTHENTICATED] == 1
    alice.handle_timer(3.2)
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED
    return alice.last(NegotiationFailed)


def _without_vendor_id(payload: Payload) -> Payload | None:
    return None if isinstance(payload, VendorId) else payload


def test_a_peer_that_does_not_announce_rkmp_is_not_used() -> None:
    assert doubted(*pair(), _without_vendor_id).reason is NegotiationFailure.PEER_IS_NOT_RKMP


def test_a_peer_that_does_not_announce_rkmp_can_be_allowed() -> None:
    alice, bob = pair(require_vendor_id=False)
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    answer = Message.parse(bob.sent()[0])
    payloads = tuple(payload for payload in answer.payloads if not isinstance(payload, VendorId))
    alice.receive(replace(answer, payloads=payloads).to_bytes())
    assert alice.ike_sa.state is IkeSaState.AUTH_SENT


def test_other_code_points_are_told_from_no_code_points() -> None:
    alice, bob = pair()
    bob.settings = replace(bob.settings, code_points=CodePoints(210, 211, 250))
    failure = doubted(alice, bob, lambda payload: payload)
    assert failure.reason is NegotiationFailure.CODE_POINTS_DIFFER
    assert "210" in failure.message
    assert "201" in failure.message


def _other_proposal(payload: Payload) -> Payload:
    if not isinstance(payload, SecurityAssociation):
        return payload
    proposal = payload.proposals[0]
    assert isinstance(proposal, Proposal)
    transforms = tuple(
        Transform(TransformType.PRF, PrfId.HMAC_SHA2_512) if t.transform_type == TransformType.PRF else t
        for t in proposal.transforms
    )
    return SecurityAssociation((replace(proposal, transforms=transforms),))


def _two_proposals(payload: Payload) -> Payload:
    if not isinstance(payload, SecurityAssociation):
        return payload
    return SecurityAssociation((payload.proposals[0], replace(payload.proposals[0], number=2)))


def _with_spi(payload: Payload) -> Payload:
    if not isinstance(payload, SecurityAssociation):
        return payload
    return SecurityAssociation((replace(payload.proposals[0], spi=bytes(8)),))


def _other_method(payload: Payload) -> Payload:
    return KeyExchange(P256, payload.data) if isinstance(payload, KeyExchange) else payload


def _all_zero(payload: Payload) -> Payload:
    return KeyExchange(payload.method, bytes(32)) if isinstance(payload, KeyExchange) else payload


@pytest.mark.parametrize("change", [_other_proposal, _two_proposals, _with_spi, _other_method, _all_zero])
def test_an_answer_that_is_not_one_of_our_proposals_is_not_used(change: object) -> None:
    assert doubted(*pair(), change).reason is NegotiationFailure.INCONSISTENT_ANSWER


def test_an_answer_that_lacks_a_payload_is_not_used() -> None:
    failure = doubted(*pair(), lambda p: None if isinstance(p, Nonce) else p)
    assert failure.reason is NegotiationFailure.INVALID_SYNTAX


def test_an_answer_with_a_critical_payload_is_not_used() -> None:
    def add(payload: Payload) -> Payload:
        return UnknownPayload(200, critical=True, data=b"") if isinstance(payload, VendorId) else payload

    assert doubted(*pair(), add).reason is NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD


def test_an_answer_without_an_spi_is_not_used() -> None:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    answer = Message.parse(bob.sent()[0])
    alice.receive(replace(answer, responder_spi=bytes(8)).to_bytes(), 0.2)
    alice.handle_timer(3.2)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INCONSISTENT_ANSWER


def test_a_nonce_shorter_than_half_the_prf_s_key_is_no_use() -> None:
    alice, bob = pair()
    alice.settings = bob.settings = offering(X25519, prf=PrfId.HMAC_SHA2_512)
    failure = doubted(alice, bob, lambda p: Nonce(bytes(31)) if isinstance(p, Nonce) else p)
    assert failure.reason is NegotiationFailure.INVALID_SYNTAX


# -- messages that are for somebody else -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "statistic"),
    [
        (lambda m: replace(m, initiator_spi=b"somebody"), Statistic.DROPPED_WRONG_SPI),
        (lambda m: replace(m, is_initiator=True), Statistic.DROPPED_WRONG_DIRECTION),
        (lambda m: replace(m, message_id=1), Statistic.DROPPED_STALE),
        (lambda m: replace(m, exchange_type=37), Statistic.DROPPED_UNEXPECTED),
        (lambda m: replace(m, is_response=False), Statistic.DROPPED_UNEXPECTED),
    ],
)
def test_a_header_that_does_not_fit_is_counted_and_forgotten(change: object, statistic: Statistic) -> None:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    (answer,) = bob.sent()
    alice.ike_sa.receive(change(Message.parse(answer)).to_bytes(), 0.0)  # type: ignore[operator]
    assert alice.ike_sa.statistics[statistic] == 1
    alice.collect()
    assert alice.sent() == []
    assert alice.events == []
    alice.receive(answer)
    assert alice.ike_sa.state is IkeSaState.AUTH_SENT


def test_another_version_is_counted_and_forgotten() -> None:
    alice, bob = pair()
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    answer = bytearray(bob.sent()[0])
    answer[17] = 0x30
    alice.ike_sa.receive(bytes(answer), 0.0)
    assert alice.ike_sa.statistics[Statistic.DROPPED_WRONG_VERSION] == 1


def test_a_changed_repetition_of_the_opening_request_gets_no_answer() -> None:
    alice, bob = pair()
    alice.initiate(request())
    (datagram,) = alice.sent()
    bob.receive(datagram)
    bob.sent()
    message = Message.parse(datagram)
    changed = replace(message, payloads=(Notify(NotifyType.COOKIE, b"new"), *message.payloads))
    bob.receive(changed.to_bytes())
    assert bob.sent() == []
    assert len(bob.ike_sas) == 1
    assert bob.ike_sa.statistics[Statistic.DROPPED_STALE] == 1
