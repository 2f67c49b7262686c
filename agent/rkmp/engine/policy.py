"""What the engine answers when an IKE SA asks: who may be whom, with which key, and which offer to take.

One :class:`ConversationPolicy` belongs to one IKE SA. An initiator's knows its peer from the start; a responder's
learns it from the identity that the peer claims, among the peers configured for the address it calls from, and the
claim counts for nothing until the IKE SA says that it was proved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rkmp.engine import credentials
from rkmp.engine.configuration import NatPolicy
from rkmp.engine.protocols import protocol_name
from rkmp.engine.send_ids import allocate_id
from rkmp.errors import IkeError
from rkmp.ike import (
    ChildChoice,
    ChildOffer,
    Expectations,
    Identity,
    LocalAuthentication,
    Nat,
    RemoteAuthentication,
)
from rkmp.wire import NotifyType

if TYPE_CHECKING:
    from rkmp.engine.peer import Peer


def why_nat_refuses(nat: Nat | None, policy: NatPolicy) -> str | None:
    """Return why no key is negotiated where IKE_SA_INIT has shown ``nat``, or None where one may be (G30)."""
    if policy is NatPolicy.ALLOW or nat is None or not (nat.local or nat.remote):
        return None
    whose = " and ".join(name for name, is_so in (("our", nat.local), ("the peer's", nat.remote)) if is_so)
    return f"{whose} address is translated on the way, and TCP-AO covers addresses"


class ConversationPolicy:
    """The :class:`rkmp.ike.Policy` of one IKE SA, whose local SPI is ``ike_sa``.

    ``peer`` is None until a responder's peer has said who it is; until the IKE SA is established that is a claim.
    """

    def __init__(self, candidates: Iterable[Peer], peer: Peer | None = None) -> None:
        self._candidates = tuple(candidates)
        self.peer = peer
        self.ike_sa = b""
        self._is_initiator = peer is not None

    @property
    def candidates(self) -> tuple[Peer, ...]:
        """Who the peer of this IKE SA may be."""
        return self._candidates

    def expectations(self) -> Expectations:
        """Return what concerns our peer, or everybody who may be it."""
        peers = self._candidates if self.peer is None else (self.peer,)
        return credentials.expectations(peer for peer in peers if not peer.is_departed)

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        """Return our identity towards the peer and what proves it."""
        peer = self.peer
        if peer is None or peer.is_departed:
            who = "nobody" if remote_identity is None else str(remote_identity)
            raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"{who} is not a configured peer")
        return credentials.local_authentication(peer)

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        """Return how ``remote_identity`` has to prove that it is who it says."""
        if self._is_initiator:
            assert self.peer is not None  # noqa: S101 - an initiator is made with its peer
            if self.peer.is_departed or not self.peer.accepts(remote_identity):
                raise IkeError(
                    NotifyType.AUTHENTICATION_FAILED,
                    f"the peer calls itself {remote_identity}, not {self.peer.expected_identity}",
                )
        else:
            matches = [peer for peer in self._candidates if not peer.is_departed and peer.accepts(remote_identity)]
            # Who is called by its very name goes before those whose pattern the name fits, too.
            matches.sort(key=lambda peer: not peer.expected_identity.is_same_as(remote_identity))
            if not matches:
                raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"no peer at this address is called {remote_identity}")
            self.peer = matches[0]
        expected = credentials.remote_authentication(self.peer)
        return expected if len(self._candidates) < 2 else replace(expected, settings=self.peer.settings)

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        """Choose by our own order of preference, and announce a KeyID of ours for it."""
        peer = self.peer
        assert peer is not None  # noqa: S101 - only an authenticated peer gets to offer
        association = peer.associations.get(offer.routing_protocol)
        if association is None or not association.configuration.enabled:
            raise IkeError(
                NotifyType.TS_UNACCEPTABLE,
                f"no enabled association for {protocol_name(offer.routing_protocol)} with this peer",
            )
        if (reason := why_nat_refuses(offer.nat, peer.ike_policy.nat)) is not None:
            raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, reason)
        if offer.replaces is None and (reason := peer.crossing(association, remote_identity, self.ike_sa)):
            raise IkeError(NotifyType.TEMPORARY_FAILURE, reason)
        if association.configuration.perfect_forward_secrecy and not offer.has_key_exchange:
            raise IkeError(
                NotifyType.NO_PROPOSAL_CHOSEN,
                "the peer offers no key exchange, and we want perfect forward secrecy",
            )
        taken = peer.peer_send_ids_in_use(association)
        clashing: set[int] = set()
        for wanted in peer.transforms(association):
            for offered in offer.transforms:
                transform = offered.transform
                if (wanted.auth_alg, wanted.kdf, wanted.ignore_tcp_options) != (
                    transform.auth_alg,
                    transform.kdf,
                    transform.ignore_tcp_options,
                ):
                    continue
                if transform.send_id in taken:
                    clashing.add(transform.send_id)
                    continue
                in_use = peer.key_ids_in_use() | {transform.send_id}
                send_id = allocate_id(offer.routing_protocol, in_use, preferred=wanted.send_id, after=transform.send_id)
                if send_id is None:
                    raise IkeError(NotifyType.NO_ADDITIONAL_SAS, "all 256 KeyIDs towards this peer are in use")
                return ChildChoice(offered, send_id)
        if clashing:
            raise IkeError(
                NotifyType.NO_PROPOSAL_CHOSEN,
                f"it announces KeyID {' or '.join(map(str, sorted(clashing)))}, which received segments of another key "
                f"for {protocol_name(offer.routing_protocol)} with {association.configuration.neighbor} carry",
            )
        raise IkeError(
            NotifyType.NO_PROPOSAL_CHOSEN,
            f"no transform in common: none of the {len(offer.transforms)} that the peer offers is one we accept",
        )
