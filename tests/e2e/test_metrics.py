"""The metrics of two agents that hold a key, scraped as a monitoring system does."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from ncclient.manager import Manager
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.agents import NETCONF, RKMP, AgentProcess, peer_configuration, wait_for

AGENT = "urn:rkmp:yang:rkmp-agent"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def configure_metrics(session: Manager, content: str) -> None:
    session.edit_config(
        target="running",
        config=f'<config xmlns="{NETCONF}"><agent xmlns="{AGENT}"><metrics>{content}</metrics></agent></config>',
    )


def metrics_status(agent: AgentProcess, session: Manager) -> tuple[str | None, str | None]:
    data = agent.get(session, f'<agent xmlns="{AGENT}"><metrics/></agent>')
    return data.findtext(f".//{{{AGENT}}}status"), data.findtext(f".//{{{AGENT}}}last-error")


def scrape(port: int) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert "keystring" not in text
    samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return samples


def row(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_a_scrape_shows_peers_keys_and_how_long_things_took(pair: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = pair
    port = free_port()
    with r1.connect() as one, r2.connect() as two:
        two.edit_config(target="running", config=peer_configuration("r2", "r1", port=r1.ike_port, initiate="never"))
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port))
        assert metrics_status(r1, one) == ("disabled", None)
        configure_metrics(one, f"<enabled>true</enabled><port>{port}</port>")
        wait_for("served", lambda: metrics_status(r1, one) == ("listening", None))
        keyed = row(peer="r2", protocol="bgp")
        wait_for("a key", lambda: scrape(port)["rkmp_association_keyed"][keyed] == 1)

        samples = scrape(port)
        assert samples["rkmp_peers"][row(state="keyed")] == 1
        assert samples["rkmp_keys"][row(state="active")] == 1
        assert 0 < samples["rkmp_next_rollover_seconds"][keyed] < 86400
        assert samples["rkmp_negotiations_total"][row(peer="r2", result="succeeded", reason="")] == 1
        assert samples["rkmp_negotiation_seconds_count"][row(key="first")] == 1
        assert samples["rkmp_messages_total"][row(peer="r2", direction="out")] >= 2
        handshake = row(role="initiator")
        assert samples["rkmp_handshake_seconds_count"][handshake] == 1
        assert 0 < samples["rkmp_handshake_seconds_sum"][handshake] < 5
        assert samples["rkmp_netconf_operation_seconds_count"][row(operation="edit-config")] == 2
        assert samples["rkmp_netconf_sessions"][row(transport="netconf-ssh")] == 1
        wait_for("a look at the event loop", lambda: scrape(port)["rkmp_event_loop_lag_seconds_count"][row()] > 0)

        # What an operator has disabled is nothing to be told of.
        disabled = "<protocol>bgp</protocol><enabled>false</enabled>"
        peer = f"<peer><name>r2</name><association>{disabled}</association></peer>"
        one.edit_config(
            target="running", config=f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}">{peer}</rkmp></config>'
        )
        samples = scrape(port)
        assert samples["rkmp_scrape_failed"][row()] == 0
        assert samples["rkmp_peers"][row(state="idle")] == 1
        assert "rkmp_association_keyed" not in samples

        configure_metrics(one, "<enabled>false</enabled>")
        wait_for("served no longer", lambda: metrics_status(r1, one) == ("disabled", None))
        with pytest.raises(urllib.error.URLError):
            scrape(port)

        with socket.create_server(("127.0.0.1", port)):
            configure_metrics(one, "<enabled>true</enabled>")
            wait_for("refused", lambda: metrics_status(r1, one) == ("failed", "Address already in use"))
        wait_for("served again", lambda: metrics_status(r1, one) == ("listening", None))
