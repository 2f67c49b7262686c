"""What can be wrong, by names that scripts can rely on, with what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from rkmp.engine.reasons import AUTHENTICATION_FAILURES, CHILD_REFUSALS, NEGOTIATION_FAILURES, OUR_REFUSALS
from rkmp.ike import AuthenticationFailure, ChildRefusal, NegotiationFailure


class Cause(Enum):
    """A cause; the value is its name and the advice."""

    NO_NETCONF = (
        "no-netconf",
        "see that rkmpd runs there, that --host and --port are its NETCONF address, and that nothing blocks TCP to it",
    )
    ACCESS_DENIED = (
        "access-denied",
        "access control (/nacm) hides RKMP from this user: have a rule made, or be the user that `rkmpd init` made",
    )
    NOTHING_CONFIGURED = ("nothing-configured", "configure a peer with an association: see the tutorial")
    DISABLED = ("disabled", "set its leaf `enabled` to true")
    NOT_IN_FORCE = ("not-in-force", "mend what stands in the way; the agent tries again by itself every few seconds")
    NO_ANSWER = (
        "no-answer",
        "see that rkmpd runs at that address and port, that no firewall blocks UDP, and that the peer knows us",
    )
    UNKNOWN_CALLER = (
        "unknown-caller",
        "configure a peer with that address here, or see that the caller sends from the address that is configured",
    )
    NOBODY_INITIATES = ("nobody-initiates", "set `initiate` to on-demand on one side, or use `rkmp initiate`")
    NO_COMMON_IKE_PROPOSAL = (
        "no-common-ike-proposal",
        "let the ike-policy of both sides have an encryption, PRF and key exchange in common",
    )
    NO_COMMON_TRANSFORM = (
        "no-common-transform",
        "let the proposals of the association on both sides have a transform (auth-alg, kdf, flags) in common",
    )
    CODE_POINTS_DIFFER = ("code-points-differ", "set the same /rkmp/code-points on both sides")
    PEER_IS_NOT_RKMP = (
        "peer-is-not-rkmp",
        "another IKE daemon answers at that address and port: give rkmpd a port of its own on both sides",
    )
    PSK_DIFFERS = ("psk-differs", "set the same pre-shared key on both sides")
    IDENTITY_DIFFERS = (
        "identity-differs",
        "let the local identity of each side be the remote identity that the other one expects",
    )
    METHOD_DIFFERS = ("method-differs", "let each side expect the authentication method that the other one uses")
    PPK_DIFFERS = ("ppk-differs", "give both sides the same post-quantum pre-shared key under the same id, or neither")
    CERTIFICATE_REJECTED = (
        "certificate-rejected",
        "see that the certificate is valid for its identity, and that a trust anchor of the other side vouches for it",
    )
    CERTIFICATE_EXPIRED = ("certificate-expired", "renew the certificate; if it is valid, set the clock")
    CLOCK_SKEW = ("clock-skew", "set the clocks of both routers, by NTP")
    PROTOCOL_NOT_CONFIGURED = (
        "protocol-not-configured",
        "configure an association for this routing protocol and neighbor on both sides",
    )
    KEYS_DIFFER = ("keys-differ", "use `rkmp rekey`: the two routers hold different keys for one session")
    KEY_EXTENDED = (
        "key-extended",
        "see what the last error of its association says; the key serves until another one is agreed on",
    )
    CONSUMER_FAILED = ("consumer-failed", "mend what its last error names; keys do not reach their user until then")
    KERNEL_WITHOUT_TCP_AO = (
        "kernel-without-tcp-ao",
        "run Linux 6.7 or later built with CONFIG_TCP_AO where the routing daemon leaves TCP-AO to the kernel",
    )
    LOCKED = (
        "locked",
        "nothing can be committed until that session unlocks it or ends: have it do so, or end it with kill-session",
    )
    KEY_LOG = ("key-log", "restart rkmpd without --key-log, delete the file, and replace the keys")
    INTERNAL_ERRORS = ("internal-errors", "the agent's log describes each; please report them")
    REFUSED = ("refused", "the peer's own log says why")

    @property
    def label(self) -> str:
        """Its name."""
        return self.value[0]

    @property
    def advice(self) -> str:
        """What to do."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or only to be known (``is_note``).

    ``subject`` is what it is about, ``seen`` what was seen. ``is_guess``: the other side knows better.
    """

    cause: Cause
    subject: str
    seen: str
    is_guess: bool = False
    is_note: bool = False


_BY_NEGOTIATION = {
    NegotiationFailure.NO_RESPONSE: Cause.NO_ANSWER,
    NegotiationFailure.NO_PROPOSAL_CHOSEN: Cause.NO_COMMON_IKE_PROPOSAL,
    NegotiationFailure.INVALID_KE_PAYLOAD: Cause.NO_COMMON_IKE_PROPOSAL,
    NegotiationFailure.PEER_IS_NOT_RKMP: Cause.PEER_IS_NOT_RKMP,
    NegotiationFailure.CODE_POINTS_DIFFER: Cause.CODE_POINTS_DIFFER,
    NegotiationFailure.PPK_UNSUPPORTED: Cause.PPK_DIFFERS,
}
_BY_AUTHENTICATION = {
    AuthenticationFailure.UNKNOWN_IDENTITY: Cause.IDENTITY_DIFFERS,
    AuthenticationFailure.WRONG_KEY: Cause.PSK_DIFFERS,
    AuthenticationFailure.UNSUPPORTED_METHOD: Cause.METHOD_DIFFERS,
    AuthenticationFailure.NO_CREDENTIALS: Cause.METHOD_DIFFERS,
    AuthenticationFailure.NO_CERTIFICATE: Cause.METHOD_DIFFERS,
    AuthenticationFailure.NO_COMMON_SIGNATURE: Cause.METHOD_DIFFERS,
    AuthenticationFailure.CERTIFICATE_MALFORMED: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.CERTIFICATE_KEY_UNSUITABLE: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.CERTIFICATE_NOT_YET_VALID: Cause.CLOCK_SKEW,
    AuthenticationFailure.CERTIFICATE_EXPIRED: Cause.CERTIFICATE_EXPIRED,
    AuthenticationFailure.CERTIFICATE_REVOKED: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.CERTIFICATE_USAGE: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.CERTIFICATE_UNTRUSTED: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.CERTIFICATE_IDENTITY: Cause.IDENTITY_DIFFERS,
    AuthenticationFailure.WRONG_SIGNATURE: Cause.CERTIFICATE_REJECTED,
    AuthenticationFailure.SUITE_NOT_ALLOWED: Cause.NO_COMMON_IKE_PROPOSAL,
    AuthenticationFailure.PPK_REQUIRED: Cause.PPK_DIFFERS,
    AuthenticationFailure.UNKNOWN_PPK: Cause.PPK_DIFFERS,
}
_BY_CHILD = {
    ChildRefusal.NO_PROPOSAL_CHOSEN: Cause.NO_COMMON_TRANSFORM,
    ChildRefusal.TS_UNACCEPTABLE: Cause.PROTOCOL_NOT_CONFIGURED,
}

BY_SENTENCE: Mapping[str, Cause] = MappingProxyType(
    {
        **{words[reason]: cause for words in (CHILD_REFUSALS, OUR_REFUSALS) for reason, cause in _BY_CHILD.items()},
        **{NEGOTIATION_FAILURES[reason]: cause for reason, cause in _BY_NEGOTIATION.items()},
        **{AUTHENTICATION_FAILURES[reason]: cause for reason, cause in _BY_AUTHENTICATION.items()},
    }
)
"""By the sentence with which an agent begins a reason, in state and in notifications."""

REJECTED_BY_PEER = AUTHENTICATION_FAILURES[AuthenticationFailure.REJECTED_BY_PEER]
"""How a reason begins that the peer keeps to itself (RFC 7296 2.21.2)."""


def cause_of(reason: str) -> Cause:
    """Return the cause that an agent's reason names; REFUSED for one that it does not know more of."""
    return BY_SENTENCE.get(reason.partition(":")[0], Cause.REFUSED)
