"""Post-quantum pre-shared keys (RFC 8784): both sides, optional and mandatory, known and unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rkmp.crypto.ike_keys import ike_keys_with_ppk
from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    ChildKeysEstablished,
    CloseReason,
    IkeSaEstablished,
    NegotiationFailed,
    NegotiationFailure,
    Ppk,
)
from rkmp.secret import Secret
from rkmp.wire import Message, Notify, NotifyType, Payload
from tests.ike.network import Router, assert_same_keys, closed, inside, opened, pair, request, reseal, settle
from tests.ike.test_certificates import certified

OPTIONAL = Ppk(b"\x02ppk of alice and bob", Secret(b"a post-quantum pre-shared key, 32 o"), is_mandatory=False)
MANDATORY = replace(OPTIONAL, is_mandatory=True)
OTHER_NAME = replace(OPTIONAL, identifier=b"\x02another")
OTHER_SECRET = replace(OPTIONAL, secret=Secret(b"not what the other side has got"))


def meet(
    alice_ppk: Ppk | None, bob_ppk: Ppk | None, routers: tuple[Router, Router] | None = None
) -> tuple[Router, Router, list[tuple[Payload, ...]]]:
    """Let alice, with her PPK, open an IKE SA with bob, with his; return what was in the protected messages."""
    alice, bob = routers or pair()
    alice.ppk, bob.ppk = alice_ppk, bob_ppk
    alice.initiate(request(10, 11))
    return alice, bob, opened(alice, bob)


def assert_established(alice: Router, bob: Router, *, uses_ppk: bool) -> None:
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1
    assert alice.last(IkeSaEstablished).uses_ppk is bob.last(IkeSaEstablished).uses_ppk is uses_ppk


def notifies(payloads: tuple[Payload, ...]) -> dict[int, bytes]:
    """Return the data of the notifies by their type."""
    return {payload.notify_type: payload.data for payload in payloads if isinstance(payload, Notify)}


@pytest.mark.parametrize("alice_ppk", [OPTIONAL, MANDATORY], ids=["optional", "mandatory"])
@pytest.mark.parametrize("bob_ppk", [OPTIONAL, MANDATORY], ids=["optional", "mandatory"])
@pytest.mark.parametrize("certificates", [False, True], ids=["psk", "certificate"])
def test_a_ppk_that_both_have_is_used(alice_ppk: Ppk, bob_ppk: Ppk, *, certificates: bool) -> None:
    routers = certified() if certificates else pair()
    alice, bob, _ = meet(alice_ppk, bob_ppk, routers)
    assert_established(alice, bob, uses_ppk=True)


def test_what_travels() -> None:
    _, _, (asking, answering) = meet(OPTIONAL, OPTIONAL)
    asked, answered = notifies(asking), notifies(answering)
    assert asked[NotifyType.PPK_IDENTITY] == OPTIONAL.identifier
    assert len(asked[NotifyType.NO_PPK_AUTH]) == 48
    assert answered[NotifyType.PPK_IDENTITY] == b""
    _, _, (asking, _) = meet(MANDATORY, OPTIONAL)
    assert NotifyType.NO_PPK_AUTH not in notifies(asking)


@pytest.mark.parametrize("bob_ppk", [OPTIONAL, None], ids=["both", "one"])
def test_use_ppk_is_announced_and_answered_by_who_has_one(bob_ppk: Ppk | None) -> None:
    alice, bob = pair()
    alice.ppk, bob.ppk = OPTIONAL, bob_ppk
    alice.initiate(request(10, 11))
    (asking,) = alice.sent()
    bob.receive(asking)
    (answering,) = bob.sent()
    assert notifies(Message.parse(asking).payloads)[NotifyType.USE_PPK] == b""
    assert (NotifyType.USE_PPK in notifies(Message.parse(answering).payloads)) is (bob_ppk is not None)


def test_the_ppk_is_in_the_master_key_and_not_in_the_keys_of_the_ike_sa_that_protect() -> None:
    without, _, _ = meet(None, None)
    with_ppk, _, _ = meet(OPTIONAL, OPTIONAL)
    plain, mixed = without.ike_sa._core.context.negotiated, with_ppk.ike_sa._core.context.negotiated
    assert mixed.keys == ike_keys_with_ppk(plain.suite.prf, plain.keys, OPTIONAL.secret)
    assert (mixed.keys.sk_ei, mixed.keys.sk_er) == (plain.keys.sk_ei, plain.keys.sk_er)
    assert without.last(ChildKeysEstablished).master_key != with_ppk.last(ChildKeysEstablished).master_key


@pytest.mark.parametrize(
    ("alice_ppk", "bob_ppk"), [(OPTIONAL, None), (None, OPTIONAL), (OPTIONAL, OTHER_NAME)], ids=["his", "hers", "both"]
)
def test_an_optional_ppk_that_only_one_has_is_left_out(alice_ppk: Ppk | None, bob_ppk: Ppk | None) -> None:
    alice, bob, _ = meet(alice_ppk, bob_ppk)
    assert_established(alice, bob, uses_ppk=False)


def test_an_initiator_that_insists_goes_no_further_with_who_has_none() -> None:
    alice, bob, transcript = meet(MANDATORY, None)
    assert transcript == []
    alice.handle_timer(alice.settings.unauthenticated_error_grace)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.PPK_UNSUPPORTED
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.keys == bob.keys == {}


def test_a_responder_that_insists_refuses_who_has_none() -> None:
    alice, bob, transcript = meet(None, MANDATORY)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.PPK_REQUIRED
    assert transcript[1] == (Notify(NotifyType.AUTHENTICATION_FAILED),)
    assert alice.keys == bob.keys == {}


@pytest.mark.parametrize(
    ("alice_ppk", "bob_ppk"),
    [(replace(MANDATORY, identifier=b"\x02x"), OPTIONAL), (OTHER_NAME, MANDATORY)],
    ids=["initiator", "responder"],
)
def test_who_insists_on_a_ppk_that_the_other_does_not_know(alice_ppk: Ppk, bob_ppk: Ppk) -> None:
    alice, bob, transcript = meet(alice_ppk, bob_ppk)
    failure = bob.last(AuthenticationFailed)
    assert failure.reason is AuthenticationFailure.UNKNOWN_PPK
    assert failure.identity == alice.identity
    assert transcript[1] == (Notify(NotifyType.AUTHENTICATION_FAILED),)
    assert closed(bob).reason is CloseReason.AUTHENTICATION_FAILED


def test_another_secret_under_the_same_name_is_a_wrong_proof() -> None:
    _, bob, _ = meet(OPTIONAL, OTHER_SECRET)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY
    assert "PPK" in bob.last(AuthenticationFailed).message
    _, bob, _ = meet(OPTIONAL, OTHER_SECRET, certified())
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_SIGNATURE
    assert "PPK" in bob.last(AuthenticationFailed).message


def with_changed(change: object, *, answer: bool, ppk: Ppk = OPTIONAL) -> tuple[Router, Router]:
    """Let one side have the other's IKE_AUTH message with payloads changed."""
    alice, bob = pair()
    alice.ppk = bob.ppk = ppk
    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (datagram,) = alice.sent()
    writer, reader = (bob, alice) if answer else (alice, bob)
    if answer:
        bob.receive(datagram)
        (datagram,) = bob.sent()
    payloads = tuple(p for payload in inside(reader, datagram) if (p := change(payload)) is not None)  # type: ignore[operator]
    reader.receive(reseal(writer, reader, datagram, payloads))
    settle(alice, bob)
    return alice, bob


def without(notify_type: int) -> object:
    """Return a change that leaves a notify out."""
    return lambda p: None if isinstance(p, Notify) and p.notify_type == notify_type else p


def test_who_agreed_to_use_a_ppk_has_to_name_one() -> None:
    _, bob = with_changed(without(NotifyType.PPK_IDENTITY), answer=False)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.PPK_REQUIRED


def test_an_initiator_that_insists_does_not_let_the_responder_step_back() -> None:
    alice, bob = with_changed(without(NotifyType.PPK_IDENTITY), answer=True, ppk=MANDATORY)
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.PPK_REQUIRED
    assert closed(alice).reason is closed(bob).reason is CloseReason.AUTHENTICATION_FAILED
    assert alice.keys == bob.keys == {}


def test_an_answer_that_was_made_with_the_ppk_proves_nothing_without() -> None:
    alice, _ = with_changed(without(NotifyType.PPK_IDENTITY), answer=True)
    assert alice.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY


def test_what_stands_in_for_auth_has_to_be_right_as_well() -> None:
    def change(payload: Payload) -> Payload:
        if isinstance(payload, Notify) and payload.notify_type == NotifyType.NO_PPK_AUTH:
            return replace(payload, data=bytes(48))
        if isinstance(payload, Notify) and payload.notify_type == NotifyType.PPK_IDENTITY:
            return replace(payload, data=b"\x02who knows")
        return payload

    _, bob = with_changed(change, answer=False)
    assert bob.last(AuthenticationFailed).reason is AuthenticationFailure.WRONG_KEY


def test_what_policy_knows_shows_no_secret() -> None:
    alice, _ = certified()
    alice.ppk = OPTIONAL
    known = (alice.local_authentication(None), alice.remote_authentication(alice.peer_identity), alice.expectations())
    shown = repr(known)
    assert repr(OPTIONAL.secret.reveal())[2:-1] not in shown
    assert "PRIVATE KEY" not in shown
    assert "private_numbers" not in shown
