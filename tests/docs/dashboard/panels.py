"""The panels of dashboard.json, and what their queries return."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.docs.dashboard.prometheus import EXAMPLES, Prometheus


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: its legend, and moments (Unix time) with values."""

    legend: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel as Grafana lays it out: 24 columns, and what its queries are. ``targets`` are expression and legend."""

    title: str
    kind: str
    unit: str
    x: int
    y: int
    width: int
    height: int
    targets: tuple[tuple[str, str], ...]

    def lines(self, prometheus: Prometheus, start: float, end: float, *, step: float, rate: str) -> list[list[Line]]:
        """Return the lines of each target; ``rate`` is what Grafana makes of ``$__rate_interval``."""
        answers = []
        for expression, legend in self.targets:
            asked = expression.replace("$__rate_interval", rate).replace("$instance", ".+")
            found = prometheus.range(asked, start, end, step)
            answers.append([Line(_filled(legend, series.labels), series.points) for series in found])
        return answers


def panels() -> list[Panel]:
    """Return the panels of the example's dashboard."""
    dashboard = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
    return [
        Panel(
            title=panel["title"],
            kind=panel["type"],
            unit=panel["fieldConfig"]["defaults"]["unit"],
            x=panel["gridPos"]["x"],
            y=panel["gridPos"]["y"],
            width=panel["gridPos"]["w"],
            height=panel["gridPos"]["h"],
            targets=tuple((target["expr"], target["legendFormat"]) for target in panel["targets"]),
        )
        for panel in dashboard["panels"]
    ]


def _filled(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), legend).strip()
