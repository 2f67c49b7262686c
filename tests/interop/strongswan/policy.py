"""What an IKE SA asks of the layer above, answered for two names that share a secret."""

from __future__ import annotations

from dataclasses import dataclass, field

from rkmp.errors import IkeError
from rkmp.ike import (
    ChildChoice,
    ChildOffer,
    Expectations,
    Identity,
    LocalAuthentication,
    PreSharedKey,
    RemoteAuthentication,
)
from rkmp.secret import Secret
from rkmp.wire import NotifyType

SEND_ID = 200


@dataclass(frozen=True, slots=True)
class PreSharedKeyPolicy:
    """A policy for one peer that takes the first transform of any child; ``peer_psk`` is what the peer should know."""

    identity: Identity
    peer_identity: Identity
    psk: Secret
    peer_psk: Secret

    def expectations(self) -> Expectations:
        """Return that there are neither certificates nor PPKs."""
        return Expectations()

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        """Return our name and secret."""
        return LocalAuthentication(self.identity, PreSharedKey(self.psk))

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        """Return the peer's secret, and refuse anybody else."""
        if remote_identity != self.peer_identity:
            raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"{remote_identity} is nobody here")
        return RemoteAuthentication(PreSharedKey(self.peer_psk))

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        """Take the first."""
        return ChildChoice(offer.transforms[0], SEND_ID)


@dataclass(frozen=True, slots=True)
class FixedPolicy:
    """A policy for one peer, which is told all it knows, and takes the first transform of any child."""

    local: LocalAuthentication
    peer_identity: Identity
    remote: RemoteAuthentication
    expected: Expectations = field(default_factory=Expectations)

    def expectations(self) -> Expectations:
        """Return what it was told."""
        return self.expected

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        """Return what it was told."""
        return self.local

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        """Return what it was told, and refuse anybody else."""
        if remote_identity != self.peer_identity:
            raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"{remote_identity} is nobody here")
        return self.remote

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        """Take the first."""
        return ChildChoice(offer.transforms[0], SEND_ID)
