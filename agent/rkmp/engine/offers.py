"""From configured proposals to what a request offers: each transform with a KeyID of its own (G3, G4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rkmp.engine.configuration import AssociationConfiguration, ProposalConfiguration
from rkmp.engine.send_ids import allocate_id
from rkmp.ike import ChildRequest
from rkmp.ike.purposes import transform_of
from rkmp.wire import LdpDiscoveryTransform, TcpAoTransform


def child_request(
    association: AssociationConfiguration,
    proposals: Iterable[ProposalConfiguration],
    in_use: Collection[int],
    peer_send_ids: frozenset[int],
    *,
    after: int,
) -> ChildRequest | None:
    """Return what to ask for on behalf of ``association``, or None when no KeyID is free.

    ``in_use`` are the KeyIDs that must not be announced, ``peer_send_ids`` those that the peer must not; ``after`` is
    the KeyID announced last. When KeyIDs are short, the least wanted transforms are left out. An answer carries the
    responder's KeyID in place of ours, so one policy is offered only once: a second could not be told from the first.
    """
    taken = set(in_use)
    offered: set[tuple[int, int, bool]] = set()
    offers: list[tuple[TcpAoTransform | LdpDiscoveryTransform, ...]] = []
    for proposal in proposals:
        transforms = []
        for wanted in proposal.transforms:
            policy = (wanted.auth_alg, wanted.kdf, wanted.ignore_tcp_options)
            send_id = allocate_id(association.protocol, taken, preferred=wanted.send_id, after=after)
            if policy in offered or send_id is None:
                continue
            offered.add(policy)
            taken.add(send_id)
            after = send_id
            transforms.append(
                transform_of(
                    association.protocol,
                    send_id,
                    wanted.auth_alg,
                    wanted.kdf,
                    ignore_tcp_options=wanted.ignore_tcp_options,
                )
            )
        if transforms:
            offers.append(tuple(transforms))
    if not offers:
        return None
    return ChildRequest(
        association.protocol,
        tuple(offers),
        peer_send_ids,
        perfect_forward_secrecy=association.perfect_forward_secrecy,
    )
