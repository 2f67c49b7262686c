"""Configurations of routers ``r1``, ``r2``.. that know each other by name and by one secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from rkmp.engine import (
    AssociationConfiguration,
    EngineConfiguration,
    IkePolicy,
    Listener,
    PeerConfiguration,
    PreSharedKeyName,
    ProposalConfiguration,
    SecurityProtocol,
    TransformConfiguration,
)
from rkmp.engine.algorithms import NO_KDF
from rkmp.ike import Identity
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.secret import Secret
from rkmp.wire import LdpAuthAlg

BASE = datetime(2026, 1, 1, tzinfo=UTC)
SHARED_SECRET = b"a secret that two routers share"
BGP, LDP, MSDP = 1, 2, 3
NAMES = {BGP: "bgp", LDP: "ldp", MSDP: "msdp", LDP_DISCOVERY: "ldp-discovery"}
LISTENER = "ike"

SHA1 = TransformConfiguration("sha1", 1, 1)
AES = TransformConfiguration("aes", 2, 2)
BOTH = ProposalConfiguration("ao", (SHA1, AES))
HELLOS = ProposalConfiguration(
    "hellos",
    (
        TransformConfiguration("sha256", LdpAuthAlg.HMAC_SHA_256, NO_KDF),
        TransformConfiguration("sha512", LdpAuthAlg.HMAC_SHA_512, NO_KDF),
    ),
    SecurityProtocol.LDP_DISCOVERY,
)


def address_of(name: str) -> str:
    """Return the address of router ``r<n>``."""
    return f"192.0.2.{name[1:]}"


def peer(name: str, protocols: Iterable[int] = (BGP,), **changes: object) -> PeerConfiguration:
    """Return a peer called ``name`` with one association for each of ``protocols``.

    Keywords that are fields of an association go there (``key_lifetime``, ``overlap``..), others into the peer.
    """
    fields = set(AssociationConfiguration.__dataclass_fields__) - {"enabled"}
    of_association = {key: value for key, value in changes.items() if key in fields}
    of_peer = {key: value for key, value in changes.items() if key not in fields}
    associations = {
        protocol: replace(
            AssociationConfiguration(protocol, address_of(name), ("hellos" if protocol == LDP_DISCOVERY else "ao",)),
            **of_association,  # type: ignore[arg-type]
        )
        for protocol in protocols
    }
    configuration = PeerConfiguration(
        name=name,
        address=address_of(name),
        ike_policy="p",
        local_authentication=PreSharedKeyName("k"),
        remote_authentication=PreSharedKeyName("k"),
        associations=associations,
        remote_identity=Identity.parse("fqdn", f"{name}.example.net"),
    )
    return replace(configuration, **of_peer)  # type: ignore[arg-type]


def configuration(
    name: str,
    peers: Iterable[PeerConfiguration],
    *,
    policy: IkePolicy | None = None,
    secret: bytes = SHARED_SECRET,
    proposal: ProposalConfiguration = BOTH,
    **changes: object,
) -> EngineConfiguration:
    """Return the configuration of the router ``name``."""
    base = EngineConfiguration(
        listeners={LISTENER: Listener(LISTENER, address_of(name))},
        local_identity=Identity.parse("fqdn", f"{name}.example.net"),
        pre_shared_keys={"k": Secret(secret)},
        ike_policies={"p": policy or IkePolicy("p")},
        proposals={"ao": proposal, "hellos": HELLOS},
        peers={peer.name: peer for peer in peers},
    )
    return replace(base, **changes)  # type: ignore[arg-type]
