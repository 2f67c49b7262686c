"""What an IKE SA asks of the layer above, and what that layer asks of it: credentials, authorisation, child policy.

The engine implements :class:`Policy`; the IKE SA calls it while it processes a datagram and takes an
:class:`~rkmp.errors.IkeError` for an answer: its notify type goes to the peer, its reason to the events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rkmp.crypto.certificate_paths import VerifiedChain
from rkmp.crypto.credentials import CertificateCredential
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.identity import Identity
from rkmp.ike.nat_detection import Nat
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.ike.settings import IkeSettings
from rkmp.secret import Secret
from rkmp.wire import LdpDiscoveryTransform, TcpAoTransform

ChainVerifier = Callable[[Sequence[bytes]], VerifiedChain]
"""Given what the CERT payloads of encoding 4 carry, in order, returns the chain that they are, at the present time.

Raises :class:`~rkmp.crypto.certificates.CertificateRejected`.
"""


@dataclass(frozen=True, slots=True)
class PreSharedKey:
    """Authentication by a secret that both sides hold (RFC 7296 2.15)."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """Our authentication by signature: a certificate, what leads from it to an authority, and its key.

    ``authorities`` are the names, of 20 octets each, by which CERTREQ may ask for it (RFC 7296 3.7).
    """

    credential: CertificateCredential
    authorities: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A peer's authentication by signature: its certificate has to be one that ``verify`` accepts.

    The layer above binds ``verify`` to trust anchors and to the civil time of the datagram that is being processed.
    """

    verify: ChainVerifier = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ppk:
    """A post-quantum pre-shared key (RFC 8784): ``identifier`` is PPK_ID, its type octet included.

    ``is_mandatory``: there is to be no IKE SA without it; otherwise it is used where the peer has it, too.
    """

    identifier: bytes
    secret: Secret
    is_mandatory: bool


@dataclass(frozen=True, slots=True)
class LocalAuthentication:
    """How we prove who we are: the identity sent in IDi or IDr, and what proves it.

    ``others`` are further certificates of ours, for peers that ask for an authority which vouches for one of those.
    """

    identity: Identity
    method: PreSharedKey | OwnCertificate
    others: tuple[OwnCertificate, ...] = ()

    def certificates_for(self, authorities: frozenset[bytes]) -> tuple[OwnCertificate, ...]:
        """Return our certificates for a peer that asks for ``authorities``, those that suit first; none with a PSK."""
        if not isinstance(self.method, OwnCertificate):
            return ()
        # Sorting is stable: among those that suit, and among the others, the order stays.
        return tuple(sorted((self.method, *self.others), key=lambda each: authorities.isdisjoint(each.authorities)))


@dataclass(frozen=True, slots=True)
class RemoteAuthentication:
    """How the peer has to prove that it is who it says, and the PPK that we hold with it, if any.

    The two sides of an IKE SA may prove themselves by different methods. ``settings`` are those for this peer, where
    the responder's IKE SA was made with others because it might have been somebody else's; None where it was not.
    """

    method: PreSharedKey | PeerCertificate
    ppk: Ppk | None = None
    settings: IkeSettings | None = None


@dataclass(frozen=True, slots=True)
class Expectations:
    """What has to be told to a peer that has not said yet who it is, as far as it concerns its authentication.

    ``authorities`` is what CERTREQ asks with, 20 octets for each trust anchor; None where no peer that it may be has a
    certificate. ``ppks`` are those of all peers that it may be; an initiator knows its peer and uses the first.
    """

    authorities: bytes | None = None
    ppks: tuple[Ppk, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """What to negotiate for one routing protocol (the draft's section 4.1).

    ``routing_protocol`` is the purpose (:mod:`rkmp.ike.purposes`).
    ``proposals`` are sent in this order, numbered from 1; each is a list of complete alternatives, each with the
    KeyID that we announce for it. The answer carries the peer's KeyID instead of ours, so two transforms of one
    proposal have to differ in more than theirs (put them into two proposals). ``peer_send_ids_in_use`` are KeyIDs that
    the peer must not choose, because keys that we hold from it carry them already. ``perfect_forward_secrecy`` adds a
    key exchange of the IKE SA's method
    to a CREATE_CHILD_SA; IKE_AUTH has its own from IKE_SA_INIT.
    """

    routing_protocol: int
    proposals: tuple[tuple[TcpAoTransform | LdpDiscoveryTransform, ...], ...]
    peer_send_ids_in_use: frozenset[int] = frozenset()
    perfect_forward_secrecy: bool = False

    def __post_init__(self) -> None:
        if not self.proposals or not all(self.proposals):
            raise ValueError("a child request needs proposals, each with at least one transform")
        wanted = LdpDiscoveryTransform if self.routing_protocol == LDP_DISCOVERY else TcpAoTransform
        if not all(isinstance(transform, wanted) for proposal in self.proposals for transform in proposal):
            raise ValueError("a transform is not of the security protocol that the key is for")
        for proposal in self.proposals:
            policies = {(t.auth_alg, t.kdf, t.ignore_tcp_options) for t in proposal}
            if len(policies) != len(proposal):
                raise ValueError("two transforms of one proposal differ in nothing but their KeyIDs")

    @property
    def send_ids(self) -> tuple[int, ...]:
        """Every KeyID that the request announces, in order."""
        return tuple(transform.send_id for proposal in self.proposals for transform in proposal)


@dataclass(frozen=True, slots=True)
class OfferedTransform:
    """One alternative that the peer offers: the number of its proposal and the transform itself."""

    proposal_number: int
    transform: TcpAoTransform | LdpDiscoveryTransform


@dataclass(frozen=True, slots=True)
class ChildOffer:
    """What the peer asks us to choose from, already cleared of what nobody may choose.

    ``routing_protocol`` is the purpose (:mod:`rkmp.ike.purposes`).
    ``transforms`` is never empty: pairs of algorithms that settings do not allow and KeyIDs that the peer uses for
    another child of this IKE SA are gone. ``replaces`` is the child that the peer wants to rekey, or None. ``nat`` says
    whose addresses are translated on the way, None where that is not known (G30). ``has_key_exchange``: the key comes
    from a key exchange that was made for it or for its IKE SA (RFC 7296 2.17).
    """

    routing_protocol: int
    transforms: tuple[OfferedTransform, ...]
    replaces: ChildSa | None
    nat: Nat | None = None
    has_key_exchange: bool = True


@dataclass(frozen=True, slots=True)
class ChildChoice:
    """The answer to an offer: one of its transforms, and the KeyID that we announce for ourselves (0 to 255).

    For LDP discovery it is an SA ID, from :data:`~rkmp.ike.purposes.FIRST_SA_ID` on.
    """

    offered: OfferedTransform
    send_id: int


class Policy(Protocol):
    """The decisions that belong to configuration. Every method but the first may raise IkeError."""

    def expectations(self) -> Expectations:
        """Return what is to be told before the peer has said who it is.

        Asked for in IKE_SA_INIT and, by an initiator, again in IKE_AUTH.
        """

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        """Return how we authenticate.

        ``remote_identity`` is what the initiator called itself, authenticated already; an initiator asks with None,
        because it has not heard from the responder yet.
        """

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        """Return how ``remote_identity`` has to authenticate.

        Raises IkeError (AUTHENTICATION_FAILED) when nobody of that name is expected here, or, for an initiator,
        when it is not whom it meant to reach; reported as an unknown identity, apart from a wrong key.
        """

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        """Choose from an authenticated peer's offer.

        Two requests for a new key that cross while both are under way are sorted out by their nonces (G23). One that
        comes just after ours was done cannot be told from one that was meant to come later, so that is decided here.

        Raises IkeError: TS_UNACCEPTABLE when the peer has no business with that routing protocol (G22),
        NO_PROPOSAL_CHOSEN when no transform suits, TEMPORARY_FAILURE when it may ask again later.
        """
