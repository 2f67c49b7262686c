"""A Prometheus of the test's own, and what it answers."""

from __future__ import annotations

import json
import math
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.agents import wait_for
from tests.e2e.test_metrics import free_port
from tests.real_parts import program

EXAMPLES = Path(__file__).parents[3] / "examples" / "monitoring"
INTERVAL = 1
"""Seconds between two scrapes."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a query returned under some labels: moments (Unix time) and values, without those that are no number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """Asks the one that serves at ``port``."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: object) -> Any:
        """Return the data of an answer of the API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return what ``expression`` was between two moments."""
        found = self.ask("query_range", query=expression, start=start, end=end, step=step)["result"]
        series = [
            Series(each["metric"], tuple((at, float(text)) for at, text in each["values"] if is_number(text)))
            for each in found
        ]
        return [each for each in series if each.points]

    def alerts(self, state: str) -> set[str]:
        """Return the names of the alerts that are ``pending`` or ``firing``."""
        return {each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == state}


def is_number(text: str) -> bool:
    """Whether a value is one, and not that of a quantile of nothing."""
    return math.isfinite(float(text))


@contextmanager
def scraping(directory: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes agents, by name at their ports, every second, and goes by the example's rules."""
    configuration = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = configuration["scrape_configs"]
    job["scrape_interval"] = f"{INTERVAL}s"
    job["static_configs"] = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in targets.items()
    ]
    configuration["global"] = {"evaluation_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s"}
    configuration["rule_files"] = [str(EXAMPLES / name) for name in configuration["rule_files"]]
    path, port = directory / "prometheus.yml", free_port()
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    with (directory / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                *(f"--config.file={path}", f"--storage.tsdb.path={directory / 'tsdb'}"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
            ],
            stdout=log,
            stderr=log,
        )
    prometheus = Prometheus(port)
    try:
        wait_for("Prometheus serves", lambda: process.poll() is None and _serves(prometheus))
        yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=15)


def _serves(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.ask("targets")["activeTargets"])
    except OSError:
        return False
