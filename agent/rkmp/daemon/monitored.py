"""What the rooms show of certificates and consumers, as the metrics take it."""

from __future__ import annotations

from collections.abc import Iterator

from rkmp.engine.certificate_watch import CertificateWatch
from rkmp.metrics import CertificateEnd, ConsumerState
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.certificates import NetconfCertificates
from rkmp.southbound import Southbound


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
