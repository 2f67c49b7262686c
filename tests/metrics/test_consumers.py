"""What consumers of keys report of their connections, as a monitoring system sees it."""

from __future__ import annotations

from rkmp.metrics import ConsumerState
from rkmp.southbound import FeedState, Usage
from tests.metrics.test_scraping import at, scrape, serving, sources

WELL = FeedState.SYNCHRONISED


async def test_counters_of_tcp_ao_are_shown_for_each_neighbor() -> None:
    consumers = [
        ConsumerState("bird", "192.0.2.2", "bgp", WELL, Usage(frozenset({"k"}), 1, good=10, bad=1)),
        *[ConsumerState("speaker", "192.0.2.3", "bgp", WELL, Usage(frozenset(), 1, 1, 2, 3, 4, 5))] * 2,
        ConsumerState("silent", "192.0.2.4", "ldp", WELL),
    ]
    async with serving(sources(consumers=lambda: consumers, key_access_refusals=lambda: 7)) as metrics:
        samples = await scrape(metrics)
    bird = {"consumer": "bird", "neighbor": "192.0.2.2", "protocol": "bgp"}
    speaker = {"consumer": "speaker", "neighbor": "192.0.2.3", "protocol": "bgp"}
    assert {
        (dict(row)["consumer"], dict(row)["result"]): value
        for (name, row), value in samples.items()
        if name == "rkmp_consumer_segments_total"
    } == {
        ("bird", "good"): 10,
        ("bird", "bad"): 1,
        # Two programs of one name are one row.
        ("speaker", "good"): 2,
        ("speaker", "bad"): 4,
        ("speaker", "key-not-found"): 6,
        ("speaker", "unsigned"): 8,
    }
    assert samples[at("rkmp_consumer_dropped_icmps_total", **speaker)] == 10
    # BIRD does not count them, which is not none.
    assert at("rkmp_consumer_dropped_icmps_total", **bird) not in samples
    assert samples[at("rkmp_key_access_refusals_total")] == 7


async def test_a_name_that_cannot_be_written_costs_no_scrape() -> None:
    consumers = [ConsumerState("a\ud800\x00\n", "192.0.2.2", "bgp", WELL, Usage(frozenset(), 1, good=1))]
    async with serving(sources(consumers=lambda: consumers)) as metrics:
        samples = await scrape(metrics)
    shown = {"consumer": "a\ufffd\ufffd\ufffd", "neighbor": "192.0.2.2", "protocol": "bgp"}
    assert samples[at("rkmp_consumer_responding", **shown)] == 1
    assert samples[at("rkmp_consumer_segments_total", **shown, result="good")] == 1
