"""The dashboard and the rules of examples/monitoring, over two real agents and a real Prometheus."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lxml import etree

from tests.docs.dashboard.drawing import SVG, draw, written
from tests.docs.dashboard.panels import Line, Panel, panels
from tests.docs.dashboard.prometheus import Prometheus, scraping
from tests.docs.dashboard.scene import SECRETS, introduce, negotiated_keys, serve_metrics
from tests.e2e.agents import AgentProcess, make_user_key, wait_for
from tests.real_parts import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
RATE = "5s"


@dataclass(frozen=True)
class Scene:
    """Two agents that have been scraped through a rollover since ``start`` (Unix time)."""

    r1: AgentProcess
    r2: AgentProcess
    port: int
    prometheus: Prometheus
    start: float


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    program("prometheus")
    directory = tmp_path_factory.mktemp("dashboard")
    key = make_user_key(directory)
    agents = [AgentProcess(name, directory / name, key) for name in ("r1", "r2")]
    try:
        for agent in agents:
            agent.initialise()
            agent.start()
        start = time.time()
        ports = serve_metrics(*agents)
        with scraping(directory, ports) as prometheus:
            r1, r2 = agents
            wait_for("scraped", lambda: value(prometheus, "count(rkmp_build_info)") == 2)
            introduce(r1, r2)
            wait_for("a key", lambda: value(prometheus, 'rkmp_association_keyed{instance="r1"}') == 1)
            assert r1.run_client("rekey", "r2", "bgp").returncode == 0
            wait_for("a rollover that is over", lambda: value(prometheus, "max(rkmp_rollover_seconds_count)") == 1)
            # A rate is one of two scrapes.
            time.sleep(2)
            yield Scene(r1, r2, ports["r1"], prometheus, start)
    finally:
        for agent in agents:
            agent.kill()


def value(prometheus: Prometheus, expression: str) -> float | None:
    found = prometheus.ask("query", query=expression)["result"]
    return float(found[0]["value"][1]) if found else None


def test_every_query_of_the_dashboard_returns_something_and_can_be_drawn(scene: Scene) -> None:
    end = time.time()
    drawn: list[tuple[Panel, list[Line]]] = []
    for panel in panels():
        answers = panel.lines(scene.prometheus, scene.start, end, step=1, rate=RATE)
        for (expression, _), lines in zip(panel.targets, answers, strict=True):
            assert lines, f"{panel.title}: {expression} returned nothing"
        drawn.append((panel, [line for lines in answers for line in lines]))
    picture = draw(drawn, scene.start, end)
    texts = [element.text for element in picture.iter(f"{{{SVG}}}text")]
    assert {panel.title for panel in panels()} <= set(texts)
    assert {line.legend for _, lines in drawn for line in lines} <= set(texts)
    assert etree.tostring(picture)


def test_the_rules_are_silent_about_what_is_well_and_tell_of_what_is_not(scene: Scene) -> None:
    # The certificates of the tests are made for a day.
    assert scene.prometheus.alerts("firing") == {"RkmpCertificateExpires"}
    assert scene.prometheus.alerts("pending") == set()
    scene.r2.kill()
    wait_for("an alert", lambda: "RkmpAgentDown" in scene.prometheus.alerts("pending"))


def test_promtool_finds_nothing_in_a_scrape_and_a_scrape_no_secret(scene: Scene) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    done = subprocess.run([program("promtool", "prometheus"), "check", "metrics"], input=text, text=True, check=False)
    assert done.returncode == 0
    keys = negotiated_keys(scene.r1)
    assert keys
    assert not [secret for secret in (*SECRETS, *keys) if secret in text]


def test_curves_have_gaps_where_nothing_was_known() -> None:
    panel = Panel("a panel", "timeseries", "s", 0, 0, 12, 8, ())
    line = Line("a line", ((0.0, 1.0), (2.0, 1.0), (4.0, 2.0), (20.0, 5.0), (22.0, 4.0)))
    drawn = draw([(panel, [line])], 0.0, 30.0)
    assert [len((part.get("points") or "").split()) for part in drawn.iter(f"{{{SVG}}}polyline")] == [3, 2]


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.0, "s", "0"),
        (0.0042, "s", "4.2 ms"),
        (90.0, "s", "1.5 min"),
        (-86400.0, "s", "-1 d"),
        (12.4, "pps", "12/s"),
        (3.0, "short", "3"),
    ],
)
def test_values_are_written_as_people_read_them(number: float, unit: str, text: str) -> None:
    assert written(number, unit) == text
