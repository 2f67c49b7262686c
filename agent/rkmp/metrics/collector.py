"""Makes metrics of what the rooms of the agent show of themselves, anew for every scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rkmp.engine import PeerSnapshot
from rkmp.engine.association_states import AssociationState
from rkmp.engine.statistics import EngineStatistic
from rkmp.keytable import KeyState
from rkmp.metrics import names
from rkmp.southbound.feed import FeedState
from rkmp.southbound.steps import Usage

PEER_STATES = ("keyed", "rolling-over", "negotiating", "failed", "idle")


TRANSPORTS = ("netconf-ssh", "netconf-tls")
CERTIFICATE_KINDS = (
    "ike-certificate",
    "ike-trust-anchor",
    "peer-certificate",
    "netconf-certificate",
    "netconf-trust-anchor",
)
RESULTS = ("good", "bad", "key-not-found", "unsigned")
"""What becomes of a segment."""


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """When a certificate expires, UTC: its kind, one of CERTIFICATE_KINDS, and the name of its entry or its peer."""

    kind: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """How it stands with somebody who takes the keys of a neighbor and protocol."""

    consumer: str
    neighbor: str
    protocol: str
    state: FeedState
    usage: Usage | None = None
    """What it reports of its connections."""

    @property
    def row(self) -> tuple[str, str, str]:
        """The values of its labels. A program chooses its name, which must not make the whole scrape unreadable."""
        name = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in self.consumer)
        return name, self.neighbor, self.protocol


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a scrape looks; each is asked once for it."""

    version: str
    clock: Callable[[], datetime]
    peers: Callable[[], Sequence[PeerSnapshot]]
    engine_statistics: Callable[[], Mapping[str, int]]
    key_counts: Callable[[datetime], Mapping[KeyState, int]]
    keys_extended: Callable[[datetime], int]
    sessions: Callable[[], Iterable[str]]
    """The transport of every NETCONF session, by its name in ietf-netconf-monitoring."""
    certificates: Callable[[], Iterable[CertificateEnd]]
    revocation_lists: Callable[[], Iterable[tuple[str, datetime]]]
    """By name, when the next one is due, UTC."""
    consumers: Callable[[], Iterable[ConsumerState]]
    key_access_refusals: Callable[[], int]
    """How often programs asked for keys that they may not read."""

    def taken(self) -> Sources:
        """Return what they show now, as sources that can be asked anywhere and at leisure."""
        now, peers, counted = self.clock(), self.peers(), self.engine_statistics()
        key_counts, extended, sessions = self.key_counts(now), self.keys_extended(now), tuple(self.sessions())
        certificates, lists = tuple(self.certificates()), tuple(self.revocation_lists())
        consumers, refusals = tuple(self.consumers()), self.key_access_refusals()
        return Sources(
            version=self.version,
            clock=lambda: now,
            peers=lambda: peers,
            engine_statistics=lambda: counted,
            key_counts=lambda _: key_counts,
            keys_extended=lambda _: extended,
            sessions=lambda: sessions,
            certificates=lambda: certificates,
            revocation_lists=lambda: lists,
            consumers=lambda: consumers,
            key_access_refusals=lambda: refusals,
        )


class AgentCollector(Collector):
    """The gauges and counters of one agent; call it where its sources may be asked."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Return nothing: to be registered, a collector need not be asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return every metric as it is now."""
        sources = self._sources
        now, peers = sources.clock(), sources.peers()
        yield _gauge("rkmp_build_info", "The release that runs.", ["version"], _by_name({sources.version: 1}))
        yield from _peers_by_state(peers)
        yield from _associations(peers, now)
        yield from _certificates(sources, now)
        counts = sources.key_counts(now)
        keys = _by_name({state.value: counts.get(state, 0) for state in KeyState})
        yield _gauge("rkmp_keys", "Keys of the key table, by state.", ["state"], keys)
        extended: dict[tuple[str, ...], float] = {(): float(sources.keys_extended(now))}
        yield _gauge("rkmp_keys_extended", "Active keys whose life is over, which policy extends.", [], extended)
        yield from _statistics(sources.engine_statistics(), peers)
        consumers = list(sources.consumers())
        yield from _consumers(consumers)
        yield from _segments(consumers)
        refusals = CounterMetricFamily("rkmp_key_access_refusals", "Requests for keys that no permission names.")
        refusals.add_metric((), sources.key_access_refusals())
        yield refusals
        sessions = Counter(dict.fromkeys(TRANSPORTS, 0))
        sessions.update(sources.sessions())
        yield _gauge("rkmp_netconf_sessions", "NETCONF sessions, by transport.", ["transport"], _by_name(sessions))


def peer_state(peer: PeerSnapshot) -> str:
    """Return the one of PEER_STATES that says how a peer stands: its worst association decides."""
    states = {association.state for association in peer.associations}
    if AssociationState.FAILED in states:
        return "failed"
    if AssociationState.NEGOTIATING in states:
        return "negotiating"
    if AssociationState.IDLE in states or not states:
        return "idle"
    return "rolling-over" if AssociationState.ROLLING_OVER in states else "keyed"


def _gauge(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for row, value in values.items():
        family.add_metric(row, value)
    return family


def _by_name(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(name,): float(count) for name, count in counts.items()}


def _peers_by_state(peers: Sequence[PeerSnapshot]) -> Iterator[Metric]:
    counts = Counter(map(peer_state, peers))
    values = _by_name({state: counts[state] for state in PEER_STATES})
    yield _gauge("rkmp_peers", "Configured peers, by state: that of the worst association.", ["state"], values)


def _associations(peers: Sequence[PeerSnapshot], now: datetime) -> Iterator[Metric]:
    keyed: dict[tuple[str, ...], float] = {}
    rollover: dict[tuple[str, ...], float] = {}
    rolled = CounterMetricFamily("rkmp_rollovers", "Keys that took over from another.", labels=["peer", "protocol"])
    for peer in peers:
        for association in peer.associations:
            row = (peer.name, association.protocol)
            keyed[row] = float(association.current_key is not None)
            rolled.add_metric(row, association.rollovers)
            if association.next_rollover_at is not None:
                rollover[row] = (association.next_rollover_at - now).total_seconds()
    labels = ["peer", "protocol"]
    yield _gauge("rkmp_association_keyed", "1 where there is a key to send with, 0 where there is none.", labels, keyed)
    yield _gauge("rkmp_next_rollover_seconds", "Until the next rollover begins; negative: late.", labels, rollover)
    yield rolled


def _certificates(sources: Sources, now: datetime) -> Iterator[Metric]:
    ends: dict[tuple[str, ...], float]
    ends = {(end.kind, end.name): (end.at - now).total_seconds() for end in sources.certificates()}
    text = (
        "Until a certificate, or the first of its chain, expires, by its entry or the peer that has shown it; "
        "negative: it has."
    )
    yield _gauge("rkmp_certificate_expiry_seconds", text, ["kind", "name"], ends)
    due: dict[tuple[str, ...], float]
    due = {(name,): (at - now).total_seconds() for name, at in sources.revocation_lists()}
    text = "Until the next certificate revocation list is due; negative: the one that is there is too old."
    yield _gauge("rkmp_revocation_list_due_seconds", text, ["name"], due)


def _consumers(consumers: Iterable[ConsumerState]) -> Iterator[Metric]:
    responding: dict[tuple[str, ...], float] = {}
    states: Counter[FeedState] = Counter()
    for each in consumers:
        row = each.row
        # Programs choose their names themselves; where several have one, the worst of them counts.
        responding[row] = min(responding.get(row, 1.0), float(each.state is not FeedState.NOT_RESPONDING))
        states[each.state] += 1
    labels = ["consumer", "neighbor", "protocol"]
    yield _gauge("rkmp_consumer_responding", "1 where a consumer of keys does what it is asked to.", labels, responding)
    by_state = _by_name({state.value: states[state] for state in FeedState})
    yield _gauge("rkmp_consumers", "Consumers of keys, by state; one counts for each neighbor.", ["state"], by_state)


def _segments(consumers: Iterable[ConsumerState]) -> Iterator[Metric]:
    """Yield the counters of TCP-AO, of those who report them; what programs of one name report is added up."""
    labels = ["consumer", "neighbor", "protocol"]
    segments: Counter[tuple[str, ...]] = Counter()
    dropped: Counter[tuple[str, ...]] = Counter()
    for each in consumers:
        if each.usage is None:
            continue
        row = each.row
        usage = each.usage
        for result, count in zip(RESULTS, (usage.good, usage.bad, usage.key_not_found, usage.unsigned), strict=True):
            if count is not None:
                segments[(*row, result)] += count
        if usage.dropped_icmps is not None:
            dropped[row] += usage.dropped_icmps
    text = "TCP-AO segments that consumers of keys received, by what became of them."
    yield _counters("rkmp_consumer_segments", text, [*labels, "result"], segments)
    text = "ICMP messages about protected connections that were dropped."
    yield _counters("rkmp_consumer_dropped_icmps", text, labels, dropped)


def _counters(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for row, value in values.items():
        family.add_metric(row, value)
    return family


def _statistics(engine: Mapping[str, int], peers: Sequence[PeerSnapshot]) -> Iterator[Metric]:
    counters = {metric: _counter(metric) for metric in names.COUNTERS}
    # Of what has not happened, it is shown that it has not: a rate of what begins with 1 is none.
    nothing: dict[str, int] = dict.fromkeys(EngineStatistic, 0)
    of_peers: Counter[str] = Counter()
    for peer in peers:
        of_peers.update(peer.ike_statistics)
    at_first: dict[str, int] = dict.fromkeys(names.FROM_THE_START, 0)
    for statistic, count in {**nothing, **engine}.items():
        shown = names.ENGINE.get(statistic)
        if (reason := names.reason_of_drop(statistic)) is not None:
            # What peers' IKE SAs dropped is told of them, and counted here as well.
            counters["rkmp_drops"].add_metric(("", reason), count - of_peers[statistic])
        elif shown is not None and shown.metric in names.GAUGES:
            yield _gauge(shown.metric, names.GAUGES[shown.metric], [], {(): float(count)})
        elif shown is not None:
            counters[shown.metric].add_metric(_row(shown), count)
    for peer in peers:
        for statistic, count in {**at_first, **peer.statistics, **peer.ike_statistics}.items():
            shown = names.PEER.get(statistic)
            if (reason := names.reason_of_drop(statistic)) is not None:
                counters["rkmp_drops"].add_metric((peer.name, reason), count)
            elif (failure := names.reason_of_failure(statistic)) is not None:
                counters["rkmp_negotiations"].add_metric((peer.name, *failure), count)
            elif shown is not None:
                extra = ("",) if shown.metric == "rkmp_negotiations" else ()
                counters[shown.metric].add_metric((peer.name, *_row(shown), *extra), count)
    yield from counters.values()


_OF_THE_ENGINE = frozenset(shown.metric for shown in names.ENGINE.values())


def _counter(metric: str) -> CounterMetricFamily:
    text, own = names.COUNTERS[metric]
    labels = [] if metric in _OF_THE_ENGINE else ["peer"]
    if own is not None:
        labels.append(own)
    if metric == "rkmp_negotiations":
        labels.append("reason")
    return CounterMetricFamily(metric, text, labels=labels)


def _row(shown: names.Shown) -> tuple[str, ...]:
    return () if shown.value is None else (shown.value,)
