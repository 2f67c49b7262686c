"""Authentication by certificate: every kind of key, either side, and everything that can be wrong with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.crypto.certificate_paths import TrustAnchors, VerifiedChain
from rkmp.crypto.certificates import CertificateFault
from rkmp.crypto.credentials import CertificateCredential
from rkmp.crypto.signature_keys import KeyType, PrivateKey
from rkmp.crypto.signatures import HASH_ALGORITHMS
from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    AuthenticationMethod,
    CloseReason,
    Identity,
    IkeSaEstablished,
    NegotiationFailed,
    NegotiationFailure,
    OwnCertificate,
    PeerCertificate,
)
from rkmp.ike.authentication import CERTIFICATE_FAILURES
from rkmp.wire import (
    Authentication,
    AuthMethod,
    CertEncoding,
    Certificate,
    CertificateRequest,
    Message,
    Notify,
    NotifyType,
    Payload,
)
from tests.crypto.authorities import AT, DAY, Holder, host, make, make_authority, name_of, usage
from tests.ike.network import Router, assert_same_keys, closed, inside, opened, pair, request, reseal, settle

ROOT = make_authority("root")
OTHER_ROOT = make_authority("another root", key_number=9)


def anchored(*anchors: Holder, at: datetime = AT) -> PeerCertificate:
    """Return what a side expects that trusts ``anchors`` at that time."""
    trusted = TrustAnchors([anchor.certificate for anchor in anchors])

    def verify(received: Sequence[bytes]) -> VerifiedChain:
        return trusted.verify(received, at)

    return PeerCertificate(verify)


def own(leaf: Holder, *chain: Holder) -> OwnCertificate:
    """Return what a side proves itself with."""
    certificates = [holder.certificate for holder in (leaf, *chain)]
    return OwnCertificate(CertificateCredential.of(certificates, PrivateKey.of(leaf.handle)))


def router_certificate(name: str, key_type: KeyType = KeyType.ECDSA_P256, issuer: Holder = ROOT) -> Holder:
    """Return a certificate of a router with that host name."""
    return make(name, issuer, key_type=key_type, key_number=1, extensions=(host(name), usage(sign=True)))


def certified(
    alice_key: KeyType = KeyType.ECDSA_P256, bob_key: KeyType = KeyType.ECDSA_P256, **changes: object
) -> tuple[Router, Router]:
    """Return alice and bob, who have certificates of the same authority."""
    alice, bob = pair(**changes)
    for router, peer, key_type in ((alice, bob, alice_key), (bob, alice, bob_key)):
        router.certificate = own(router_certificate(router.identity.text, key_type))
        peer.peer_certificate = anchored(ROOT)
        peer.authorities = TrustAnchors([ROOT.certificate]).certificate_request
    return alice, bob


def meet(alice: Router, bob: Router) -> list[bytes]:
    """Let alice open an IKE SA."""
    alice.initiate(request(10, 11))
    return settle(alice, bob)


def failure_of(router: Router) -> AuthenticationFailed:
    """Return why ``router`` did not believe; nothing came of it, and the peer was told no more than that."""
    failure = router.last(AuthenticationFailed)
    assert closed(router).reason is CloseReason.AUTHENTICATION_FAILED
    assert router.keys == {}
    assert router.of(IkeSaEstablished) == []
    return failure


def auth_of(reader: Router, datagram: bytes) -> Authentication:
    """Return the AUTH payload of a message."""
    (proof,) = (payload for payload in inside(reader, datagram) if isinstance(payload, Authentication))
    return proof


# -- what works ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KeyType, ids=lambda key_type: key_type.value)
def test_every_kind_of_key_signs_on_either_side(key_type: KeyType) -> None:
    for alice_key, bob_key in ((key_type, KeyType.ECDSA_P256), (KeyType.ECDSA_P256, key_type)):
        alice, bob = certified(alice_key, bob_key)
        transcript = meet(alice, bob)
        assert_same_keys(alice, bob)
        assert len(alice.keys) == 1
        for reader, datagram in ((bob, transcript[2]), (alice, transcript[3])):
            assert auth_of(reader, datagram).method == AuthMethod.DIGITAL_SIGNATURE


@pytest.mark.parametrize(
    ("key_type", "method"),
    [
        (KeyType.RSA, AuthMethod.RSA_SIGNATURE),
        (KeyType.ECDSA_P256, AuthMethod.ECDSA_SHA2_256_P256),
        (KeyType.ECDSA_P384, AuthMethod.ECDSA_SHA2_384_P384),
        (KeyType.ECDSA_P521, AuthMethod.ECDSA_SHA2_512_P521),
    ],
    ids=lambda value: value.value if isinstance(value, KeyType) else "",
)
@pytest.mark.parametrize("silent", ["alice", "bob"])
def test_without_hash_algorithms_from_both_sides_the_old_methods_are_used(
    key_type: KeyType, method: int, silent: str
) -> None:
    alice, bob = certified(key_type, key_type, allow_sha1=True)
    old = alice if silent == "alice" else bob
    old.settings = replace(old.settings, hash_algorithms=())
    transcript = meet(alice, bob)
    assert_same_keys(alice, bob)
    assert len(alice.keys) == 1
    assert auth_of(bob, transcript[2]).method == auth_of(alice, transcript[3]).method == method


@pytest.mark.parametrize("signs", ["alice", "bob"])
def test_one_side_signs_and_the_other_has_a_pre_shared_key(signs: str) -> None:
    alice, bob = pair()
    signer, verifier = (alice, bob) if signs == "alice" else (bob, alice)
    signer.certificate = own(router_certificate(signer.identity.text))
    verifier.peer_certificate = anchored(ROOT)
    transcript = meet(alice, bob)
    assert_same_keys(alice, bob)
    methods = [auth_of(bob, transcript[2]).method, auth_of(alice, transcript[3]).method]
    signed, shared = AuthMethod.DIGITAL_SIGNATURE, AuthMethod.SHARED_KEY
    assert methods == ([signed, shared] if signs == "alice" else [shared, signed])
    event = verifier.last(IkeSaEstablished)
    assert (event.local_method, event.remote_method) == (
        AuthenticationMethod.PRE_SHARED_KEY,
        AuthenticationMethod.CERTIFICATE,
    )
    assert signer.last(IkeSaEstablished).remote_chain is None


def test_what_was_shown_is_reported_with_its_end() -> None:
    alice, bob = certified()
    meet(alice, bob)
    for router, peer in ((alice, bob), (bob, alice)):
        chain = router.last(IkeSaEstablished).remote_chain
        assert chain is not None
        assert chain.valid_until == AT + 10 * DAY
        assert chain.names.host_names == {peer.identity.text}


def test_intermediate_authorities_are_sent_and_the_anchor_is_not() -> None:
    middle = make_authority("middle", ROOT, key_number=3)
    leaf = router_certificate("alice.example", issuer=middle)
    alice, bob = certified()
    alice.certificate = own(leaf, middle, ROOT)
    transcript = meet(alice, bob)
    assert_same_keys(alice, bob)
    sent = [payload for payload in inside(bob, transcript[2]) if isinstance(payload, Certificate)]
    assert sent == [Certificate(CertEncoding.X509_SIGNATURE, holder.der) for holder in (leaf, middle)]


def test_both_sides_say_whose_certificates_they_take() -> None:
    alice, bob = certified()
    transcript = meet(alice, bob)
    wanted = CertificateRequest(CertEncoding.X509_SIGNATURE, TrustAnchors([ROOT.certificate]).certificate_request)
    assert wanted in Message.parse(transcript[1]).payloads
    assert wanted in inside(bob, transcript[2])
    assert not any(isinstance(payload, CertificateRequest) for payload in Message.parse(transcript[0]).payloads)


def test_who_expects_no_certificate_asks_for_none() -> None:
    alice, bob = pair()
    transcript = meet(alice, bob)
    everything = (*Message.parse(transcript[1]).payloads, *inside(bob, transcript[2]))
    assert not any(isinstance(payload, CertificateRequest) for payload in everything)


@pytest.mark.parametrize("prover", ["alice", "bob"])
def test_of_several_certificates_the_first_is_shown_whose_signature_the_peer_can_verify(prover: str) -> None:
    """Without the Identity hash a side verifies no Edwards signatures (RFC 8420 2)."""
    alice, bob = certified()
    ours, peer = (alice, bob) if prover == "alice" else (bob, alice)
    name = ours.identity.text
    edwards, ecdsa = (own(router_certificate(name, kind)) for kind in (KeyType.ED25519, KeyType.ECDSA_P384))
    ours.certificate, ours.other_certificates = edwards, (ecdsa,)
    hashes = tuple(algorithm for algorithm in HASH_ALGORITHMS if algorithm.name != "IDENTITY")
    peer.settings = replace(peer.settings, hash_algorithms=hashes)
    meet(alice, bob)
    assert_same_keys(alice, bob)
    chain = peer.last(IkeSaEstablished).remote_chain
    assert chain is not None
    assert chain.certificates[0] == ecdsa.credential.certificates[0]


def test_hash_algorithms_are_announced_both_ways() -> None:
    alice, bob = pair()
    transcript = meet(alice, bob)
    announced = Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, bytes.fromhex("0002000300040005"))
    assert all(announced in Message.parse(datagram).payloads for datagram in transcript[:2])


def test_a_responder_announces_none_to_who_did_not() -> None:
    alice, bob = pair()
    alice.settings = replace(alice.settings, hash_algorithms=())
    transcript = meet(alice, bob)
    for datagram in transcript[:2]:
        payloads = Message.parse(datagram).payloads
        assert not any(
            isinstance(payload, Notify) and payload.notify_type == NotifyType.SIGNATURE_HASH_ALGORITHMS
            for payload in payloads
        )


@pytest.mark.parametrize(
    ("identity", "alternative"),
    [
        (Identity.parse("rfc822", "noc@example.net"), x509.RFC822Name("noc@example.net")),
        (Identity.of_address("192.0.2.1"), x509.IPAddress(ip_address("192.0.2.1"))),
        (Identity.of_address("2001:db8::1"), x509.IPAddress(ip_address("2001:db8::1"))),
        (Identity.parse("dn", "CN=alice.example,C=XX"), None),
    ],
    ids=["rfc822", "ipv4", "ipv6", "dn"],
)
def test_other_kinds_of_names_in_certificates(identity: Identity, alternative: x509.GeneralName | None) -> None:
    names = [] if alternative is None else [(x509.SubjectAlternativeName([alternative]), False)]
    alice, bob = certified()
    alice.identity = bob.peer_identity = identity
    alice.certificate = own(make("alice.example", ROOT, key_number=1, extensions=(*names, usage(sign=True))))
    meet(alice, bob)
    assert_same_keys(alice, bob)
    assert len(bob.keys) == 1


# -- what does not ---------------------------------------------------------------------------------------------------

ALICE_NAME = host("alice.example")
BAD_CERTIFICATES: dict[str, tuple[OwnCertificate, AuthenticationFailure, str]] = {
    "expired": (
        own(make("alice", ROOT, key_number=1, extensions=(ALICE_NAME,), not_after=AT - DAY)),
        AuthenticationFailure.CERTIFICATE_EXPIRED,
        "expired on 2029-12-31",
    ),
    "not yet valid": (
        own(make("alice", ROOT, key_number=1, extensions=(ALICE_NAME,), not_before=AT + DAY)),
        AuthenticationFailure.CERTIFICATE_NOT_YET_VALID,
        "valid from 2030-01-02",
    ),
    "wrong issuer": (
        own(router_certificate("alice.example", issuer=OTHER_ROOT)),
        AuthenticationFailure.CERTIFICATE_UNTRUSTED,
        "leads to no trust anchor",
    ),
    "missing intermediate": (
        own(router_certificate("alice.example", issuer=make_authority("middle", ROOT, key_number=3))),
        AuthenticationFailure.CERTIFICATE_UNTRUSTED,
        "leads to no trust anchor",
    ),
    "wrong identity": (
        own(router_certificate("mallory.example")),
        AuthenticationFailure.CERTIFICATE_IDENTITY,
        "not for the identity",
    ),
    "wrong purpose": (
        own(
            make(
                "alice",
                ROOT,
                key_number=1,
                extensions=(ALICE_NAME, (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")]), False)),
            )
        ),
        AuthenticationFailure.CERTIFICATE_USAGE,
        "does not allow IKE",
    ),
}


@pytest.mark.parametrize("case", BAD_CERTIFICATES)
@pytest.mark.parametrize("side", ["initiator", "responder"])
def test_a_certificate_that_will_not_do_is_told_by_its_reason(case: str, side: str) -> None:
    credential, reason, words = BAD_CERTIFICATES[case]
    presenter, judge = certified()
    presenter.certificate = credential
    if side == "initiator":
        meet(presenter, judge)
    else:
        meet(judge, presenter)
    failure = failure_of(judge)
    assert failure.reason is reason
    assert words in failure.message
    assert failure.identity == presenter.identity
    assert presenter.keys == {}
    if side == "initiator":
        assert failure_of(presenter).reason is AuthenticationFailure.REJECTED_BY_PEER


def test_every_fault_of_a_certificate_has_its_own_reason() -> None:
    assert set(CERTIFICATE_FAILURES) == set(CertificateFault)
    assert len(set(CERTIFICATE_FAILURES.values())) == len(CertificateFault)


def changed(change: object) -> tuple[Router, Router]:
    """Let bob have alice's IKE_AUTH request with payloads changed."""
    alice, bob = certified()
    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (datagram,) = alice.sent()
    payloads = tuple(p for payload in inside(bob, datagram) if (p := change(payload)) is not None)  # type: ignore[operator]
    bob.receive(reseal(alice, bob, datagram, payloads))
    settle(alice, bob)
    return alice, bob


def _tampered(payload: Payload) -> Payload:
    if isinstance(payload, Authentication):
        return replace(payload, data=payload.data[:-1] + bytes((payload.data[-1] ^ 1,)))
    return payload


def test_a_tampered_signature_is_wrong() -> None:
    _, bob = changed(_tampered)
    failure = failure_of(bob)
    assert failure.reason is AuthenticationFailure.WRONG_SIGNATURE
    assert "alice.example" in failure.message


def test_the_certificate_of_somebody_else_is_no_proof() -> None:
    """Mallory shows alice's certificate, but has another key."""
    other = router_certificate("alice.example", KeyType.ED25519)
    stolen = router_certificate("alice.example")
    alice, bob = certified()
    alice.certificate = own(other)

    def shown(payload: Payload) -> Payload:
        return replace(payload, data=stolen.der) if isinstance(payload, Certificate) else payload

    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    (datagram,) = alice.sent()
    bob.receive(reseal(alice, bob, datagram, tuple(map(shown, inside(bob, datagram)))))
    assert failure_of(bob).reason is AuthenticationFailure.NO_COMMON_SIGNATURE


def test_no_certificate_is_no_proof() -> None:
    _, bob = changed(lambda payload: None if isinstance(payload, Certificate) else payload)
    assert failure_of(bob).reason is AuthenticationFailure.NO_CERTIFICATE


def test_certificates_of_other_encodings_do_not_count() -> None:
    _, bob = changed(lambda p: replace(p, encoding=CertEncoding.CRL) if isinstance(p, Certificate) else p)
    assert failure_of(bob).reason is AuthenticationFailure.NO_CERTIFICATE


def test_octets_that_are_no_certificate() -> None:
    _, bob = changed(lambda p: replace(p, data=b"0\x82") if isinstance(p, Certificate) else p)
    assert failure_of(bob).reason is AuthenticationFailure.CERTIFICATE_MALFORMED


def test_a_method_of_before_rfc_7427_is_a_step_back() -> None:
    _, bob = changed(
        lambda p: replace(p, method=AuthMethod.ECDSA_SHA2_256_P256) if isinstance(p, Authentication) else p
    )
    assert failure_of(bob).reason is AuthenticationFailure.UNSUPPORTED_METHOD


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_pre_shared_key_where_a_certificate_is_expected(who: str) -> None:
    alice, bob = certified()
    shared, judge = (alice, bob) if who == "alice" else (bob, alice)
    shared.certificate = None
    meet(alice, bob)
    failure = failure_of(judge)
    assert failure.reason is AuthenticationFailure.UNSUPPORTED_METHOD
    assert "digital signature" in failure.message


def test_a_certificate_where_a_pre_shared_key_is_expected() -> None:
    alice, bob = certified()
    bob.peer_certificate = None
    meet(alice, bob)
    assert failure_of(bob).reason is AuthenticationFailure.UNSUPPORTED_METHOD


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_key_that_can_sign_over_no_hash_of_the_peer_s(who: str) -> None:
    """An Ed25519 key needs the Identity hash, which the other side does not announce."""
    alice, bob = certified(KeyType.ED25519, KeyType.ED25519)
    signer, verifier = (alice, bob) if who == "alice" else (bob, alice)
    hashes = tuple(algorithm for algorithm in HASH_ALGORITHMS if algorithm.name != "IDENTITY")
    verifier.settings = replace(verifier.settings, hash_algorithms=hashes)
    verifier.certificate = own(router_certificate(verifier.identity.text))
    meet(alice, bob)
    failure = failure_of(signer)
    assert failure.reason is AuthenticationFailure.NO_COMMON_SIGNATURE
    assert "ed25519" in failure.message


def test_a_signature_over_a_hash_that_was_not_announced_is_refused() -> None:
    alice, bob = certified(KeyType.ECDSA_P384)
    bob_takes = tuple(algorithm for algorithm in HASH_ALGORITHMS if algorithm.name == "SHA2_256")
    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    bob.ike_sa._core.context.settings = replace(bob.settings, hash_algorithms=bob_takes)
    bob.receive(alice.sent()[0])
    failure = failure_of(bob)
    assert failure.reason is AuthenticationFailure.NO_COMMON_SIGNATURE
    assert "SHA2_" in failure.message


def test_rsa_without_rfc_7427_needs_leave_for_sha_1() -> None:
    alice, bob = certified(KeyType.RSA)
    bob.settings = replace(bob.settings, hash_algorithms=())
    meet(alice, bob)
    failure = failure_of(alice)
    assert failure.reason is AuthenticationFailure.NO_COMMON_SIGNATURE
    assert "SHA-1" in failure.message


def test_nothing_about_the_reason_goes_to_the_peer() -> None:
    alice, bob = certified()
    alice.certificate = BAD_CERTIFICATES["expired"][0]
    alice.initiate(request(10, 11))
    assert opened(alice, bob)[1] == (Notify(NotifyType.AUTHENTICATION_FAILED),)


def test_a_responder_that_is_not_believed_is_told() -> None:
    alice, bob = certified()
    bob.certificate = BAD_CERTIFICATES["expired"][0]
    alice.initiate(request(10, 11))
    assert opened(alice, bob)[2] == (Notify(NotifyType.AUTHENTICATION_FAILED),)
    assert closed(bob).reason is CloseReason.AUTHENTICATION_FAILED
    assert bob.keys == {}


def test_a_torn_list_of_hash_algorithms_opens_nothing() -> None:
    alice, bob = certified()
    alice.initiate(request(10, 11))
    message = Message.parse(alice.sent()[0])
    torn = tuple(
        replace(payload, data=b"\0\2\0")
        if isinstance(payload, Notify) and payload.notify_type == NotifyType.SIGNATURE_HASH_ALGORITHMS
        else payload
        for payload in message.payloads
    )
    bob.receive(replace(message, payloads=torn).to_bytes())
    assert bob.last(NegotiationFailed).reason is NegotiationFailure.INVALID_SYNTAX
    assert closed(bob).reason is CloseReason.NEGOTIATION_FAILED


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=3),
    kept=st.integers(0, 2048),
    where=st.sampled_from([Certificate, Authentication]),
)
def test_whatever_a_stranger_shows_is_judged_without_a_fault_of_ours(
    changes: list[tuple[int, int]], kept: int, where: type[Certificate | Authentication]
) -> None:
    """Anybody can come as far as IKE_AUTH: certificates and signatures are read before it is known from whom."""

    def mutate(payload: Payload) -> Payload:
        if not isinstance(payload, where):
            return payload
        octets = bytearray(payload.data)
        for position, octet in changes:
            octets[position % len(octets)] = octet
        return replace(payload, data=bytes(octets[:kept]))

    _, bob = changed(mutate)
    assert bob.of(IkeSaEstablished) or bob.of(AuthenticationFailed) or bob.of(NegotiationFailed)


def test_a_name_that_only_looks_alike() -> None:
    """A distinguished name counts whole: one more attribute makes it another."""
    alice, bob = certified()
    alice.identity = bob.peer_identity = Identity.parse("dn", "CN=alice.example,O=Example,C=XX")
    alice.certificate = own(
        make("alice.example", ROOT, key_number=1, subject=name_of("alice.example"), extensions=(usage(sign=True),))
    )
    meet(alice, bob)
    assert failure_of(bob).reason is AuthenticationFailure.CERTIFICATE_IDENTITY
