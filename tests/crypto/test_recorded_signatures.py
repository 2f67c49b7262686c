"""IKE_AUTH between two that have certificates, as strongSwan carried it: CERTREQ, CERT, ID and AUTH."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rkmp.crypto.authentication import signed_octets
from rkmp.crypto.certificate_paths import VerifiedChain, load_trust_anchors
from rkmp.crypto.certificates import parse_authorities
from rkmp.crypto.ike_keys import derive_ike_keys
from rkmp.crypto.signatures import HASH_ALGORITHMS, WrongSignature, parse_hash_algorithms, verify
from rkmp.crypto.suites import IkeSuite
from rkmp.errors import CryptoError
from rkmp.secret import Secret
from rkmp.wire import (
    Authentication,
    AuthMethod,
    CertEncoding,
    Certificate,
    CertificateRequest,
    EncryptionId,
    IdInitiator,
    IdResponder,
    IntegrityId,
    KeyExchangeId,
    Message,
    Nonce,
    Notify,
    NotifyType,
    PrfId,
)
from tests.crypto.observer import Opened, only, opened
from tests.crypto.transcripts import SIGNED_CONVERSATIONS, TRUST_ANCHOR, SignedConversation

SUITE = IkeSuite(EncryptionId.AES_GCM_16, 128, IntegrityId.NONE, PrfId.HMAC_SHA2_256, KeyExchangeId.CURVE25519)
AT = datetime(2030, 1, 1, tzinfo=UTC)
ANCHORS = load_trust_anchors([TRUST_ANCHOR])

DIGITAL = AuthMethod.DIGITAL_SIGNATURE
METHODS = {
    "modern: ec256 and rsa2048": (DIGITAL, DIGITAL),
    "modern: ec384 and ed25519": (DIGITAL, DIGITAL),
    "modern: ec521 and ed448": (DIGITAL, DIGITAL),
    "pss: rsa3072 and rsa2048": (DIGITAL, DIGITAL),
    "legacy: ec256 and rsa2048": (AuthMethod.ECDSA_SHA2_256_P256, AuthMethod.RSA_SIGNATURE),
    "legacy: ec384 and ec521": (AuthMethod.ECDSA_SHA2_384_P384, AuthMethod.ECDSA_SHA2_512_P521),
}


class Side:
    """What one side of a conversation says about itself, and what it signs."""

    def __init__(self, conversation: SignedConversation, *, is_initiator: bool) -> None:
        inits = conversation.requests[0][0], conversation.responses[0][0]
        self.init, peer = (Message.parse(octets) for octets in (inits if is_initiator else inits[::-1]))
        request, response = (Message.parse(octets) for octets in inits)
        nonce_i, nonce_r = (only(Nonce, message.payloads).data for message in (request, response))
        secret = Secret(conversation.shared_secret)
        keys = derive_ike_keys(SUITE, nonce_i, nonce_r, secret, response.initiator_spi, response.responder_spi)
        messages = conversation.requests if is_initiator else conversation.responses
        self.auth: Opened = opened(SUITE, keys, messages[1])
        self.identity = only(IdInitiator if is_initiator else IdResponder, self.auth.payloads)
        self.proof = only(Authentication, self.auth.payloads)
        certificates = [payload for payload in self.auth.payloads if isinstance(payload, Certificate)]
        assert {payload.encoding for payload in certificates} == {CertEncoding.X509_SIGNATURE}
        self.received = [payload.data for payload in certificates]
        self.octets = signed_octets(
            SUITE.prf,
            inits[0] if is_initiator else inits[1],
            only(Nonce, peer.payloads).data,
            keys.sk_pi if is_initiator else keys.sk_pr,
            self.identity.to_bytes(),
        )

    @property
    def chain(self) -> VerifiedChain:
        return ANCHORS.verify(self.received, AT)


@pytest.fixture(
    params=[(conversation, initiator) for conversation in SIGNED_CONVERSATIONS for initiator in (True, False)],
    ids=[f"{conversation.name}, {side}" for conversation in SIGNED_CONVERSATIONS for side in ("first", "second")],
)
def side(request: pytest.FixtureRequest) -> Side:
    conversation, is_initiator = request.param
    return Side(conversation, is_initiator=is_initiator)


def test_the_recordings_have_every_method() -> None:
    for conversation in SIGNED_CONVERSATIONS:
        methods = tuple(Side(conversation, is_initiator=initiator).proof.method for initiator in (True, False))
        assert methods == METHODS[conversation.name]
    assert len(SIGNED_CONVERSATIONS) == len(METHODS)


def test_the_certificates_lead_to_the_authority_and_name_the_peer(side: Side) -> None:
    chain = side.chain
    assert chain.certificates[-1] == ANCHORS.certificates[0]
    assert len(chain.certificates) == 1 + len(side.received)
    assert chain.names.include(side.identity.id_type, side.identity.data)


def test_some_send_what_leads_to_the_authority() -> None:
    lengths = {
        len(Side(conversation, is_initiator=initiator).received)
        for conversation in SIGNED_CONVERSATIONS
        for initiator in (True, False)
    }
    assert lengths == {1, 2}


def test_the_signature_is_theirs(side: Side) -> None:
    verify(side.chain.public_key, side.proof.method, side.proof.data, side.octets, allow_sha1=True)
    with pytest.raises(WrongSignature):
        verify(side.chain.public_key, side.proof.method, side.proof.data, side.octets + b"\0", allow_sha1=True)
    if side.proof.method == AuthMethod.RSA_SIGNATURE:
        with pytest.raises(CryptoError, match="SHA-1"):
            verify(side.chain.public_key, side.proof.method, side.proof.data, side.octets)


def test_our_authorities_are_asked_for_as_they_ask_for_them() -> None:
    for conversation in SIGNED_CONVERSATIONS:
        response = Message.parse(conversation.responses[0][0])
        for payloads in (response.payloads, Side(conversation, is_initiator=True).auth.payloads):
            request = only(CertificateRequest, payloads)
            assert request.encoding == CertEncoding.X509_SIGNATURE
            assert ANCHORS.certificate_request in parse_authorities(request.data)


def test_the_hash_algorithms_are_announced_as_they_announce_them() -> None:
    for conversation in SIGNED_CONVERSATIONS:
        for octets in (conversation.requests[0][0], conversation.responses[0][0]):
            announced = [
                parse_hash_algorithms(payload.data)
                for payload in Message.parse(octets).payloads
                if isinstance(payload, Notify) and payload.notify_type == NotifyType.SIGNATURE_HASH_ALGORITHMS
            ]
            assert announced == ([] if conversation.name.startswith("legacy") else [frozenset(HASH_ALGORITHMS)])
