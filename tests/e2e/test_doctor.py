"""``rkmp doctor`` names what is wrong with two agents, in each of the ways in which a test can break them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rkmp.daemon.state_directory import StateDirectory
from rkmp.daemon.users import NewUser, Users
from rkmp.errors import TcpAoError
from rkmp.southbound.tcp_ao import require_tcp_ao
from rkmp.storage import Database
from tests.crypto.authorities import host, make, make_authority, usage
from tests.e2e.agents import NETCONF, RKMP, USER, AgentProcess, make_user_key, peer_configuration
from tests.e2e.test_configured import SPAN, anchor, certificate

AGENT = "urn:rkmp:yang:rkmp-agent"
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
VIEWER = "viewer"

pytestmark = pytest.mark.slow
OTHER_CODE_POINTS = "<code-points><tcp-ao-protocol-id>211</tcp-ao-protocol-id></code-points>"
BY_PSK = "<method>psk</method><pre-shared-key>k</pre-shared-key>"
BY_CERTIFICATE = "<method>certificate</method><certificate>own</certificate>"
BY_AUTHORITY = "<method>certificate</method><trust-anchor>ours</trust-anchor>"
OURS, STRANGE = make_authority("ours", **SPAN), make_authority("strange", key_number=5, **SPAN)
R1 = make("r1", STRANGE, key_number=1, extensions=(host("r1.example.net"), usage(sign=True)), **SPAN)
SHOWS_ITS_CERTIFICATE = (
    (f"<local>{BY_PSK}", f"<local>{BY_CERTIFICATE}"),
    ("</credentials>", f"{certificate('own', R1)}</credentials>"),
)
EXPECTS_OURS = (
    (f"{BY_PSK}</remote>", f"{BY_AUTHORITY}</remote>"),
    ("</credentials>", f"{anchor('ours', OURS)}</credentials>"),
)
LDP_ONLY = ("<association><protocol>bgp</protocol>", "<association><protocol>ldp</protocol>")


def suite(encryption: str, prf: str) -> str:
    return f"""<proposal><number>1</number><encryption>{encryption}</encryption><prf>{prf}</prf>
        <key-exchange>curve25519</key-exchange></proposal>
        <retransmission><initial-timeout>0.3</initial-timeout><tries>3</tries></retransmission>"""


QUICK = "<retransmission><initial-timeout>0.3</initial-timeout><tries>3</tries></retransmission>"


@dataclass(frozen=True)
class Case:
    """How r1 and r2 are configured, what the doctor is to say of r1, and whether it may look at r2 as well.

    ``edits`` are replacements in r1's document, ``edits_2`` in r2's, whose ``None`` is an agent that is not there.
    """

    cause: str
    r1: dict[str, Any] = field(default_factory=dict)
    r2: dict[str, Any] | None = field(default_factory=dict)
    edits: tuple[tuple[str, str], ...] = ()
    edits_2: tuple[tuple[str, str], ...] = ()
    looks_at_both: bool = False
    certain: bool = True


CASES = {
    "all is well": Case(""),
    "port blocked": Case("no-answer", r2=None, certain=False),
    "PSK differs": Case("psk-differs", r1={"psk": "one secret of our own"}, certain=False),
    "PSK differs, seen from both": Case("psk-differs", r1={"psk": "one secret of our own"}, looks_at_both=True),
    "no common transform": Case("no-common-transform", r1={"proposal": "sha1-only"}, r2={"proposal": "aes-only"}),
    "no common IKE proposal": Case(
        "no-common-ike-proposal",
        r1={"ike_policy": suite("aes-gcm-16-128", "hmac-sha2-256")},
        r2={"ike_policy": suite("aes-gcm-16-256", "hmac-sha2-384")},
    ),
    "other code points": Case("code-points-differ", r1={"top": OTHER_CODE_POINTS}),
    "another name": Case("identity-differs", r1={"local_identity": "stranger.example.net"}, looks_at_both=True),
    "another name expected": Case("identity-differs", r1={"remote_identity": "elsewhere.example.net"}),
    "protocol not configured": Case("protocol-not-configured", edits_2=(LDP_ONLY,)),
    "unknown address": Case(
        "unknown-caller",
        edits_2=(("<address>127.0.0.1</address>", "<address>192.0.2.77</address>"),),
        looks_at_both=True,
    ),
    "certificate from an unknown CA": Case(
        "certificate-rejected", edits=SHOWS_ITS_CERTIFICATE, edits_2=EXPECTS_OURS, looks_at_both=True
    ),
    "association disabled": Case("disabled", r1={"association": "<enabled>false</enabled>"}),
    "RKMP disabled": Case("disabled", r1={"top": "<enabled>false</enabled>"}),
    "nobody calls": Case("nobody-initiates", r1={"initiate": "never"}, certain=False),
}


@dataclass
class Routers:
    r1: AgentProcess
    r2: AgentProcess
    is_there: bool = True

    def arrange(self, case: Case) -> None:
        """Break the two as the case says; nothing is left of the case before, its events and counters included."""
        if case.r2 is None:
            self.r2.kill()
            self.is_there = False
        elif not self.is_there:
            self.r2.start()
            self.is_there = True
        # A peer of another name each time: what was heard of the one before is of a peer that is not there.
        if case.r2 is not None:
            configure(self.r2, document("r2", "r1", self.r1.ike_port, case.edits_2, {"initiate": "never", **case.r2}))
        configure(self.r1, document("r1", "r2", self.r2.ike_port, case.edits, case.r1))

    def doctor(self, *arguments: str, status: int | None = None) -> list[dict[str, Any]]:
        result = self.r1.run_client("--json", "doctor", *arguments)
        assert "Traceback" not in result.stderr, result.stderr
        findings: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
        problems = [finding for finding in findings if not finding["note"]]
        assert result.returncode == (4 if problems else 0) if status is None else status
        return problems


def document(local: str, remote: str, port: int, edits: tuple[tuple[str, str], ...], changes: dict[str, Any]) -> str:
    text = peer_configuration(local, remote, port=port, **{"ike_policy": QUICK, **changes})
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    return text


def configure(agent: AgentProcess, config: str) -> None:
    with agent.connect() as session:
        remove = f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}"><rkmp xmlns="{RKMP}" nc:operation="remove"/></config>'
        session.edit_config(target="running", config=remove)
        session.edit_config(target="running", config=config)


@pytest.fixture(scope="module")
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routers]:
    directory = tmp_path_factory.mktemp("doctor")
    key = make_user_key(directory)
    agents = [AgentProcess(name, directory / name, key) for name in ("r1", "r2")]
    try:
        for agent in agents:
            agent.initialise()
            database = Database(StateDirectory(agent.directory).database)
            Users(database).add(NewUser(VIEWER, [Path(f"{key}.pub").read_text().strip()]), os.urandom)
            database.close()
            agent.start()
        yield Routers(agents[0], agents[1])
    finally:
        for agent in agents:
            agent.kill()


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_names_the_cause(routers: Routers, name: str) -> None:
    case = CASES[name]
    started = datetime.now(UTC)
    routers.arrange(case)
    both = ("--peer-agent", f"127.0.0.1:{routers.r2.netconf_port}") if case.looks_at_both else ()
    deadline = time.monotonic() + 30
    while True:
        since = (datetime.now(UTC) - started) / timedelta(hours=1)
        problems = routers.doctor(*both, "--hours", f"{max(since, 1e-5):.6f}")
        causes = {finding["cause"] for finding in problems}
        is_keyed = case.cause != "" or '"established"' in routers.r1.run_client("--json", "show", "associations").stdout
        if causes == ({case.cause} if case.cause else set()) and is_keyed:
            break
        assert time.monotonic() < deadline, problems
    assert all(finding["certain"] is case.certain for finding in problems)
    assert all(finding["advice"] and finding["seen"] for finding in problems)


def test_a_certificate_from_the_future_means_a_clock(routers: Routers) -> None:
    routers.arrange(Case(""))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    authority = make_authority("root", not_before=tomorrow, not_after=tomorrow + timedelta(days=9))
    anchor = f"<trust-anchor><name>ca</name><certificate>{authority.pem.decode()}</certificate></trust-anchor>"
    config = f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}"><credentials>{anchor}</credentials></rkmp></config>'
    with routers.r1.connect() as session:
        session.edit_config(target="running", config=config)
    (finding,) = [each for each in routers.doctor() if each["cause"] == "clock-skew"]
    assert finding["subject"] == "agent trust-anchor ca"
    assert "not valid before" in finding["seen"]


def test_an_expired_certificate_is_told_from_a_clock(routers: Routers) -> None:
    routers.arrange(Case(""))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority = make_authority("root", not_before=yesterday - timedelta(days=9), not_after=yesterday)
    anchor = f"<trust-anchor><name>old</name><certificate>{authority.pem.decode()}</certificate></trust-anchor>"
    config = f'<config xmlns="{NETCONF}"><rkmp xmlns="{RKMP}"><credentials>{anchor}</credentials></rkmp></config>'
    with routers.r1.connect() as session:
        session.edit_config(target="running", config=config)
    (finding,) = [each for each in routers.doctor() if each["cause"] == "certificate-expired"]
    assert finding["subject"] == "agent trust-anchor old"
    assert "it was valid until" in finding["seen"]


def test_a_consumer_that_does_not_take_its_keys_is_named(routers: Routers) -> None:
    routers.arrange(Case(""))
    hook = f"""<agent xmlns="{AGENT}"><southbound><hook nc:operation="%s"><name>broken</name>
        <command>/bin/false</command>
        <neighbor><address>127.0.0.1</address><protocol>bgp</protocol></neighbor></hook></southbound></agent>"""
    config = f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}">{hook}</config>'
    with routers.r1.connect() as session:
        session.edit_config(target="running", config=config % "create")
    deadline = time.monotonic() + 30
    while not (found := [each for each in routers.doctor() if each["cause"] == "consumer-failed"]):
        assert time.monotonic() < deadline
    assert found[0]["subject"].startswith("agent agent southbound hook broken")
    assert "keys do not reach their user" in found[0]["advice"]
    with routers.r1.connect() as session:
        session.edit_config(target="running", config=config % "remove")


def test_who_holds_a_lock_is_named(routers: Routers) -> None:
    routers.arrange(Case(""))
    with routers.r1.connect() as session, session.locked("candidate"):
        found = json.loads(routers.r1.run_client("--json", "doctor").stdout)["findings"]
        (finding,) = [each for each in found if each["cause"] == "locked"]
        assert (finding["subject"], finding["note"]) == ("agent candidate", True), "it is not held long"
        seen = f"session {session.session_id} of {USER} at 127.0.0.1 has held its lock since 20"
        assert finding["seen"].startswith(seen)
        assert "kill-session" in finding["advice"]
    found = json.loads(routers.r1.run_client("--json", "doctor").stdout)["findings"]
    assert "locked" not in {each["cause"] for each in found}


def test_access_control_is_named(routers: Routers) -> None:
    routers.arrange(Case(""))
    hidden = f"""<config xmlns="{NETCONF}"><nacm xmlns="{ACM}"><groups><group><name>viewers</name>
        <user-name>{VIEWER}</user-name></group></groups><rule-list><name>viewers</name><group>viewers</group>
        <rule xmlns:r="{RKMP}"><name>hidden</name><path>/r:rkmp</path><access-operations>read</access-operations>
        <action>deny</action></rule></rule-list></nacm></config>"""
    with routers.r1.connect() as session:
        session.edit_config(target="running", config=hidden)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "rkmp.cli", "--host", "127.0.0.1", "--port", str(routers.r1.netconf_port)),
            *("--user", VIEWER, "--key", str(routers.r1.user_key), "doctor"),
        ],
        env={**os.environ, "HOME": str(routers.r1.directory.parent), "XDG_CONFIG_HOME": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 4
    assert result.stdout.startswith("access-denied  agent: the agent shows nothing below /rkmp")
    assert "rule" in result.stdout


def test_an_agent_that_is_not_there_is_named(routers: Routers) -> None:
    nobody = AgentProcess("r1", routers.r1.directory, routers.r1.user_key)
    nobody.netconf_port = 1
    result = nobody.run_client("--json", "doctor")
    (finding,) = json.loads(result.stdout)["findings"]
    assert (result.returncode, finding["cause"]) == (4, "no-netconf")
    assert "is rkmpd running there" in finding["seen"]


def test_a_peer_that_nobody_has_configured_is_told(routers: Routers) -> None:
    routers.arrange(Case(""))
    (finding,) = routers.doctor("nobody")
    assert (finding["cause"], finding["seen"]) == ("nothing-configured", "no peer is called 'nobody'")


def test_a_kernel_without_tcp_ao_is_told(routers: Routers) -> None:
    result = routers.r1.run_client("--json", "doctor")
    notes = {finding["cause"] for finding in json.loads(result.stdout)["findings"] if finding["note"]}
    try:
        require_tcp_ao()
    except TcpAoError:
        assert "kernel-without-tcp-ao" in notes
    else:
        assert "kernel-without-tcp-ao" not in notes
