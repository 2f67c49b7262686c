"""What an IKE SA reports to the layer above, in the order in which it happened.

Every event is a frozen value. The only one that holds key material is :class:`ChildKeysEstablished`, and it holds it
as a :class:`~rkmp.secret.Secret`. Reasons are enumerations whose values are the words that an operator reads.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rkmp.crypto.certificate_paths import VerifiedChain
from rkmp.crypto.suites import IkeSuite
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.identity import Identity
from rkmp.secret import Secret
from rkmp.wire import CodePoints


class Role(enum.Enum):
    """Which side of the IKE SA we are; not to be confused with who requested a single exchange."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


class CloseReason(enum.Enum):
    """Why an IKE SA ended."""

    NEGOTIATION_FAILED = "negotiation-failed"
    AUTHENTICATION_FAILED = "authentication-failed"
    HALF_OPEN_TIMEOUT = "half-open-timeout"
    LIVENESS_FAILED = "liveness-failed"
    CLOSED_LOCALLY = "closed-locally"
    CLOSED_BY_PEER = "closed-by-peer"
    INVALID_SYNTAX = "invalid-syntax"
    MESSAGE_IDS_EXHAUSTED = "message-ids-exhausted"
    REPLACED = "replaced"


class AuthenticationMethod(enum.Enum):
    """How one side of an IKE SA has proved who it is."""

    PRE_SHARED_KEY = "psk"
    CERTIFICATE = "certificate"


class NegotiationFailure(enum.Enum):
    """Why no IKE SA came to be, or could be used for RKMP, before anyone was authenticated."""

    NO_RESPONSE = "no-response"
    NO_PROPOSAL_CHOSEN = "no-proposal-chosen"
    INVALID_KE_PAYLOAD = "invalid-ke-payload"
    INVALID_MAJOR_VERSION = "invalid-major-version"
    INVALID_SYNTAX = "invalid-syntax"
    UNSUPPORTED_CRITICAL_PAYLOAD = "unsupported-critical-payload"
    PEER_IS_NOT_RKMP = "peer-is-not-rkmp"
    CODE_POINTS_DIFFER = "code-points-differ"
    CHILDLESS_UNSUPPORTED = "childless-ike-sa-not-supported"
    PPK_UNSUPPORTED = "ppk-not-supported"
    INCONSISTENT_ANSWER = "inconsistent-answer"
    REFUSED = "refused-by-peer"


class AuthenticationFailure(enum.Enum):
    """What was wrong with an identity or its proof; on the wire all of them are AUTHENTICATION_FAILED."""

    UNKNOWN_IDENTITY = "unknown-identity"
    WRONG_KEY = "wrong-pre-shared-key"
    UNSUPPORTED_METHOD = "unsupported-authentication-method"
    NO_CREDENTIALS = "no-credentials"
    """We have nothing to prove ourselves with towards this peer."""
    REJECTED_BY_PEER = "rejected-by-peer"
    NO_CERTIFICATE = "no-certificate"
    CERTIFICATE_MALFORMED = "malformed-certificate"
    CERTIFICATE_KEY_UNSUITABLE = "unsuitable-certificate-key"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_REVOKED = "revoked-certificate"
    CERTIFICATE_USAGE = "wrong-certificate-usage"
    CERTIFICATE_UNTRUSTED = "untrusted-certificate"
    CERTIFICATE_IDENTITY = "identity-not-in-certificate"
    WRONG_SIGNATURE = "wrong-signature"
    NO_COMMON_SIGNATURE = "no-common-signature-algorithm"
    """A signature that one side can make is none that the other one accepts."""
    SUITE_NOT_ALLOWED = "suite-not-allowed"
    """What was negotiated before the peer said who it is would do for others only that may call from there."""
    PPK_REQUIRED = "ppk-required"
    UNKNOWN_PPK = "unknown-ppk"


class RekeyFailure(enum.Enum):
    """Why an attempt to rekey the IKE SA left it as it was."""

    TEMPORARY_FAILURE = "temporary-failure"
    NO_PROPOSAL_CHOSEN = "no-proposal-chosen"
    INVALID_KE_PAYLOAD = "invalid-ke-payload"
    NO_ADDITIONAL_SAS = "no-additional-sas"
    STATE_NOT_FOUND = "state-not-found"
    """One side has forgotten what the other is about to go on with; it may be tried again (RFC 9370 2.2.4)."""
    INVALID_SYNTAX = "invalid-syntax"
    UNSUPPORTED_CRITICAL_PAYLOAD = "unsupported-critical-payload"
    REFUSED = "refused-by-peer"
    INCONSISTENT_ANSWER = "inconsistent-answer"
    NO_RESPONSE = "no-response"
    IKE_SA_CLOSED = "ike-sa-closed"


class ChildRefusal(enum.Enum):
    """Why the negotiation of a child ended without a key."""

    NO_PROPOSAL_CHOSEN = "no-proposal-chosen"
    TS_UNACCEPTABLE = "ts-unacceptable"
    INVALID_KE_PAYLOAD = "invalid-ke-payload"
    TEMPORARY_FAILURE = "temporary-failure"
    CHILD_SA_NOT_FOUND = "child-sa-not-found"
    NO_ADDITIONAL_SAS = "no-additional-sas"
    INVALID_SYNTAX = "invalid-syntax"
    UNSUPPORTED_CRITICAL_PAYLOAD = "unsupported-critical-payload"
    REFUSED = "refused-by-peer"
    INCONSISTENT_ANSWER = "inconsistent-answer"
    ALREADY_REPLACED = "already-replaced"
    NO_RESPONSE = "no-response"
    IKE_SA_CLOSED = "ike-sa-closed"


class ChildDeletion(enum.Enum):
    """Who took a child away, and why."""

    LOCAL = "deleted-locally"
    BY_PEER = "deleted-by-peer"
    REDUNDANT = "redundant"
    REJECTED_BY_PEER = "rejected-by-peer"


@dataclass(frozen=True, slots=True)
class Event:
    """Base of the events of an IKE SA."""


@dataclass(frozen=True, slots=True)
class IkeSaEstablished(Event):
    """Both sides are authenticated.

    SPIs are 8 octets each, ours first. ``local_identity`` and ``remote_identity`` are what was authenticated;
    ``suite`` the algorithms in force. ``remote_code_points`` are those of the peer's Vendor ID, None if it sent none.
    ``initial_contact``: the peer says that it has no other IKE SA with us, so those we have are dead (RFC 7296 2.4).
    ``nonces`` are Ni and Nr of IKE_SA_INIT, for :func:`rkmp.ike.is_redundant` when both sides opened one at once.
    ``local_method`` and ``remote_method`` are how each side proved who it is, ``remote_chain`` the peer's certificates
    where that was by one; ``uses_ppk``: a post-quantum pre-shared key is in the keys (RFC 8784).
    """

    local_spi: bytes
    remote_spi: bytes
    role: Role
    local_identity: Identity
    remote_identity: Identity
    suite: IkeSuite
    remote_code_points: CodePoints | None
    initial_contact: bool
    nonces: tuple[bytes, bytes]
    local_method: AuthenticationMethod
    remote_method: AuthenticationMethod
    remote_chain: VerifiedChain | None
    uses_ppk: bool


@dataclass(frozen=True, slots=True)
class IkeSaClosed(Event):
    """The IKE SA ended; always the last event of an IKE SA. Keys negotiated over it are not touched (G15, G16).

    ``was_established`` is False where it ended before both sides were authenticated; ``message`` is one sentence.
    """

    reason: CloseReason
    message: str
    was_established: bool


@dataclass(frozen=True, slots=True)
class NatDetected(Event):
    """An address is translated on the way: ours (``local``), the peer's (``remote``) or both.

    Comes before anybody is authenticated, so anybody may have made us believe it; what both sides said is signed by the
    time of :class:`IkeSaEstablished`. ``move_to``, for an initiator, is the peer's port to which all that follows goes,
    with a non-ESP marker, from such a port of ours; None to go on as before.
    """

    local: bool
    remote: bool
    move_to: int | None


@dataclass(frozen=True, slots=True)
class IkeSaRekeyed(Event):
    """Another IKE SA has taken the place of the one with the old SPIs, with all its children; its suite is in force.

    SPIs are 8 octets each. ``role`` is ours in the new one: its initiator is who asked for it. The old one is deleted
    without a word about it.
    """

    old_local_spi: bytes
    old_remote_spi: bytes
    local_spi: bytes
    remote_spi: bytes
    role: Role
    suite: IkeSuite


@dataclass(frozen=True, slots=True)
class IkeSaRekeyFailed(Event):
    """An attempt to rekey the IKE SA came to nothing; unless it closes, it goes on as it was.

    ``requester``: whether the attempt was ours. ``notify_type`` is the notify that was sent or received, if any;
    ``message`` is one sentence. After TEMPORARY_FAILURE it may be tried again, but not at once (RFC 7296 2.25); an
    attempt of the peer's that stood in the way may still end in :class:`IkeSaRekeyed`.
    """

    reason: RekeyFailure
    notify_type: int | None
    message: str
    requester: bool


@dataclass(frozen=True, slots=True)
class NegotiationFailed(Event):
    """IKE_SA_INIT failed.

    ``notify_type`` is the notify that we sent or received, None where there was none. ``message`` is one sentence.
    """

    reason: NegotiationFailure
    notify_type: int | None
    message: str


@dataclass(frozen=True, slots=True)
class AuthenticationFailed(Event):
    """IKE_AUTH failed.

    ``identity`` is what the peer called itself, None where it rejected us before it said. Not authenticated, so a
    claim only. ``message`` is one sentence.
    """

    identity: Identity | None
    reason: AuthenticationFailure
    message: str


@dataclass(frozen=True, slots=True)
class LivenessFailed(Event):
    """The peer of an established IKE SA answered none of ``transmissions`` transmissions of a request."""

    transmissions: int


@dataclass(frozen=True, slots=True)
class ChildKeysEstablished(Event):
    """A master key was agreed. On the responder's side this comes before the response can leave (G24).

    ``child`` names the key and its algorithms; ``master_key`` is 20 octets for KDF_HMAC_SHA1, 16 for
    KDF_AES_128_CMAC. ``rekeyed_send_id`` is the KeyID that we announced for the child that it replaces, or None;
    ``rekeyed_peer_send_id`` the peer's for the same. ``redundant``: both sides made one at once and this is the one
    that loses; it has to be accepted until its Delete, which we send ourselves.
    """

    child: ChildSa
    master_key: Secret
    rekeyed_send_id: int | None
    rekeyed_peer_send_id: int | None
    redundant: bool


@dataclass(frozen=True, slots=True)
class ChildRefused(Event):
    """A negotiation of ``routing_protocol`` ended without a key; None where the request did not get to name one.

    ``requester``: whether the request was ours. ``send_ids`` are the KeyIDs that our request announced and that are
    free again; ``rekeyed_send_id`` is what we had announced for the child that was to be replaced.
    ``notify_type`` is the notify that was sent or received, if any. ``message`` is one sentence. After
    CHILD_SA_NOT_FOUND the child to be replaced can no longer be named to the peer: ask for a new one.
    """

    routing_protocol: int | None
    reason: ChildRefusal
    notify_type: int | None
    message: str
    requester: bool
    send_ids: tuple[int, ...]
    rekeyed_send_id: int | None


@dataclass(frozen=True, slots=True)
class ChildDeleted(Event):
    """``child`` was deleted by agreement: its key must not be used any more."""

    child: ChildSa
    reason: ChildDeletion


@dataclass(frozen=True, slots=True)
class NotifyReceived(Event):
    """The peer sent an error notify in an INFORMATIONAL request of its own; nothing changed because of it."""

    notify_type: int
    data: bytes
