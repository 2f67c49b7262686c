"""What a scrape shows of an agent's state, read back by Prometheus' own parser."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from rkmp.engine import PeerSnapshot
from rkmp.engine.association_states import AssociationState
from rkmp.engine.events import (
    AssociationStateChange,
    IkeSaUp,
    NegotiationSuccess,
    RolloverCompleted,
    RolloverStarted,
)
from rkmp.keytable import KeyState
from rkmp.metrics import CertificateEnd, ConsumerState, Latencies, Metrics, MetricsConfiguration, Sources
from rkmp.metrics.http import CLIENTS
from rkmp.southbound.feed import FeedState
from tests.metrics.snapshots import NOW, association, keyed_peer

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def sources(*peers: PeerSnapshot, **changes: object) -> Sources:
    return dataclasses.replace(
        Sources(
            version="1.2.3",
            clock=lambda: NOW,
            peers=lambda: peers,
            engine_statistics=dict,
            key_counts=lambda _: {KeyState.ACTIVE: 2},
            keys_extended=lambda _: 1,
            sessions=lambda: ["netconf-ssh", "netconf-ssh", "netconf-tls"],
            certificates=lambda: (),
            revocation_lists=lambda: (),
            consumers=lambda: (),
            key_access_refusals=lambda: 0,
        ),
        **changes,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def serving(of: Sources, **parameters: float) -> AsyncIterator[Metrics]:
    metrics = Metrics(of, **parameters)
    try:
        yield metrics
    finally:
        await metrics.close()


def fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


async def scrape(metrics: Metrics) -> Samples:
    if metrics.port is None:
        metrics.configure(MetricsConfiguration(enabled=True, port=0))
        await metrics.settled()
    assert metrics.port is not None
    text = await asyncio.to_thread(fetch, metrics.port)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def at(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_a_scrape_shows_peers_keys_and_sessions() -> None:
    peers = (
        keyed_peer(),
        PeerSnapshot("r3", (association(AssociationState.NEGOTIATING, key=None, next_rollover_at=None),), (), {}),
    )
    async with serving(sources(*peers)) as metrics:
        samples = await scrape(metrics)
    assert samples[at("rkmp_build_info", version="1.2.3")] == 1
    assert samples[at("rkmp_peers", state="keyed")] == samples[at("rkmp_peers", state="negotiating")] == 1
    assert samples[at("rkmp_peers", state="failed")] == 0
    assert samples[at("rkmp_association_keyed", peer="r2", protocol="bgp")] == 1
    assert samples[at("rkmp_association_keyed", peer="r3", protocol="bgp")] == 0
    assert samples[at("rkmp_next_rollover_seconds", peer="r2", protocol="bgp")] == 3600
    assert at("rkmp_next_rollover_seconds", peer="r3", protocol="bgp") not in samples
    assert samples[at("rkmp_rollovers_total", peer="r2", protocol="bgp")] == 3
    assert samples[at("rkmp_keys", state="active")] == 2
    assert samples[at("rkmp_keys", state="pending")] == 0
    assert samples[at("rkmp_netconf_sessions", transport="netconf-ssh")] == 2


async def test_certificates_and_revocation_lists_are_shown_by_the_time_that_is_left() -> None:
    day = timedelta(days=1)
    ends = [CertificateEnd("ike-certificate", "own", NOW + day), CertificateEnd("peer-certificate", "r2", NOW - day)]
    of = sources(certificates=lambda: ends, revocation_lists=lambda: [("root", NOW + 2 * day)])
    async with serving(of) as metrics:
        samples = await scrape(metrics)
    assert samples[at("rkmp_certificate_expiry_seconds", kind="ike-certificate", name="own")] == 86400
    assert samples[at("rkmp_certificate_expiry_seconds", kind="peer-certificate", name="r2")] == -86400
    assert samples[at("rkmp_revocation_list_due_seconds", name="root")] == 2 * 86400


async def test_a_consumer_that_does_not_respond_is_shown_whatever_others_of_its_name_do() -> None:
    well, ill = FeedState.SYNCHRONISED, FeedState.NOT_RESPONDING
    consumers = [
        ConsumerState("bird", "192.0.2.2", "bgp", well),
        *(ConsumerState("speaker", "192.0.2.3", "bgp", state) for state in (well, ill, well)),
    ]
    async with serving(sources(consumers=lambda: consumers)) as metrics:
        samples = await scrape(metrics)
    assert samples[at("rkmp_consumer_responding", consumer="bird", neighbor="192.0.2.2", protocol="bgp")] == 1
    assert samples[at("rkmp_consumer_responding", consumer="speaker", neighbor="192.0.2.3", protocol="bgp")] == 0
    states = {dict(row)["state"]: value for (name, row), value in samples.items() if name == "rkmp_consumers"}
    assert {state: count for state, count in states.items() if count} == {"synchronised": 3, "not-responding": 1}


async def test_what_never_happened_is_shown_as_zero() -> None:
    """Prometheus sees no increase in a counter that begins with 1."""
    async with serving(sources(PeerSnapshot("r2", (), (), {}))) as metrics:
        samples = await scrape(metrics)
    assert samples[at("rkmp_retransmissions_total", peer="r2")] == 0
    assert samples[at("rkmp_negotiations_total", peer="r2", result="succeeded", reason="")] == 0
    assert samples[at("rkmp_internal_errors_total")] == samples[at("rkmp_clock_changes_total")] == 0


async def test_counters_are_shown_by_peer_direction_and_reason() -> None:
    of_ike_sas = {"retransmissions": 4, "messages-in": 7, "dropped-integrity": 1}
    counted = {
        "negotiations-succeeded": 5,
        "negotiations-failed": 2,
        "failed-no-proposal-chosen": 2,
        "authentication-failed-wrong-key": 1,
    }
    engine = {"datagrams-in": 9, "dropped-not-ike": 3, "ike-sas": 1, "dropped-integrity": 3}
    peer = PeerSnapshot("r2", (), (), counted, of_ike_sas)
    async with serving(sources(peer, engine_statistics=lambda: engine)) as metrics:
        samples = await scrape(metrics)
    assert samples[at("rkmp_retransmissions_total", peer="r2")] == 4
    assert samples[at("rkmp_messages_total", peer="r2", direction="in")] == 7
    assert samples[at("rkmp_drops_total", peer="r2", reason="integrity")] == 1
    assert samples[at("rkmp_drops_total", peer="", reason="not-ike")] == 3
    assert samples[at("rkmp_drops_total", peer="", reason="integrity")] == 2, "one of the three is told of r2"
    assert samples[at("rkmp_datagrams_total", direction="in")] == 9
    assert samples[at("rkmp_ike_sas")] == 1
    results = {
        (labels["result"], labels["reason"]): value
        for (name, row), value in samples.items()
        if name == "rkmp_negotiations_total"
        for labels in [dict(row)]
    }
    assert results == {
        ("succeeded", ""): 5,
        ("failed", "no-proposal-chosen"): 2,
        ("not-authenticated", "wrong-key"): 1,
    }


async def test_latencies_are_told_by_events_and_operations() -> None:
    async with serving(sources()) as metrics:
        told = metrics.latencies
        told.engine_event(IkeSaUp("r2", bytes(8), bytes(8), "initiator", "r2", 0.3), NOW)
        told.engine_event(NegotiationSuccess("r2", "bgp", "k1", False, 2.0), NOW)
        told.engine_event(NegotiationSuccess("r2", "bgp", "k2", True, 0.1), NOW)
        told.operation_answered("commit", 0.02)
        samples = await scrape(metrics)
    assert samples[at("rkmp_handshake_seconds_sum", role="initiator")] == 0.3
    assert samples[at("rkmp_handshake_seconds_count", role="responder")] == 0
    assert samples[at("rkmp_negotiation_seconds_sum", key="first")] == 2
    assert samples[at("rkmp_negotiation_seconds_sum", key="replacement")] == 0.1
    assert samples[at("rkmp_netconf_operation_seconds_count", operation="commit")] == 1
    assert samples[at("rkmp_netconf_operation_seconds_bucket", operation="commit", le="0.025")] == 1


def test_a_rollover_takes_from_its_start_to_the_end_of_the_old_key_by_the_monotonic_clock() -> None:
    registry, now = CollectorRegistry(), [100.0]
    told = Latencies(registry, clock=lambda: now[0])
    told.engine_event(RolloverStarted("r2", "bgp", "k1", "lifetime"), NOW)
    now[0] = 130.0
    # Civil time was set back meanwhile.
    told.engine_event(RolloverCompleted("r2", "bgp", "k2", "k1"), NOW - timedelta(seconds=5))
    assert registry.get_sample_value("rkmp_rollover_seconds_sum") == 30.0
    assert registry.get_sample_value("rkmp_rollover_seconds_count") == 1


def test_a_rollover_that_came_to_nothing_is_not_one_that_took_long() -> None:
    registry, now = CollectorRegistry(), [0.0]
    told = Latencies(registry, clock=lambda: now[0])
    rolling, failed = AssociationState.ROLLING_OVER, AssociationState.FAILED
    told.engine_event(RolloverStarted("r2", "bgp", "k1", "lifetime"), NOW)
    told.engine_event(AssociationStateChange("r2", "bgp", AssociationState.ESTABLISHED, rolling, ""), NOW)
    told.engine_event(AssociationStateChange("r2", "bgp", rolling, failed, ""), NOW)
    now[0] = 1000.0
    told.engine_event(RolloverStarted("r2", "bgp", "k2", "lifetime"), NOW)
    now[0] = 1001.0
    told.engine_event(RolloverCompleted("r2", "bgp", "k3", "k2"), NOW)
    assert registry.get_sample_value("rkmp_rollover_seconds_sum") == 1.0


async def test_nothing_is_served_unless_asked_for_and_no_longer_than_asked_for() -> None:
    async with serving(sources()) as metrics:
        assert (metrics.status.state, metrics.port) == ("disabled", None)
        await scrape(metrics)
        assert metrics.status.state == "listening"
        port = metrics.port
        assert port is not None
        metrics.configure(MetricsConfiguration())
        await metrics.settled()
        assert (metrics.status.state, metrics.port) == ("disabled", None)
        with pytest.raises(urllib.error.URLError):
            await asyncio.to_thread(fetch, port)


async def test_an_address_in_use_is_told_and_tried_again() -> None:
    async with serving(sources(), retry_seconds=0.05) as metrics:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            metrics.configure(MetricsConfiguration(enabled=True, port=port))
            await metrics.settled()
            assert metrics.status.state == "failed"
            assert metrics.status.last_error == "Address already in use"
        await eventually(lambda: metrics.status.state == "listening")
        assert metrics.port == port


async def test_a_scrape_that_fails_says_so_and_the_next_one_may_not(caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def peers() -> tuple[PeerSnapshot, ...]:
        if broken:
            raise RuntimeError("a bug that saw something secret")
        return ()

    async with serving(sources(peers=peers)) as metrics:
        samples = await scrape(metrics)
        assert samples[at("rkmp_scrape_failed")] == 1
        assert at("rkmp_keys", state="active") not in samples
        assert "RuntimeError" in caplog.text
        assert "secret" not in caplog.text
        broken = False
        samples = await scrape(metrics)
        assert samples[at("rkmp_scrape_failed")] == 0
        assert at("rkmp_keys", state="active") in samples


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come to pass")


async def test_rooms_are_read_where_they_may_be() -> None:
    asked_in: set[int] = set()

    def peers() -> tuple[PeerSnapshot, ...]:
        asked_in.add(threading.get_ident())
        return (keyed_peer(),)

    async with serving(sources(peers=peers)) as metrics:
        await scrape(metrics)
    assert asked_in == {threading.get_ident()}


async def test_nobody_is_asked_for_the_name_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS that does not answer would hold up all that the agent does."""
    asked: list[object] = []

    def ask(name: str = "") -> str:
        asked.append(name)
        return name

    monkeypatch.setattr(socket, "getfqdn", ask)
    async with serving(sources(keyed_peer())) as metrics:
        await scrape(metrics)
    assert asked == []


def answering() -> int:
    return sum(thread.name.endswith("(process_request_thread)") for thread in threading.enumerate())


async def test_silent_clients_take_few_threads_and_give_them_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving(sources(keyed_peer())) as metrics:
        await scrape(metrics)
        silent = [socket.create_connection(("127.0.0.1", metrics.port)) for _ in range(4 * CLIENTS)]
        # Those who are turned away are told at once; the others have been let in before them.
        assert [await asyncio.to_thread(each.recv, 1) for each in silent[CLIENTS:]] == [b""] * 3 * CLIENTS
        assert answering() == CLIENTS
        for each in silent:
            each.close()
        await eventually(lambda: answering() == 0)
        assert at("rkmp_scrape_failed") in await scrape(metrics)
    assert capfd.readouterr() == ("", ""), "nobody outside writes there"
