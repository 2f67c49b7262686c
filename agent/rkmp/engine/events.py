"""What the engine reports: one frozen event for each thing an operator may want to hear of.

Events leave through :meth:`rkmp.engine.Engine.events` in the order in which they happened and after what they tell
has been made durable. None carries key material. ``protocol`` is the name of a routing protocol as the key table
writes it (:func:`rkmp.engine.protocols.protocol_name`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rkmp.engine.association_states import AssociationState


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Base of the engine's events."""


@dataclass(frozen=True, slots=True)
class IkeSaUp(EngineEvent):
    """An IKE SA with ``peer`` was established; the SPIs are 8 octets each, ``role`` is ours.

    ``seconds`` have gone by since its first request was sent, or came in.
    """

    peer: str
    local_spi: bytes
    remote_spi: bytes
    role: str
    remote_identity: str
    seconds: float


@dataclass(frozen=True, slots=True)
class IkeSaDown(EngineEvent):
    """An established IKE SA with ``peer`` is gone. Keys negotiated over it stay in force (draft section 3.2)."""

    peer: str
    local_spi: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class NatFound(EngineEvent):
    """Addresses are translated between us and ``peer``, who is seen at ``address``: ours (``nat_local``), its, or both.

    ``refused``: no key is negotiated because of that, as the IKE policy says (protocol.md G30).
    """

    peer: str
    address: str
    nat_local: bool
    nat_remote: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class IkeSaReplaced(EngineEvent):
    """The IKE SA with ``old_local_spi`` was rekeyed, by whichever side: it goes on under the other SPIs, 8 octets each.

    ``role`` is ours in the new one: its initiator is the side that asked for it.
    """

    peer: str
    old_local_spi: bytes
    local_spi: bytes
    remote_spi: bytes
    role: str


@dataclass(frozen=True, slots=True)
class AssociationStateChange(EngineEvent):
    """The association of ``peer`` and ``protocol`` moved ``before`` to ``after`` because of ``reason``."""

    peer: str
    protocol: str
    before: AssociationState
    after: AssociationState
    reason: str


@dataclass(frozen=True, slots=True)
class NegotiationSuccess(EngineEvent):
    """A negotiation of ours has brought the key ``key_name``; ``replaces`` one or is the first.

    ``seconds`` have gone by since it began, those for opening an IKE SA included where there was none.
    """

    peer: str
    protocol: str
    key_name: str
    replaces: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class NegotiationFailure(EngineEvent):
    """A negotiation ended without a key; ``protocol`` is None when it concerned the peer as a whole.

    ``notify_type`` is the number of the IKE notify that told it, or None where no notify was involved.
    """

    peer: str
    protocol: str | None
    reason: str
    notify_type: int | None


@dataclass(frozen=True, slots=True)
class AuthenticationFailure(EngineEvent):
    """``peer`` (None: nobody we know) at ``address``, calling itself ``identity``, was not who it should be."""

    peer: str | None
    address: str
    identity: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RolloverStarted(EngineEvent):
    """``key_name`` is about to be replaced; ``reason`` is ``lifetime``, ``request`` or ``peer``."""

    peer: str
    protocol: str
    key_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RolloverCompleted(EngineEvent):
    """``key_name`` has taken over from ``replaced_key_name``, which is gone from the key table."""

    peer: str
    protocol: str
    key_name: str
    replaced_key_name: str


@dataclass(frozen=True, slots=True)
class CertificateExpiring(EngineEvent):
    """A certificate expires soon, or has; ``expires_at`` is UTC, ``seconds_left`` until then are 0 once it has.

    One of three is not None: the entry of our own ``certificate``, that of a ``trust_anchor``, or the ``peer`` that has
    shown it; of a chain or several anchors it is the one that expires first. ``subject`` is what it says of its holder.
    """

    certificate: str | None
    trust_anchor: str | None
    peer: str | None
    subject: str
    expires_at: datetime
    seconds_left: int


@dataclass(frozen=True, slots=True)
class RevocationListOverdue(EngineEvent):
    """Another list of what ``issuer`` has revoked was due at ``next_update``, UTC; the one that is there counts on."""

    revocation_list: str
    issuer: str
    next_update: datetime


@dataclass(frozen=True, slots=True)
class RequestCompleted(EngineEvent):
    """What was asked for by an operator came to its end: ``key_name`` of the new key, or an ``error``."""

    request: int
    key_name: str | None
    error: str | None
