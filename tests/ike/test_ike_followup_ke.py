"""The IKE SA replaced by another with several key exchanges: IKE_FOLLOWUP_KE (RFC 9370 2.2.4)."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from rkmp.crypto.key_exchange import respond
from rkmp.crypto.suites import IkeProposal
from rkmp.ike import (
    ChildRefusal,
    CloseReason,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    IkeSaState,
    RekeyFailure,
    Role,
)
from rkmp.ike.exchanges import ike_followup_ke, rekey_ike_sa
from rkmp.ike.exchanges.ike_followup_ke import LINK_LENGTH
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.wire import (
    EncryptedFragment,
    EncryptionId,
    ExchangeType,
    Header,
    KeyExchange,
    KeyExchangeId,
    Message,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    SecurityAssociation,
)
from tests.ike.network import (
    JUMBO,
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
)
from tests.ike.test_collisions import Chosen
from tests.ike.test_rekey_ike_sa import OFF, assert_same_ike_sa, forget_old_ones, settle_all

X25519, P256, P384 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256, KeyExchangeId.ECP_384
ML_KEM_768, ML_KEM_1024, NONE = KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024, KeyExchangeId.NONE
PLAIN = IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_256,), (X25519,))
CREATE, FOLLOWUP, INFORMATIONAL = (
    ExchangeType.CREATE_CHILD_SA,
    ExchangeType.IKE_FOLLOWUP_KE,
    ExchangeType.INFORMATIONAL,
)


def hybrid(*methods: int) -> IkeProposal:
    """Return a policy for additional key exchanges, one method each."""
    return replace(PLAIN, additional_key_exchanges=tuple((method,) for method in methods))


def opened(*methods: int, datagram_size: int = JUMBO) -> tuple[Router, Router]:
    """Return alice and bob with an IKE SA and a key, who do ``methods`` after the first key exchange."""
    return established(proposals=(hybrid(*methods),), datagram_size=datagram_size)


def headers(transcript: list[bytes]) -> list[tuple[int, int, bool]]:
    """Return exchange type, Message ID and direction of each message, fragments once."""
    parsed = [Header.parse(datagram) for datagram in transcript]
    return list(dict.fromkeys((h.exchange_type, h.message_id, h.is_response) for h in parsed))


def link_of(payloads: tuple[Payload, ...]) -> bytes | None:
    links = [p.data for p in payloads if isinstance(p, Notify) and p.notify_type == NotifyType.ADDITIONAL_KEY_EXCHANGE]
    return links[0] if links else None


def step(sender: Router, receiver: Router, now: float = 1.0) -> tuple[Payload, ...]:
    """Let one message arrive, and return what is in it."""
    (datagram,) = sender.sent()
    payloads = inside(receiver, datagram)
    receiver.receive(datagram, now)
    return payloads


# -- what comes after what -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("methods", [(ML_KEM_768,), (P384, ML_KEM_1024), (P256, P384, KeyExchangeId.ECP_521)])
@pytest.mark.parametrize("by_responder", [False, True])
@pytest.mark.parametrize("datagram_size", [JUMBO, 576])
def test_every_key_exchange_has_an_exchange_of_its_own(
    methods: tuple[int, ...], datagram_size: int, *, by_responder: bool
) -> None:
    alice, bob = opened(*methods, datagram_size=datagram_size)
    requester, answerer = (bob, alice) if by_responder else (alice, bob)
    first = 0 if by_responder else len(methods) + 2
    requester.ike_sa.rekey(1.0)
    transcript = settle_all(alice, bob)
    count = len(methods)
    exchanges = [CREATE, *[FOLLOWUP] * count, INFORMATIONAL]
    assert headers(transcript) == [
        (exchange, first + number, is_response)
        for number, exchange in enumerate(exchanges)
        for is_response in (False, True)
    ]
    assert_same_ike_sa(alice, bob)
    for router, role in ((requester, Role.INITIATOR), (answerer, Role.RESPONDER)):
        event = router.last(IkeSaRekeyed)
        assert event.role is role
        assert event.suite.additional_key_exchanges == methods
    assert any(isinstance(Message.parse(d).payloads[-1], EncryptedFragment) for d in transcript) == (
        datagram_size == 576 and (ML_KEM_768 in methods or ML_KEM_1024 in methods)
    )
    alice.ike_sa.rekey_child(10, request(20, 21, pfs=True), 2.0)
    settle_all(alice, bob, 2.0)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 2
    forget_old_ones(alice, bob)


def test_the_name_of_what_is_under_way_goes_back_as_it_came() -> None:
    alice, bob = opened(P384, P256)
    alice.ike_sa.rekey(1.0)
    alice.collect()
    assert link_of(step(alice, bob)) is None
    names = []
    for _ in range(2):
        told = step(bob, alice)
        name = link_of(told)
        assert name is not None
        assert len(name) == LINK_LENGTH
        names.append(name)
        asked = step(alice, bob)
        assert link_of(asked) == name
        assert [type(payload) for payload in asked] == [KeyExchange, Notify]
        notify = asked[1]
        assert isinstance(notify, Notify)
        assert (notify.protocol_id, notify.spi) == (0, b"")
    assert link_of(step(bob, alice)) is None
    assert len(set(names)) == 2
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)


def test_keys_are_those_of_rfc_9370_2_2_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1) | SK(2)), computed with nothing but HMAC."""
    shared: list[bytes] = []

    def watched(method: int, value: bytes, random: Random) -> tuple[bytes, Secret]:
        public_value, secret = respond(method, value, random)
        shared.append(secret.reveal())
        return public_value, secret

    alice, bob = opened(P384, ML_KEM_768)
    for module in (rekey_ike_sa, ike_followup_ke):
        monkeypatch.setattr(module, "respond", watched)
    old = alice.ike_sa._core.context.negotiated.keys
    alice.ike_sa.rekey(1.0)
    settle_all(alice, bob)
    context, new = alice.ike_sa._core.context, alice.ike_sa._core.context.negotiated
    nonces = new.nonce_i + new.nonce_r
    seed = hmac.digest(old.sk_d.reveal(), shared[0] + nonces + shared[1] + shared[2], "sha256")
    block = b""
    material = b""
    for counter in range(1, 8):
        data = block + nonces + context.initiator_spi + context.responder_spi + bytes((counter,))
        block = hmac.digest(seed, data, "sha256")
        material += block
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    made = b"".join(getattr(new.keys, name).reveal() for name in names)
    assert made == material[: len(made)]
    assert len(shared) == 3


def test_what_may_be_left_out_is_left_out() -> None:
    policy = replace(PLAIN, additional_key_exchanges=((NONE, ML_KEM_768), (P384,)))
    alice, bob = established(proposals=(policy,))
    bob.ike_sa.rekey(1.0)
    assert [h[0] for h in headers(settle_all(alice, bob)) if not h[2]] == [CREATE, FOLLOWUP, INFORMATIONAL]
    assert alice.last(IkeSaRekeyed).suite.additional_key_exchanges == (P384,)


def test_a_plain_ike_sa_can_be_replaced_by_one_with_more_and_the_other_way_round() -> None:
    alice, bob = established(proposals=(PLAIN,))
    for policy in (hybrid(ML_KEM_768), PLAIN):
        for router in (alice, bob):
            core = router.ike_sa._core
            core.context.settings = replace(core.context.settings, proposals=(policy,))
        alice.ike_sa.rekey(1.0)
        settle_all(alice, bob)
        assert_same_ike_sa(alice, bob)
        assert len(alice.last(IkeSaRekeyed).suite.additional_key_exchanges) == len(policy.additional_key_exchanges)


def test_a_transcript_is_a_function_of_its_randomness() -> None:
    runs = []
    for _ in range(2):
        alice, bob = opened(P384, P256)
        alice.ike_sa.rekey(1.0)
        bob.ike_sa.rekey(1.0)
        runs.append(settle_all(alice, bob))
    assert runs[0] == runs[1]


# -- meanwhile -------------------------------------------------------------------------------------------------------


def begun(*methods: int) -> tuple[Router, Router]:
    """Return alice and bob after CREATE_CHILD_SA: alice is about to send the next key exchange."""
    alice, bob = opened(*(methods or (P384,)))
    alice.ike_sa.rekey(1.0)
    alice.collect()
    step(alice, bob)
    step(bob, alice)
    return alice, bob


def test_the_side_that_answers_begins_nothing_before_it_is_done() -> None:
    alice, bob = begun()
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.1)
    bob.ike_sa.delete_child(200, 1.1)
    bob.ike_sa.check_liveness(1.1)
    bob.ike_sa.rekey(1.1)
    bob.collect()
    assert bob.sent() == []
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    assert_same_keys(alice, bob)
    assert set(bob.keys) == {50}
    assert len(bob.of(IkeSaRekeyed)) == 1, "and what it wanted itself is done with"


def test_the_side_that_asks_puts_off_what_the_other_begins() -> None:
    alice, bob = begun()
    bob.ike_sa._core.context.rekeying = None
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.1)
    bob.collect()
    (create,) = bob.sent()
    alice.receive(create, 1.1)
    (followup, answer) = alice.sent()
    assert Header.parse(followup).exchange_type == FOLLOWUP
    assert inside(bob, answer) == OFF
    bob.receive(answer, 1.1)
    assert refused(bob).reason is ChildRefusal.TEMPORARY_FAILURE


def test_a_rekeying_that_comes_after_ours_was_answered_is_put_off() -> None:
    """RFC 9370 2.2.4: by then the peer knows both pairs of nonces, or will never compare them."""
    alice, bob = opened(P384)
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    (late,) = bob.sent()
    step(alice, bob)
    step(bob, alice)
    alice.receive(late, 1.0)
    followup, answer = alice.sent()
    assert inside(bob, answer) == OFF
    bob.receive(answer, 1.0)
    assert bob.last(IkeSaRekeyFailed).reason is RekeyFailure.TEMPORARY_FAILURE
    bob.receive(followup, 1.0)
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)


def test_the_last_key_exchange_may_come_before_the_refusal_of_our_own_request() -> None:
    alice, bob = opened(P384)
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    (late,) = bob.sent()
    step(alice, bob)
    step(bob, alice)
    alice.receive(late, 1.0)
    followup, refusal = alice.sent()
    bob.receive(followup, 1.0)
    assert bob.of(IkeSaRekeyed) == []
    assert len(bob.ike_sa.local_spis) == 2
    bob.receive(refusal, 1.0)
    assert bob.ike_sa.role is Role.RESPONDER
    settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_something_else_shows_that_the_rekeying_was_given_up() -> None:
    alice, bob = begun()
    alice.sent()
    core = alice.ike_sa._core
    core.complete()
    core.tasks.next_message_id -= 1
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 2.0)
    alice.collect()
    settle_all(alice, bob, 2.0)
    assert bob.ike_sa._core.context.rekeying is None
    assert len(alice.keys) == 2
    assert_same_keys(alice, bob)


# -- what is forgotten -----------------------------------------------------------------------------------------------


def test_what_nobody_goes_on_with_is_forgotten() -> None:
    alice, bob = begun()
    (late,) = alice.sent()
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.1)
    assert bob.next_timer() == 1.0 + bob.settings.followup_timeout
    bob.handle_timer(1.0 + bob.settings.followup_timeout)
    event = bob.last(IkeSaRekeyFailed)
    assert (event.reason, event.requester) == (RekeyFailure.NO_RESPONSE, False)
    (create,) = bob.sent()
    assert Header.parse(create).exchange_type == CREATE, "and what has waited is begun"
    bob.receive(late, 22.0)
    (answer,) = bob.sent()
    assert inside(alice, answer) == (Notify(NotifyType.STATE_NOT_FOUND),)
    assert bob.last(IkeSaRekeyFailed).reason is RekeyFailure.STATE_NOT_FOUND
    alice.receive(answer, 22.0)
    event = alice.last(IkeSaRekeyFailed)
    assert (event.reason, event.notify_type, event.requester) == (RekeyFailure.STATE_NOT_FOUND, 47, True)
    alice.receive(create, 22.0)
    settle_all(alice, bob, 22.0)
    assert_same_ike_sa(alice, bob)
    assert_same_keys(alice, bob)
    alice.ike_sa.rekey(23.0)
    settle_all(alice, bob, 23.0)
    assert len(alice.of(IkeSaRekeyed)) == 1


def test_each_key_exchange_gives_more_time() -> None:
    alice, bob = begun(P384, P256)
    step(alice, bob, 15.0)
    assert bob.next_timer() == 15.0 + bob.settings.followup_timeout


@pytest.mark.parametrize("link", [b"", b"another name"])
def test_another_name_finds_nothing_and_changes_nothing(link: bytes) -> None:
    alice, bob = begun()
    (followup,) = alice.sent()
    key_exchange, _ = inside(bob, followup)
    named = (Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link),) if link else ()
    bob.receive(reseal(alice, bob, followup, (key_exchange, *named)), 1.0)
    (answer,) = bob.sent()
    assert inside(alice, answer) == (Notify(NotifyType.STATE_NOT_FOUND),)
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED
    assert bob.ike_sa._core.context.rekeying is not None


def test_a_key_exchange_out_of_the_blue_finds_nothing() -> None:
    alice, bob = opened(P384)
    payloads = (KeyExchange(P384, bytes(96)), Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, b"name"))
    bob.receive(inject(alice, FOLLOWUP, payloads), 1.0)
    (answer,) = bob.sent()
    assert inside(alice, answer) == (Notify(NotifyType.STATE_NOT_FOUND),)
    assert bob.ike_sa.state is IkeSaState.ESTABLISHED


def test_an_ike_sa_that_is_being_closed_goes_on_with_nothing() -> None:
    alice, bob = begun()
    bob.ike_sa.close("enough", 1.1)
    bob.collect()
    (deletion,) = bob.sent()
    step(alice, bob, 1.2)
    assert step(bob, alice, 1.2) == (Notify(NotifyType.STATE_NOT_FOUND),)
    alice.receive(deletion, 1.3)
    settle_all(alice, bob, 1.3)
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed", "IkeSaClosed"]
    assert closed(bob).message == "enough"


def test_a_close_by_the_side_that_asks_closes_the_new_one() -> None:
    alice, bob = begun(P384, P256)
    alice.ike_sa.close("changed our mind", 1.1)
    settle_all(alice, bob, 1.1)
    for router in (alice, bob):
        assert router.kinds()[2:] == ["IkeSaRekeyed", "IkeSaClosed"]
    assert closed(alice).message == "changed our mind"


def test_a_delete_in_between_ends_it_all() -> None:
    alice, bob = begun()
    (followup,) = alice.sent()
    bob.ike_sa.close("enough", 1.1)
    bob.collect()
    (deletion,) = bob.sent()
    alice.receive(deletion, 1.1)
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed", "IkeSaClosed"]
    bob.receive(alice.sent()[0], 1.1)
    assert bob.ike_sa.is_closed
    bob.receive(followup, 1.1)
    assert bob.sent() == []


def test_silence_in_between_is_a_peer_that_is_gone() -> None:
    alice, _ = begun()
    for moment in range(2, 100):
        alice.handle_timer(float(moment))
    assert alice.kinds()[2:] == ["LivenessFailed", "IkeSaRekeyFailed", "IkeSaClosed"]
    assert "IKE_FOLLOWUP_KE" in alice.last(IkeSaRekeyFailed).message


# -- both sides do it ------------------------------------------------------------------------------------------------

KINDS = {
    "both more": ((hybrid(P384),), (hybrid(P384),)),
    # Who answers chooses: bob, to alice's request, by his order, and alice by hers.
    "alice's plain, bob's more": ((hybrid(P384), PLAIN), (PLAIN, hybrid(P384))),
    "alice's more, bob's plain": ((PLAIN, hybrid(P384)), (hybrid(P384), PLAIN)),
}


def both(kind: str, order: tuple[int, int, int, int]) -> tuple[Router, Router]:
    """Return alice and bob who have both asked; ``order``: alice's nonce, bob's answer, bob's nonce, alice's answer."""
    alice, bob = established(proposals=(PLAIN,))
    for router, policy in zip((alice, bob), KINDS[kind], strict=True):
        core = router.ike_sa._core
        core.context.settings = replace(core.context.settings, proposals=policy)
    # A private key of Curve25519 is drawn after the first nonce of each.
    Chosen(alice, [order[0], 0, order[3]])
    Chosen(bob, [order[2], 0, order[1]])
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    return alice, bob


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
def test_every_order_of_nonces_leaves_one_ike_sa(kind: str, order: tuple[int, int, int, int]) -> None:
    alice, bob = both(kind, order)
    transcript = settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    winner, loser = (bob, alice) if 1 in order[:2] else (alice, bob)
    assert winner.ike_sa.role is Role.INITIATOR
    for router in (alice, bob):
        assert len(router.of(IkeSaRekeyed)) == 1
        assert len(router.keys) == 1
    wins_with_more = kind == "both more" or f"{'bob' if winner is bob else 'alice'}'s more" in kind
    sent = [Header.parse(d) for d in transcript]
    followups = [h for h in sent if h.exchange_type == FOLLOWUP]
    assert len(followups) == (2 if wins_with_more else 0), "and who has lost asks for none"
    assert [e.reason for e in loser.events if isinstance(e, IkeSaRekeyFailed)] == (
        [RekeyFailure.TEMPORARY_FAILURE] if wins_with_more else []
    )
    forget_old_ones(alice, bob)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 4, 1, 2)], ids=["alice loses", "alice wins"])
@pytest.mark.parametrize("arrival", list(itertools.permutations(range(4))))
def test_the_order_of_arrival_does_not_matter(
    kind: str, order: tuple[int, int, int, int], arrival: tuple[int, int, int, int]
) -> None:
    alice, bob = both(kind, order)
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
    assert len(alice.of(IkeSaRekeyed)) == len(bob.of(IkeSaRekeyed)) == 1
    assert_same_keys(alice, bob)
    forget_old_ones(alice, bob)


# -- nonsense --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda payloads: payloads[1:],
        lambda payloads: (KeyExchange(P256, bytes(64)), payloads[1]),
        lambda payloads: (KeyExchange(P384, bytes(96)), payloads[1]),
        lambda payloads: (payloads[0], *payloads),
    ],
    ids=["no KE", "another method", "no point", "two"],
)
def test_a_malformed_request_ends_the_ike_sa(change: Callable[..., tuple[Payload, ...]]) -> None:
    alice, bob = begun()
    (followup,) = alice.sent()
    bob.receive(reseal(alice, bob, followup, change(inside(bob, followup))), 1.0)
    (answer,) = bob.sent()
    assert inside(alice, answer) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX
    alice.receive(answer, 1.0)
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.INVALID_SYNTAX
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: (), RekeyFailure.INVALID_SYNTAX),
        (lambda _: (KeyExchange(P256, bytes(64)),), RekeyFailure.INCONSISTENT_ANSWER),
        (lambda _: (KeyExchange(P384, bytes(96)),), RekeyFailure.INVALID_SYNTAX),
        (lambda payloads: payloads[:1], RekeyFailure.INCONSISTENT_ANSWER),
    ],
    ids=["no KE", "another method", "no point", "no name for the next"],
)
def test_an_answer_that_is_no_use_ends_the_ike_sa(
    change: Callable[..., tuple[Payload, ...]], reason: RekeyFailure
) -> None:
    alice, bob = begun(P384, P256)
    step(alice, bob)
    (answer,) = bob.sent()
    alice.receive(reseal(bob, alice, answer, change(inside(alice, answer))), 1.0)
    assert alice.last(IkeSaRekeyFailed).reason is reason
    settle_all(alice, bob)
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER


def test_an_answer_that_does_not_name_the_next_key_exchange_ends_the_ike_sa() -> None:
    alice, bob = opened(P384)
    alice.ike_sa.rekey(1.0)
    alice.collect()
    step(alice, bob)
    (answer,) = bob.sent()
    payloads = inside(alice, answer)
    assert [type(payload) for payload in payloads] == [SecurityAssociation, Nonce, KeyExchange, Notify]
    alice.receive(reseal(bob, alice, answer, payloads[:3]), 1.0)
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.INCONSISTENT_ANSWER
    assert alice.ike_sa.state is IkeSaState.CLOSING


@pytest.mark.parametrize(
    ("notify_type", "reason"),
    [
        (NotifyType.STATE_NOT_FOUND, RekeyFailure.STATE_NOT_FOUND),
        (NotifyType.TEMPORARY_FAILURE, RekeyFailure.TEMPORARY_FAILURE),
        (NotifyType.NO_PROPOSAL_CHOSEN, RekeyFailure.NO_PROPOSAL_CHOSEN),
        (8200, RekeyFailure.REFUSED),
    ],
)
def test_a_refusal_leaves_the_old_one(notify_type: int, reason: RekeyFailure) -> None:
    alice, bob = begun()
    step(alice, bob)
    (answer,) = bob.sent()
    alice.receive(reseal(bob, alice, answer, (Notify(notify_type),)), 1.0)
    assert alice.last(IkeSaRekeyFailed).reason is reason
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.of(IkeSaRekeyed) == []
