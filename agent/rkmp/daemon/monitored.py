"""What the rooms show of peers, certificates and consumers, as the metrics take it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from rkmp.engine import EngineConfiguration, PeerSnapshot
from rkmp.engine.certificate_watch import CertificateWatch
from rkmp.engine.protocols import protocol_name
from rkmp.metrics import CertificateEnd, ConsumerState
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.certificates import NetconfCertificates
from rkmp.southbound import Southbound


def without_disabled(peers: Iterable[PeerSnapshot], configuration: EngineConfiguration) -> tuple[PeerSnapshot, ...]:
    """Return ``peers`` without the associations that are disabled: nobody misses their keys."""
    return tuple(_of_enabled(peer, configuration) for peer in peers)


def _of_enabled(peer: PeerSnapshot, configuration: EngineConfiguration) -> PeerSnapshot:
    wanted = configuration.peers[peer.name].associations.values()
    disabled = {protocol_name(each.protocol) for each in wanted if not each.enabled}
    if not disabled:
        return peer
    enabled = tuple(each for each in peer.associations if each.protocol not in disabled)
    return dataclasses.replace(peer, associations=enabled)


def certificate_ends(of_ike: CertificateWatch, of_netconf: NetconfCertificates) -> Iterator[CertificateEnd]:
    """Return when each certificate expires."""
    for whose, at in of_ike.ends():
        names = {
            "ike-certificate": whose.certificate,
            "ike-trust-anchor": whose.trust_anchor,
            "peer-certificate": whose.peer,
        }
        yield from (CertificateEnd(kind, name, at) for kind, name in names.items() if name is not None)
    for (tag, name), at in of_netconf.ends():
        kind = "netconf-certificate" if tag is AgentNames.CERTIFICATE else "netconf-trust-anchor"
        yield CertificateEnd(kind, name, at)


def consumer_states(southbound: Southbound) -> Iterator[ConsumerState]:
    """Return how it stands with each consumer of keys; what is old of it will be new the next time."""
    southbound.refresh()
    for _, name, feed in southbound.consumers():
        yield ConsumerState(name, feed.neighbor, feed.protocol, feed.state, feed.usage)
