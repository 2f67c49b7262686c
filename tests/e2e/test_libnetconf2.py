"""netopeer2's client library against a whole agent: it has our schema and compiles it, and takes every reply."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from tests.e2e.agents import NAMESPACES, NETCONF, RKMP, USER, AgentProcess, make_user_key, peer_configuration
from tests.e2e.libnetconf2 import LIBRARY
from tests.e2e.test_agent_management import AGENT, SYSTEM
from tests.real_parts import lacking

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
ROUTER = etree.tostring(etree.fromstring(peer_configuration("r1", "r2", port=9, initiate="never"))[0]).decode()
OURS = (
    f'<agent xmlns="{AGENT}"><netconf><limits><sessions>99</sessions></limits></netconf></agent>'
    f'<system xmlns="{SYSTEM}"><authentication><user><name>alice</name><password>$0$wonder</password></user>'
    "</authentication></system>"
)
AGAIN = f'<rkmp xmlns="{RKMP}"><peer xmlns:nc="{NETCONF}" nc:operation="create"><name>r2</name></peer></rkmp>'
BOGUS = f'<rkmp xmlns="{RKMP}"><enabled>perhaps</enabled></rkmp>'

OPERATIONS: Mapping[str, list[str | None]] = {
    "empty": ["get-config", "running", None],
    "sessions": ["get", f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>'],
    "locked": ["lock", "candidate"],
    "edited": ["edit-config", "candidate", ROUTER],
    "valid": ["validate", "candidate"],
    "committed": ["commit"],
    "unlocked": ["unlock", "candidate"],
    "discarded": ["discard-changes"],
    "managed": ["edit-config", "running", OURS],
    "everything": ["get", None],
    "by subtree": ["get-config", "running", f'<rkmp xmlns="{RKMP}"><peer><name/></peer></rkmp>'],
    "by xpath": ["get-config", "running", "/rkmp:rkmp/peer[name='r2']/address"],
    "operational": ["get-data", "ietf-datastores:operational", "/rkmp:rkmp/peer"],
    "schema": ["get-schema", "rkmp-agent"],
    "created twice": ["edit-config", "running", AGAIN],
    "bad value": ["edit-config", "running", BOGUS],
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """The replies to all operations: what libyang prints of the envelope, and of the content that the schema has."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        lacking("libnetconf2 is not installed (Debian and Ubuntu: apt install libnetconf2-2)")
    directory = tmp_path_factory.mktemp("libnetconf2")
    agent = AgentProcess("r1", directory / "state", make_user_key(directory))
    agent.initialise()
    agent.start()
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.e2e.libnetconf2"),
                *(str(agent.netconf_port), USER, str(agent.user_key)),
            ],
            input=json.dumps([*OPERATIONS.values()]),
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        agent.stop()
    assert done.returncode == 0, done.stderr
    return dict(zip(OPERATIONS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", ["locked", "edited", "valid", "committed", "unlocked", "discarded", "managed"])
def test_what_succeeds_is_ok(replies: Mapping[str, Mapping[str, str]], name: str) -> None:
    assert "<ok/>" in replies[name]["envelope"]


def test_data_fit_the_schema_that_it_has_of_us(replies: Mapping[str, Mapping[str, str]]) -> None:
    assert "netconf-ssh" in replies["sessions"]["content"]
    root = etree.fromstring(replies["everything"]["content"])
    assert root.findtext(f".//{{{RKMP}}}peer/{{{RKMP}}}name") == "r2"
    assert root.findtext(f".//{{{AGENT}}}limits/{{{AGENT}}}sessions") == "99"
    assert root.findtext(f".//{{{SYSTEM}}}user/{{{SYSTEM}}}name") == "alice"
    assert root.find(f".//{{{SYSTEM}}}password") is None
    assert "module rkmp-agent" in replies["schema"]["content"]


@pytest.mark.parametrize("name", ["by subtree", "by xpath", "operational"])
def test_filters_select(replies: Mapping[str, Mapping[str, str]], name: str) -> None:
    root = etree.fromstring(replies[name]["content"])
    assert root.xpath("//rkmp:peer/rkmp:name/text()", namespaces=NAMESPACES) == ["r2"]


def test_origins_are_understood(replies: Mapping[str, Mapping[str, str]]) -> None:
    assert "or:default" in replies["operational"]["content"]


@pytest.mark.parametrize(("name", "tag"), [("created twice", "data-exists"), ("bad value", "invalid-value")])
def test_refusals_are_understood(replies: Mapping[str, Mapping[str, str]], name: str, tag: str) -> None:
    assert f"<error-tag>{tag}</error-tag>" in replies[name]["envelope"]
    assert replies[name]["content"] == ""
