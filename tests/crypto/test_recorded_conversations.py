"""Whole conversations of another implementation, opened, checked and sealed again with its own keys."""

from __future__ import annotations

import pytest

from rkmp.crypto.authentication import signed_octets, verify_shared_key_auth
from rkmp.crypto.ike_keys import IkeKeys, derive_ike_keys, rekeyed_ike_keys
from rkmp.crypto.suites import IkeProposal, IkeSuite, choose_suite, suite_of_answer
from rkmp.secret import Secret
from rkmp.wire import (
    Authentication,
    AuthMethod,
    Delete,
    Encrypted,
    EncryptionId,
    IdInitiator,
    IdResponder,
    IntegrityId,
    KeyExchangeId,
    Message,
    Nonce,
    Payload,
    PrfId,
    ProtocolId,
    SecurityAssociation,
)
from tests.crypto.observer import only, opened, protector_of_sender
from tests.wire.transcripts import CONVERSATIONS, Conversation

POLICIES = {
    "aes256gcm16-prfsha384-x25519": IkeProposal(
        ((EncryptionId.AES_GCM_16, 256),), (), (PrfId.HMAC_SHA2_384,), (KeyExchangeId.CURVE25519,)
    ),
    "aes128-sha256-ecp256": IkeProposal(
        ((EncryptionId.AES_CBC, 128),),
        (IntegrityId.HMAC_SHA2_256_128,),
        (PrfId.HMAC_SHA2_256,),
        (KeyExchangeId.ECP_256,),
    ),
    "aes256-sha512-ecp521": IkeProposal(
        ((EncryptionId.AES_CBC, 256),),
        (IntegrityId.HMAC_SHA2_512_256,),
        (PrfId.HMAC_SHA2_512,),
        (KeyExchangeId.ECP_521,),
    ),
    "aes128gcm16-prfsha512-ecp384": IkeProposal(
        ((EncryptionId.AES_GCM_16, 128),), (), (PrfId.HMAC_SHA2_512,), (KeyExchangeId.ECP_384,)
    ),
}


class Observer:
    """What somebody knows who listened to a conversation and was told its secrets."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.init = tuple(Message.parse(octets) for octets in conversation.messages[0])
        self.nonces = tuple(only(Nonce, message.payloads).data for message in self.init)
        answer = only(SecurityAssociation, self.init[1].payloads).proposals[0]
        self.policy = (POLICIES[conversation.proposal],)
        self.suite: IkeSuite = suite_of_answer(self.policy, answer)
        self.keys = derive_ike_keys(
            self.suite,
            self.nonces[0],
            self.nonces[1],
            Secret(conversation.keys["shared_secret"]),
            self.init[1].initiator_spi,
            self.init[1].responder_spi,
        )

    def exchange(self, number: int, keys: IkeKeys) -> tuple[tuple[Payload, ...], tuple[Payload, ...]]:
        """Open the two messages of one exchange."""
        request, response = self.conversation.messages[number]
        return opened(self.suite, keys, [request]).payloads, opened(self.suite, keys, [response]).payloads

    def rekeyed(self) -> IkeKeys:
        """Follow the CREATE_CHILD_SA exchange that rekeys the IKE SA."""
        request, response = self.exchange(2, self.keys)
        spi_i = only(SecurityAssociation, request).proposals[0].spi
        spi_r = only(SecurityAssociation, response).proposals[0].spi
        return rekeyed_ike_keys(
            self.suite.prf,
            self.keys.sk_d,
            self.suite,
            Secret(self.conversation.rekeyed_keys["shared_secret"]),
            only(Nonce, request).data,
            only(Nonce, response).data,
            spi_i,
            spi_r,
        )


def logged(keys: IkeKeys, names: dict[str, bytes]) -> dict[str, bytes]:
    return {name: getattr(keys, name).reveal() for name in names if name.startswith("sk_")}


@pytest.fixture(params=CONVERSATIONS, ids=[conversation.proposal for conversation in CONVERSATIONS])
def observer(request: pytest.FixtureRequest) -> Observer:
    return Observer(request.param)


def test_the_responders_choice_is_ours(observer: Observer) -> None:
    offered = only(SecurityAssociation, observer.init[0].payloads).proposals
    answered = only(SecurityAssociation, observer.init[1].payloads).proposals
    choice = choose_suite(observer.policy, offered)
    assert choice is not None
    ours, suite = choice
    assert suite == observer.suite
    assert {*ours.transforms} == {*answered[0].transforms}


def test_the_keys_are_theirs(observer: Observer) -> None:
    names = observer.conversation.keys
    assert logged(observer.keys, names) == {name: names[name] for name in names if name.startswith("sk_")}


def test_both_prove_that_they_hold_the_shared_key(observer: Observer) -> None:
    request, response = observer.exchange(1, observer.keys)
    pre_shared_key = Secret(observer.conversation.pre_shared_key)
    for payloads, identity, message, nonce, sk_p in (
        (request, IdInitiator, 0, observer.nonces[1], observer.keys.sk_pi),
        (response, IdResponder, 1, observer.nonces[0], observer.keys.sk_pr),
    ):
        auth = only(Authentication, payloads)
        body = only(identity, payloads).to_bytes()
        octets = signed_octets(observer.suite.prf, observer.conversation.messages[0][message], nonce, sk_p, body)
        assert auth.method == AuthMethod.SHARED_KEY
        assert verify_shared_key_auth(observer.suite.prf, pre_shared_key, octets, auth.data)
        assert not verify_shared_key_auth(observer.suite.prf, Secret(b"another"), octets, auth.data)


def test_the_rekeyed_ike_sa_has_their_keys_and_opens_what_follows(observer: Observer) -> None:
    rekeyed = observer.rekeyed()
    names = observer.conversation.rekeyed_keys
    assert logged(rekeyed, names) == {name: names[name] for name in names if name.startswith("sk_")}
    assert observer.exchange(3, observer.keys) == ((Delete(ProtocolId.IKE),), ())
    assert observer.exchange(4, rekeyed) == ((Delete(ProtocolId.IKE),), ())


@pytest.mark.parametrize(
    "conversation",
    # With AES-CBC there is padding, which may be any octets.
    [conversation for conversation in CONVERSATIONS if "gcm" in conversation.proposal],
    ids=lambda conversation: conversation.proposal,
)
def test_what_was_opened_is_sealed_to_the_same_octets(conversation: Conversation) -> None:
    observer = Observer(conversation)
    for number in (1, 2, 3):
        for octets in observer.conversation.messages[number]:
            message = Message.parse(octets)
            body = only(Encrypted, message.payloads).body
            protector = protector_of_sender(observer.suite, observer.keys, message)
            head = octets[: -len(body)]
            plaintext = protector.open(head, body)
            before_iv = (int.from_bytes(body[:8]) - 1) % 2**64
            assert head + protector.seal(head, plaintext, before_iv.to_bytes) == octets
