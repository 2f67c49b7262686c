"""Three routers made a fleet by one command, given new secrets by another, and left alone where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.agents import NAMESPACES, RKMP, USER, AgentProcess, make_user_key

NAMES = ("r1", "r2", "r3")


@pytest.fixture
def triangle(tmp_path: Path) -> Iterator[list[AgentProcess]]:
    key = make_user_key(tmp_path)
    agents = [AgentProcess(name, tmp_path / name, key) for name in NAMES]
    try:
        for number, agent in enumerate(agents, start=1):
            agent.ike_address = f"127.0.2.{number}"
            agent.initialise()
            agent.start()
        yield agents
    finally:
        for agent in agents:
            agent.kill()


def write_inventory(path: Path, agents: list[AgentProcess], credentials: str) -> None:
    routers = {
        agent.name: {
            "address": agent.ike_address,
            "ike-port": agent.ike_port,
            "netconf": f"127.0.0.1:{agent.netconf_port}",
        }
        for agent in agents
    }
    document = {
        "domain": "example.net",
        "credentials": credentials,
        "user": USER,
        "key": str(agents[0].user_key),
        "routers": routers,
        "links": [["r1", "r2"], ["r2", "r3"], {"routers": ["r1", "r3"], "protocols": ["bgp", "ldp"]}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def keys(agent: AgentProcess) -> set[str]:
    with agent.connect() as session:
        data = agent.get(session, f'<rkmp xmlns="{RKMP}"><peer><association><current-key/></association></peer></rkmp>')
    return {str(name) for name in data.xpath("//rkmp:current-key/text()", namespaces=NAMESPACES)}


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_a_fleet_gets_its_keys_all_of_it_or_none(
    triangle: list[AgentProcess], tmp_path: Path, credentials: str
) -> None:
    inventory = tmp_path / "fleet.yml"
    write_inventory(inventory, triangle, credentials)
    arguments = ("init-fleet", str(inventory), "--output", str(tmp_path / "fleet"))

    described = triangle[0].run_client(*arguments)
    assert (described.returncode, described.stderr) == (0, "")
    assert "3 routers with 3 links are described" in described.stdout
    assert not any(keys(agent) for agent in triangle)

    pushed = triangle[0].run_client(*arguments, "--push")
    assert pushed.returncode == 0, pushed.stderr
    assert "3 routers with 3 links have their keys" in pushed.stdout
    before = {agent.name: keys(agent) for agent in triangle}
    assert [len(before[name]) for name in NAMES] == [3, 2, 3]

    again = triangle[0].run_client(*arguments, "--push")
    assert again.returncode == 0, again.stderr
    assert {agent.name: keys(agent) for agent in triangle} == before, "nothing was asked for"

    triangle[2].kill()
    refused = triangle[0].run_client(*arguments, "--push", "--rotate")
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[0].startswith("rkmp: r3: cannot connect")
    assert "no router was changed" in refused.stderr
