"""Draws the picture of the dashboard anew; takes four minutes."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from itertools import chain
from pathlib import Path

from lxml import etree

from tests.docs.dashboard.drawing import draw
from tests.docs.dashboard.panels import panels
from tests.docs.dashboard.prometheus import scraping
from tests.docs.dashboard.scene import introduce, serve_metrics
from tests.e2e.agents import AgentProcess, make_user_key
from tests.e2e.test_metrics import configure_metrics

PICTURE = Path(__file__).parents[3] / "docs" / "pictures" / "dashboard.svg"
SECONDS, SILENCE, STEP, RATE = 200, 12, 2, "30s"
"""How long the agents run, for how long one is silent in the middle of that, and what the curves are made of."""


def main() -> None:
    """Run two agents, of which one falls silent for a while, and draw what the dashboard shows of them."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        key = make_user_key(directory)
        agents = [AgentProcess(each, directory / each, key) for each in ("r1", "r2")]
        try:
            for agent in agents:
                agent.initialise()
                agent.start()
            with scraping(directory, serve_metrics(*agents)) as prometheus:
                start = time.time()
                introduce(*agents)
                _let_pass(SECONDS / 2, agents[0])
                os.kill(agents[1].pid, signal.SIGSTOP)
                agents[0].run_client("rekey", "r2", "bgp")
                time.sleep(SILENCE)
                os.kill(agents[1].pid, signal.SIGCONT)
                _let_pass(SECONDS / 2 - SILENCE, agents[0])
                end = time.time()
                drawn = [
                    (panel, [*chain(*panel.lines(prometheus, start, end, step=STEP, rate=RATE))]) for panel in panels()
                ]
        finally:
            for agent in agents:
                agent.kill()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(etree.tostring(draw(drawn, start, end)) + b"\n")


def _let_pass(seconds: float, agent: AgentProcess) -> None:
    """Wait; somebody changes the configuration now and then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with agent.connect() as session:
            configure_metrics(session, "<enabled>true</enabled>")
            time.sleep(min(15.0, max(0.0, end - time.monotonic())))


if __name__ == "__main__":
    main()
