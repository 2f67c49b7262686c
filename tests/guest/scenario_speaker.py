"""Inside the guest: speakers in Python whose sockets two agents key through the key API.

IPv4 and IPv6, both algorithms and one for private use, TCP options in the MAC and left out of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.e2e.agents import RKMP
from tests.guest.routers import AGENT, Router, Routers, sh, wait_for

# Protocol: network of the neighbor, algorithm with its KDF, flags of the transform, port.
SESSIONS = {
    "bgp": ("10.0.0.", "hmac-sha-1-96", "kdf-hmac-sha1", "", 179),
    "ldp": ("fd00::", "aes-128-cmac-96", "kdf-aes-128-cmac", "ignore-tcp-options", 646),
    "msdp": ("10.0.0.", "aes-128-cmac-96", "kdf-aes-128-cmac", "", 639),
    "pcep": ("fd00::", "hmac-sha-1-96", "kdf-hmac-sha1", "ignore-tcp-options", 4189),
    "pim-port": ("10.0.0.", "250", "250", "", 8471),
}
PRIVATE = """<code-points><private-algorithm><auth-alg>250</auth-alg><kdf>250</kdf>
  <algorithm>hmac-sha-256-128</algorithm></private-algorithm></code-points>"""


COUNTED = ("bad-segments", "key-not-found-segments", "unsigned-segments", "dropped-icmps")


def configuration(router: Router) -> str:
    other = 3 - router.number
    proposals = "".join(
        f"<proposal><name>{name}</name><security-protocol>tcp-ao</security-protocol><transform><name>t</name>"
        f"<auth-alg>{algorithm}</auth-alg><kdf>{kdf}</kdf><flags>{flags}</flags></transform></proposal>"
        for name, (_, algorithm, kdf, flags, _) in SESSIONS.items()
    )
    associations = "".join(
        f"<association><protocol>{name}</protocol><neighbor>{network}{other}</neighbor><proposal>{name}</proposal>"
        "<overlap>60</overlap></association>"
        for name, (network, *_) in SESSIONS.items()
    )
    return f"""<rkmp xmlns="{RKMP}">{PRIVATE}
    <local-identity><type>fqdn</type><value>{router.name}.example.net</value></local-identity>
    <credentials><pre-shared-key><name>k</name><secret><keystring>a secret that only this test uses</keystring></secret>
      </pre-shared-key></credentials>
    <ike-policy><name>p</name></ike-policy>{proposals}
    <peer><name>r{other}</name><address>10.9.0.{other}</address>
      <initiate>{"immediately" if router.number == 1 else "never"}</initiate><ike-policy>p</ike-policy>
      <authentication><local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><identity><type>fqdn</type><value>r{other}.example.net</value></identity>
          <method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>
      {associations}</peer></rkmp>
    <agent xmlns="{AGENT}"><southbound><key-socket><path>{router.directory}/keys.sock</path>
      <permission><name>speaker</name><user>root</user></permission></key-socket></southbound></agent>"""


class Speaker:
    def __init__(self, router: Router, stack: ExitStack) -> None:
        self.router = router
        self.status_file = router.directory / "status"
        role = "connect" if router.number == 1 else "listen"
        scopes = [f"{name}:{network}{3 - router.number}:{port}" for name, (network, *_, port) in SESSIONS.items()]
        process = subprocess.Popen(
            [
                *("ip", "netns", "exec", router.name, sys.executable, "-m", "tests.guest.speaker"),
                *(f"{router.directory}/keys.sock", str(self.status_file), role, *scopes),
            ]
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        self.process = process

    @property
    def status(self) -> dict[str, Any]:
        assert self.process.poll() is None
        loaded: dict[str, Any] = json.loads(self.status_file.read_text()) if self.status_file.exists() else {}
        return loaded

    def is_up(self) -> bool:
        status = self.status
        return status.keys() == SESSIONS.keys() and all(each["is-up"] for each in status.values())


class World:
    def __init__(self, routers: Routers, stack: ExitStack) -> None:
        self.routers = routers.pair
        for router in self.routers:
            sh(f"ip -n {router.name} addr add fd00::{router.number}/64 dev bgp nodad")
            router.start_agent()
            router.configure(configuration(router))
        self.speakers = [Speaker(router, stack) for router in self.routers]
        for speaker in self.speakers:
            wait_for("every session", speaker.is_up)

    def rekey(self, protocol: str) -> None:
        """Roll a key over and wait until both speakers send with the new one, and have no other any more."""
        before = self.sending(protocol)
        self.routers[0].rekey(protocol)
        wait_for(
            f"another key for {protocol} alone",
            lambda: (
                not before & self.sending(protocol)
                and all(speaker.status[protocol].get("keys") == 1 for speaker in self.speakers)
            ),
        )

    def sending(self, protocol: str) -> set[str]:
        return {name for speaker in self.speakers for name in speaker.status[protocol].get("sending", ())}

    @contextmanager
    def sessions_kept(self) -> Iterator[None]:
        before = [{name: each["established"] for name, each in speaker.status.items()} for speaker in self.speakers]
        messages = [{name: each["messages"] for name, each in speaker.status.items()} for speaker in self.speakers]
        yield
        for speaker, established, counted in zip(self.speakers, before, messages, strict=True):
            for name, each in speaker.status.items():
                assert each["is-up"]
                assert (each["established"], each["bad"]) == (established[name], 0)
                assert each["messages"] > counted[name]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        routers = Routers(tmp_path_factory.mktemp("routers"), stack)
        try:
            yield World(routers, stack)
        finally:
            for router in routers.pair:
                print(f"--- {router.name}: rkmpd", router.log.read_text()[-5000:], sep="\n")
                if (router.directory / "status").exists():
                    print((router.directory / "status").read_text())


def test_every_session_is_keyed_by_the_agents(world: World) -> None:
    for speaker in world.speakers:
        assert all(len(each["sending"]) == 1 and each["established"] == 1 for each in speaker.status.values())


@pytest.mark.parametrize("protocol", SESSIONS)
def test_rollovers_go_unnoticed(world: World, protocol: str) -> None:
    with world.sessions_kept():
        for _ in range(2):
            world.rekey(protocol)


def test_an_agent_that_is_killed_in_a_rollover_takes_its_speaker_up_again(world: World) -> None:
    with world.sessions_kept():
        before = world.sending("bgp")
        world.routers[0].rekey()
        world.routers[1].kill_agent()
        world.routers[1].start_agent()
        wait_for("another key", lambda: not before & world.sending("bgp"))
        wait_for("no older one", lambda: all(each.status["bgp"]["keys"] == 1 for each in world.speakers))


def test_the_agent_shows_what_the_speakers_use(world: World) -> None:
    data = world.routers[0].get(f'<agent xmlns="{AGENT}"><southbound/></agent>')
    shown = {
        entry.findtext(f"{{{AGENT}}}protocol"): (
            entry.findtext(f"{{{AGENT}}}state"),
            entry.findtext(f"{{{AGENT}}}sending-key"),
            entry.findtext(f"{{{AGENT}}}client"),
            *(entry.findtext(f"{{{AGENT}}}{name}") for name in COUNTED),
        )
        for entry in data.iter(f"{{{AGENT}}}subscription")
    }
    status = world.speakers[0].status
    assert shown == {
        name: ("synchronised", status[name]["sending"][0], "speaker", *("0",) * len(COUNTED)) for name in SESSIONS
    }
    good = {int(entry.text or 0) for entry in data.iter(f"{{{AGENT}}}good-segments")}
    assert len(good) > 0
    assert min(good) > 5
