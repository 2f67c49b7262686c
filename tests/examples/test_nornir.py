"""A ring of twenty agents, onboarded and given new secrets by the Nornir script, with real agents and real commits."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.e2e.agents import NAMESPACES, RKMP, USER, AgentProcess, make_user_key
from tests.real_parts import lacking

SCRIPT = Path(__file__).parents[2] / "examples" / "nornir" / "fleet.py"
ROUTERS = 20
PATIENCE_SECONDS = 240


@pytest.fixture(scope="session", autouse=True)
def nornir() -> None:
    """Skip where Nornir is not installed, or fail where CI means it to be."""
    if importlib.util.find_spec("nornir") is None:
        lacking("nornir is not installed: pip install '.[automation]'")


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[list[AgentProcess]]:
    key = make_user_key(tmp_path)
    agents = [AgentProcess(f"r{number}", tmp_path / f"r{number}", key) for number in range(1, ROUTERS + 1)]

    for number, agent in enumerate(agents, start=1):
        agent.ike_address = f"127.0.1.{number}"

    def bring_up(agent: AgentProcess) -> None:
        agent.initialise()
        agent.start()

    try:
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(bring_up, agents))
        yield agents
    finally:
        for agent in agents:
            agent.kill()


def write_inventory(directory: Path, ring: list[AgentProcess]) -> None:
    directory.mkdir()
    hosts = {}
    for number, agent in enumerate(ring):
        neighbors = [ring[(number + step) % len(ring)].name for step in (-1, 1)]
        hosts[agent.name] = {
            "hostname": "127.0.0.1",
            "port": agent.netconf_port,
            "data": {
                "ike-address": agent.ike_address,
                "ike-port": agent.ike_port,
                "neighbors": neighbors,
                "ssh-key": str(agent.user_key),
            },
        }
    (directory / "hosts.yaml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (directory / "groups.yaml").write_text("routers: {}\n", encoding="utf-8")
    (directory / "defaults.yaml").write_text(f"username: {USER}\n", encoding="utf-8")


def run(inventory: Path, what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--inventory", str(inventory), what],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=dict(os.environ),
    )


def keys(agent: AgentProcess) -> set[str]:
    with agent.connect() as session:
        data = agent.get(session, f'<rkmp xmlns="{RKMP}"><peer><association><current-key/></association></peer></rkmp>')
    return {str(name) for name in data.xpath("//rkmp:current-key/text()", namespaces=NAMESPACES)}


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_SECONDS)
def test_a_ring_of_twenty_is_onboarded_and_rotated(ring: list[AgentProcess], tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    write_inventory(inventory, ring)
    done = run(inventory, "onboard")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ROUTERS} routers, {ROUTERS} pairs: onboard done" in done.stdout
    before = {agent.name: keys(agent) for agent in ring}
    assert all(len(names) == 2 for names in before.values())

    done = run(inventory, "rotate")
    assert (done.returncode, done.stderr) == (0, "")
    for agent in ring:
        assert len(keys(agent)) == 2
        assert not keys(agent) & before[agent.name]

    # One that cannot be reached takes everybody back.
    ring[0].kill()
    done = run(inventory, "rotate")
    assert done.returncode == 1
    assert done.stderr.startswith("r1: ")
    ring[0].start()
    again = run(inventory, "rotate")
    assert (again.returncode, again.stderr) == (0, "")
    assert all(len(keys(agent)) == 2 for agent in ring)
