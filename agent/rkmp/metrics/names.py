"""Which counter of the engine is shown under which name: the tables that make metrics of statistics.

Whatever is counted is listed here or in ``NOT_SHOWN``; a test holds that. Names are Prometheus': ``rkmp_``, a unit,
``_total`` for counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rkmp.engine.statistics import EngineStatistic, PeerStatistic
from rkmp.ike import Statistic


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a table: the metric, and the value of its own label where it has one."""

    metric: str
    value: str | None = None


COUNTERS: Mapping[str, tuple[str, str | None]] = {
    "rkmp_datagrams": ("Datagrams that listeners took in and sent.", "direction"),
    "rkmp_cookies_sent": (
        "First messages that were answered with a cookie, to see whether the address is real.",
        None,
    ),
    "rkmp_errors_sent": ("Notifies sent outside of any IKE SA.", None),
    "rkmp_errors_suppressed": ("Such notifies that were not sent, because there were too many.", None),
    "rkmp_network_errors": ("Datagrams that the network refused to carry; a hint only.", None),
    "rkmp_clock_changes": ("How often civil time was set, by more than a second: keys begin and end by it.", None),
    "rkmp_internal_errors": ("Faults of the agent itself; the log has each.", None),
    "rkmp_drops": (
        "Datagrams and messages dropped, by reason; without a peer where none is known.",
        "reason",
    ),
    "rkmp_messages": ("IKE messages, by peer and direction.", "direction"),
    "rkmp_octets": ("Octets of IKE messages, by peer and direction.", "direction"),
    "rkmp_retransmissions": ("Requests of ours that were sent again, by peer.", None),
    "rkmp_fragmentation": ("Messages sent in fragments, and put together from them, by peer.", "event"),
    "rkmp_exchange": ("Turns that exchanges of IKE SAs took, by peer.", "event"),
    "rkmp_ike_sa_events": ("What happened to IKE SAs, by peer.", "event"),
    "rkmp_key_events": ("What happened to negotiated keys, by peer.", "event"),
    "rkmp_negotiations": ("Negotiations that ended, by peer, result and reason.", "result"),
}
"""Metric (a counter: ``_total`` follows) -> its help, and the name of its own label."""

GAUGES: Mapping[str, str] = {
    "rkmp_half_open_ike_sas": "IKE SAs that a peer began and that are not authenticated yet.",
    "rkmp_ike_sas": "Established IKE SAs.",
}

ENGINE: Mapping[str, Shown] = {
    EngineStatistic.DATAGRAMS_IN: Shown("rkmp_datagrams", "in"),
    EngineStatistic.DATAGRAMS_OUT: Shown("rkmp_datagrams", "out"),
    EngineStatistic.COOKIES_SENT: Shown("rkmp_cookies_sent"),
    EngineStatistic.ERRORS_SENT: Shown("rkmp_errors_sent"),
    EngineStatistic.ERRORS_SUPPRESSED: Shown("rkmp_errors_suppressed"),
    EngineStatistic.NETWORK_ERRORS: Shown("rkmp_network_errors"),
    EngineStatistic.CLOCK_CHANGES: Shown("rkmp_clock_changes"),
    EngineStatistic.INTERNAL_ERRORS: Shown("rkmp_internal_errors"),
    EngineStatistic.HALF_OPEN_IKE_SAS: Shown("rkmp_half_open_ike_sas"),
    EngineStatistic.IKE_SAS: Shown("rkmp_ike_sas"),
}

PEER: Mapping[str, Shown] = {
    Statistic.MESSAGES_IN: Shown("rkmp_messages", "in"),
    Statistic.MESSAGES_OUT: Shown("rkmp_messages", "out"),
    Statistic.OCTETS_IN: Shown("rkmp_octets", "in"),
    Statistic.OCTETS_OUT: Shown("rkmp_octets", "out"),
    Statistic.RETRANSMISSIONS: Shown("rkmp_retransmissions"),
    Statistic.FRAGMENTED: Shown("rkmp_fragmentation", "fragmented"),
    Statistic.REASSEMBLED: Shown("rkmp_fragmentation", "reassembled"),
    Statistic.RESPONSES_REPEATED: Shown("rkmp_exchange", "response-repeated"),
    Statistic.POSTPONED: Shown("rkmp_exchange", "postponed"),
    Statistic.INIT_RESTARTS: Shown("rkmp_exchange", "init-restarted"),
    PeerStatistic.IKE_SAS_INITIATED: Shown("rkmp_ike_sa_events", "initiated"),
    PeerStatistic.IKE_SAS_ESTABLISHED: Shown("rkmp_ike_sa_events", "established"),
    PeerStatistic.IKE_SAS_LOST: Shown("rkmp_ike_sa_events", "lost"),
    PeerStatistic.IKE_SAS_REKEYED: Shown("rkmp_ike_sa_events", "rekeyed"),
    PeerStatistic.IKE_SA_REKEYS_FAILED: Shown("rkmp_ike_sa_events", "rekey-failed"),
    PeerStatistic.KEYS_INSTALLED: Shown("rkmp_key_events", "installed"),
    PeerStatistic.KEYS_DELETED_BY_PEER: Shown("rkmp_key_events", "deleted-by-peer"),
    PeerStatistic.INSTALLATIONS_FAILED: Shown("rkmp_key_events", "installation-failed"),
    PeerStatistic.NEGOTIATIONS_SUCCEEDED: Shown("rkmp_negotiations", "succeeded"),
}

FROM_THE_START = (Statistic.RETRANSMISSIONS, PeerStatistic.NEGOTIATIONS_SUCCEEDED)
"""What is shown of a peer as zero before it was counted. A rate of what begins with 1 is none; the others are too many
to be shown for each of ten thousand peers, and rules that go by them know."""

NOT_SHOWN = frozenset({PeerStatistic.NEGOTIATIONS_FAILED})
"""Counted besides by reason, which is what is shown."""

_DROPPED, _FAILED, _NOT_AUTHENTICATED = "dropped-", "failed-", "authentication-failed-"


def reason_of_drop(statistic: str) -> str | None:
    """Return the reason for which ``statistic`` counts drops, None where it counts none."""
    return statistic.removeprefix(_DROPPED) if statistic.startswith(_DROPPED) else None


def reason_of_failure(statistic: str) -> tuple[str, str] | None:
    """Return result and reason of the negotiations that ``statistic`` counts, None where it counts none that failed."""
    if statistic.startswith(_NOT_AUTHENTICATED):
        return "not-authenticated", statistic.removeprefix(_NOT_AUTHENTICATED)
    if statistic.startswith(_FAILED):
        return "failed", statistic.removeprefix(_FAILED)
    return None
