"""What the engine refuses of a configuration, and how one configuration differs from another.

References between names are the data model's to hold (yang.md); they are looked at here all the same, because
applying a configuration must not fail. A refusal says what an operator can do about it. What is checked and compared
is what differs: an object that is the same one as before costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from rkmp.crypto.signature_keys import CredentialError
from rkmp.engine.algorithms import LDP_HELLOS, PRIVATE_USE, TCP_AO
from rkmp.engine.configuration import (
    AssociationConfiguration,
    CertificateName,
    EngineConfiguration,
    IkePolicy,
    Listener,
    PeerConfiguration,
    PreSharedKeyName,
    SecurityProtocol,
    TrustAnchorNames,
)
from rkmp.engine.credentials import Trust
from rkmp.engine.protocols import PROTOCOL_NAMES, protocol_name
from rkmp.engine.revised import may_differ
from rkmp.errors import EngineRefusal
from rkmp.ike import Identity
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.keytable import PRIVATE_USE_PROTOCOLS
from rkmp.wire import IdType


@dataclass(frozen=True, slots=True)
class Differences:
    """What is to be done to come from one configuration to another; peers that are not enabled do not count.

    ``changed`` tells for each peer whether it has to authenticate anew. ``proposals`` are names whose transforms are
    not the same any more.
    """

    removed: tuple[str, ...]
    added: tuple[str, ...]
    changed: Mapping[str, bool]
    proposals: frozenset[str]


@dataclass(frozen=True, slots=True)
class PreparedConfiguration:
    """A configuration that was found fit to be applied, and how it differs from ``before``."""

    configuration: EngineConfiguration
    before: EngineConfiguration
    differences: Differences


def listener_of(configuration: EngineConfiguration, peer: PeerConfiguration, default: Listener) -> Listener | None:
    """Return the listener through which we talk to ``peer``.

    It is the configured one, or the first by name whose address is of the same IP version; ``default`` serves where
    none is configured. None when there is no such listener.
    """
    if peer.listener is not None:
        return configuration.listeners.get(peer.listener)
    if not configuration.listeners:
        return default
    is_v6 = ":" in peer.address
    names = sorted(name for name, listener in configuration.listeners.items() if (":" in listener.address) == is_v6)
    return configuration.listeners[names[0]] if names else None


def differences(before: EngineConfiguration, after: EngineConfiguration, default: Listener) -> Differences:
    """Return what has to be done to come from ``before`` to ``after``."""
    old = before.peers if before.enabled else {}
    new = after.peers if after.enabled else {}
    is_shared = _shares_what_peers_depend_on(before, after)
    is_same_list = is_shared and before.enabled and after.enabled
    names = may_differ(before.peers, after.peers) if is_same_list else dict.fromkeys([*old, *new])
    removed = [name for name in names if _is_enabled(old.get(name)) and not _is_enabled(new.get(name))]
    added: list[str] = []
    changed: dict[str, bool] = {}
    for name in names:
        peer, previous = new.get(name), old.get(name)
        if peer is None or not peer.enabled:
            continue
        if previous is None or not previous.enabled:
            added.append(name)
        elif previous is not peer or not is_shared:
            is_other = _credentials(before, previous, default) != _credentials(after, peer, default)
            if is_other or previous != peer:
                changed[name] = is_other
    proposals = frozenset(
        name
        for name, proposal in before.proposals.items()
        if name in after.proposals and after.proposals[name].transforms != proposal.transforms
    )
    return Differences(tuple(removed), tuple(added), changed, proposals)


def check(before: EngineConfiguration, after: EngineConfiguration, default: Listener, trust: Trust) -> Differences:
    """Return how ``after`` differs from ``before``; raise EngineRefusal when it cannot be carried out.

    ``trust`` makes the trust anchors that ``after`` needs.
    """
    if not after.enabled:
        return differences(before, after, default)
    _check_listeners(after)
    _check_proposals(after)
    for policy in after.ike_policies.values():
        _check_policy(policy)
    is_shared = _shares_what_peers_depend_on(before, after) and before.enabled
    same_names = before.proposals.keys() == after.proposals.keys()
    names = may_differ(before.peers, after.peers) if is_shared and same_names else after.peers
    for peer in map(after.peers.get, names):
        if peer is not None and peer.enabled:
            _check_peer(after, peer, default, trust)
    return differences(before, after, default)


def _is_enabled(peer: PeerConfiguration | None) -> bool:
    return peer is not None and peer.enabled


def _shares_what_peers_depend_on(before: EngineConfiguration, after: EngineConfiguration) -> bool:
    # Tuples, whose members are equal without a look into them where they are the same object.
    return _surroundings(before) == _surroundings(after)


def _surroundings(configuration: EngineConfiguration) -> tuple[object, ...]:
    return (
        configuration.listeners,
        configuration.code_points,
        configuration.require_vendor_id,
        configuration.private_algorithms,
        configuration.local_identity,
        configuration.pre_shared_keys,
        configuration.certificates,
        configuration.trust_anchors,
        configuration.ppks,
        configuration.ike_policies,
    )


def _credentials(configuration: EngineConfiguration, peer: PeerConfiguration, default: Listener) -> tuple[object, ...]:
    """Return what an IKE SA with the peer stands on: when it changes, the two have to meet anew."""
    return (
        peer.address,
        peer.port,
        peer.non_esp_marker,
        listener_of(configuration, peer, default),
        configuration.code_points,
        configuration.require_vendor_id,
        configuration.private_algorithms,
        configuration.local_identity,
        peer.remote_identity,
        peer.accepted_identities,
        _means(configuration, peer.local_authentication),
        _means(configuration, peer.remote_authentication),
        peer.ppk and (configuration.ppks.get(peer.ppk.name), peer.ppk.is_mandatory),
    )


def _means(configuration: EngineConfiguration, method: PreSharedKeyName | CertificateName | TrustAnchorNames) -> object:
    """Return what a method of authentication stands on, apart from what it is called."""
    match method:
        case PreSharedKeyName(name):
            return configuration.pre_shared_keys.get(name)
        case CertificateName():
            return [configuration.certificates.get(name) for name in method.names]
        case TrustAnchorNames(names):
            return [configuration.trust_anchors.get(name) for name in names]


def _check_listeners(configuration: EngineConfiguration) -> None:
    bound: dict[tuple[str, int], str] = {}
    for listener in configuration.listeners.values():
        try:
            address = str(ip_address(listener.address))
        except ValueError as error:
            raise EngineRefusal(f"listener {listener.name}: {error}") from error
        if listener.marked_port == listener.port:
            raise EngineRefusal(f"listener {listener.name}: port and nat-port have to differ")
        for port in filter(None, listener.ports):
            other = bound.setdefault((address, port), listener.name)
            if other != listener.name:
                raise EngineRefusal(f"listeners {other} and {listener.name} both take port {port} of {address}")


def _check_proposals(configuration: EngineConfiguration) -> None:
    private = configuration.private_algorithms
    for pair, name in private.items():
        if name not in PRIVATE_USE or pair in TCP_AO:
            raise EngineRefusal(f"authentication algorithm {pair[0]} with KDF {pair[1]} cannot stand for {name}")
    for proposal in configuration.proposals.values():
        is_discovery = proposal.security_protocol is SecurityProtocol.LDP_DISCOVERY
        known = LDP_HELLOS if is_discovery else {**TCP_AO, **private}
        for transform in proposal.transforms:
            if (transform.auth_alg, transform.kdf) not in known:
                raise EngineRefusal(
                    f"proposal {proposal.name}, transform {transform.name}: authentication algorithm "
                    f"{transform.auth_alg} with KDF {transform.kdf} cannot be used for "
                    f"{proposal.security_protocol.value}"
                )


def _check_policy(policy: IkePolicy) -> None:
    if not policy.proposals:
        raise EngineRefusal(f"IKE policy {policy.name} has no proposal")
    for number, proposal in enumerate(policy.proposals, start=1):
        if not (proposal.encryption and proposal.prf and proposal.key_exchange):
            raise EngineRefusal(f"IKE policy {policy.name}: proposal {number} lacks an algorithm of some kind")


# Thousands of peers have few listeners.
_parsed = lru_cache(maxsize=64)(ip_address)


def _check_peer(configuration: EngineConfiguration, peer: PeerConfiguration, default: Listener, trust: Trust) -> None:
    try:
        address = ip_address(peer.address)
    except ValueError as error:
        raise EngineRefusal(f"peer {peer.name}: {error}", peer=peer.name) from error
    if address.is_unspecified or address.is_multicast:
        raise EngineRefusal(f"peer {peer.name}: {peer.address} is not the address of one router", peer=peer.name)
    listener = listener_of(configuration, peer, default)
    if listener is None:
        missing = peer.listener or f"for IPv{address.version}"
        raise EngineRefusal(f"peer {peer.name}: there is no listener {missing}", peer=peer.name)
    own = _parsed(listener.address)
    if own.version != address.version:
        raise EngineRefusal(
            f"peer {peer.name}: {peer.address} cannot be reached through the IPv{own.version} listener {listener.name}",
            peer=peer.name,
        )
    if address == own and peer.port in listener.ports:
        raise EngineRefusal(
            f"peer {peer.name}: {peer.address} port {peer.port} is this router itself, by listener {listener.name}",
            peer=peer.name,
        )
    if configuration.local_identity is None and own.is_unspecified:
        raise EngineRefusal(
            f"peer {peer.name}: without a local identity our name is the address that we listen on, and listener "
            f"{listener.name} listens on all of them; configure local-identity",
            peer=peer.name,
        )
    _check_authentication(configuration, peer, configuration.local_identity or Identity.of_address(str(own)), trust)
    if peer.ike_policy not in configuration.ike_policies:
        raise EngineRefusal(f"peer {peer.name}: IKE policy {peer.ike_policy} is missing", peer=peer.name)
    for association in peer.associations.values():
        _check_association(configuration, peer, association)


def _check_authentication(
    configuration: EngineConfiguration, peer: PeerConfiguration, local: Identity, trust: Trust
) -> None:
    def refusal(reason: str) -> EngineRefusal:
        return EngineRefusal(f"peer {peer.name}: {reason}", peer=peer.name)

    def check_secret(kind: str, name: str, length: int | None) -> None:
        if not length:
            raise refusal(f"{kind} {name} is {'missing' if length is None else 'empty'}")

    for method in (peer.local_authentication, peer.remote_authentication):
        match method:
            case PreSharedKeyName(name):
                secret = configuration.pre_shared_keys.get(name)
                check_secret("pre-shared key", name, None if secret is None else len(secret))
            case CertificateName():
                for name in method.names:
                    credential = configuration.certificates.get(name)
                    if credential is None:
                        raise refusal(f"certificate {name} is missing")
                    if not credential.names.include(local.id_type, local.value):
                        raise refusal(
                            f"certificate {name}, of {credential.names.description}, does not name our identity "
                            f"{local}, so that no peer would accept it"
                        )
            case TrustAnchorNames(names):
                missing = next((name for name in names if name not in configuration.trust_anchors), None)
                if missing is not None:
                    raise refusal(f"trust anchor {missing} is missing")
                remotes = (peer.remote_identity, *peer.accepted_identities)
                if any(remote is not None and remote.id_type == IdType.KEY_ID for remote in remotes):
                    raise refusal("a key-id is never in a certificate; give the peer an identity that can be")
                try:
                    trust.anchors(configuration, method)
                except CredentialError as error:
                    raise refusal(str(error)) from error
    if peer.ppk is not None:
        ppk = configuration.ppks.get(peer.ppk.name)
        check_secret("post-quantum pre-shared key", peer.ppk.name, None if ppk is None else len(ppk.secret))


def _check_association(
    configuration: EngineConfiguration, peer: PeerConfiguration, association: AssociationConfiguration
) -> None:
    protocol = protocol_name(association.protocol)

    def refusal(reason: str) -> EngineRefusal:
        return EngineRefusal(f"peer {peer.name}, association {protocol}: {reason}", peer=peer.name, protocol=protocol)

    if association.protocol not in PROTOCOL_NAMES and association.protocol not in PRIVATE_USE_PROTOCOLS:
        raise refusal("the protocol has no number that the draft assigns or leaves to private use")
    try:
        neighbor = ip_address(association.neighbor)
    except ValueError as error:
        raise refusal(f"neighbor: {error}") from error
    if neighbor.is_unspecified or neighbor.is_multicast:
        raise refusal(f"neighbor: {association.neighbor} is not the address of one router")
    for name in association.proposals:
        if name not in configuration.proposals:
            raise refusal(f"proposal {name} is missing")
        is_discovery = configuration.proposals[name].security_protocol is SecurityProtocol.LDP_DISCOVERY
        if is_discovery != (association.protocol == LDP_DISCOVERY):
            raise refusal(f"proposal {name} is for {configuration.proposals[name].security_protocol.value}")
    if not any(configuration.proposals[name].transforms for name in association.proposals):
        raise refusal("there is no transform to offer")
    lifetime = association.key_lifetime
    if not 0 < association.lead.total_seconds() < lifetime:
        raise refusal("the rollover lead has to be shorter than the key lifetime")
    if not 0 < association.overlap_time.total_seconds() < lifetime:
        raise refusal("the overlap has to be shorter than the key lifetime")
