"""Several key exchanges before anybody is authenticated: IKE_INTERMEDIATE (RFC 9242, RFC 9370 2.2.1 to 2.2.3)."""

from __future__ import annotations

import hmac
from dataclasses import replace

import pytest

from rkmp.crypto.key_exchange import respond
from rkmp.crypto.suites import IkeProposal
from rkmp.ike import (
    CloseReason,
    IkeSaEstablished,
    IkeSaState,
    NegotiationFailed,
    NegotiationFailure,
    Ppk,
    Retransmission,
    Statistic,
    transmission,
)
from rkmp.ike.context import NO_INTERMEDIATE
from rkmp.ike.core import IkeSaCore
from rkmp.ike.exchanges import ike_intermediate, ike_sa_init
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.wire import (
    Encrypted,
    EncryptedFragment,
    EncryptionId,
    ExchangeType,
    Header,
    IntegrityId,
    KeyExchange,
    KeyExchangeId,
    Message,
    Notify,
    NotifyType,
    Payload,
    PrfId,
    VendorId,
    serialise_payloads,
)
from tests.ike.network import (
    JUMBO,
    Network,
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

X25519, P256, P384 = KeyExchangeId.CURVE25519, KeyExchangeId.ECP_256, KeyExchangeId.ECP_384
ML_KEM_768, ML_KEM_1024, NONE = KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024, KeyExchangeId.NONE
PLAIN = IkeProposal(((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_256,), (X25519,))
CBC = IkeProposal(((EncryptionId.AES_CBC, 256),), (IntegrityId.HMAC_SHA2_384_192,), (PrfId.HMAC_SHA2_384,), (P256,))


def hybrid(*choices: tuple[int, ...], base: IkeProposal = PLAIN) -> tuple[IkeProposal, ...]:
    """Return a policy for additional key exchanges."""
    return (replace(base, additional_key_exchanges=choices),)


def both(*choices: tuple[int, ...], base: IkeProposal = PLAIN, **changes: object) -> tuple[Router, Router]:
    """Return alice and bob with that policy, before anything is sent."""
    return pair(proposals=hybrid(*choices, base=base), **changes)


def run(alice: Router, bob: Router) -> list[bytes]:
    alice.initiate(request())
    return settle(alice, bob)


def exchanges(transcript: list[bytes]) -> list[tuple[int, int]]:
    """Return exchange types and Message IDs of the requests, each once."""
    headers = [Header.parse(datagram) for datagram in transcript]
    return list(dict.fromkeys((h.exchange_type, h.message_id) for h in headers if not h.is_response))


# -- what comes after what -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "methods",
    [
        (ML_KEM_768,),
        (ML_KEM_1024,),
        (P384, ML_KEM_768),
        (P256, P384, KeyExchangeId.ECP_521, ML_KEM_768, ML_KEM_1024),
    ],
)
@pytest.mark.parametrize("base", [PLAIN, CBC], ids=["gcm", "cbc"])
@pytest.mark.parametrize("datagram_size", [JUMBO, 576])
def test_every_key_exchange_has_an_exchange_of_its_own(
    methods: tuple[int, ...], base: IkeProposal, datagram_size: int
) -> None:
    alice, bob = both(*((method,) for method in methods), base=base, datagram_size=datagram_size)
    transcript = run(alice, bob)
    assert exchanges(transcript) == [
        (ExchangeType.IKE_SA_INIT, 0),
        *((ExchangeType.IKE_INTERMEDIATE, number) for number in range(1, len(methods) + 1)),
        (ExchangeType.IKE_AUTH, len(methods) + 1),
    ]
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1
    for router in (alice, bob):
        assert router.last(IkeSaEstablished).suite.additional_key_exchanges == methods
        assert router.ike_sa.state is IkeSaState.ESTABLISHED
    alice.ike_sa.check_liveness(1.0)
    alice.collect()
    assert exchanges(settle(alice, bob, 1.0)) == [(ExchangeType.INFORMATIONAL, len(methods) + 2)]
    fragmented = any(isinstance(Message.parse(datagram).payloads[-1], EncryptedFragment) for datagram in transcript)
    has_ml_kem = ML_KEM_768 in methods or ML_KEM_1024 in methods
    assert fragmented == (datagram_size == 576 and has_ml_kem)


def test_a_key_exchange_that_may_be_left_out_is_left_out() -> None:
    alice, bob = both((NONE, ML_KEM_768), (P384,), (NONE,))
    assert exchanges(run(alice, bob))[1:] == [(ExchangeType.IKE_INTERMEDIATE, 1), (ExchangeType.IKE_AUTH, 2)]
    assert alice.last(IkeSaEstablished).suite.additional_key_exchanges == (P384,)
    assert_same_keys(alice, bob)


def test_nobody_who_does_not_know_of_it_is_bothered() -> None:
    alice, bob = pair(proposals=(*hybrid((ML_KEM_768,)), PLAIN))
    bob.settings = replace(bob.settings, proposals=(PLAIN,))
    transcript = run(alice, bob)
    assert exchanges(transcript) == [(ExchangeType.IKE_SA_INIT, 0), (ExchangeType.IKE_AUTH, 1)]
    assert_same_keys(alice, bob)
    alice, bob = pair(proposals=(PLAIN,))
    asked = run(alice, bob)[0]
    assert not any(
        isinstance(p, Notify) and p.notify_type == NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED
        for p in Message.parse(asked).payloads
    )


def test_who_insists_on_it_does_without_those_who_cannot() -> None:
    alice, bob = pair(proposals=hybrid((ML_KEM_768,)))
    bob.settings = replace(bob.settings, proposals=(PLAIN,))
    alice.initiate(request())
    settle(alice, bob)
    for moment in range(10):
        alice.handle_timer(float(moment))
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.NO_PROPOSAL_CHOSEN


def without_the_notify(datagram: bytes) -> bytes:
    """Return a message of IKE_SA_INIT that does not speak of IKE_INTERMEDIATE."""
    message = Message.parse(datagram)
    kept = tuple(
        payload
        for payload in message.payloads
        if not (isinstance(payload, Notify) and payload.notify_type == NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)
    )
    assert len(kept) == len(message.payloads) - 1
    return replace(message, payloads=kept).to_bytes()


def test_additional_key_exchanges_need_the_notify() -> None:
    """RFC 9370 2.2.1: without it the transform types are unknown, and the proposals passed over."""
    alice, bob = both((ML_KEM_768,))
    alice.initiate(request())
    (asked,) = alice.sent()
    bob.receive(without_the_notify(asked))
    (answer,) = bob.sent()
    assert Message.parse(answer).payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)


def test_an_answer_with_key_exchanges_and_without_the_notify_is_no_use() -> None:
    alice, bob = both((ML_KEM_768,))
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(without_the_notify(bob.sent()[0]))
    assert alice.ike_sa.state is IkeSaState.INIT_SENT
    alice.handle_timer(100.0)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INCONSISTENT_ANSWER


# -- the key schedule, and what AUTH signs ---------------------------------------------------------------------------


class Recorded:
    """What one side knew of an IKE SA at each step of its opening."""

    def __init__(self, router: Router) -> None:
        self.core: IkeSaCore = router.ike_sa._core
        self.generations = [self.core.context.negotiated.keys]

    def note(self) -> None:
        keys = self.core.context.negotiated.keys
        if keys != self.generations[-1]:
            self.generations.append(keys)


def stepwise(alice: Router, bob: Router) -> tuple[Recorded, Recorded, list[tuple[Payload, ...]]]:
    """Open an IKE SA step by step; return what each knew, and the payloads of IKE_INTERMEDIATE in order."""
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    known = Recorded(alice), Recorded(bob)
    contents = []
    while alice.ike_sa.state is IkeSaState.INTERMEDIATE:
        for sender, receiver in ((alice, bob), (bob, alice)):
            (datagram,) = sender.sent()
            assert Header.parse(datagram).exchange_type == ExchangeType.IKE_INTERMEDIATE
            contents.append(inside(receiver, datagram))
            receiver.receive(datagram)
        for record in known:
            record.note()
    return *known, contents


def test_each_key_exchange_updates_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9370 2.2.2, computed with nothing but HMAC."""
    alice, bob = both((P384,), (P256,))
    shared = watch_secrets(monkeypatch)
    ours, theirs, _ = stepwise(alice, bob)
    assert len(ours.generations) == 3
    assert ours.generations == theirs.generations
    context = ours.core.context
    nonces = context.negotiated.nonce_i + context.negotiated.nonce_r
    for number, (old, new) in enumerate(zip(ours.generations, ours.generations[1:], strict=False)):
        seed = hmac.digest(old.sk_d.reveal(), shared[number + 1] + nonces, "sha256")
        material, block = b"", b""
        for counter in range(1, 8):
            data = block + nonces + context.initiator_spi + context.responder_spi + bytes((counter,))
            block = hmac.digest(seed, data, "sha256")
            material += block
        names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
        made = b"".join(getattr(new, name).reveal() for name in names)
        assert made == material[: len(made)]
    settle(alice, bob)
    assert_same_keys(alice, bob)


def watch_secrets(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list to which every secret is added that a responder comes to share."""
    shared: list[bytes] = []

    def watched(method: int, value: bytes, random: Random) -> tuple[bytes, Secret]:
        public_value, secret = respond(method, value, random)
        shared.append(secret.reveal())
        return public_value, secret

    for module in (ike_sa_init, ike_intermediate):
        monkeypatch.setattr(module, "respond", watched)
    return shared


def int_auth_by_hand(core: IkeSaCore, generations: list[object], contents: list[tuple[Payload, ...]]) -> bytes:
    """Compute IntAuth from the payloads as RFC 9242 3.3.2 writes it."""
    context = core.context
    chain = {True: b"", False: b""}
    for number, payloads in enumerate(contents):
        keys, by_initiator = generations[number // 2], number % 2 == 0
        first, octets = serialise_payloads(payloads)
        whole = Message(
            context.initiator_spi,
            context.responder_spi,
            ExchangeType.IKE_INTERMEDIATE,
            number // 2 + 1,
            (Encrypted(first, octets),),
            is_response=not by_initiator,
            is_initiator=by_initiator,
        ).to_bytes()
        sk_p = keys.sk_pi if by_initiator else keys.sk_pr  # type: ignore[attr-defined]
        chain[by_initiator] = hmac.digest(sk_p.reveal(), chain[by_initiator] + whole, "sha256")
    return chain[True] + chain[False] + (len(contents) // 2 + 1).to_bytes(4)


def test_auth_signs_every_message_of_both_sides() -> None:
    alice, bob = both((P384,), (ML_KEM_768,))
    ours, theirs, contents = stepwise(alice, bob)
    by_hand = int_auth_by_hand(ours.core, list(ours.generations), contents)
    for record in (ours, theirs):
        assert record.core.context.intermediate.signed_octets == by_hand
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert ours.core.context.intermediate.signed_octets == b"", "nobody needs it any more"


def test_what_travels_in_fragments_is_signed_as_if_it_were_whole() -> None:
    runs = []
    for size in (JUMBO, 200):
        alice, bob = both((P384,), (P256,), datagram_size=size)
        alice.initiate(request())
        bob.receive(alice.sent()[0])
        alice.receive(bob.sent()[0])
        core = alice.ike_sa._core
        while core.state is IkeSaState.INTERMEDIATE:
            for datagram in alice.sent():
                bob.receive(datagram)
            for datagram in bob.sent():
                alice.receive(datagram)
        runs.append(core.context.intermediate)
        settle(alice, bob)
        assert_same_keys(alice, bob)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("of_initiator", [True, False])
def test_a_message_that_one_side_saw_differently_is_found_out(*, of_initiator: bool) -> None:
    """As if somebody had broken the first key exchange and changed something in the second."""
    alice, bob = both((P384,))
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (asked,) = alice.sent()
    extra = VendorId(b"slipped in")
    bob.receive(reseal(alice, bob, asked, (*inside(bob, asked), extra)) if of_initiator else asked)
    (answer,) = bob.sent()
    if not of_initiator:
        # Bob's own note is of what he sent; alice's is of what she gets.
        answer = sealed_with_first_keys(alice, bob, answer, extra)
    alice.receive(answer)
    settle(alice, bob)
    assert bob.of(IkeSaEstablished) == []
    assert alice.of(IkeSaEstablished) == []


def sealed_with_first_keys(alice: Router, bob: Router, answer: bytes, extra: Payload) -> bytes:
    """Return bob's answer with one payload more, under the keys that alice still has."""
    mine = alice.ike_sa._core.protection
    assert mine is not None
    message = Message.parse(answer)
    opened = mine.open(answer, message)
    assert opened is not None
    first, octets = serialise_payloads((*inside(alice, answer), extra))
    body = bytes(mine._incoming.body_length(len(octets)))
    unsealed = replace(message, payloads=(Encrypted(first, body),)).to_bytes()
    head = unsealed[: -len(body)]
    # An IV that the sender has not used yet.
    mine._incoming._cipher._last_iv = 2**40  # type: ignore[attr-defined]
    return head + mine._incoming.seal(head, octets, bob.random)


def test_an_opening_is_a_function_of_its_randomness() -> None:
    """But for ML-KEM, whose responder draws elsewhere."""
    runs = [run(*both((P384,), (P256,))) for _ in range(2)]
    assert runs[0] == runs[1]


# -- beside other things ---------------------------------------------------------------------------------------------


def test_with_a_post_quantum_pre_shared_key_on_top() -> None:
    ppk = Ppk(b"\x02ppk", Secret(b"p" * 32), is_mandatory=True)
    alice, bob = both((ML_KEM_768,))
    alice.ppk = bob.ppk = ppk
    run(alice, bob)
    assert alice.last(IkeSaEstablished).uses_ppk
    assert_same_keys(alice, bob)


def test_with_a_cookie_and_another_group() -> None:
    base = replace(PLAIN, key_exchange=(X25519, P256))
    alice, bob = both((ML_KEM_768,), base=base)
    bob.settings = replace(bob.settings, proposals=hybrid((ML_KEM_768,), base=replace(PLAIN, key_exchange=(P256,))))
    run(alice, bob)
    assert_same_keys(alice, bob)
    suite = alice.last(IkeSaEstablished).suite
    assert (suite.key_exchange_name, suite.additional_key_exchange_names) == ("ecp256", ("ml-kem-768",))


@pytest.mark.parametrize("seed", range(30))
def test_losses_are_made_good(seed: int) -> None:
    alice, bob = both((P384,), (ML_KEM_768,), datagram_size=576)
    patient = Retransmission(1.0, 1.2, 25)
    for router in (alice, bob):
        router.settings = replace(router.settings, retransmission=patient, half_open_timeout=1000.0)
    network = Network(alice, bob, seed, loss=0.3)
    network.at(0.0, lambda now: alice.initiate(request(), now) and None)
    network.run()
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


def test_a_lost_response_is_repeated_under_the_keys_that_it_was_under() -> None:
    alice, bob = both((P384,))
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (asked,) = alice.sent()
    bob.receive(asked)
    first = bob.sent()
    bob.receive(asked)
    assert bob.sent() == first
    alice.receive(first[0])
    settle(alice, bob)
    assert_same_keys(alice, bob)


# -- what goes wrong -------------------------------------------------------------------------------------------------


def opened(*choices: tuple[int, ...]) -> tuple[Router, Router]:
    """Return alice and bob after IKE_SA_INIT, alice with a request to send."""
    alice, bob = both(*choices)
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    return alice, bob


@pytest.mark.parametrize(
    "payloads",
    [
        (KeyExchange(P256, bytes(64)),),
        (KeyExchange(P384, bytes(96)),),
        (KeyExchange(P384, b"short"),),
        (KeyExchange(P384, bytes(96)), KeyExchange(P384, bytes(96))),
    ],
    ids=["another method", "no point", "short", "two"],
)
def test_a_request_that_is_no_use_ends_it(payloads: tuple[Payload, ...]) -> None:
    alice, bob = opened((P384,))
    (asked,) = alice.sent()
    bob.receive(reseal(alice, bob, asked, payloads))
    (answer,) = bob.sent()
    assert inside(alice, answer) == (Notify(NotifyType.INVALID_SYNTAX),)
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED
    alice.receive(answer)
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert refused(alice).send_ids == (10, 11)
    assert closed(alice).reason is CloseReason.NEGOTIATION_FAILED
    assert alice.ike_sa.is_finished


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [
        ((), NegotiationFailure.INCONSISTENT_ANSWER),
        ((KeyExchange(P256, bytes(64)),), NegotiationFailure.INCONSISTENT_ANSWER),
        ((KeyExchange(P384, bytes(96)),), NegotiationFailure.INCONSISTENT_ANSWER),
        ((KeyExchange(P384, bytes(96)),) * 2, NegotiationFailure.INVALID_SYNTAX),
        ((Notify(NotifyType.NO_PROPOSAL_CHOSEN),), NegotiationFailure.NO_PROPOSAL_CHOSEN),
    ],
    ids=["nothing", "another method", "no point", "two", "refusal"],
)
def test_an_answer_that_is_no_use_ends_it(payloads: tuple[Payload, ...], reason: NegotiationFailure) -> None:
    alice, bob = opened((P384,))
    (asked,) = alice.sent()
    protection = bob.ike_sa._core.protection
    bob.receive(asked)
    bob.sent()
    assert protection is not None
    (answer,) = protection.seal(ExchangeType.IKE_INTERMEDIATE, 1, payloads, is_response=True)
    alice.receive(answer)
    assert alice.last(NegotiationFailed).reason is reason
    assert alice.ike_sa.is_finished
    assert alice.sent() == []
    bob.handle_timer(bob.settings.half_open_timeout)
    assert closed(bob).reason is CloseReason.HALF_OPEN_TIMEOUT


def test_silence_is_reported() -> None:
    alice, _ = opened((P384,))
    for moment in range(100):
        alice.handle_timer(float(moment))
    assert alice.kinds() == ["NegotiationFailed", "ChildRefused", "IkeSaClosed"]
    assert alice.last(NegotiationFailed).reason is NegotiationFailure.NO_RESPONSE


def test_a_close_in_between_is_silent() -> None:
    alice, _ = opened((P384,))
    alice.sent()
    alice.ike_sa.close("changed our mind", 0.0)
    alice.collect()
    assert alice.sent() == []
    assert alice.kinds() == ["ChildRefused", "IkeSaClosed"]


def test_nobody_gets_in_without_the_key_exchange() -> None:
    """An IKE_AUTH that comes too early is not even looked at."""
    alice, bob = opened((P384,))
    alice.sent()
    core = alice.ike_sa._core
    assert core.protection is not None
    (early,) = core.protection.seal(ExchangeType.IKE_AUTH, 1, (VendorId(b""),), is_response=False)
    bob.receive(early)
    assert bob.sent() == []
    assert bob.ike_sa.statistics[Statistic.DROPPED_UNEXPECTED] == 1
    assert bob.ike_sa.state is IkeSaState.INTERMEDIATE


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_exchange_for_another_purpose_is_answered_and_signed(when: str) -> None:
    """RFC 9242 3.2: what it is for is for other documents to say."""
    alice, bob = opened((P384,))
    core = alice.ike_sa._core

    def slip_in() -> None:
        # Alice uses the next Message ID for it, as an initiator with another extension would.
        number = core.tasks.next_message_id
        core.tasks.next_message_id += 1
        extension = (VendorId(b"something else"),)
        for datagram in transmission.request(core, ExchangeType.IKE_INTERMEDIATE, number, extension):
            bob.receive(datagram)
        (answer,) = bob.sent()
        assert inside(alice, answer) == ()
        opened = core.protection and core.protection.open(answer, Message.parse(answer))
        assert opened
        transmission.note_intermediate(core, opened.head, opened.octets, by_initiator=False)

    if when == "after":
        bob.receive(alice.sent()[0])
        alice.receive(bob.sent()[0])
    # What alice is about to send waits for it.
    alice.sent()
    exchange = core.tasks.complete()
    core.tasks.next_message_id -= 1
    if when == "before":
        core.context.intermediate = NO_INTERMEDIATE
    slip_in()
    core.tasks.enqueue(exchange)
    core.advance(0.0)
    alice.collect()
    settle(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1


def test_an_exchange_that_was_not_agreed_ends_it() -> None:
    alice, bob = pair(proposals=(PLAIN,))
    alice.initiate(request())
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    alice.sent()
    core = alice.ike_sa._core
    assert core.protection is not None
    (slipped,) = core.protection.seal(ExchangeType.IKE_INTERMEDIATE, 1, (), is_response=False)
    bob.receive(slipped)
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED


def test_more_than_was_agreed_ends_it() -> None:
    alice, bob = opened((P384,))
    bob.receive(alice.sent()[0])
    bob.sent()
    protection = bob.ike_sa._core.protection
    assert protection is not None
    mirror = alice.ike_sa._core
    mirror.context.secrets = bob.ike_sa._core.context.secrets
    mirror.protection = type(protection)(mirror.context)
    (again,) = mirror.protection.seal(
        ExchangeType.IKE_INTERMEDIATE, 2, (KeyExchange(P384, bytes(96)),), is_response=False
    )
    bob.receive(again)
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX


def test_a_half_open_ike_sa_gets_more_time_with_each_key_exchange() -> None:
    alice, bob = opened((P384,), (P256,))
    bob.receive(alice.sent()[0], 10.0)
    assert bob.next_timer() == 10.0 + bob.settings.half_open_timeout
    alice.receive(bob.sent()[0], 10.0)
    bob.receive(alice.sent()[0], 20.0)
    assert bob.ike_sa.state is IkeSaState.HALF_OPEN
    assert bob.next_timer() == 20.0 + bob.settings.half_open_timeout


@pytest.mark.parametrize("size", [JUMBO, 300])
def test_each_side_may_prove_itself_by_another_secret(size: int) -> None:
    alice, bob = both((P384,), datagram_size=size)
    alice.peer_psk = bob.psk = Secret(b"bob's own")
    run(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1
