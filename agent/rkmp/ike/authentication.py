"""Proofs of identity: what each side signs, our CERT and AUTH payloads made, and the peer's judged.

RFC 7296 2.15, 3.6 and 3.8; RFC 9242 3.3.2; RFC 7427 (signatures by any algorithm that the other side knows); RFC 4945
3.1 (whose name a certificate may bear). Which method a peer has to use, and whom to trust, is the policy's to say. On
the wire every failure is AUTHENTICATION_FAILED.
"""

from __future__ import annotations

from collections.abc import Sequence

from rkmp.crypto.authentication import shared_key_auth, signed_octets, verify_shared_key_auth
from rkmp.crypto.certificate_names import require_identity
from rkmp.crypto.certificate_paths import VerifiedChain
from rkmp.crypto.certificates import CertificateFault, CertificateRejected
from rkmp.crypto.ike_keys import IkeKeys
from rkmp.crypto.signatures import HASH_ALGORITHMS, WrongSignature, sign, verify
from rkmp.crypto.suites import accepts
from rkmp.errors import CryptoError, IkeError
from rkmp.ike.context import Context
from rkmp.ike.events import AuthenticationFailed, AuthenticationFailure, AuthenticationMethod
from rkmp.ike.identity import Identity
from rkmp.ike.policy import (
    ChainVerifier,
    LocalAuthentication,
    OwnCertificate,
    PeerCertificate,
    PreSharedKey,
    RemoteAuthentication,
)
from rkmp.secret import Secret
from rkmp.value import value
from rkmp.wire import (
    Authentication,
    AuthMethod,
    CertEncoding,
    Certificate,
    IdInitiator,
    IdResponder,
    NotifyType,
    Payload,
)

CERTIFICATE_FAILURES: dict[CertificateFault, AuthenticationFailure] = {
    CertificateFault.MALFORMED: AuthenticationFailure.CERTIFICATE_MALFORMED,
    CertificateFault.UNSUITABLE_KEY: AuthenticationFailure.CERTIFICATE_KEY_UNSUITABLE,
    CertificateFault.NOT_YET_VALID: AuthenticationFailure.CERTIFICATE_NOT_YET_VALID,
    CertificateFault.EXPIRED: AuthenticationFailure.CERTIFICATE_EXPIRED,
    CertificateFault.REVOKED: AuthenticationFailure.CERTIFICATE_REVOKED,
    CertificateFault.WRONG_USAGE: AuthenticationFailure.CERTIFICATE_USAGE,
    CertificateFault.UNTRUSTED: AuthenticationFailure.CERTIFICATE_UNTRUSTED,
    CertificateFault.WRONG_IDENTITY: AuthenticationFailure.CERTIFICATE_IDENTITY,
}
"""What a certificate that is not accepted means for the one who showed it."""


class NotAuthenticated(IkeError):
    """Somebody is not who it should be, or cannot show it; ``event`` is what to report.

    ``identity`` is what the peer calls itself, None where it has not said so.
    """

    def __init__(self, failure: AuthenticationFailure, reason: str, identity: Identity | None) -> None:
        super().__init__(NotifyType.AUTHENTICATION_FAILED, reason)
        self.event = AuthenticationFailed(identity, failure, reason)


@value
class Proof:
    """What goes out to prove who we are: CERT payloads, where there are any, and AUTH.

    ``shown`` is the certificate of ours that it is by.
    """

    certificates: tuple[Certificate, ...]
    authentication: Authentication
    shown: OwnCertificate | None = None


@value
class Claim:
    """Who the peer says it is in ``id_payload``, and how it has to prove that."""

    identity: Identity
    expected: RemoteAuthentication
    id_payload: IdInitiator | IdResponder


@value
class Evidence:
    """What the peer proves it with: its AUTH, and the keys of the IKE SA that went into it.

    ``uses_ppk``: a post-quantum pre-shared key is in the keys.
    """

    proof: Authentication
    keys: IkeKeys
    uses_ppk: bool

    @property
    def doubt(self) -> str:
        """What else may be wrong where the proof is."""
        return " (or its PPK is another one)" if self.uses_ppk else ""


def method_of(authentication: LocalAuthentication | RemoteAuthentication) -> AuthenticationMethod:
    """Return what an operator calls the method."""
    if isinstance(authentication.method, PreSharedKey):
        return AuthenticationMethod.PRE_SHARED_KEY
    return AuthenticationMethod.CERTIFICATE


def prove(
    context: Context,
    keys: IkeKeys,
    local: LocalAuthentication,
    id_payload: IdInitiator | IdResponder,
    peer: Identity | None,
    authorities: frozenset[bytes],
) -> Proof:
    """Return the proof that we are ``local``; ``peer`` is whom it is for, None where it has not told its name.

    ``authorities`` are those that the peer has asked for in CERTREQ, none where it has asked for none in particular.
    Raises NotAuthenticated when there is no signature that we can make and the peer can verify.
    """
    octets = _signed_octets(context, keys, id_payload, by_initiator=context.is_initiator)
    match local.method:
        case PreSharedKey(secret):
            data = shared_key_auth(context.negotiated.suite.prf, secret, octets)
            return Proof((), Authentication(AuthMethod.SHARED_KEY, data))
        case OwnCertificate():
            return _signed(context, local.certificates_for(authorities), octets, peer)


def _signed(context: Context, certificates: Sequence[OwnCertificate], octets: bytes, peer: Identity | None) -> Proof:
    """Return the proof by the first of ``certificates`` whose key makes a signature that the peer can verify."""
    peer_hashes, allow_sha1 = context.negotiated.agreed.hash_algorithms, context.settings.allow_sha1
    refusals: list[str] = []
    for each in certificates:
        try:
            method, data = sign(each.credential.private_key, octets, peer_hashes, allow_sha1=allow_sha1)
        except CryptoError as refusal:
            refusals.append(str(refusal))
            continue
        sent = tuple(Certificate(CertEncoding.X509_SIGNATURE, payload) for payload in each.credential.payloads)
        return Proof(sent, Authentication(method, data), each)
    reason = f"we cannot sign for the peer: {'; '.join(dict.fromkeys(refusals))}"
    raise NotAuthenticated(AuthenticationFailure.NO_COMMON_SIGNATURE, reason, peer)


def why_rejected(context: Context, identity: Identity, shown: OwnCertificate | None, *, uses_ppk: bool) -> str:
    """Return what a responder that does not accept us as ``identity`` may not like about our proof.

    ``shown`` is the certificate that it was by, None where it was by a pre-shared key.

    It does not say itself, so that nobody can try out names and secrets (RFC 7296 2.21.2): this is what is left when
    what we have shown is held against what it has asked for in CERTREQ.
    """
    agreed = context.negotiated.agreed
    doubts = [f"expects another name than {identity}"]
    if shown is None:
        doubts.append("has another pre-shared key")
        if agreed.asks_for_certificate:
            doubts.append("wants a certificate, for which it has asked")
    else:
        who = shown.credential.names.description
        if not agreed.asks_for_certificate:
            doubts.append("wants a pre-shared key, since it has asked for no certificate")
        elif agreed.authorities and shown.authorities and agreed.authorities.isdisjoint(shown.authorities):
            doubts.append(f"trusts none of the authorities above {who}, since it has asked for others")
        doubts.append(f"finds the certificate of {who} expired, revoked or not valid by its clock and trust anchors")
    if uses_ppk:
        doubts.append("has another post-quantum pre-shared key")
    return f"it {', '.join(doubts[:-1])} or {doubts[-1]}"


def identify(context: Context, id_payload: IdInitiator | IdResponder) -> Claim:
    """Return who the peer says it is and how it has to prove that; NotAuthenticated unless policy knows it."""
    identity = Identity(id_payload.id_type, id_payload.data)
    try:
        identity = Identity.received(id_payload.id_type, id_payload.data)
        expected = context.policy.remote_authentication(identity)
    except IkeError as refusal:
        raise NotAuthenticated(AuthenticationFailure.UNKNOWN_IDENTITY, refusal.reason, identity) from refusal
    if expected.settings is not None and not accepts(expected.settings.proposals, context.negotiated.suite):
        # What IKE_SA_INIT has negotiated would have done for another who may call from there.
        reason = f"the algorithms that were negotiated are none that the IKE policy for {identity} allows"
        raise NotAuthenticated(AuthenticationFailure.SUITE_NOT_ALLOWED, reason, identity)
    return Claim(identity, expected, id_payload)


def check_proof(
    context: Context, claim: Claim, evidence: Evidence, payloads: Sequence[Payload]
) -> VerifiedChain | None:
    """Return only if the peer is who it claims to be, by the method that is expected: then its certificates, if any.

    ``payloads`` are those of the message with the evidence. Raises NotAuthenticated.
    """
    octets = _signed_octets(context, evidence.keys, claim.id_payload, by_initiator=not context.is_initiator)
    match claim.expected.method:
        case PreSharedKey(secret):
            _check_shared_key(context, claim.identity, secret, evidence, octets)
            return None
        case PeerCertificate(verify_chain):
            received = [
                payload.data
                for payload in payloads
                if isinstance(payload, Certificate) and payload.encoding == CertEncoding.X509_SIGNATURE
            ]
            _check_method(context, claim.identity, evidence.proof)
            chain = _accepted_chain(claim.identity, verify_chain, received)
            _check_signature(context, claim.identity, chain, evidence, octets)
            return chain


def _check_shared_key(context: Context, identity: Identity, secret: Secret, evidence: Evidence, octets: bytes) -> None:
    proof = evidence.proof
    if proof.method != AuthMethod.SHARED_KEY:
        reason = f"{identity} authenticates by method {proof.method} instead of a pre-shared key"
        raise NotAuthenticated(AuthenticationFailure.UNSUPPORTED_METHOD, reason, identity)
    if not verify_shared_key_auth(context.negotiated.suite.prf, secret, octets, proof.data):
        reason = f"{identity} does not have the pre-shared key that is configured for it{evidence.doubt}"
        raise NotAuthenticated(AuthenticationFailure.WRONG_KEY, reason, identity)


def _check_method(context: Context, identity: Identity, proof: Authentication) -> None:
    announced = context.negotiated.agreed.hash_algorithms
    if proof.method == AuthMethod.SHARED_KEY or (announced and proof.method != AuthMethod.DIGITAL_SIGNATURE):
        # RFC 7427 4: who announces hash algorithms knows method 14, so an older one is a step back.
        reason = f"{identity} authenticates by method {proof.method} instead of a digital signature"
        raise NotAuthenticated(AuthenticationFailure.UNSUPPORTED_METHOD, reason, identity)


def _accepted_chain(identity: Identity, verify_chain: ChainVerifier, received: list[bytes]) -> VerifiedChain:
    if not received:
        raise NotAuthenticated(AuthenticationFailure.NO_CERTIFICATE, f"{identity} sent no certificate", identity)
    try:
        chain = verify_chain(received)
        require_identity(chain.names, identity.id_type, identity.value)
    except CertificateRejected as refusal:
        raise NotAuthenticated(CERTIFICATE_FAILURES[refusal.fault], refusal.reason, identity) from refusal
    return chain


def _check_signature(
    context: Context, identity: Identity, chain: VerifiedChain, evidence: Evidence, octets: bytes
) -> None:
    settings, proof = context.settings, evidence.proof
    allowed = settings.hash_algorithms or HASH_ALGORITHMS
    try:
        verify(chain.public_key, proof.method, proof.data, octets, allowed, allow_sha1=settings.allow_sha1)
    except WrongSignature as refusal:
        shown = f"{identity} shows the certificate of {chain.names.description}"
        reason = f"{shown}, but its signature is not by that key{evidence.doubt}"
        raise NotAuthenticated(AuthenticationFailure.WRONG_SIGNATURE, reason, identity) from refusal
    except CryptoError as refusal:
        reason = f"the signature of {identity} is not accepted: {refusal}"
        raise NotAuthenticated(AuthenticationFailure.NO_COMMON_SIGNATURE, reason, identity) from refusal


def _signed_octets(
    context: Context, keys: IkeKeys, id_payload: IdInitiator | IdResponder, *, by_initiator: bool
) -> bytes:
    secrets = context.negotiated
    if by_initiator:
        message, nonce, sk_p = context.init_request, secrets.nonce_r, keys.sk_pi
    else:
        message, nonce, sk_p = context.init_response, secrets.nonce_i, keys.sk_pr
    intermediate = context.intermediate.signed_octets
    return signed_octets(secrets.suite.prf, message, nonce, sk_p, id_payload.to_bytes(), intermediate)
