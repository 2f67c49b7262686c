"""The IKE SA replaced by another, from each side and from both: RFC 7296 1.3.2, 2.8, 2.8.2, 2.18 and 2.25."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.ike import (
    ChildDeleted,
    ChildKeysEstablished,
    ChildRefusal,
    CloseReason,
    IkeSaClosed,
    IkeSaRekeyed,
    IkeSaRekeyFailed,
    IkeSaState,
    IkeSettings,
    LivenessFailed,
    RekeyFailure,
    Role,
    Statistic,
)
from rkmp.ike.core import IkeSaCore
from rkmp.ike.exchanges.rekey_ike_sa import RekeyIkeSa
from rkmp.wire import (
    Delete,
    EncryptionId,
    ExchangeType,
    Header,
    IntegrityId,
    KeyExchange,
    KeyExchangeId,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    Proposal,
    ProtocolId,
    SecurityAssociation,
)
from tests.ike.network import (
    LDP,
    Router,
    assert_same_keys,
    closed,
    established,
    inject,
    inside,
    pair,
    refused,
    request,
    reseal,
    settle,
)

OFF = (Notify(NotifyType.TEMPORARY_FAILURE),)
X25519, P256 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256
GCM_384 = IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_384,), (X25519,))
CBC_256 = IkeProposal(
    ((EncryptionId.AES_CBC, 256),), (IntegrityId.HMAC_SHA2_256_128,), (PrfId.HMAC_SHA2_256,), (X25519,)
)


def rekeyed(*, by_responder: bool = False) -> tuple[Router, Router]:
    """Return alice and bob after one of them has replaced their IKE SA; alice is who opened it."""
    alice, bob = established()
    (bob if by_responder else alice).ike_sa.rekey(1.0)
    settle_all(alice, bob, 1.0)
    return alice, bob


def settle_all(alice: Router, bob: Router, now: float = 1.0) -> list[bytes]:
    alice.collect()
    bob.collect()
    return settle(alice, bob, now)


def assert_same_ike_sa(alice: Router, bob: Router) -> None:
    """Both use the same IKE SA and no other is left."""
    ours, theirs = alice.ike_sa._core.context, bob.ike_sa._core.context
    assert (ours.local_spi, ours.remote_spi) == (theirs.remote_spi, theirs.local_spi)
    assert ours.role is not theirs.role
    assert ours.negotiated.keys == theirs.negotiated.keys
    assert alice.ike_sa.state is bob.ike_sa.state is IkeSaState.ESTABLISHED


def forget_old_ones(*routers: Router, now: float = 1000.0) -> None:
    """Let so much time pass that what was replaced is gone."""
    for router in routers:
        router.handle_timer(now)
        assert router.ike_sa.local_spis == (router.ike_sa.local_spi,)
        assert router.next_timer() is None


def of_ike_sa(core: IkeSaCore, router: Router) -> list[bytes]:
    """Return what waits to be sent by one of those that replaced one another."""
    spis = {core.context.initiator_spi + core.context.responder_spi}
    return [datagram for datagram in router.outgoing if datagram[:16] in spis]


# -- one side does it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_responder", [False, True])
def test_a_new_ike_sa_takes_the_place_of_the_old_one(*, by_responder: bool) -> None:
    alice, bob = established()
    before = [(router.ike_sa.local_spi, router.ike_sa.remote_spi) for router in (alice, bob)]
    (requester, answerer) = (bob, alice) if by_responder else (alice, bob)
    requester.ike_sa.rekey(1.0)
    transcript = settle_all(alice, bob)
    assert [(Header.parse(d).exchange_type, Header.parse(d).is_response) for d in transcript] == [
        (ExchangeType.CREATE_CHILD_SA, False),
        (ExchangeType.CREATE_CHILD_SA, True),
        (ExchangeType.INFORMATIONAL, False),
        (ExchangeType.INFORMATIONAL, True),
    ]
    assert {d[:16] for d in transcript} == {before[0][0] + before[0][1]}
    for router, (local_spi, remote_spi), role in (
        (requester, before[requester is bob], Role.INITIATOR),
        (answerer, before[answerer is bob], Role.RESPONDER),
    ):
        event = router.last(IkeSaRekeyed)
        assert (event.old_local_spi, event.old_remote_spi) == (local_spi, remote_spi)
        assert (event.local_spi, event.remote_spi) == (router.ike_sa.local_spi, router.ike_sa.remote_spi)
        assert event.role is router.ike_sa.role is role
        assert router.kinds() == ["IkeSaEstablished", "ChildKeysEstablished", "IkeSaRekeyed"]
    assert_same_ike_sa(alice, bob)
    forget_old_ones(alice, bob)


def test_message_ids_begin_again() -> None:
    alice, bob = rekeyed()
    for first, second in ((alice, bob), (bob, alice)):
        first.ike_sa.check_liveness(2.0)
        transcript = settle_all(first, second, 2.0)
        assert [Header.parse(datagram).message_id for datagram in transcript] == [0, 0]
        assert [Header.parse(datagram).is_initiator for datagram in transcript] == [first is alice, first is not alice]


@pytest.mark.parametrize("by_responder", [False, True])
def test_keys_are_those_of_rfc_7296_2_18(*, by_responder: bool) -> None:
    """The old PRF makes SKEYSEED, the new one the keys."""
    alice, bob = established(proposals=(GCM_384,))
    requester, answerer = (bob, alice) if by_responder else (alice, bob)
    old = alice.ike_sa._core.context.negotiated
    for router in (alice, bob):
        router.ike_sa._core.context.settings = replace(router.settings, proposals=(CBC_256,))
    requester.ike_sa.rekey(1.0)
    requester.collect()
    outstanding = requester.ike_sa._core.tasks.outstanding
    assert outstanding is not None
    exchange = outstanding.exchange
    assert isinstance(exchange, RekeyIkeSa)
    assert exchange._key_exchange is not None
    answerer.receive(requester.sent()[0], 1.0)
    (answer,) = answerer.sent()
    (their_value,) = (p.data for p in inside(requester, answer) if isinstance(p, KeyExchange))
    shared_secret = exchange._key_exchange.finish(their_value).reveal()
    requester.receive(answer, 1.0)
    settle_all(alice, bob)

    new, context = requester.ike_sa._core.context.negotiated, requester.ike_sa._core.context
    nonces = new.nonce_i + new.nonce_r
    seed = hmac.digest(old.keys.sk_d.reveal(), shared_secret + nonces, "sha384")
    material, block = b"", b""
    for counter in range(1, 9):
        block = hmac.digest(
            seed, block + nonces + context.initiator_spi + context.responder_spi + bytes((counter,)), "sha256"
        )
        material += block
    assert material[: 7 * 32] == b"".join(
        getattr(new.keys, name).reveal() for name in ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    )
    assert new.suite.encryption_name == requester.last(IkeSaRekeyed).suite.encryption_name == "aes-cbc-256"
    assert_same_ike_sa(alice, bob)


def test_children_go_on_over_the_new_ike_sa() -> None:
    alice, bob = rekeyed()
    assert set(alice.keys) == {10}
    assert [child.send_id for child in alice.ike_sa.children] == [10]
    alice.ike_sa.rekey_child(10, request(20, 21), 2.0)
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 2.0)
    settle_all(alice, bob, 2.0)
    assert alice.last(ChildKeysEstablished) is not None
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 3
    bob.ike_sa.delete_child(200, 3.0)
    settle_all(alice, bob, 3.0)
    assert_same_keys(alice, bob)
    assert 10 not in alice.keys


def test_it_can_be_done_again_and_again() -> None:
    alice, bob = established()
    seen = set()
    for number in range(6):
        (alice, bob)[number % 2].ike_sa.rekey(10.0 * number)
        settle_all(alice, bob, 10.0 * number)
        assert_same_ike_sa(alice, bob)
        seen.add(alice.ike_sa.local_spi)
    assert len(seen) == 6
    forget_old_ones(alice, bob)
    alice.ike_sa.close("enough", 1000.0)
    settle_all(alice, bob, 1000.0)
    assert closed(alice).reason is CloseReason.CLOSED_LOCALLY
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER


def test_the_old_keys_are_forgotten() -> None:
    alice, bob = established()
    old = [router.ike_sa._core for router in (alice, bob)]
    alice.ike_sa.rekey(1.0)
    settle_all(alice, bob)
    for core in old:
        assert core.state is IkeSaState.CLOSED
        assert core.protection is None
        assert core.context.secrets is None


def test_a_response_over_the_old_one_is_repeated_for_a_while() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    (rekey,) = alice.sent()
    bob.receive(rekey, 1.0)
    (answer,) = bob.sent()
    bob.receive(rekey, 2.0)
    assert bob.sent() == [answer]
    alice.receive(answer, 2.0)
    (deletion,) = alice.sent()
    bob.receive(deletion, 2.0)
    (empty,) = bob.sent()
    bob.receive(deletion, 3.0)
    assert bob.sent() == [empty]
    alice.receive(empty, 3.0)
    assert len(bob.ike_sa.local_spis) == 2
    forget_old_ones(alice, bob)


def test_progress_is_counted_on() -> None:
    alice, bob = established()
    progress = [
        (alice.ike_sa.requests_completed, alice.ike_sa.requests_answered, bob.ike_sa.requests_completed),
    ]
    for step in (alice.ike_sa.rekey, bob.ike_sa.rekey, alice.ike_sa.check_liveness, bob.ike_sa.check_liveness):
        step(1.0)
        settle_all(alice, bob)
        progress.append(
            (alice.ike_sa.requests_completed, alice.ike_sa.requests_answered, bob.ike_sa.requests_completed)
        )
    assert progress == [(2, 0, 0), (3, 0, 0), (3, 1, 1), (4, 1, 1), (4, 2, 2)]


def test_a_delete_of_the_old_one_is_no_sign_that_a_key_is_known() -> None:
    """What the engine takes for a sign has to come after our answer, and a Delete of the old IKE SA need not."""
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    bob.receive(alice.sent()[0], 1.0)
    to_alice = {Header.parse(datagram).exchange_type: datagram for datagram in bob.sent()}
    alice.receive(to_alice[ExchangeType.CREATE_CHILD_SA], 1.0)
    assert len(alice.keys) == 2
    answered = alice.ike_sa.requests_answered
    alice.receive(to_alice[ExchangeType.INFORMATIONAL], 1.0)
    assert alice.ike_sa.requests_answered == answered
    settle_all(alice, bob)
    assert_same_keys(alice, bob)


# -- what waits meanwhile --------------------------------------------------------------------------------------------


def test_what_waits_is_done_over_the_new_one() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.ike_sa.delete_child(10, 1.0)
    alice.ike_sa.rekey(1.0)
    transcript = settle_all(alice, bob)
    assert_same_ike_sa(alice, bob)
    assert [Header.parse(d).exchange_type for d in transcript if d[:8] == alice.ike_sa.local_spi] == [36, 36, 37, 37]
    assert set(alice.keys) == {30}
    assert_same_keys(alice, bob)
    assert len(alice.of(IkeSaRekeyed)) == 1, "rekeying twice at once is once"


def test_a_responder_does_not_use_the_new_one_before_the_peer_can_know_it() -> None:
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    (answer,) = alice.sent()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.1)
    alice.ike_sa.check_liveness(1.1)
    alice.collect()
    assert alice.sent() == []
    assert [type(e).__name__ for e in alice.ike_sa._core.tasks.queued] == ["CreateChildSa"]
    bob.receive(answer, 1.2)
    settle_all(alice, bob, 1.2)
    assert set(alice.keys) == {10, 30}
    assert_same_keys(alice, bob)


def test_a_message_over_the_new_one_shows_that_it_is_known() -> None:
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    bob.receive(alice.sent()[0], 1.0)
    bob.sent()
    bob.ike_sa.check_liveness(1.0)
    bob.collect()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.1)
    alice.collect()
    assert alice.sent() == []
    alice.receive(bob.sent()[0], 1.2)
    assert len(alice.sent()) == 2


def test_a_responder_s_patience_has_an_end() -> None:
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    alice.sent()
    alice.ike_sa.check_liveness(1.1)
    alice.handle_timer(1.0 + alice.settings.half_open_timeout)
    assert len(alice.sent()) == 1


def test_an_old_one_that_nobody_deletes_is_forgotten() -> None:
    alice, bob = established()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    alice.receive(bob.sent()[0], 1.0)
    alice.handle_timer(1.0 + alice.settings.replaced_timeout - 0.1)
    assert set(alice.ike_sa.local_spis) > {alice.ike_sa.local_spi}
    alice.handle_timer(1.0 + alice.settings.replaced_timeout)
    assert set(alice.ike_sa.local_spis) == {alice.ike_sa.local_spi}
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.of(IkeSaClosed) == []


def test_a_delete_of_the_old_one_that_is_not_answered_is_nobody_s_business() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    alice.receive(bob.sent()[0], 1.0)
    alice.sent()
    for moment in range(2, 200):
        alice.handle_timer(float(moment))
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.of(IkeSaClosed) == alice.of(LivenessFailed) == []
    assert alice.ike_sa.local_spis == (alice.ike_sa.local_spi,)


def test_a_liveness_check_over_the_old_one_that_is_not_answered_is_no_failure() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    alice.sent()
    alice.receive(bob.sent()[0], 1.0)
    for moment in range(2, 100):
        alice.handle_timer(float(moment))
    assert alice.of(IkeSaClosed) == alice.of(LivenessFailed) == []
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED


def test_a_request_that_is_never_answered_is_a_peer_that_is_gone() -> None:
    alice, _ = established()
    alice.ike_sa.rekey(1.0)
    for moment in range(2, 100):
        alice.handle_timer(float(moment))
    assert alice.kinds()[2:] == ["LivenessFailed", "IkeSaRekeyFailed", "IkeSaClosed"]
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.NO_RESPONSE
    assert alice.ike_sa.is_finished


# -- closing and rekeying --------------------------------------------------------------------------------------------


def test_a_close_while_it_is_under_way_closes_the_new_one() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.ike_sa.close("changed our mind", 1.0)
    settle_all(alice, bob)
    for router in (alice, bob):
        assert router.kinds()[2:] == ["IkeSaRekeyed", "IkeSaClosed"]
        assert router.ike_sa.is_closed
    assert closed(alice).message == "changed our mind"
    assert closed(bob).reason is CloseReason.CLOSED_BY_PEER


def test_a_rekeying_that_waits_when_the_ike_sa_is_closed_is_reported() -> None:
    alice, bob = established()
    alice.ike_sa.check_liveness(1.0)
    alice.ike_sa.rekey(1.0)
    alice.ike_sa.close("enough", 1.0)
    settle_all(alice, bob)
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.IKE_SA_CLOSED
    alice.ike_sa.rekey(2.0)
    alice.collect()
    assert len(alice.of(IkeSaRekeyFailed)) == 2


def test_a_rekeying_waits_until_the_ike_sa_is_established() -> None:
    alice, bob = pair()
    alice.initiate(request())
    alice.ike_sa.rekey(0.0)
    settle_all(alice, bob)
    assert len(alice.of(IkeSaRekeyed)) == 1
    assert_same_ike_sa(alice, bob)


def test_to_abandon_one_is_to_abandon_all() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    assert len(bob.ike_sa.local_spis) == 2
    bob.ike_sa.abandon("enough", 1.0)
    bob.collect()
    assert bob.ike_sa.is_finished
    assert bob.kinds()[2:] == ["IkeSaRekeyed", "IkeSaClosed"]


def test_a_delete_of_the_ike_sa_ends_our_rekeying_of_it() -> None:
    """RFC 7296 2.25.2: reply as usual, and forget about it."""
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    bob.ike_sa.close("enough", 1.0)
    alice.collect()
    bob.collect()
    (rekey,), (deletion,) = alice.sent(), bob.sent()
    bob.receive(rekey, 1.0)
    (answer,) = bob.sent()
    assert inside(alice, answer) == OFF
    alice.receive(deletion, 1.0)
    (empty,) = alice.sent()
    assert alice.kinds()[2:] == ["IkeSaRekeyFailed", "IkeSaClosed"]
    alice.receive(answer, 1.0)
    bob.receive(empty, 1.0)
    assert alice.ike_sa.is_closed
    assert bob.ike_sa.is_closed


# -- RFC 7296 2.25: what else is going on ----------------------------------------------------------------------------


def crossing(
    ours: Callable[[Router], object], theirs: Callable[[Router], object]
) -> tuple[Router, Router, tuple[Payload, ...], tuple[Payload, ...]]:
    """Let alice and bob ask for something at once; return both with what each answers to the other, as it is read."""
    alice, bob = established()
    ours(alice)
    theirs(bob)
    alice.collect()
    bob.collect()
    (from_alice,), (from_bob,) = alice.sent(), bob.sent()
    alice.receive(from_bob, 1.0)
    bob.receive(from_alice, 1.0)
    (to_bob,) = [d for d in alice.outgoing if Header.parse(d).is_response]
    (to_alice,) = [d for d in bob.outgoing if Header.parse(d).is_response]
    read = inside(bob, to_bob), inside(alice, to_alice)
    settle_all(alice, bob)
    return alice, bob, *read


@pytest.mark.parametrize(
    "what",
    [
        lambda router: router.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0),
        lambda router: router.ike_sa.rekey_child(200, request(50, 51), 1.0),
        lambda router: router.ike_sa.delete_child(200, 1.0),
    ],
    ids=["create", "rekey", "delete"],
)
def test_while_a_child_is_concerned_the_ike_sa_is_not_replaced(what: Callable[[Router], object]) -> None:
    """2.25.1 and 2.25.2: both are put off, but for a Delete, which is always answered."""
    alice, bob, to_bob, to_alice = crossing(lambda router: router.ike_sa.rekey(1.0), what)
    assert to_alice == OFF
    if bob.of(ChildDeleted):
        assert to_bob == (Delete(201, (b"\x0a",)),)
    else:
        assert to_bob == OFF
        assert refused(bob).reason is ChildRefusal.TEMPORARY_FAILURE
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.TEMPORARY_FAILURE
    assert (alice.last(IkeSaRekeyFailed).requester, bob.last(IkeSaRekeyFailed).requester) == (True, False)
    assert alice.of(IkeSaRekeyed) == []
    assert_same_keys(alice, bob)
    assert_same_ike_sa(alice, bob)
    alice.ike_sa.rekey(2.0)
    settle_all(alice, bob, 2.0)
    assert len(alice.of(IkeSaRekeyed)) == 1


def test_while_a_wrong_answer_is_undone_the_ike_sa_is_not_replaced() -> None:
    alice, bob = established()
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    bob.receive(alice.sent()[0], 1.0)
    (answer,) = bob.sent()
    other = tuple(
        SecurityAssociation((replace(payload.proposals[0], number=2),))
        if isinstance(payload, SecurityAssociation)
        else payload
        for payload in inside(alice, answer)
    )
    alice.receive(reseal(bob, alice, answer, other), 1.0)
    (undo,) = alice.sent()
    bob.ike_sa.rekey(1.0)
    bob.collect()
    (rekey,) = bob.sent()
    alice.receive(rekey, 1.0)
    (answer,) = alice.sent()
    assert inside(bob, answer) == OFF
    bob.receive(undo, 1.0)
    bob.receive(answer, 1.0)
    settle_all(alice, bob)
    assert_same_keys(alice, bob)


def test_a_liveness_check_does_not_stand_in_the_way() -> None:
    alice, bob, _, _ = crossing(
        lambda router: router.ike_sa.rekey(1.0), lambda router: router.ike_sa.check_liveness(1.0)
    )
    assert len(alice.of(IkeSaRekeyed)) == len(bob.of(IkeSaRekeyed)) == 1
    assert_same_ike_sa(alice, bob)


def test_an_ike_sa_that_is_being_closed_is_not_replaced() -> None:
    alice, bob = established()
    alice.ike_sa.close("enough", 1.0)
    bob.ike_sa.rekey(1.0)
    alice.collect()
    bob.collect()
    alice.sent()
    alice.receive(bob.sent()[0], 1.0)
    (answer,) = alice.sent()
    assert inside(bob, answer) == OFF
    bob.receive(answer, 1.0)
    assert bob.last(IkeSaRekeyFailed).reason is RekeyFailure.TEMPORARY_FAILURE
    assert alice.of(IkeSaRekeyFailed) != []


def test_a_child_is_not_made_over_an_ike_sa_that_was_replaced() -> None:
    alice, bob = established()
    late = inject(bob, ExchangeType.CREATE_CHILD_SA, create_payloads(alice, bob))
    bob.ike_sa._core.tasks.next_message_id += 1
    bob.ike_sa.rekey(1.0)
    alice.ike_sa._core.tasks.expected_message_id += 1
    bob.collect()
    (rekey,) = bob.sent()
    alice.receive(rekey, 1.0)
    alice.sent()
    alice.ike_sa._lineage.cores[0].tasks.expected_message_id = Header.parse(late).message_id
    alice.receive(late, 1.0)
    (answer,) = alice.sent()
    assert inside(bob, answer) == OFF
    assert len(alice.keys) == 1


def create_payloads(alice: Router, bob: Router) -> tuple[Payload, ...]:
    """Return what bob would ask for a key with."""
    spare, other = established()
    other.ike_sa.create_child(request(50, 51, protocol=LDP), 1.0)
    other.collect()
    return inside(spare, other.sent()[0])


def test_a_message_for_none_of_them_is_dropped() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    (rekey,) = alice.sent()
    bob.receive(rekey, 1.0)
    bob.ike_sa.receive(rekey[:8] + b"\x01" * 8 + rekey[16:], 1.0)
    assert bob.ike_sa.statistics[Statistic.DROPPED_WRONG_SPI] == 1


def test_a_transcript_is_a_function_of_its_randomness() -> None:
    runs = []
    for _ in range(2):
        alice, bob = established()
        alice.ike_sa.rekey(1.0)
        bob.ike_sa.rekey(1.0)
        runs.append(settle_all(alice, bob))
    assert runs[0] == runs[1]


def test_the_proposal_names_the_new_spis() -> None:
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    (rekey,) = alice.sent()
    bob.receive(rekey, 1.0)
    (answer,) = bob.sent()
    asked, told = inside(bob, rekey), inside(alice, answer)
    alice.receive(answer, 1.0)
    for payloads, spi in ((asked, alice.ike_sa.local_spi), (told, bob.ike_sa.local_spi)):
        assert [type(payload) for payload in payloads] == [SecurityAssociation, Nonce, KeyExchange]
        (association,) = (payload for payload in payloads if isinstance(payload, SecurityAssociation))
        for proposal in association.proposals:
            assert isinstance(proposal, Proposal)
            assert (proposal.protocol_id, proposal.spi) == (ProtocolId.IKE, spi)


def test_settings_say_how_long_an_old_one_is_kept() -> None:
    assert IkeSettings().replaced_timeout > sum(IkeSettings().retransmission.interval(n) for n in range(1, 7))
