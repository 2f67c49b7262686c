"""The SA and TS payloads of an RKMP child: making the offer, reading it, checking the answer, deriving the key.

The draft's sections 3.2, 3.3 and 4; G2 to G4, G7, G9, G10, G13, G20 and G35. What is the same whether IKE_AUTH or
CREATE_CHILD_SA carries it lives here; who may have which key is the policy's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rkmp.crypto.ike_keys import child_key_material
from rkmp.errors import IkeError
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.context import Context
from rkmp.ike.events import ChildRefusal, ChildRefused
from rkmp.ike.identity import Identity
from rkmp.ike.occurrence import only
from rkmp.ike.policy import ChildChoice, ChildOffer, ChildRequest, OfferedTransform
from rkmp.ike.purposes import (
    LDP_DISCOVERY,
    LDP_KEY_LENGTH,
    protocol_of,
    purpose_of,
    selector_of,
    spi_of,
    transform_of,
)
from rkmp.ike.refusals import child_refusal, notify_name
from rkmp.secret import Secret
from rkmp.value import value
from rkmp.wire import (
    CodePoints,
    LdpDiscoveryTransform,
    NotifyType,
    Payload,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    UnrecognisedTransform,
)


class InconsistentAnswer(Exception):
    """The peer accepted something that we did not offer; the exchange has to be terminated (G32)."""


@value
class ChildAgreement:
    """What a responder chose: the number of the proposal, and the transform with the KeyIDs of both sides."""

    proposal_number: int
    routing_protocol: int
    auth_alg: int
    kdf: int
    ignore_tcp_options: bool
    send_id: int
    peer_send_id: int


def offer_payloads(request: ChildRequest, code_points: CodePoints) -> tuple[SecurityAssociation, Payload, Payload]:
    """Return the SA, TSi and TSr payloads that ask for ``request``. RKMP proposals have no SPI (G13)."""
    protocol_id = protocol_of(request.routing_protocol, code_points)
    proposals = tuple(
        RkmpProposal(number, protocol_id, b"", transforms)
        for number, transforms in enumerate(request.proposals, start=1)
    )
    return SecurityAssociation(proposals), *_selectors(request.routing_protocol, code_points)


def answer_payloads(agreement: ChildAgreement, code_points: CodePoints) -> tuple[SecurityAssociation, Payload, Payload]:
    """Return the SA, TSi and TSr payloads that accept: one proposal with one transform and our own KeyID (G2)."""
    purpose = agreement.routing_protocol
    transform = transform_of(
        purpose,
        agreement.send_id,
        agreement.auth_alg,
        agreement.kdf,
        ignore_tcp_options=agreement.ignore_tcp_options,
    )
    protocol_id = protocol_of(purpose, code_points)
    proposal = RkmpProposal(agreement.proposal_number, protocol_id, b"", (transform,))
    return SecurityAssociation((proposal,)), *_selectors(agreement.routing_protocol, code_points)


def answer_offer(
    context: Context,
    remote_identity: Identity,
    payloads: Sequence[Payload],
    replaces: ChildSa | None,
    *,
    has_key_exchange: bool = True,
) -> ChildAgreement:
    """Return what we agree to of what an authenticated peer's request offers; the policy is asked last.

    ``has_key_exchange``: there is one for this child, or the IKE SA has just been made by one. Raises IkeError where
    nothing of it will do.
    """
    settings = context.settings
    if settings.require_vendor_id and context.negotiated.remote_code_points != settings.code_points:
        # G1: private numbers mean nothing to a peer that did not say that it means the same by them.
        raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "the peer did not announce the code points of RKMP that we use")
    children = context.children.values()
    offer = read_offer(payloads, settings.code_points, settings.algorithm_pairs, children, replaces)
    nat = context.negotiated.nat
    offer = ChildOffer(offer.routing_protocol, offer.transforms, offer.replaces, nat, has_key_exchange)
    return accept(offer, context.policy.choose_child(remote_identity, offer), context.send_ids_in_use)


def read_offer(
    payloads: Sequence[Payload],
    code_points: CodePoints,
    pairs: Collection[tuple[int, int]],
    children: Collection[ChildSa],
    replaces: ChildSa | None,
) -> ChildOffer:
    """Return what a request offers, without what cannot be chosen.

    ``pairs`` are the (Auth Alg, KDF) pairs that may be used, ``children`` the live ones of this IKE SA. Raises
    IkeError: NO_PROPOSAL_CHOSEN, or TS_UNACCEPTABLE where the selectors do not name one routing protocol (G20) or not
    the one of the child that is replaced.
    """
    proposals = _rkmp_proposals(payloads, code_points)
    if not proposals:
        raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "no proposal is for TCP-AO or LDP discovery")
    routing_protocol = named_purpose(payloads, code_points)
    if routing_protocol is None:
        raise IkeError(NotifyType.TS_UNACCEPTABLE, "the traffic selectors do not name one routing protocol")
    if replaces is not None and replaces.routing_protocol != routing_protocol:
        raise IkeError(NotifyType.TS_UNACCEPTABLE, "a rekey cannot change the routing protocol")
    # G3: a KeyID that already names a key that we receive would make the two indistinguishable.
    taken = {child.peer_send_id for child in children if child.security_protocol == proposals[0].protocol_id}
    transforms = tuple(
        OfferedTransform(proposal.number, transform)
        for proposal in proposals
        for transform in _alternatives(proposal)
        if _spi_fits(routing_protocol, proposal, transform)
        and _is_known(transform, pairs)
        and transform.send_id not in taken
    )
    if not transforms:
        raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "no transform has algorithms and a KeyID that can be used")
    return ChildOffer(routing_protocol, transforms, replaces)


def accept(offer: ChildOffer, choice: ChildChoice, send_ids_in_use: Collection[int]) -> ChildAgreement:
    """Return what the policy's choice from ``offer`` amounts to.

    Raises IkeError (TEMPORARY_FAILURE) when the KeyID chosen for ourselves names another child at this moment.
    """
    if choice.offered not in offer.transforms:
        raise ValueError("the policy chose a transform that was not offered")
    if choice.send_id in send_ids_in_use:
        raise IkeError(NotifyType.TEMPORARY_FAILURE, f"KeyID {choice.send_id} is still in use here")
    transform = choice.offered.transform
    return ChildAgreement(
        choice.offered.proposal_number,
        offer.routing_protocol,
        transform.auth_alg,
        transform.kdf,
        transform.ignore_tcp_options,
        choice.send_id,
        transform.send_id,
    )


def check_answer(
    request: ChildRequest, payloads: Sequence[Payload], code_points: CodePoints, children: Collection[ChildSa]
) -> ChildAgreement:
    """Return what the responder chose from ``request``.

    The draft's section 4.1: the accepted offer has to be one that we made. All but the KeyID, which is the
    responder's own (G2), has to come back as it was. Raises InconsistentAnswer otherwise.
    """
    answered = only(SecurityAssociation, payloads)
    if answered is None or len(answered.proposals) != 1:
        raise InconsistentAnswer("the answer does not hold exactly one proposal")
    proposal = answered.proposals[0]
    purpose = request.routing_protocol
    if not isinstance(proposal, RkmpProposal) or proposal.protocol_id != protocol_of(purpose, code_points):
        raise InconsistentAnswer(f"the answer is for protocol {proposal.protocol_id}, which was not offered")
    chosen = proposal.transforms[0] if len(proposal.transforms) == 1 else None
    if chosen is None or isinstance(chosen, UnrecognisedTransform):
        raise InconsistentAnswer("the accepted proposal does not hold exactly one transform of its protocol")
    if not 1 <= proposal.number <= len(request.proposals):
        raise InconsistentAnswer(f"proposal {proposal.number} was not offered")
    if not _spi_fits(purpose, proposal, chosen):
        raise InconsistentAnswer("the accepted proposal names another KeyID than its transform")
    offered = next(
        (
            transform
            for transform in request.proposals[proposal.number - 1]
            if (transform.auth_alg, transform.kdf, transform.ignore_tcp_options)
            == (chosen.auth_alg, chosen.kdf, chosen.ignore_tcp_options)
        ),
        None,
    )
    if offered is None:
        raise InconsistentAnswer(
            f"authentication algorithm {chosen.auth_alg} with KDF {chosen.kdf} was not in proposal {proposal.number}"
        )
    if named_purpose(payloads, code_points) != purpose:
        raise InconsistentAnswer("the answer's traffic selectors are not those of the request")
    if chosen.send_id in request.peer_send_ids_in_use or chosen.send_id in {
        child.peer_send_id for child in children if child.security_protocol == proposal.protocol_id
    }:
        raise InconsistentAnswer(f"the peer announced KeyID {chosen.send_id}, which names another of its keys")
    return ChildAgreement(
        proposal.number,
        request.routing_protocol,
        chosen.auth_alg,
        chosen.kdf,
        chosen.ignore_tcp_options,
        offered.send_id,
        chosen.send_id,
    )


def master_key(context: Context, sk_d: Secret, child: ChildSa, shared_secret: Secret | None) -> Secret:
    """Return the key of ``child``: the leftmost octets of prf+(SK_d, [g^ir |] Ni | Nr) (G7), as many as it needs (G9).

    For RFC 5926's KDFs they are 20 or 16, for LDP discovery as many as the digest has.
    """
    if child.routing_protocol == LDP_DISCOVERY:
        length = LDP_KEY_LENGTH[child.auth_alg]
    else:
        length = context.settings.algorithm_pairs[child.auth_alg, child.kdf]
    return child_key_material(context.negotiated.suite.prf, sk_d, *child.nonces, length, shared_secret)


def child_of(
    agreement: ChildAgreement,
    code_points: CodePoints,
    nonces: tuple[bytes, bytes],
    *,
    requester: bool,
    created_alone: bool = False,
    replaces: int | None = None,
) -> ChildSa:
    """Return the child that ``agreement`` makes; the keyword arguments are told at :class:`ChildSa`."""
    return ChildSa(
        protocol_of(agreement.routing_protocol, code_points),
        agreement.routing_protocol,
        agreement.send_id,
        agreement.peer_send_id,
        agreement.auth_alg,
        agreement.kdf,
        agreement.ignore_tcp_options,
        requester,
        *nonces,
        created_alone=created_alone,
        replaces=replaces,
    )


def request_refused(
    request: ChildRequest,
    reason: ChildRefusal,
    message: str,
    *,
    notify_type: int | None = None,
    rekeyed_send_id: int | None = None,
) -> ChildRefused:
    """Return the event that ends a request of ours without a key."""
    return ChildRefused(
        request.routing_protocol,
        reason,
        notify_type,
        message,
        requester=True,
        send_ids=request.send_ids,
        rekeyed_send_id=rekeyed_send_id,
    )


def why_refused(context: Context, notify_type: int) -> str:
    """Return what it may mean that the peer refuses a child with ``notify_type``, as far as we can tell."""
    message = f"the peer answers {notify_name(notify_type)}"
    nat = context.negotiated.nat
    if notify_type != NotifyType.NO_PROPOSAL_CHOSEN:
        return message
    if nat is not None and (nat.local or nat.remote):
        return f"{message}, perhaps because an address is translated on the way, which TCP-AO covers"
    if context.negotiated.remote_code_points is None:
        return f"{message}, perhaps because it does not speak RKMP: it has not announced it"
    return message


def offer_refused(
    payloads: Sequence[Payload], code_points: CodePoints, refusal: IkeError, replaces: ChildSa | None = None
) -> ChildRefused:
    """Return the event that tells of an offer of the peer's that we refused."""
    return ChildRefused(
        named_purpose(payloads, code_points),
        child_refusal(refusal.notify_type),
        refusal.notify_type,
        refusal.reason,
        requester=False,
        send_ids=(),
        rekeyed_send_id=replaces.send_id if replaces else None,
    )


def _selectors(routing_protocol: int, code_points: CodePoints) -> tuple[Payload, Payload]:
    selectors = (RoutingProtocolSelector(selector_of(routing_protocol), code_points.traffic_selector_type),)
    return TrafficSelectorsInitiator(selectors), TrafficSelectorsResponder(selectors)


def named_purpose(payloads: Sequence[Payload], code_points: CodePoints) -> int | None:
    """Return what the SA payload and both TS payloads, each with one selector, ask a key for, or None (G20)."""
    proposals = _rkmp_proposals(payloads, code_points)
    routing_protocol = _named_routing_protocol(payloads)
    if not proposals or routing_protocol is None:
        return routing_protocol
    return purpose_of(proposals[0].protocol_id, routing_protocol, code_points)


def _rkmp_proposals(payloads: Sequence[Payload], code_points: CodePoints) -> list[RkmpProposal]:
    """Return the proposals that are for TCP-AO or for LDP discovery: those of the protocol that comes first."""
    offered = only(SecurityAssociation, payloads)
    protocols = (code_points.tcp_ao_protocol, code_points.ldp_discovery_protocol)
    proposals = [
        proposal
        for proposal in (offered.proposals if offered else ())
        if isinstance(proposal, RkmpProposal) and proposal.protocol_id in protocols
    ]
    return [proposal for proposal in proposals if proposal.protocol_id == proposals[0].protocol_id]


def _named_routing_protocol(payloads: Sequence[Payload]) -> int | None:
    initiator = only(TrafficSelectorsInitiator, payloads)
    responder = only(TrafficSelectorsResponder, payloads)
    if initiator is None or responder is None or initiator.selectors != responder.selectors:
        return None
    if len(initiator.selectors) != 1 or not isinstance(initiator.selectors[0], RoutingProtocolSelector):
        return None
    return initiator.selectors[0].routing_protocol


def _alternatives(proposal: RkmpProposal) -> Iterator[TcpAoTransform | LdpDiscoveryTransform]:
    """Yield the transforms of ``proposal`` that an answer can name.

    The answer carries our KeyID in place of the offered one, so among transforms that differ in nothing else only
    the first can be meant. Transforms of another length are passed over (G35).
    """
    seen: set[tuple[int, int, bool]] = set()
    for transform in proposal.transforms:
        if not isinstance(transform, UnrecognisedTransform):
            policy = (transform.auth_alg, transform.kdf, transform.ignore_tcp_options)
            if policy not in seen:
                seen.add(policy)
                yield transform


def _is_known(transform: TcpAoTransform | LdpDiscoveryTransform, pairs: Collection[tuple[int, int]]) -> bool:
    if isinstance(transform, LdpDiscoveryTransform):
        return transform.auth_alg in LDP_KEY_LENGTH
    return (transform.auth_alg, transform.kdf) in pairs


def _spi_fits(purpose: int, proposal: RkmpProposal, transform: TcpAoTransform | LdpDiscoveryTransform) -> bool:
    """G13: no SPI, or one that repeats the identifier of the transform."""
    return proposal.spi in (b"", spi_of(purpose, transform.send_id))
