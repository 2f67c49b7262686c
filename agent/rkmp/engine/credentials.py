"""How a peer and we authenticate each other, by what the configuration names: keys, certificates, trust anchors, PPKs.

Trust anchors are shared by all peers that name the same ones, and chains that were verified lately by all peers, so
that ten thousand of them cost no more than what they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cryptography import x509

from rkmp.crypto.certificate_paths import TrustAnchors, VerifiedChain, VerifiedChains
from rkmp.crypto.certificates import AUTHORITY_LENGTH
from rkmp.crypto.credentials import CertificateCredential, authorities_above
from rkmp.crypto.revocation import RevocationList, Revocations
from rkmp.engine.configuration import (
    CertificateName,
    EngineConfiguration,
    PeerConfiguration,
    PreSharedKeyName,
    TrustAnchorNames,
)
from rkmp.ike import (
    Expectations,
    LocalAuthentication,
    OwnCertificate,
    PeerCertificate,
    Ppk,
    PreSharedKey,
    RemoteAuthentication,
)

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer


class Trust:
    """The trust anchors in use, each set of them made once, and the chains that they vouch for."""

    def __init__(self) -> None:
        self._anchors: dict[tuple[x509.Certificate, ...], TrustAnchors] = {}
        self._chains = VerifiedChains()
        self._authorities: dict[str, tuple[CertificateCredential, frozenset[bytes]]] = {}
        self._revocations = Revocations()
        self._revocation_lists: Mapping[str, RevocationList] = {}

    def anchors(self, configuration: EngineConfiguration, method: TrustAnchorNames) -> TrustAnchors:
        """Return the anchors that ``method`` names; KeyError for one that is missing, CredentialError for a bad one."""
        certificates = tuple(anchor for name in method.names for anchor in configuration.trust_anchors[name])
        known = self._anchors.get(certificates)
        if known is None:
            known = self._anchors[certificates] = TrustAnchors(certificates)
        return known

    def verify(self, peer: Peer, method: TrustAnchorNames, received: Sequence[bytes]) -> VerifiedChain:
        """Return the chain that ``received`` is, now; raises CertificateRejected."""
        engine = peer.engine
        chain = self._chains.verify(self.anchors(engine.configuration, method), received, engine.wall)
        self.require_unrevoked(engine.configuration, chain)
        return chain

    def require_unrevoked(self, configuration: EngineConfiguration, chain: VerifiedChain) -> None:
        """Raise CertificateRejected for a chain in which a certificate is revoked."""
        if self._revocation_lists is not configuration.revocation_lists:
            self._revocation_lists = configuration.revocation_lists
            self._revocations = Revocations(configuration.revocation_lists.values())
        self._revocations.require_unrevoked(chain.certificates)

    def own_certificate(self, configuration: EngineConfiguration, name: str) -> OwnCertificate:
        """Return an entry of our certificates, with the authorities that vouch for it as far as we know them."""
        credential = configuration.certificates[name]
        known = self._authorities.get(name)
        if known is None or known[0] is not credential:
            anchors = [anchor for entry in configuration.trust_anchors.values() for anchor in entry]
            known = self._authorities[name] = credential, authorities_above(credential.certificates, anchors)
        return OwnCertificate(*known)

    def forget(self) -> None:
        """Let go of anchors that may have left the configuration; those in use come back by themselves."""
        self._anchors.clear()
        self._authorities.clear()


def local_authentication(peer: Peer) -> LocalAuthentication:
    """Return who we are towards ``peer``, and what proves it."""
    configuration = peer.engine.configuration
    match peer.configuration.local_authentication:
        case PreSharedKeyName(name):
            return LocalAuthentication(peer.local_identity, PreSharedKey(configuration.pre_shared_keys[name]))
        case CertificateName() as named:
            trust = peer.engine.trust
            first, *others = (trust.own_certificate(configuration, name) for name in named.names)
            return LocalAuthentication(peer.local_identity, first, tuple(others))


def remote_authentication(peer: Peer) -> RemoteAuthentication:
    """Return how ``peer`` has to prove who it is."""
    configuration, ppk = peer.engine.configuration, ppk_of(peer.engine.configuration, peer.configuration)
    match peer.configuration.remote_authentication:
        case PreSharedKeyName(name):
            return RemoteAuthentication(PreSharedKey(configuration.pre_shared_keys[name]), ppk)
        case TrustAnchorNames() as named:
            trust = peer.engine.trust
            return RemoteAuthentication(PeerCertificate(lambda received: trust.verify(peer, named, received)), ppk)


def ppk_of(configuration: EngineConfiguration, peer: PeerConfiguration) -> Ppk | None:
    """Return the post-quantum pre-shared key that is held with ``peer``."""
    if peer.ppk is None:
        return None
    held = configuration.ppks[peer.ppk.name]
    return Ppk(held.identifier, held.secret, peer.ppk.is_mandatory)


def expectations(peers: Iterable[Peer]) -> Expectations:
    """Return what is to be told to somebody who is one of ``peers``."""
    authorities: dict[bytes, None] = {}
    ppks: list[Ppk] = []
    expects_certificates = False
    for peer in peers:
        configuration, method = peer.engine.configuration, peer.configuration.remote_authentication
        if isinstance(method, TrustAnchorNames):
            expects_certificates = True
            asked = peer.engine.trust.anchors(configuration, method).certificate_request
            for start in range(0, len(asked), AUTHORITY_LENGTH):
                authorities[asked[start : start + AUTHORITY_LENGTH]] = None
        ppk = ppk_of(configuration, peer.configuration)
        if ppk is not None:
            ppks.append(ppk)
    return Expectations(b"".join(authorities) if expects_certificates else None, tuple(ppks))
