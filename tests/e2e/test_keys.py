"""What ``rkmp`` shows and takes out of a key table: two agents that share a negotiated key, and one by hand."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lxml import etree

from rkmp.cli.key_documents import keys_of
from tests.capture.files import pcap, timed
from tests.capture.sessions import SHA1, Session
from tests.e2e.agents import (
    KEY_TABLE,
    NAMESPACES,
    NETCONF,
    USER,
    AgentProcess,
    make_user_key,
    peer_configuration,
    wait_for,
)

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
BY_HAND = "0123456789abcdefghij"
MANUAL_KEY = f"""
<config xmlns="{NETCONF}" xmlns:ckt="{KEY_TABLE}"><ckt:key-table><ckt:key>
  <ckt:admin-key-name>by hand</ckt:admin-key-name><ckt:local-key-name>11</ckt:local-key-name>
  <ckt:peer-key-name>12</ckt:peer-key-name><ckt:peer>192.0.2.9</ckt:peer><ckt:protocol>ckt:ldp</ckt:protocol>
  <ckt:tcp-ao><ckt:ignore-tcp-options>true</ckt:ignore-tcp-options></ckt:tcp-ao>
  <ckt:kdf>ckt:hmac-sha-1</ckt:kdf><ckt:alg-id>ckt:hmac-sha-1-96</ckt:alg-id><ckt:keystring>{BY_HAND}</ckt:keystring>
  <ckt:send-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:send-lifetime>
  <ckt:accept-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:accept-lifetime>
</ckt:key></ckt:key-table></config>"""


def readers(operation: str, which: str = "") -> str:
    return f"""
<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}"><nacm xmlns="{ACM}">
  <groups nc:operation="{operation}"><group><name>keys</name><user-name>{USER}</user-name></group></groups>
  <rule-list nc:operation="{operation}"><name>keys</name><group>keys</group><rule xmlns:ckt="{KEY_TABLE}">
    <name>keys</name><path>/ckt:key-table/ckt:key{which}/ckt:hexadecimal-string</path>
    <access-operations>read</access-operations><action>permit</action></rule></rule-list></nacm></config>"""


@dataclass
class Pair:
    r1: AgentProcess
    r2: AgentProcess

    def permit(self, operation: str = "merge") -> None:
        """Let the operator read keys on both, or ``remove`` that again."""
        for agent in (self.r1, self.r2):
            with agent.connect() as session:
                session.edit_config(target="running", config=readers(operation))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("keys")
    key = make_user_key(directory)
    agents = [AgentProcess(name, directory / name, key) for name in ("r1", "r2")]
    try:
        for agent in agents:
            agent.initialise()
            agent.start()
        for one, other, initiate in ((agents[1], agents[0], "never"), (agents[0], agents[1], "on-demand")):
            with one.connect() as session:
                config = peer_configuration(one.name, other.name, port=other.ike_port, initiate=initiate)
                session.edit_config(target="running", config=config)
        with agents[0].connect() as session:
            session.edit_config(target="running", config=MANUAL_KEY)
        wait_for("a key", lambda: len(keys(agents[0])) == 2 and len(keys(agents[1])) == 1)
        yield Pair(agents[0], agents[1])
    finally:
        for agent in agents:
            agent.kill()


@pytest.fixture
def permitted(pair: Pair) -> Iterator[Pair]:
    pair.permit()
    yield pair
    pair.permit("remove")


def keys(agent: AgentProcess) -> list[dict[str, object]]:
    shown = json.loads(done(agent.run_client("--json", "show", "keys"), 0))
    entries: list[dict[str, object]] = shown.get("key-table", {}).get("key", [])
    return entries


def done(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Require an exit status and no traceback; return what was printed on standard output."""
    assert result.returncode == status, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def test_keys_are_exported_by_nobody_without_a_rule(pair: Pair, tmp_path: Path) -> None:
    refused = pair.r1.run_client("keys", "export", "--output", str(tmp_path / "keys.xml"))
    assert done(refused, 1) == ""
    assert "access-denied" in refused.stderr
    assert "/ckt:key-table/ckt:key/ckt:hexadecimal-string" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_both_routers_export_the_same_key_and_the_file_is_private(permitted: Pair, tmp_path: Path) -> None:
    exported = []
    for agent in (permitted.r1, permitted.r2):
        file = tmp_path / f"{agent.name}.json"
        file.write_text("what was there before, for everybody to read")
        file.chmod(0o644)
        assert done(agent.run_client("--json", "keys", "export", "--output", str(file)), 0) == ""
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        exported.append(json.loads(file.read_text())["key-table"]["key"])
    one = {key["admin-key-name"]: key for key in exported[0]}
    (other,) = exported[1]
    manual = one.pop("by hand")
    (negotiated,) = one.values()
    assert negotiated["hexadecimal-string"] == other["hexadecimal-string"]
    assert (negotiated["peer-key-name"], negotiated["local-key-name"]) == (
        other["local-key-name"],
        other["peer-key-name"],
    )
    assert manual["hexadecimal-string"] == BY_HAND.encode().hex()
    assert manual["tcp-ao"] == {"ignore-tcp-options": "true"}


def test_only_what_is_asked_for_is_exported(permitted: Pair) -> None:
    exported = json.loads(done(permitted.r1.run_client("--json", "keys", "export", "by hand"), 0))
    assert [key["admin-key-name"] for key in exported["key-table"]["key"]] == ["by hand"]
    missing = permitted.r1.run_client("keys", "export", "no such key")
    done(missing, 1)
    assert "no such key" in missing.stderr


def test_an_export_configures_another_router(permitted: Pair, tmp_path: Path) -> None:
    """A router without RKMP can be given the keys of one with it."""
    file = tmp_path / "keys.xml"
    (name,) = [str(key["admin-key-name"]) for key in keys(permitted.r1) if "rkmp" in key]
    done(permitted.r1.run_client("keys", "export", name, "by hand", "--output", str(file)), 0)
    document = etree.parse(file).getroot()
    for entry in document.iterfind("ckt:key", NAMESPACES):
        # By other names, since the other router has this key already.
        for leaf, value in (("admin-key-name", "moved "), ("local-key-name", "a"), ("peer-key-name", "b")):
            found = entry.find(f"ckt:{leaf}", NAMESPACES)
            assert found is not None
            found.text = value + (found.text or "")[-1:]
    file.write_bytes(etree.tostring(document))
    done(permitted.r2.run_client("apply", str(file)), 0)
    there = {key["fingerprint"] for key in keys(permitted.r2)}
    assert {key["fingerprint"] for key in keys(permitted.r1)} <= there
    with permitted.r2.connect() as session:
        remove = f'<key-table xmlns="{KEY_TABLE}" xmlns:nc="{NETCONF}" nc:operation="remove"/>'
        session.edit_config(target="running", config=f'<config xmlns="{NETCONF}">{remove}</config>')


def test_what_was_exported_is_in_the_log_of_the_agent(permitted: Pair) -> None:
    done(permitted.r1.run_client("keys", "export", "by hand"), 0)
    lines = [line for line in permitted.r1.log.read_text().splitlines() if "keys were shown" in line]
    assert "'operator'" in lines[-1]
    assert "'by hand'" in lines[-1]
    assert BY_HAND.encode().hex() not in permitted.r1.log.read_text()


def test_a_capture_is_verified_with_the_keys_of_the_agent(permitted: Pair, tmp_path: Path) -> None:
    """The routing daemons' session, made of what each agent exports, as somebody between them would capture it."""
    table = json.loads(done(permitted.r2.run_client("--json", "keys", "export"), 0))
    (theirs,) = keys_of(table)
    # Seen from r2, r1 is the neighbor that opens the session.
    session = Session(local="127.0.0.1", remote="127.0.0.1", local_port=179, remote_port=40000)
    sender = replace(theirs, name="sha1" if theirs.kdf == "hmac-sha-1" else "aes")
    packets = [*session.handshake(sender), session.segment(sender, payload=b"keepalive")]
    capture = tmp_path / "bgp.pcap"
    capture.write_bytes(pcap(timed(packets, start=time.time())))
    told = json.loads(done(permitted.r1.run_client("--json", "verify", str(capture)), 0))
    (name,) = [str(key["admin-key-name"]) for key in keys(permitted.r1) if "rkmp" in key]
    assert told["verdicts"] == {"verified": 4}
    assert {finding["key"] for finding in told["findings"]} == {name}


def test_a_key_that_no_rule_permits_is_named_and_not_taken_for_another(pair: Pair, tmp_path: Path) -> None:
    negotiated = next(key for key in keys(pair.r1) if "rkmp" in key)
    capture = tmp_path / "bgp.pcap"
    session = Session(local="127.0.0.1", remote="127.0.0.1", local_port=40000, remote_port=179)
    packets = session.handshake(replace(SHA1, send_id=int(str(negotiated["peer-key-name"]), 16)))
    capture.write_bytes(pcap(timed(packets[:1], start=time.time())))
    with pair.r1.connect() as netconf:
        only_by_hand = "[ckt:admin-key-name='by hand']"
        netconf.edit_config(target="running", config=readers("merge", only_by_hand))
    told = json.loads(done(pair.r1.run_client("--json", "verify", str(capture)), 4))
    pair.permit("remove")
    (finding,) = told["findings"]
    assert finding["verdict"] == "withheld-key"
    assert repr(negotiated["admin-key-name"]) in finding["reason"]


def test_a_capture_is_verified_for_nobody_without_a_rule(pair: Pair, tmp_path: Path) -> None:
    capture = tmp_path / "bgp.pcap"
    capture.write_bytes(pcap(timed(Session().handshake(SHA1))))
    refused = pair.r1.run_client("verify", str(capture))
    assert done(refused, 1) == ""
    assert "access-denied" in refused.stderr


def test_what_rolls_when_is_seen_at_a_glance(pair: Pair, tmp_path: Path) -> None:
    shown = done(pair.r1.run_client("show", "keys"), 0)
    head, negotiated, manual = [line for line in shown.splitlines() if line.strip()][1:]
    assert "ROLLS IN" in head
    assert re.search(r" active \* +\d+h\d\dm +\d+h\d\dm +1d\d\dh +negotiated +[0-9a-f]{16}$", negotiated.rstrip())
    assert re.search(r" active \* +- +- +- +manual +[0-9a-f]{16}$", manual.rstrip())
    drawn = done(pair.r1.run_client("keys", "timeline"), 0)
    assert re.search(r"^bgp with 127.0.0.1, rolls over in \d+h\d\dm$", drawn, re.MULTILINE)
    assert "ldp with 192.0.2.9" in drawn
    picture = tmp_path / "keys.svg"
    done(pair.r1.run_client("keys", "timeline", "--svg", str(picture)), 0)
    assert etree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    data = json.loads(done(pair.r1.run_client("--json", "keys", "timeline"), 0))
    assert [session["protocol"] for session in data["sessions"]] == ["bgp", "ldp"]
