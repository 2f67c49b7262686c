"""The rules and the dashboard ask for metrics and labels that there are, and the rules do what they are meant to."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from rkmp.keytable import KeyState
from rkmp.metrics import AgentCollector, CertificateEnd, ConsumerState, Latencies, Sources
from rkmp.metrics.names import COUNTERS
from rkmp.southbound.feed import FeedState
from tests.metrics.snapshots import NOW, keyed_peer
from tests.real_parts import program

FOLDER = Path(__file__).parents[2] / "examples" / "monitoring"
CASES = Path(__file__).with_name("alerts.yml")


def metrics() -> dict[str, set[str]]:
    """Return the labels of every series that a scrape can show."""
    registry = CollectorRegistry()
    latencies = Latencies(registry)
    latencies.operation_answered("commit", 0.1)
    registry.register(
        AgentCollector(
            Sources(
                version="1",
                clock=lambda: NOW,
                peers=lambda: (keyed_peer(),),
                engine_statistics=dict,
                key_counts=lambda _: {KeyState.ACTIVE: 1},
                keys_extended=lambda _: 0,
                sessions=lambda: ["netconf-ssh"],
                certificates=lambda: [CertificateEnd("ike-certificate", "own", NOW)],
                revocation_lists=lambda: [("root", NOW)],
                consumers=lambda: [ConsumerState("bird", "192.0.2.2", "bgp", FeedState.SYNCHRONISED)],
                key_access_refusals=lambda: 0,
            )
        )
    )
    found = {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}
    for metric, (_, own) in COUNTERS.items():
        found[f"{metric}_total"] = {"peer", "reason"} | ({own} if own else set())
    return found | {"rkmp_scrape_failed": set(), "up": {"job"}}


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def selectors(expression: object) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "vs", "vector_selector", "args"):
        inner = getattr(expression, name, None)
        for part in inner if isinstance(inner, list) else [inner]:
            if part is not None:
                yield from selectors(part)


@pytest.mark.parametrize(("where", "text"), [pytest.param(*row, id=row[0]) for row in expressions()])
def test_every_expression_is_one_of_metrics_that_exist(where: str, text: str) -> None:
    parsed = promql_parser.parse(text.replace("$__rate_interval", "5m"))
    asked = list(selectors(parsed))
    assert asked, where
    known = metrics()
    for selector in asked:
        assert selector.name in known, f"{where}: there is no {selector.name}"
        labels = {matcher.name for matcher in selector.matchers.matchers} - {"instance"}
        assert labels <= known[selector.name]
    for grouping in re.findall(r"by \(([^)]*)\)", text):
        labels = {label.strip() for label in grouping.split(",")} - {"instance", "le"}
        assert labels <= set().union(*(known[selector.name or ""] for selector in asked))


def promtool(*arguments: object) -> None:
    done = subprocess.run(
        [program("promtool", "prometheus"), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_in_rules_and_configuration() -> None:
    promtool("check", "rules", FOLDER / "alerts.yml")
    promtool("check", "config", FOLDER / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_says_why() -> None:
    promtool("test", "rules", CASES)


def test_every_alert_is_tried_as_firing_and_as_silent() -> None:
    tried: dict[bool, set[str]] = {True: set(), False: set()}
    for case in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]:
        for attempt in case["alert_rule_test"]:
            tried[bool(attempt["exp_alerts"])].add(attempt["alertname"])
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    names = {rule["alert"] for rule in group["rules"]}
    assert tried == {True: names, False: names}


def test_every_alert_is_one_that_an_operator_can_act_on() -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names))
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]


def test_panels_lie_side_by_side() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= covered


def test_the_scrape_configuration_reads_the_rules() -> None:
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = configuration["scrape_configs"]
    assert job["job_name"] == "rkmp"
    assert all((FOLDER / name).is_file() for name in configuration["rule_files"])
