"""The page of metrics: what a scrape gives, with types, labels and the values that labels can have."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from rkmp.engine.statistics import EngineStatistic, failure_statistic
from rkmp.ike import AuthenticationFailure, ChildRefusal, NegotiationFailure, RekeyFailure, Role, Statistic
from rkmp.keytable import KeyState
from rkmp.metrics import Latencies, MetricsConfiguration, Sources, names
from rkmp.metrics.collector import CERTIFICATE_KINDS, PEER_STATES, RESULTS
from rkmp.metrics.server import _OnEventLoop
from rkmp.southbound.feed import FeedState
from tests.docs.reference.markdown import code, codes, document, plain, table

_NOTHING = Sources(
    version="",
    clock=lambda: datetime(2000, 1, 1, tzinfo=UTC),
    peers=lambda: (),
    engine_statistics=lambda: {statistic.value: 0 for statistic in EngineStatistic},
    key_counts=lambda _: {},
    keys_extended=lambda _: 0,
    sessions=lambda: (),
    certificates=lambda: (),
    revocation_lists=lambda: (),
    consumers=lambda: (),
    key_access_refusals=lambda: 0,
)


def page() -> str:
    """Return the page."""
    default = MetricsConfiguration()
    return document(
        "Metrics",
        f"Served for Prometheus at `http://{default.address}:{default.port}/metrics` once the configuration says so "
        "(container `metrics` of [rkmp-agent](rkmp-agent.md)). Counters end in `_total`, times are in seconds, and no "
        "label and no value is key material.",
        table(("metric", "type", "labels", "what it is"), sorted(_rows())),
        "## Values of labels",
        table(("metric", "label", "values"), _values()),
    )


def _rows() -> Iterator[tuple[str, str, str, str]]:
    registry = CollectorRegistry()
    Latencies(registry)
    histograms: list[Any] = list(registry._collector_to_names)
    for histogram in histograms:
        (family,) = histogram.collect()
        yield _row(family, histogram._labelnames)
    for family in _asked():
        yield _row(family, family._labelnames)


def _row(family: Any, labels: Iterable[str]) -> tuple[str, str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return code(name), family.type, codes(labels), plain(family.documentation)


def _asked() -> list[Any]:
    """Return what is asked for a scrape, as an agent without peers answers it."""

    async def scrape() -> list[Any]:
        collector = _OnEventLoop(_NOTHING, asyncio.get_running_loop())
        return await asyncio.to_thread(lambda: list(collector.collect()))

    return asyncio.run(scrape())


def _values() -> Iterator[tuple[str, str, str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    found["rkmp_peers", "state"] = list(PEER_STATES)
    found["rkmp_certificate_expiry_seconds", "kind"] = list(CERTIFICATE_KINDS)
    found["rkmp_consumers", "state"] = [state.value for state in FeedState]
    found["rkmp_consumer_segments_total", "result"] = list(RESULTS)
    found["rkmp_handshake_seconds", "role"] = [role.value for role in Role]
    found["rkmp_keys", "state"] = [state.value for state in KeyState]
    for shown in (*names.ENGINE.values(), *names.PEER.values()):
        label = names.COUNTERS[shown.metric][1] if shown.metric in names.COUNTERS else None
        if label is not None and shown.value is not None:
            found[f"{shown.metric}_total", label].append(shown.value)
    for statistic in (*EngineStatistic, *Statistic):
        if (reason := names.reason_of_drop(statistic)) is not None:
            found["rkmp_drops_total", "reason"].append(reason)
    for kind in (NegotiationFailure, AuthenticationFailure, ChildRefusal, RekeyFailure):
        for failure in kind:
            told = names.reason_of_failure(failure_statistic(failure))
            if told is not None:
                result, reason = told
                found["rkmp_negotiations_total", "result"].append(result)
                found["rkmp_negotiations_total", "reason"].append(reason)
    for (metric, label), values in sorted(found.items()):
        yield code(metric), code(label), codes(dict.fromkeys(values))
