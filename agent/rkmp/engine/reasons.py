"""Why a negotiation failed, in words for the operator: one sentence for each reason that an IKE SA can give.

What the IKE SA says of the single case follows after a colon. The sentences differ from each other in what to look
at: the network, the algorithms, the code points, the secrets, the names, the peer's configuration.
"""

from __future__ import annotations

from rkmp.ike import AuthenticationFailure, ChildRefusal, NegotiationFailure, RekeyFailure

NEGOTIATION_FAILURES: dict[NegotiationFailure, str] = {
    NegotiationFailure.NO_RESPONSE: "no answer from the peer",
    NegotiationFailure.NO_PROPOSAL_CHOSEN: "no IKE proposal in common with the peer",
    NegotiationFailure.INVALID_KE_PAYLOAD: "no key exchange method in common with the peer",
    NegotiationFailure.INVALID_MAJOR_VERSION: "the peer speaks another version of IKE",
    NegotiationFailure.INVALID_SYNTAX: "one side finds the other's messages malformed",
    NegotiationFailure.UNSUPPORTED_CRITICAL_PAYLOAD: "one side insists on an extension that the other does not know",
    NegotiationFailure.PEER_IS_NOT_RKMP: "the peer speaks IKE but does not announce RKMP",
    NegotiationFailure.CODE_POINTS_DIFFER: "the peer uses other code points for RKMP",
    NegotiationFailure.PPK_UNSUPPORTED: "the peer uses no post-quantum pre-shared key, which is required",
    NegotiationFailure.INCONSISTENT_ANSWER: "the peer's answer is not to what was asked",
    NegotiationFailure.CHILDLESS_UNSUPPORTED: "the peer does not support an IKE SA without a key",
    NegotiationFailure.REFUSED: "the peer refuses",
}

AUTHENTICATION_FAILURES: dict[AuthenticationFailure, str] = {
    AuthenticationFailure.UNKNOWN_IDENTITY: "unknown identity",
    AuthenticationFailure.WRONG_KEY: "wrong pre-shared key",
    AuthenticationFailure.UNSUPPORTED_METHOD: "unsupported authentication method",
    AuthenticationFailure.NO_CREDENTIALS: "nothing to authenticate ourselves with",
    # What it may be, the IKE SA adds: the responder does not say, so that nobody can try out names.
    AuthenticationFailure.REJECTED_BY_PEER: "rejected by the peer, whose own log says why",
    AuthenticationFailure.NO_CERTIFICATE: "no certificate",
    AuthenticationFailure.CERTIFICATE_MALFORMED: "malformed certificate",
    AuthenticationFailure.CERTIFICATE_KEY_UNSUITABLE: "unsuitable key in the certificate",
    AuthenticationFailure.CERTIFICATE_NOT_YET_VALID: "certificate not yet valid",
    AuthenticationFailure.CERTIFICATE_EXPIRED: "certificate expired",
    AuthenticationFailure.CERTIFICATE_REVOKED: "revoked certificate",
    AuthenticationFailure.CERTIFICATE_USAGE: "certificate issued for another purpose",
    AuthenticationFailure.CERTIFICATE_UNTRUSTED: "certificate that no trust anchor vouches for",
    AuthenticationFailure.CERTIFICATE_IDENTITY: "certificate of somebody else",
    AuthenticationFailure.WRONG_SIGNATURE: "wrong signature",
    AuthenticationFailure.NO_COMMON_SIGNATURE: "no signature algorithm in common with the peer",
    AuthenticationFailure.SUITE_NOT_ALLOWED: "algorithms that the IKE policy does not allow",
    AuthenticationFailure.PPK_REQUIRED: "no post-quantum pre-shared key where one is required",
    AuthenticationFailure.UNKNOWN_PPK: "unknown post-quantum pre-shared key",
}

CHILD_REFUSALS: dict[ChildRefusal, str] = {
    ChildRefusal.NO_PROPOSAL_CHOSEN: "no transform in common with the peer",
    ChildRefusal.TS_UNACCEPTABLE: "not configured at the other side for this routing protocol",
    ChildRefusal.INVALID_KE_PAYLOAD: "no key exchange method in common with the peer",
    ChildRefusal.TEMPORARY_FAILURE: "put off by the peer",
    ChildRefusal.CHILD_SA_NOT_FOUND: "the peer does not know the key that is to be replaced",
    ChildRefusal.NO_ADDITIONAL_SAS: "no further key is allowed",
    ChildRefusal.INVALID_SYNTAX: "one side finds the other's messages malformed",
    ChildRefusal.UNSUPPORTED_CRITICAL_PAYLOAD: "one side insists on an extension that the other does not know",
    ChildRefusal.REFUSED: "the peer refuses",
    ChildRefusal.INCONSISTENT_ANSWER: "the peer accepted what was not offered",
    ChildRefusal.ALREADY_REPLACED: "the peer has replaced the key already",
    ChildRefusal.NO_RESPONSE: "no answer from the peer",
    ChildRefusal.IKE_SA_CLOSED: "the IKE SA was closed",
}

REKEY_FAILURES: dict[RekeyFailure, str] = {
    RekeyFailure.TEMPORARY_FAILURE: "put off by the peer",
    RekeyFailure.NO_PROPOSAL_CHOSEN: "no IKE proposal in common with the peer",
    RekeyFailure.INVALID_KE_PAYLOAD: "no key exchange method in common with the peer",
    RekeyFailure.NO_ADDITIONAL_SAS: "the peer allows no further IKE SA",
    RekeyFailure.STATE_NOT_FOUND: "one side has forgotten what was to go on",
    RekeyFailure.INVALID_SYNTAX: "one side finds the other's messages malformed",
    RekeyFailure.UNSUPPORTED_CRITICAL_PAYLOAD: "one side insists on an extension that the other does not know",
    RekeyFailure.REFUSED: "the peer refuses",
    RekeyFailure.INCONSISTENT_ANSWER: "the peer accepted what was not offered",
    RekeyFailure.NO_RESPONSE: "no answer from the peer",
    RekeyFailure.IKE_SA_CLOSED: "the IKE SA was closed",
}

OUR_REFUSALS: dict[ChildRefusal, str] = {
    ChildRefusal.NO_PROPOSAL_CHOSEN: "nothing of what the peer offers can be taken",
    ChildRefusal.TS_UNACCEPTABLE: "the peer wants a key for a routing protocol that is not configured here",
    ChildRefusal.CHILD_SA_NOT_FOUND: "the peer wants to replace a key that is not known here",
}
"""What sounds otherwise where it is we who refuse."""


def explain(reason: NegotiationFailure | AuthenticationFailure | ChildRefusal | RekeyFailure, message: str) -> str:
    """Return the sentence for ``reason``, with the IKE SA's own ``message``."""
    if isinstance(reason, NegotiationFailure):
        sentence = NEGOTIATION_FAILURES[reason]
    elif isinstance(reason, AuthenticationFailure):
        sentence = AUTHENTICATION_FAILURES[reason]
    elif isinstance(reason, RekeyFailure):
        sentence = REKEY_FAILURES[reason]
    else:
        sentence = CHILD_REFUSALS[reason]
    return f"{sentence}: {message}"


def explain_refusal_of_ours(reason: ChildRefusal, message: str) -> str:
    """Return the sentence for a negotiation that the peer asked for and that we refused."""
    sentence = OUR_REFUSALS.get(reason, CHILD_REFUSALS[reason])
    return f"{sentence}: {message}"
