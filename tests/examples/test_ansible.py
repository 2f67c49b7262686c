"""The playbooks of the examples, as the page on Ansible has them run, against two agents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import REPOSITORY, Page
from tests.e2e.agents import KEY_TABLE, NAMESPACES, USER, AgentProcess, make_user_key
from tests.real_parts import lacking

pytestmark = pytest.mark.slow

RECAP = re.compile(r"^r[12] +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ", re.MULTILINE)


@pytest.fixture
def routers(tmp_path: Path) -> Iterator[tuple[AgentProcess, AgentProcess]]:
    if not Path(sys.executable).with_name("ansible-playbook").exists():
        lacking("Ansible is not installed (pip install -e '.[automation]')")
    key = make_user_key(tmp_path)
    r1, r2 = agents = tuple(AgentProcess(name, tmp_path / name, key) for name in ("r1", "r2"))
    try:
        for agent in agents:
            agent.initialise()
            agent.start()
        yield r1, r2
    finally:
        for agent in agents:
            agent.kill()


def fingerprints(agent: AgentProcess) -> set[str]:
    with agent.connect() as session:
        table = agent.get(session, f'<key-table xmlns="{KEY_TABLE}"><key><fingerprint/></key></key-table>')
    return {str(text) for text in table.xpath("//ckt:fingerprint/text()", namespaces=NAMESPACES)}


@pytest.mark.timeout(240)
@pytest.mark.page("docs/how-to/ansible.md", "sh vault", "sh host keys", "sh onboard", "sh roll")
def test_two_routers_are_onboarded_and_a_key_is_rolled(
    page: Page, routers: tuple[AgentProcess, AgentProcess], tmp_path: Path
) -> None:
    folder = tmp_path / "ansible"
    shutil.copytree(REPOSITORY / "examples" / "ansible", folder)
    inventory = yaml.safe_load((folder / "inventory.yml").read_text(encoding="utf-8"))
    for agent in routers:
        inventory["routers"]["hosts"][agent.name] |= {
            "ansible_host": "127.0.0.1",
            "ansible_port": agent.netconf_port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(agent.user_key),
            "rkmp_ike_port": agent.ike_port,
        }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    environment = dict(os.environ, HOME=str(tmp_path), LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR="1")
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euc", line]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    def typed(line: str) -> str:
        done = shell(line)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def played(line: str) -> tuple[str, list[int]]:
        out = typed(line)
        return out, [int(number) for number in RECAP.findall(out)]

    (vault,) = page.blocks("sh vault")
    typed(vault)
    assert (folder / "group_vars" / "routers" / "vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
    secret = typed("ansible-vault view group_vars/routers/vault.yml").partition("r1--r2: ")[2].rstrip("}\n")
    assert len(secret) == 44
    check, onboard, again = page.blocks("sh onboard")[0].splitlines()

    refused = shell(onboard)
    assert refused.returncode != 0
    assert "nknown host key" in refused.stdout + refused.stderr

    (keys,) = page.blocks("sh host keys")
    for agent in routers:
        typed(keys.replace("-p 830 192.0.2.1 192.0.2.2", f"-p {agent.netconf_port} 127.0.0.1"))
    out, changed = played(f"{check} -vvv")
    assert changed == [2, 2]
    assert "<value>r1.example.net</value>" in out
    assert secret not in out
    assert fingerprints(routers[0]) == set()

    out, changed = played(onboard)
    assert changed == [2, 2]
    first = fingerprints(routers[0])
    assert first == fingerprints(routers[1])
    assert len(first) == 1
    assert played(again)[1] == [0, 0]
    assert fingerprints(routers[0]) == first

    (roll,) = page.blocks("sh roll")
    played(roll)
    second = fingerprints(routers[0]) - first
    assert second == fingerprints(routers[1]) - first
    assert len(second) == 1
