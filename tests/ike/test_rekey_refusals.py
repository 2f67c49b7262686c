"""Requests to replace the IKE SA that are refused, and answers that are no use: RFC 7296 1.3, 2.21.3, 2.25."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rkmp.crypto.suites import IkeProposal
from rkmp.ike import ChildRefused, CloseReason, IkeSaRekeyed, IkeSaRekeyFailed, IkeSaState, RekeyFailure
from rkmp.wire import (
    EncryptionId,
    ExchangeType,
    Header,
    KeyExchange,
    KeyExchangeId,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    SecurityAssociation,
)
from tests.ike.network import Router, closed, established, inside, reseal
from tests.ike.test_rekey_ike_sa import CBC_256, GCM_384, assert_same_ike_sa, settle_all

X25519, P256 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256


def test_another_group_is_tried_when_the_peer_wants_it() -> None:
    alice, bob = established()
    only_p256 = IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_384,), (P256,))
    bob.ike_sa._core.context.settings = replace(bob.settings, proposals=(only_p256,))
    alice.ike_sa.rekey(1.0)
    transcript = settle_all(alice, bob)
    assert len(transcript) == 6
    assert alice.last(IkeSaRekeyed).suite.key_exchange_name == "ecp256"
    assert_same_ike_sa(alice, bob)


def test_a_policy_that_has_changed_begins_with_its_own_first_group() -> None:
    alice, bob = established(proposals=(GCM_384,))
    p256_first = IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_384,), (P256,))
    for router in (alice, bob):
        router.ike_sa._core.context.settings = replace(router.settings, proposals=(p256_first,))
    alice.ike_sa.rekey(1.0)
    assert len(settle_all(alice, bob)) == 4
    assert alice.last(IkeSaRekeyed).suite.key_exchange_name == "ecp256"


@pytest.mark.parametrize("data", [b"", b"\x00", X25519.to_bytes(2), b"\x00\x0e"], ids=["none", "short", "same", "modp"])
def test_a_group_that_is_no_use_ends_the_attempt(data: bytes) -> None:
    alice, bob = answered(lambda _: (Notify(NotifyType.INVALID_KE_PAYLOAD, data),))
    if data == X25519.to_bytes(2):
        assert len(alice.of(IkeSaRekeyed)) == 1, "asked again, as it wished"
        return
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.INVALID_KE_PAYLOAD
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert bob.ike_sa.local_spi in bob.ike_sa.local_spis


def answered(change: Callable[[tuple[Payload, ...]], tuple[Payload, ...]]) -> tuple[Router, Router]:
    """Let alice ask, and have bob's answer changed, once."""
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    (rekey,) = alice.sent()
    bob.receive(rekey, 1.0)
    (answer,) = bob.sent()
    alice.receive(reseal(bob, alice, answer, change(inside(alice, answer))), 1.0)
    if any(Header.parse(d).exchange_type == ExchangeType.CREATE_CHILD_SA for d in alice.outgoing):
        # Bob takes the one before for done; a bob who does not is what the answer pretends.
        alice.collect()
        core = bob.ike_sa._lineage.cores[0]
        core.state, core.deadline = IkeSaState.ESTABLISHED, None
        bob.ike_sa._lineage.current = core
    settle_all(alice, bob)
    return alice, bob


@pytest.mark.parametrize(
    ("notify_type", "reason"),
    [
        (NotifyType.TEMPORARY_FAILURE, RekeyFailure.TEMPORARY_FAILURE),
        (NotifyType.NO_PROPOSAL_CHOSEN, RekeyFailure.NO_PROPOSAL_CHOSEN),
        (NotifyType.NO_ADDITIONAL_SAS, RekeyFailure.NO_ADDITIONAL_SAS),
        (8200, RekeyFailure.REFUSED),
    ],
)
def test_a_refusal_is_reported_and_the_old_one_goes_on(notify_type: int, reason: RekeyFailure) -> None:
    alice, _ = answered(lambda _: (Notify(notify_type),))
    event = alice.last(IkeSaRekeyFailed)
    assert (event.reason, event.notify_type, event.requester) == (reason, notify_type, True)
    assert alice.ike_sa.state is IkeSaState.ESTABLISHED
    assert alice.ike_sa.local_spis == (alice.ike_sa.local_spi,)
    assert alice.of(IkeSaRekeyed) == []


def test_invalid_syntax_is_the_end() -> None:
    alice, _ = answered(lambda _: (Notify(NotifyType.INVALID_SYNTAX),))
    assert alice.last(IkeSaRekeyFailed).reason is RekeyFailure.INVALID_SYNTAX
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX


def changed(kind: type[Payload], make: Callable[[Payload], tuple[Payload, ...]]) -> Callable[..., tuple[Payload, ...]]:
    def change(payloads: tuple[Payload, ...]) -> tuple[Payload, ...]:
        return tuple(
            new for payload in payloads for new in (make(payload) if isinstance(payload, kind) else (payload,))
        )

    return change


def with_proposal(**changes: object) -> Callable[[Payload], tuple[Payload, ...]]:
    def make(payload: Payload) -> tuple[Payload, ...]:
        assert isinstance(payload, SecurityAssociation)
        return (SecurityAssociation((replace(payload.proposals[0], **changes),)),)  # type: ignore[arg-type]

    return make


def with_a_second_proposal(payload: Payload) -> tuple[Payload, ...]:
    assert isinstance(payload, SecurityAssociation)
    (proposal,) = payload.proposals
    return (SecurityAssociation((proposal, replace(proposal, number=2))),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(KeyExchange, lambda _: ()), RekeyFailure.INCONSISTENT_ANSWER),
        (changed(KeyExchange, lambda _: (KeyExchange(P256, bytes(64)),)), RekeyFailure.INCONSISTENT_ANSWER),
        (changed(KeyExchange, lambda _: (KeyExchange(X25519, bytes(32)),)), RekeyFailure.INVALID_SYNTAX),
        (changed(Nonce, lambda _: (Nonce(bytes(16)),)), RekeyFailure.INVALID_SYNTAX),
        (changed(Nonce, lambda _: ()), RekeyFailure.INVALID_SYNTAX),
        (changed(SecurityAssociation, with_proposal(spi=bytes(8))), RekeyFailure.INVALID_SYNTAX),
        (changed(SecurityAssociation, with_proposal(spi=b"")), RekeyFailure.INVALID_SYNTAX),
        (changed(SecurityAssociation, with_proposal(number=9)), RekeyFailure.INCONSISTENT_ANSWER),
        (
            changed(SecurityAssociation, with_a_second_proposal),
            RekeyFailure.INCONSISTENT_ANSWER,
        ),
    ],
    ids=["no KE", "other KE", "bad KE", "short nonce", "no nonce", "zero SPI", "no SPI", "not offered", "two"],
)
def test_an_answer_that_is_no_use_ends_the_ike_sa(
    change: Callable[..., tuple[Payload, ...]], reason: RekeyFailure
) -> None:
    """The peer holds the old one for replaced: there is no going back to it."""
    alice, bob = answered(change)
    assert alice.last(IkeSaRekeyFailed).reason is reason
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX
    assert alice.of(IkeSaRekeyed) == []
    assert len(bob.of(IkeSaRekeyed)) == 1


def requested(change: Callable[[tuple[Payload, ...]], tuple[Payload, ...]]) -> tuple[Router, Router, bytes]:
    """Let bob have a request of alice's with other payloads; return his answer as well."""
    alice, bob = established()
    alice.ike_sa.rekey(1.0)
    alice.collect()
    (rekey,) = alice.sent()
    bob.receive(reseal(alice, bob, rekey, change(inside(bob, rekey))), 1.0)
    (answer,) = bob.sent()
    return alice, bob, answer


@pytest.mark.parametrize(
    "change",
    [
        changed(KeyExchange, lambda _: ()),
        changed(KeyExchange, lambda _: (KeyExchange(X25519, bytes(32)),)),
        changed(Nonce, lambda _: (Nonce(bytes(16)),)),
        changed(SecurityAssociation, with_proposal(spi=bytes(8))),
        changed(SecurityAssociation, with_proposal(spi=b"")),
    ],
    ids=["no KE", "bad KE", "short nonce", "zero SPI", "no SPI"],
)
def test_a_malformed_request_ends_the_ike_sa(change: Callable[..., tuple[Payload, ...]]) -> None:
    alice, bob, answer = requested(change)
    assert inside(alice, answer) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert bob.last(IkeSaRekeyFailed).reason is RekeyFailure.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.INVALID_SYNTAX
    alice.receive(answer, 1.0)
    assert closed(alice).reason is CloseReason.INVALID_SYNTAX


def test_a_request_for_algorithms_that_we_do_not_accept_is_refused() -> None:
    alice, bob = established()
    bob.ike_sa._core.context.settings = replace(bob.settings, proposals=(CBC_256,))
    alice.ike_sa.rekey(1.0)
    settle_all(alice, bob)
    for router, is_ours in ((alice, True), (bob, False)):
        event = router.last(IkeSaRekeyFailed)
        assert (event.reason, event.requester) == (RekeyFailure.NO_PROPOSAL_CHOSEN, is_ours)
    assert_same_ike_sa(alice, bob)


def test_a_rekeying_does_not_make_a_refused_child() -> None:
    alice, bob = established()
    alice.ike_sa.close("enough", 1.0)
    bob.ike_sa.rekey(1.0)
    settle_all(alice, bob)
    assert alice.of(ChildRefused) == bob.of(ChildRefused) == []
