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
from lxml import etree
from ncclient.operations.rpc import RPCError

from tests.e2e.agents import NAMESPACES, RKMP, USER, AgentProcess, make_user_key, wait_for
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


def write_known_hosts(home: Path, ring: list[AgentProcess]) -> None:
    (home / ".ssh").mkdir()
    with (home / ".ssh" / "known_hosts").open("w") as known:
        for agent in ring:
            command = ["ssh-keyscan", "-p", str(agent.netconf_port), "127.0.0.1"]
            subprocess.run(command, stdout=known, stderr=subprocess.DEVNULL, check=True)


def seconds(text: str) -> float:
    return float(text.rpartition("done in ")[2].removesuffix(" s\n"))


def run(inventory: Path, what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--inventory", str(inventory), what],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=dict(os.environ, HOME=str(inventory.parent)),
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
    refused = run(inventory, "onboard")
    assert refused.returncode == 1
    assert refused.stderr.count("nknown host key") == ROUTERS
    write_known_hosts(tmp_path, ring)
    done = run(inventory, "onboard")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ROUTERS} routers, {ROUTERS} pairs: onboard done" in done.stdout
    taken = seconds(done.stdout)
    before = {agent.name: keys(agent) for agent in ring}
    assert all(len(names) == 2 for names in before.values())

    done = run(inventory, "rotate")
    assert (done.returncode, done.stderr) == (0, "")
    for agent in ring:
        assert len(keys(agent)) == 2
        assert not keys(agent) & before[agent.name]
    taken += seconds(done.stdout)
    print(f"onboarded and rotated in {taken:.0f} s")
    assert taken < 120

    # One that cannot be reached has everybody stay as they are.
    ring[0].kill()
    done = run(inventory, "rotate")
    assert done.returncode == 1
    assert done.stderr.startswith("r1: ")
    ring[0].start()
    assert all(pending(agent) is False for agent in ring[1:])

    # One that fails when all have their new secrets takes everybody back: the old ones hold everywhere.
    fail_in_the_middle(inventory, ring[7])
    assert all(pending(agent) is False for agent in ring if agent is not ring[7])
    ring[7].start()
    wait_for("the one that failed going back by itself", lambda: not pending(ring[7]), seconds=60)
    for agent in (ring[6], ring[7], ring[8]):
        with agent.connect() as session:
            for neighbor in keys_by_neighbor(agent):
                session.dispatch(
                    etree.fromstring(
                        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><rkmp xmlns="{RKMP}"><peer>'
                        f"<name>{neighbor}</name><clear/></peer></rkmp></action>"
                    )
                )
    wait_for("keys under the old secrets", lambda: all(len(keys(agent)) == 2 for agent in ring[5:10]), seconds=60)


def keys_by_neighbor(agent: AgentProcess) -> list[str]:
    with agent.connect() as session:
        data = agent.get(session, f'<rkmp xmlns="{RKMP}"><peer><name/></peer></rkmp>')
    return [str(name) for name in data.xpath("//rkmp:peer/rkmp:name/text()", namespaces=NAMESPACES)]


def pending(agent: AgentProcess) -> bool:
    """Tell whether a commit waits to be confirmed: then no other can be made that does not know its token."""
    with agent.connect() as session:
        try:
            session.commit(confirmed=True, timeout="60")
        except RPCError:
            return True
        session.cancel_commit()
    return False


def fail_in_the_middle(inventory: Path, agent: AgentProcess) -> None:
    """Rotate with an agent that dies once all have committed, before they prove their keys."""
    program = f"""
import importlib.util, os, signal, sys
specification = importlib.util.spec_from_file_location("fleet", {str(SCRIPT)!r})
fleet = importlib.util.module_from_spec(specification)
specification.loader.exec_module(fleet)
fleet.PATIENCE_SECONDS, fleet.CONFIRM_SECONDS = 5, 40
prove, killed = fleet.prove, []

def dying(task, before):
    if not killed:
        killed.append(os.kill({agent.pid}, signal.SIGKILL))
    return prove(task, before)

fleet.prove = dying
sys.argv[1:] = ["--inventory", {str(inventory)!r}, "rotate"]
sys.exit(fleet.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=dict(os.environ, HOME=str(inventory.parent)),
    )
    agent.kill()
    assert done.returncode == 1, done.stderr
    assert f"{agent.name}: " in done.stderr
