"""Ansible's netconf modules, as they come, against a whole agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.e2e.agents import NAMESPACES, USER, AgentProcess, make_user_key
from tests.real_parts import lacking

PLAYBOOK = Path(__file__).parent / "ansible" / "playbook.yml"
PROGRAM = Path(sys.executable).with_name("ansible-playbook")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the playbook says of each of its tasks."""
    if not PROGRAM.exists():
        lacking("Ansible is not installed (pip install -e '.[automation]')")
    directory = tmp_path_factory.mktemp("ansible")
    agent = AgentProcess("r1", directory / "state", make_user_key(directory))
    agent.initialise()
    agent.start()
    settings = {
        "ansible_connection": "ansible.netcommon.netconf",
        "ansible_network_os": "default",
        "ansible_host": "127.0.0.1",
        "ansible_port": agent.netconf_port,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(agent.user_key),
        "ansible_host_key_checking": False,
        "ansible_python_interpreter": sys.executable,
        "result": str(directory / "result.json"),
    }
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"agent": settings}}}))
    environment = dict(os.environ, HOME=str(directory), ANSIBLE_HOME=str(directory), LC_ALL="C.UTF-8")
    try:
        done = subprocess.run(
            [str(PROGRAM), "-i", str(inventory), str(PLAYBOOK)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        agent.stop()
    found: Mapping[str, Any] = json.loads((directory / "result.json").read_text())
    return found


def proposals(text: str) -> list[str]:
    root = etree.fromstring(text.encode())
    return [str(name) for name in root.xpath("//rkmp:proposal/rkmp:name/text()", namespaces=NAMESPACES)]


def test_a_change_is_told_once(results: Mapping[str, Any]) -> None:
    assert proposals(results["before"]) == []
    assert results["changed"] is True
    assert results["again"] is False


def test_the_candidate_is_committed_and_a_check_changes_nothing(results: Mapping[str, Any]) -> None:
    assert results["committed"] is True
    assert results["checked"] is True
    names = [entry["name"] for entry in results["subtree"]["data"]["rkmp"]["proposal"]]
    assert names == ["ao", "second"]


def test_filters_select(results: Mapping[str, Any]) -> None:
    assert proposals(results["xpath"]) == ["ao"]


def test_an_operation_is_called(results: Mapping[str, Any]) -> None:
    assert "module rkmp" in results["schema"]


def test_a_refusal_fails_the_task_with_our_words(results: Mapping[str, Any]) -> None:
    assert "rot-13" in results["refused"]
