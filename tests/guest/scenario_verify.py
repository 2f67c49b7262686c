"""Inside the guest: what the kernel's TCP-AO has put on the wire is what ``rkmp verify`` computes, key by key.

Speakers on TCP-AO sockets, both algorithms, IPv4 and IPv6, TCP options in the MAC and left out of it, whose keys roll
over while everything that passes is captured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rkmp.capture import Verdict, VerificationKey, Verifier, read_packets
from rkmp.keytable import TCP_AO_ALGORITHMS
from rkmp.southbound.steps import Prefer
from tests.e2e.agents import KEY_TABLE, RKMP, USER
from tests.guest.routers import Router, Routers, sh, wait_for
from tests.guest.scenario_sockets import ADDRESSES, ALGORITHMS, Pair, key, talk
from tests.guest.scenario_speaker import SESSIONS, World

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
PCAP_HEADER, PACKET_HEADER = 24, 16
PORTS = {port: protocol for protocol, (*_, port) in SESSIONS.items()}


def readers(which: str = "") -> str:
    """Return a rule by which the operator may read keys, all of them or those that a predicate names."""
    return f"""<nacm xmlns="{ACM}"><groups><group><name>keys</name><user-name>{USER}</user-name></group></groups>
    <rule-list><name>keys</name><group>keys</group><rule xmlns:ckt="{KEY_TABLE}"><name>keys</name>
    <path>/ckt:key-table/ckt:key{which}/ckt:hexadecimal-string</path>
    <access-operations>read</access-operations><action>permit</action></rule></rule-list></nacm>"""


def short_overlaps(router: Router) -> str:
    """Return a configuration by which a key that was replaced goes soon."""
    associations = "".join(
        f"<association><protocol>{protocol}</protocol><overlap>6</overlap></association>" for protocol in SESSIONS
    )
    return f'<rkmp xmlns="{RKMP}"><peer><name>r{3 - router.number}</name>{associations}</peer></rkmp>'


class Captured:
    """A capture of all sessions, from their handshakes to after a rollover of each, and the router that checks it."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.routers = Routers(directory, stack)
        self.router = self.routers.pair[0]
        self.file = directory / "sessions.pcap"
        command = ["ip", "netns", "exec", "r1", sys.executable, "-m", "tests.guest.capture", "bgp", str(self.file)]
        capture = subprocess.Popen(command)
        stack.callback(capture.kill)
        wait_for("the capture", lambda: self.file.exists() and self.file.stat().st_size >= PCAP_HEADER)
        world = World(self.routers, stack)
        self.names = {protocol: {world.speakers[0].status[protocol]["sending"][0]} for protocol in SESSIONS}
        for router in self.routers.pair:
            router.configure(readers(), short_overlaps(router))
        # Those that are gone after a rollover are known to whoever has exported them before.
        self.before = self.exported()
        for protocol in SESSIONS:
            self.router.rekey(protocol)
        wait_for("other keys alone", lambda: all(self.has_rolled_over(world, protocol) for protocol in SESSIONS))
        for protocol in SESSIONS:
            self.names[protocol].add(world.speakers[0].status[protocol]["sending"][0])
        # Some keepalives under the new keys.
        time.sleep(6)
        capture.kill()
        capture.wait()

    def has_rolled_over(self, world: World, protocol: str) -> bool:
        said = [speaker.status[protocol] for speaker in world.speakers]
        return all(each["keys"] == 1 for each in said) and not set(said[0]["sending"]) & self.names[protocol]

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rkmp.cli", "--host", "10.1.1.2", "--port", "830", "--user", USER]
        command += ["--key", str(self.directory / "user_key"), *words]
        environment = dict(os.environ, HOME=str(self.directory), XDG_CONFIG_HOME="")
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def exported(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self.client("--json", "keys", "export").stdout)
        return exported

    def keys_of_now(self) -> list[dict[str, Any]]:
        keys: list[dict[str, Any]] = self.exported()["key-table"]["key"]
        return keys

    def verified(self, file: Path, *words: str) -> tuple[int, dict[str, Any]]:
        done = self.client("--json", "verify", str(file), *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    with ExitStack() as stack:
        yield Captured(tmp_path_factory.mktemp("verify"), stack)


def protocol_of(finding: dict[str, Any]) -> str:
    ports = (int(finding[end].rpartition(":")[2]) for end in ("source", "destination"))
    return next(PORTS[port] for port in ports if port in PORTS)


def test_every_segment_of_the_kernel_is_verified_and_named_by_its_key(captured: Captured, tmp_path: Path) -> None:
    both = captured.exported()
    both["key-table"]["key"] += captured.before["key-table"]["key"]
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(both))
    status, told = captured.verified(captured.file, "--keys", str(keys))
    assert (status, told["verdicts"].keys()) == (0, {"verified"}), told["verdicts"]
    named: dict[str, set[str]] = {}
    for finding in told["findings"]:
        named.setdefault(protocol_of(finding), set()).add(finding["key"])
    assert named == captured.names


def test_the_agent_itself_has_the_keys_of_now(captured: Captured) -> None:
    status, told = captured.verified(captured.file)
    assert status == 4
    assert told["verdicts"].keys() == {"verified", "unknown-key-id"}
    of_now = {str(key["admin-key-name"]) for key in captured.keys_of_now()}
    assert {finding["key"] for finding in told["findings"] if finding["key"] is not None} == of_now


def test_a_flipped_octet_is_found(captured: Captured, tmp_path: Path) -> None:
    octets = bytearray(captured.file.read_bytes())
    _, whole = captured.verified(captured.file)
    target = next(each for each in reversed(whole["findings"]) if each["verdict"] == "verified")
    place = PCAP_HEADER
    for _ in range(target["packet"] - 1):
        place += PACKET_HEADER + int.from_bytes(octets[place + 8 : place + 12], "little")
    length = int.from_bytes(octets[place + 8 : place + 12], "little")
    # The last octet of the segment: of its payload, or of its options.
    octets[place + PACKET_HEADER + length - 1] ^= 1
    altered = tmp_path / "altered.pcap"
    altered.write_bytes(octets)
    _, told = captured.verified(altered)
    (finding,) = [each for each in told["findings"] if each["packet"] == target["packet"]]
    assert finding["verdict"] == "wrong-mac"
    others = [each for each in told["findings"] if each["packet"] != target["packet"]]
    assert others == [each for each in whole["findings"] if each["packet"] != target["packet"]]


def test_a_key_that_access_control_withholds_is_reported_as_such(captured: Captured) -> None:
    names = {str(key["protocol"]).rpartition(":")[2]: str(key["admin-key-name"]) for key in captured.keys_of_now()}
    captured.router.configure(readers(f"[ckt:admin-key-name='{names['bgp']}']"))
    _, told = captured.verified(captured.file)
    withheld = [each for each in told["findings"] if each["verdict"] == "withheld-key"]
    assert {protocol_of(each) for each in withheld} == SESSIONS.keys() - {"bgp"}
    assert all(names[protocol_of(each)] in each["reason"] for each in withheld)
    assert {each["key"] for each in told["findings"] if each["verdict"] == "verified"} == {names["bgp"]}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(("alg_id", "octets"), ALGORITHMS)
def test_every_algorithm_of_the_kernel_is_computed(address: str, alg_id: str, octets: int, tmp_path: Path) -> None:
    file = tmp_path / "socket.pcap"
    one = key(1, alg_id, octets)
    with ExitStack() as stack:
        sh("ip link set lo up")
        capture = subprocess.Popen([sys.executable, "-m", "tests.guest.capture", "lo", str(file)])
        stack.callback(capture.kill)
        wait_for("the capture", lambda: file.exists() and file.stat().st_size >= PCAP_HEADER)
        pair = Pair(address, stack)
        pair.add(one)
        pair.both(Prefer, one.name)
        talk(pair.dial(), pair.accept())
        time.sleep(1)
    capture.wait()
    known = VerificationKey(
        name=one.name,
        protocol="250",
        peers=(address,),
        send_id=one.send_id,
        recv_id=one.recv_id,
        kdf=next(kdf for kdf, algorithm in TCP_AO_ALGORITHMS if algorithm == alg_id),
        alg_id=alg_id,
        ignore_tcp_options=False,
        key=one.secret,
    )
    verifier = Verifier([known])
    with file.open("rb") as stream:
        found = [each for packet in read_packets(stream) if (each := verifier.check(packet)) is not None]
    assert len(found) > 10
    assert {each.verdict for each in found} == {Verdict.VERIFIED}
