"""What a monitoring system scrapes: the agent's gauges, counters and latencies in Prometheus' text format.

:class:`Metrics` is the room's one object. It reads snapshots of the engine, the key table, who uses the keys and
the NETCONF server when it is scraped, and keeps nothing but histograms; no label and no value is key material. It must
not know YANG.
"""

from rkmp.metrics.collector import AgentCollector, CertificateEnd, ConsumerState, Sources
from rkmp.metrics.latencies import Latencies
from rkmp.metrics.server import Metrics, MetricsConfiguration, MetricsStatus

__all__ = [
    "AgentCollector",
    "CertificateEnd",
    "ConsumerState",
    "Latencies",
    "Metrics",
    "MetricsConfiguration",
    "MetricsStatus",
    "Sources",
]
