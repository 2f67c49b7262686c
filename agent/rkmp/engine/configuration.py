"""What the engine is told to do: one frozen value for the whole of its configuration.

The northbound rebuilds these objects from the validated datastore and hands them over in one piece; the engine
compares old with new by name and reacts to the differences. Nothing here knows YANG or the wire.

When a peer negotiates is its :class:`Initiate` setting:

* ``ON_DEMAND`` (default): an IKE SA is opened when an enabled association needs a key, because it has none that is
  valid or because its rollover is due, and by the ``initiate`` and ``rekey`` actions. A failed attempt is repeated
  with backoff for as long as the need lasts.
* ``IMMEDIATELY``: the same, and besides an IKE SA is kept up whenever an association is enabled, even while all keys
  are valid, so that the loss of the peer is noticed at once and a rollover never waits for a handshake.
* ``NEVER``: this side opens no IKE SA unless an operator asks (``initiate``, ``rekey``); it answers, and rolls keys
  over an IKE SA that the peer opened.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from types import MappingProxyType
from typing import TypeVar

from cryptography import x509

from rkmp.crypto.credentials import CertificateCredential
from rkmp.crypto.revocation import RevocationList
from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, IkeProposal
from rkmp.ike import Identity, IdentityPattern, Retransmission
from rkmp.secret import Secret
from rkmp.wire import DEFAULT_CODE_POINTS, CodePoints

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

IKE_PORT = 500
"""UDP port of IKE (RFC 7296 section 2)."""
NAT_PORT = 4500
"""UDP port of IKE and ESP with a peer behind a translator of addresses (RFC 7296 2.23)."""


DEFAULT_RETRANSMISSION = Retransmission()

DEFAULT_EXPIRY_WARNINGS = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
"""How long before the end of a certificate it is told of."""


def _no_entries() -> Mapping[_Key, _Value]:
    return MappingProxyType({})


class Initiate(enum.Enum):
    """Who opens the IKE SA with a peer, and when; the module's docstring tells each in full."""

    ON_DEMAND = "on-demand"
    IMMEDIATELY = "immediately"
    NEVER = "never"


class Childless(enum.Enum):
    """Whether IKE SAs are opened without negotiating a key at once (RFC 6023)."""

    ALLOW = "allow"
    """We do not, a peer may."""
    FORCE = "force"
    """We always do, a peer may."""
    NEVER = "never"
    """Neither does."""


class SecurityProtocol(enum.Enum):
    """What a negotiated key is for."""

    TCP_AO = "tcp-ao"
    LDP_DISCOVERY = "ldp-discovery"


class NatPolicy(enum.Enum):
    """What is done where an address is translated on the way, which TCP-AO covers (protocol.md G30)."""

    REFUSE = "refuse"
    ALLOW = "allow"


class AtExpiry(enum.Enum):
    """What becomes of a key whose lifetime ends before another has taken its place."""

    FAIL_CLOSED = "fail-closed"
    """It ends, and where it was the last there is none."""
    EXTEND = "extend"
    """It is used until another has taken its place, and that is told as an alarm."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A UDP address and port on which the engine speaks IKE.

    ``nat_port`` is a second port, for peers behind a translator; of None it is the usual one beside the usual port, and
    there is none beside another.
    """

    name: str
    address: str
    port: int = IKE_PORT
    nat_port: int | None = None

    @property
    def serves_all_addresses(self) -> bool:
        """Whether it is not for one address of ours in particular."""
        return ip_address(self.address).is_unspecified

    @property
    def marked_port(self) -> int | None:
        """The port on which all messages have a non-ESP marker, if there is one."""
        return NAT_PORT if self.nat_port is None and self.port == IKE_PORT else self.nat_port

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that it takes, the one for IKE first."""
        return (self.port,) if self.marked_port is None else (self.port, self.marked_port)


@dataclass(frozen=True, slots=True)
class IkePolicy:
    """How to protect an IKE SA and how long to keep it. Times are in seconds; 0 turns ``liveness_interval`` off.

    ``fragmentation`` and ``datagram_size`` are those of :class:`~rkmp.ike.IkeSettings`.
    ``allow_sha1``: sign with RSA over SHA-1, and accept it, where the peer knows no other way (RFC 8247 3.1.1).
    """

    name: str
    proposals: tuple[IkeProposal, ...] = DEFAULT_IKE_PROPOSALS
    lifetime: int = 14400
    retain_ike_sa: bool = True
    retransmission: Retransmission = DEFAULT_RETRANSMISSION
    liveness_interval: int = 30
    fragmentation: bool = True
    datagram_size: int | None = None
    childless: Childless = Childless.ALLOW
    nat: NatPolicy = NatPolicy.REFUSE
    allow_sha1: bool = False


@dataclass(frozen=True, slots=True)
class TransformConfiguration:
    """One complete alternative; ``send_id`` is the KeyID, or the SA ID, that we would like to announce for it.

    For LDP discovery ``kdf`` is :data:`~rkmp.engine.algorithms.NO_KDF`, and there are no TCP options to ignore.
    """

    name: str
    auth_alg: int
    kdf: int
    ignore_tcp_options: bool = False
    send_id: int | None = None


@dataclass(frozen=True, slots=True)
class ProposalConfiguration:
    """A named, ordered list of transforms for one security protocol."""

    name: str
    transforms: tuple[TransformConfiguration, ...]
    security_protocol: SecurityProtocol = SecurityProtocol.TCP_AO


@dataclass(frozen=True, slots=True)
class AssociationConfiguration:
    """One routing protocol whose key is negotiated with a peer.

    ``protocol`` is the draft's Rtg. Prot. ID, or :data:`~rkmp.ike.purposes.LDP_DISCOVERY`.
    ``neighbor`` is the address that the routing protocol peers with.
    ``rollover_lead`` and ``overlap`` of None are a tenth of the lifetime. ``perfect_forward_secrecy``: a key that is
    negotiated in CREATE_CHILD_SA has a key exchange of its own, whoever asks for it (RFC 7296 1.3.1, 2.17).
    ``longest_extension`` is in seconds, and None without an end; it only counts where keys are extended.
    """

    protocol: int
    neighbor: str
    proposals: tuple[str, ...]
    enabled: bool = True
    key_lifetime: int = 86400
    rollover_lead: int | None = None
    overlap: int | None = None
    perfect_forward_secrecy: bool = False
    at_expiry: AtExpiry = AtExpiry.FAIL_CLOSED
    longest_extension: int | None = None

    @property
    def lead(self) -> timedelta:
        """How long before its end a key is replaced."""
        return timedelta(seconds=self.key_lifetime / 10 if self.rollover_lead is None else self.rollover_lead)

    @property
    def overlap_time(self) -> timedelta:
        """How long a replaced key is still accepted."""
        return timedelta(seconds=self.key_lifetime / 10 if self.overlap is None else self.overlap)


@dataclass(frozen=True, slots=True)
class PreSharedKeyName:
    """Authentication by the entry ``name`` of :attr:`EngineConfiguration.pre_shared_keys`."""

    name: str


@dataclass(frozen=True, slots=True)
class CertificateName:
    """Authentication of ourselves by the entry ``name`` of :attr:`EngineConfiguration.certificates`.

    ``others`` are entries for peers that ask for an authority which vouches for one of those.
    """

    name: str
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the most wanted first."""
        return (self.name, *self.others)


@dataclass(frozen=True, slots=True)
class TrustAnchorNames:
    """Authentication of a peer by a certificate under entries of :attr:`EngineConfiguration.trust_anchors`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PpkName:
    """That the entry ``name`` of :attr:`EngineConfiguration.ppks` is used with a peer, or has to be (RFC 8784)."""

    name: str
    is_mandatory: bool


@dataclass(frozen=True, slots=True)
class PpkConfiguration:
    """A post-quantum pre-shared key; ``identifier`` is PPK_ID as it travels, its type octet included."""

    identifier: bytes
    secret: Secret


@dataclass(frozen=True, slots=True)
class PeerConfiguration:
    """A router that we negotiate with.

    ``remote_identity`` of None stands for the peer's address as its identity; ``accepted_identities``
    are others that it may have. The two sides may authenticate by
    different methods. ``non_esp_marker`` is whether messages begin with one when we open an IKE SA; of None they do
    where neither port is that of IKE (protocol.md G37).
    """

    name: str
    address: str
    ike_policy: str
    local_authentication: PreSharedKeyName | CertificateName
    remote_authentication: PreSharedKeyName | TrustAnchorNames
    associations: Mapping[int, AssociationConfiguration]
    port: int = IKE_PORT
    enabled: bool = True
    listener: str | None = None
    initiate: Initiate = Initiate.ON_DEMAND
    remote_identity: Identity | None = None
    accepted_identities: tuple[IdentityPattern, ...] = ()
    ppk: PpkName | None = None
    non_esp_marker: bool | None = None


@dataclass(frozen=True, slots=True)
class EngineConfiguration:
    """Everything the engine is configured with; mappings are keyed by name.

    An entry of ``trust_anchors`` is one certificate or more. ``private_algorithms`` says what pairs of private-use Auth
    Alg and KDF stand for, by the names of :data:`rkmp.engine.algorithms.PRIVATE_USE`.
    """

    enabled: bool = True
    listeners: Mapping[str, Listener] = field(default_factory=_no_entries)
    code_points: CodePoints = DEFAULT_CODE_POINTS
    require_vendor_id: bool = True
    private_algorithms: Mapping[tuple[int, int], str] = field(default_factory=_no_entries)
    local_identity: Identity | None = None
    pre_shared_keys: Mapping[str, Secret] = field(default_factory=_no_entries)
    certificates: Mapping[str, CertificateCredential] = field(default_factory=_no_entries)
    trust_anchors: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=_no_entries)
    revocation_lists: Mapping[str, RevocationList] = field(default_factory=_no_entries)
    expiry_warnings: tuple[timedelta, ...] = DEFAULT_EXPIRY_WARNINGS
    ppks: Mapping[str, PpkConfiguration] = field(default_factory=_no_entries)
    ike_policies: Mapping[str, IkePolicy] = field(default_factory=_no_entries)
    proposals: Mapping[str, ProposalConfiguration] = field(default_factory=_no_entries)
    peers: Mapping[str, PeerConfiguration] = field(default_factory=_no_entries)
