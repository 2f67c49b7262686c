"""Three routers made a fleet by one command, changed and given new secrets by it, and left alone where one fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from rkmp.cli.credentials import KeyFile
from rkmp.cli.fleet.configuration import router_configuration
from rkmp.cli.fleet.credentials import open_credentials
from rkmp.cli.fleet.inventory import FleetRouter, read_inventory
from rkmp.cli.fleet.rollout import Rollout
from rkmp.cli.session import Session, Target
from rkmp.errors import CommandError
from tests.docs.pages import Page
from tests.e2e.agents import NAMESPACES, NETCONF, RKMP, USER, AgentProcess, make_user_key, wait_for
from tests.real_parts import lacking

pytestmark = pytest.mark.slow

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
NAMES = ("r1", "r2", "r3")
LINKS: list[Any] = [["r1", "r2"], ["r2", "r3"], {"routers": ["r1", "r3"], "protocols": ["bgp", "ldp"]}]


@pytest.fixture(scope="module")
def triangle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AgentProcess]]:
    directory = tmp_path_factory.mktemp("triangle")
    key = make_user_key(directory)
    agents = [AgentProcess(name, directory / name, key) for name in NAMES]
    for number, agent in enumerate(agents, start=1):
        agent.ike_address = f"127.0.2.{number}"

    def bring_up(agent: AgentProcess) -> None:
        agent.initialise()
        agent.start()

    try:
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(bring_up, agents))
        yield agents
    finally:
        for agent in agents:
            agent.kill()


@pytest.fixture(scope="module")
def place(triangle: list[AgentProcess]) -> Path:
    """Where the inventory and the files of the fleet are."""
    directory = triangle[0].directory.parent / "fleet"
    directory.mkdir()
    return directory


def write_inventory(
    place: Path, agents: list[AgentProcess], *, credentials: str = "psk", names: tuple[str, ...] = NAMES
) -> None:
    routers = {
        agent.name: {
            "address": agent.ike_address,
            "ike-port": agent.ike_port,
            "netconf": f"127.0.0.1:{agent.netconf_port}",
        }
        for agent in agents
        if agent.name in names
    }
    links = [link for link in LINKS if set(link["routers"] if isinstance(link, dict) else link) <= set(names)]
    document = {
        "domain": "example.net",
        "credentials": credentials,
        "user": USER,
        "key": str(agents[0].user_key),
        "routers": routers,
        "links": links,
    }
    (place / "fleet.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


def typed(place: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page where the inventory is."""
    environment = dict(os.environ, PATH=PATH, HOME=str(place.parent), XDG_CONFIG_HOME="", LC_ALL="C.UTF-8")
    return subprocess.run(
        ["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def run(place: Path, agent: AgentProcess, *options: str) -> subprocess.CompletedProcess[str]:
    return agent.run_client("init-fleet", str(place / "fleet.yml"), "--output", str(place / "fleet"), *options)


def files(place: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (place / "fleet").iterdir()}


def keys(agent: AgentProcess) -> set[str]:
    with agent.connect() as session:
        data = agent.get(session, f'<rkmp xmlns="{RKMP}"><peer><association><current-key/></association></peer></rkmp>')
    return {str(name) for name in data.xpath("//rkmp:current-key/text()", namespaces=NAMESPACES)}


def keys_of(agents: list[AgentProcess]) -> Mapping[str, set[str]]:
    return {agent.name: keys(agent) for agent in agents}


def configured(agent: AgentProcess) -> str:
    with agent.connect() as session:
        return str(session.get_config("running").data_xml)


@pytest.mark.page("docs/how-to/fleet.md", "yaml", "sh", "sh ansible")
def test_a_fleet_is_described_gets_its_keys_and_rotates_them(
    page: Page, triangle: list[AgentProcess], place: Path
) -> None:
    (shown,) = page.blocks("yaml")
    (place / "fleet.yml").write_text(shown, encoding="utf-8")
    assert [link.name for link in read_inventory(place / "fleet.yml").links] == ["r1--r2", "r2--r3"]
    describe, try_it, push, rotate = page.blocks("sh")[0].splitlines()

    write_inventory(place, triangle)
    tried = typed(place, try_it)
    assert (tried.returncode, tried.stderr.count("\n")) == (0, 3), "one line of each host key that is new"
    assert "would make a secret of r1--r2\n" in tried.stdout
    assert "+      <address>127.0.2.3</address>" in tried.stdout
    assert not (place / "fleet").exists()

    described = typed(place, describe)
    assert (described.returncode, described.stderr) == (0, "")
    assert "3 routers with 3 links are described" in described.stdout
    assert not any(keys_of(triangle).values())
    (from_ansible,) = page.blocks("sh ansible")
    if shutil.which("ansible-inventory", path=PATH) is None:
        lacking("Ansible is not installed (pip install -e '.[automation]')")
    hosts = {
        router.name: {
            "ansible_host": router.netconf_host,
            "ansible_port": router.netconf_port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(router.key),
            "rkmp_ike_port": router.ike_port,
            "rkmp_address": router.address,
            "rkmp_domain": "example.net",
            "rkmp_neighbors": {each.router.name: list(each.link.protocols) for each in fleet.neighbors_of(router.name)},
        }
        for fleet in (read_inventory(place / "fleet.yml"),)
        for router in fleet.routers.values()
    }
    (place / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    before = files(place)
    listed = typed(place, from_ansible)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert files(place) == before, "the two inventories say the same"

    pushed = typed(place, push)
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert "3 routers with 3 links have their keys" in pushed.stdout
    first = keys_of(triangle)
    assert [len(first[name]) for name in NAMES] == [3, 2, 3]

    again = typed(place, push)
    assert (again.returncode, again.stderr) == (0, "")
    assert keys_of(triangle) == first, "nothing was asked for"
    tried = typed(place, try_it)
    assert all(f"{name}:\n  nothing to change that is shown" in tried.stdout for name in NAMES)

    rotated = typed(place, rotate)
    assert (rotated.returncode, rotated.stderr) == (0, "")
    second = keys_of(triangle)
    assert all(len(second[name]) == len(first[name]) and not second[name] & first[name] for name in NAMES)
    assert not any(before[name] == content for name, content in files(place).items())


def test_one_that_cannot_take_it_leaves_all_and_the_directory_as_they_were(
    triangle: list[AgentProcess], place: Path
) -> None:
    before, kept, running = keys_of(triangle), files(place), list(map(configured, triangle))
    with triangle[2].connect() as session:
        # Somebody else's work that is not committed: r3 denies the lock.
        session.edit_config(
            target="candidate",
            config=f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}"><enabled>true</enabled></rkmp></config>',
        )
        refused = run(place, triangle[0], "--push", "--rotate")
        session.discard_changes()
    assert refused.returncode == 1
    assert refused.stderr.startswith("rkmp: r3: lock-denied")
    assert refused.stderr.endswith("every router went back to what it was\n")
    assert files(place) == kept
    assert list(map(configured, triangle)) == running
    wait_for("the keys under the secrets that stay", lambda: all(keys_of(triangle).values()))
    assert {name: len(names) for name, names in keys_of(triangle).items()} == {
        name: len(names) for name, names in before.items()
    }


def test_one_that_dies_before_the_proof_takes_all_back(
    triangle: list[AgentProcess], place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    r1, r2, r3 = triangle
    kept = files(place)
    monkeypatch.setenv("HOME", str(r1.directory.parent))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def connect(router: FleetRouter) -> Session:
        key = KeyFile(str(r1.user_key))
        return Session(Target(router.netconf_host, router.netconf_port, USER, key, None))

    fleet = read_inventory(place / "fleet.yml")
    made = open_credentials(fleet, tmp_path, rotate=True, now=datetime.now(UTC))
    configurations = {router.name: router_configuration(fleet, router, made) for router in fleet.routers.values()}
    with Rollout(fleet, connect, 12) as rolling:
        rolling.stage(configurations)
        r3.kill()
        with pytest.raises(CommandError) as raised:
            rolling.wait_for_keys(10, made.renewed)
    assert str(raised.value).startswith("r3: the session with the agent broke")
    assert "every router went back to what it was; r3 will within 12 s" in str(raised.value)
    r3.start()
    # Once r3 has gone back by itself they agree, on what the directory says: it takes no other commit before.
    wait_for("r3 going back", lambda: run(place, r1, "--push").returncode == 0, interval=1, seconds=40)
    assert files(place) == kept
    assert [len(keys(agent)) for agent in (r1, r2, r3)] == [3, 2, 3]


def test_a_router_leaves_the_fleet_and_comes_back(triangle: list[AgentProcess], place: Path) -> None:
    r1, r2, r3 = triangle
    before = keys(r1) & keys(r2)
    write_inventory(place, triangle, names=("r1", "r2"))
    pushed = run(place, r1, "--push")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert "of no router of the inventory, and still there: r3.xml" in pushed.stdout
    assert keys(r1) & keys(r2) == before, "their key is nobody's business"
    assert len(keys(r1)) == 1
    assert "127.0.2.3" not in configured(r1) + configured(r2)
    write_inventory(place, triangle)
    pushed = run(place, r1, "--push")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert [len(keys(agent)) for agent in (r1, r2, r3)] == [3, 2, 3]


@pytest.mark.timeout(240)
def test_the_fleet_goes_over_to_certificates_and_renews_them(triangle: list[AgentProcess], place: Path) -> None:
    write_inventory(place, triangle, credentials="certificate")
    before = keys_of(triangle)
    for options in ("--push", "--push --rotate"):
        # Routers that have met before both were changed try again after a while.
        pushed = typed(place, f"rkmp init-fleet fleet.yml --output fleet {options} --wait 90")
        assert (pushed.returncode, pushed.stderr) == (0, "")
        after = keys_of(triangle)
        assert all(len(after[name]) == len(before[name]) and not after[name] & before[name] for name in NAMES)
        before = after
    assert not any("pre-shared-key" in configured(agent) for agent in triangle)


def test_no_router_is_changed_where_one_cannot_be_reached(triangle: list[AgentProcess], place: Path) -> None:
    kept = files(place)
    triangle[2].kill()
    refused = run(place, triangle[0], "--push", "--rotate")
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[0].startswith("rkmp: r3: cannot connect")
    assert "no router was changed" in refused.stderr
    assert files(place) == kept
