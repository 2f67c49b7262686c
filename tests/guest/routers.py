"""Two routers inside the guest: a namespace each, with a real BIRD and an ``rkmpd`` that is configured over NETCONF.

They have two links, one for BGP and one for RKMP, so that either can be broken by itself; a third leads to the test.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lxml import etree

from ncclient import manager
from tests.e2e.agents import KEY_TABLE, NAMESPACES, NETCONF, RKMP, USER, make_user_key
from tests.guest.guest import bird_program

AGENT = "urn:rkmp:yang:rkmp-agent"
NAMES = {**NAMESPACES, "rkmpa": AGENT}
LONG_ENOUGH = 120.0
COUNTED = ("connections", "good-segments", "bad-segments")
POLICY = "<retransmission><initial-timeout>1</initial-timeout><tries>6</tries></retransmission>"


def compiled(source: str, directory: Path) -> Path:
    """Return a library to preload, made of a source beside this file."""
    library = directory / f"{source}.so"
    flags = ["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(Path(__file__).with_name(source)), "-ldl"], check=True)
    return library


def sh(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True)


class Router:
    """Router ``number``, 1 or 2: BGP on 10.0.0.NUMBER, RKMP on 10.9.0.NUMBER, NETCONF on 10.1.NUMBER.2."""

    def __init__(self, number: int, directory: Path, user_key: Path) -> None:
        self.number = number
        self.name = f"r{number}"
        self.neighbor = f"10.0.0.{3 - number}"
        self.directory = directory / self.name
        self.keys = self.directory / "keys"
        self.keys.mkdir(parents=True)
        self.state = self.directory / "state"
        self.control = self.directory / "bird.ctl"
        self.log = self.directory / "rkmpd.log"
        self.environment: dict[str, str] = {}
        self.bird_environment: dict[str, str] = {}
        self._user_key = user_key
        self._agent: subprocess.Popen[str] | None = None
        self._bird: subprocess.Popen[bytes] | None = None

    # -- the agent -----------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        if not self.state.exists():
            command = [sys.executable, "-m", "rkmp.daemon", "init", "--state-dir", str(self.state)]
            command += ["--user", USER, "--authorized-key", f"{self._user_key}.pub"]
            subprocess.run(command, check=True, capture_output=True)
        with self.log.open("a") as log:
            self._agent = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.name, "env", *(f"{k}={v}" for k, v in self.environment.items())),
                    *(sys.executable, "-m", "rkmp.daemon", "--state-dir", str(self.state)),
                    *("--netconf-listen", f"10.1.{self.number}.2:830", "--ike-listen", f"10.9.0.{self.number}:500"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._agent.stdout is not None
        line = self._agent.stdout.readline()
        assert line.startswith("rkmpd ready "), f"{line!r}\n{self.log.read_text()}"

    def kill_agent(self) -> None:
        """End it as a power cut would."""
        if self._agent is not None:
            self._agent.kill()
            self._agent.communicate()
            self._agent = None

    @contextmanager
    def netconf(self) -> Iterator[Any]:
        with manager.connect(  # type: ignore[no-untyped-call]
            host=f"10.1.{self.number}.2",
            port=830,
            username=USER,
            key_filename=str(self._user_key),
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=60,
        ) as session:
            yield session

    def configure(self, *tops: str) -> None:
        with self.netconf() as session:
            session.edit_config(target="running", config=f'<config xmlns="{NETCONF}">{"".join(tops)}</config>')

    def get(self, *selections: str) -> etree._Element:
        with self.netconf() as session:
            reply = session.get(filter=f'<filter xmlns="{NETCONF}" type="subtree">{"".join(selections)}</filter>')
        return etree.fromstring(reply.data_xml.encode())

    def rekey(self, protocol: str = "bgp") -> str:
        """Roll a key over, and return the name of the new one."""
        with self.netconf() as session:
            reply = session.dispatch(
                etree.fromstring(
                    f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><rkmp xmlns="{RKMP}"><peer><name>r{3 - self.number}'
                    f"</name><association><protocol>{protocol}</protocol><rekey/></association></peer></rkmp></action>"
                )
            )
        found = etree.fromstring(reply.xml.encode()).xpath("//rkmp:admin-key-name/text()", namespaces=NAMES)
        return str(found[0])

    def consumer(self) -> dict[str, Any]:
        """Return what the agent says of the BIRD: its keys, how it stands."""
        data = self.get(f'<agent xmlns="{AGENT}"><southbound/></agent>')

        def texts(name: str) -> list[str]:
            return [str(text) for text in data.xpath(f"//rkmpa:bird//rkmpa:{name}/text()", namespaces=NAMES)]

        said: dict[str, Any] = {}
        for name in ("state", "preferred-key", "consumer-error", "steps", "reported-at", *COUNTED):
            said[name] = next(iter(texts(name)), None)
        return {**said, "accepted": texts("accepted-key"), "sending": texts("sending-key")}

    def last_error(self) -> str | None:
        data = self.get(f'<rkmp xmlns="{RKMP}"><peer/></rkmp>')
        return next(iter(data.xpath("//rkmp:association/rkmp:last-error/text()", namespaces=NAMES)), None)

    def rollovers(self) -> int:
        data = self.get(f'<rkmp xmlns="{RKMP}"><peer/></rkmp>')
        return int(data.xpath("string(//rkmp:association/rkmp:rollovers)", namespaces=NAMES))

    @property
    def keys_file(self) -> str:
        return (self.keys / "nb.conf").read_text()

    def key_names(self) -> list[str]:
        data = self.get(f'<key-table xmlns="{KEY_TABLE}"/>')
        return [str(name) for name in data.xpath("//ckt:key/ckt:admin-key-name/text()", namespaces=NAMES)]

    # -- BIRD ----------------------------------------------------------------------------------------------------

    def write_bird_configuration(self, *, hold: int = 90, keepalive: int = 5, keys: str | None = None) -> None:
        include = f'include "{self.keys}/nb.conf";' if keys is None else keys
        local, remote = 65000 + self.number, 65003 - self.number
        (self.directory / "bird.conf").write_text(
            f"""
            log "{self.directory}/bird.log" all;
            router id 10.0.0.{self.number};
            timeformat protocol iso long ms;
            debug protocols {{ states, events }};
            protocol device {{ scan time 3600; }}
            protocol static {{ ipv4; route 192.0.2.{self.number}/32 blackhole; }}
            protocol bgp nb {{
              local 10.0.0.{self.number} as {local}; neighbor {self.neighbor} as {remote}; direct;
              hold time {hold}; keepalive time {keepalive};
              connect delay time 1; connect retry time 3; error wait time 1, 3;
              {include}
              ipv4 {{ import all; export all; next hop self; }};
            }}
            """
        )

    def start_bird(self) -> None:
        files = ["-c", f"{self.directory}/bird.conf", "-s", str(self.control), "-P", f"{self.directory}/bird.pid"]
        environment = [f"{name}={value}" for name, value in self.bird_environment.items()]
        command = ["ip", "netns", "exec", self.name, "env", *environment, *bird_program("bird"), "-f", *files]
        self._bird = subprocess.Popen(command)

    def kill_bird(self) -> None:
        if self._bird is not None:
            self._bird.kill()
            self._bird.wait()
            self._bird = None

    def birdc(self, *words: str) -> str:
        command = [*bird_program("birdc"), "-s", str(self.control), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def shown(self, pattern: str) -> str | None:
        found = re.search(pattern, self.birdc("show", "protocols", "all", "nb"), re.MULTILINE)
        return found[1] if found else None

    @property
    def is_established(self) -> bool:
        return self.shown(r"BGP state:\s+(\S+)") == "Established"

    @property
    def since(self) -> str | None:
        return self.shown(r"^nb\s+\S+\s+\S+\s+up\s+(\S+ \S+)")

    @property
    def bad_packets(self) -> str | None:
        return self.shown(r"Bad packets:\s+(\d+)")

    def has_session(self) -> bool:
        return self.is_established and self.has_route

    @property
    def has_route(self) -> bool:
        return f"192.0.2.{3 - self.number}/32" in self.birdc("show", "route")

    def stop(self) -> None:
        self.kill_agent()
        self.kill_bird()


class Routers:
    """Both, and the links between them."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        user_key = make_user_key(directory)
        self.pair = Router(1, directory, user_key), Router(2, directory, user_key)
        sh(_LINKS)
        # A namespace goes when it is over, a link at once.
        stack.callback(sh, "for n in 1 2; do ip link del m$n; ip netns del r$n; done")
        for router in self.pair:
            stack.callback(router.stop)

    def start(self, **bird: Any) -> None:
        """Start both agents and both BIRDs, of which none has a key."""
        for router in self.pair:
            router.start_agent()
            router.configure(consumer_configuration(router))
            wait_for("the file of keys", (router.keys / "nb.conf").exists)
            router.write_bird_configuration(**bird)
            router.start_bird()

    def associate(self, **settings: Any) -> None:
        for router in reversed(self.pair):
            router.configure(peer_configuration(router, **settings))

    def wait_until_established(self) -> None:
        for router in self.pair:
            wait_for(f"{router.name}'s session", router.has_session)

    def wait_until_settled(self, name: str = "", *, alone: bool = False) -> None:
        """Wait until both BIRDs send with the same key, of that name at one of them, and ``alone``: have no other."""

        def is_settled() -> bool:
            # Cheap questions first.
            ids = [(router.shown(r"Current key:\s+(\d+)"), router.shown(r"RNext key:\s+(\d+)")) for router in self.pair]
            if ids[0] != ids[1][::-1] or not any(name in router.keys_file for router in self.pair):
                return False
            if alone and any(router.keys_file.count("key {") != 1 for router in self.pair):
                return False
            said = [router.consumer() for router in self.pair]
            return any(name in each["preferred-key"] for each in said) and all(
                each["state"] == "synchronised" and each["sending"] == [each["preferred-key"]] for each in said
            )

        wait_for(f"both sides on {name}", is_settled)

    @contextmanager
    def session_kept(self) -> Iterator[None]:
        """Fail if a session has started anew, lost its route or seen a bad segment when the block ends."""
        before = [router.since for router in self.pair]
        assert None not in before
        yield
        assert [router.since for router in self.pair] == before
        assert [router.bad_packets for router in self.pair] == ["0", "0"]
        assert all(router.has_route for router in self.pair)

    def names_preferred(self) -> set[str]:
        """Return which keys the two agents have their BIRDs ask for, by the names that each gave them."""
        return {str(router.consumer()["preferred-key"]) for router in self.pair}

    def print_logs(self) -> None:
        for router in self.pair:
            for name, octets in (("rkmpd", 8000), ("bird", 3000)):
                log = router.directory / f"{name}.log"
                print(f"--- {router.name}: {name}", log.read_text()[-octets:] if log.exists() else "none", sep="\n")

    def lose_rkmp(self, percent: int) -> None:
        for router in self.pair:
            sh(f"tc -n {router.name} qdisc replace dev rkmp root netem loss {percent}%")


_LINKS = """
for n in 1 2; do
    ip netns add r$n
    ip -n r$n link set lo up
    ip link add m$n type veth peer name mgmt netns r$n
    ip addr add 10.1.$n.1/24 dev m$n; ip link set m$n up
    ip -n r$n addr add 10.1.$n.2/24 dev mgmt; ip -n r$n link set mgmt up
done
for link in bgp rkmp; do
    ip link add $link netns r1 type veth peer name $link netns r2
    [ $link = bgp ] && net=0 || net=9
    for n in 1 2; do ip -n r$n addr add 10.$net.0.$n/24 dev $link; ip -n r$n link set $link up; done
done
"""


def consumer_configuration(router: Router) -> str:
    return f"""<agent xmlns="{AGENT}"><southbound><bird><name>main</name>
      <control-socket>{router.control}</control-socket><include-directory>{router.keys}</include-directory>
      <neighbor><address>{router.neighbor}</address><protocol>nb</protocol></neighbor></bird></southbound></agent>"""


def peer_configuration(
    router: Router, *, lifetime: int = 86400, overlap: int = 60, initiate: str = "immediately", policy: str = POLICY
) -> str:
    """Return the configuration of one peer with one association; only router 1 begins by itself."""
    other = f"r{3 - router.number}"
    begins = initiate if router.number == 1 else "never"
    return f"""<rkmp xmlns="{RKMP}">
    <local-identity><type>fqdn</type><value>{router.name}.example.net</value></local-identity>
    <credentials><pre-shared-key><name>k</name><secret><keystring>a secret that only this test uses</keystring></secret>
      </pre-shared-key></credentials>
    <ike-policy><name>p</name>{policy}</ike-policy>
    <proposal><name>ao</name><security-protocol>tcp-ao</security-protocol>
      {_SHA1}</proposal>
    <peer><name>{other}</name><address>10.9.0.{3 - router.number}</address><initiate>{begins}</initiate>
      <ike-policy>p</ike-policy><authentication>
        <local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><identity><type>fqdn</type><value>{other}.example.net</value></identity>
          <method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>
      <association><protocol>bgp</protocol><neighbor>{router.neighbor}</neighbor><proposal>ao</proposal>
        <key-lifetime>{lifetime}</key-lifetime><overlap>{overlap}</overlap></association></peer></rkmp>"""


_SHA1 = "<transform><name>t1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>"
_AES = "<transform><name>t1</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>"


def sha1_only() -> str:
    return f'<rkmp xmlns="{RKMP}"><proposal><name>ao</name>{_SHA1}</proposal></rkmp>'


def aes_only() -> str:
    return f'<rkmp xmlns="{RKMP}"><proposal><name>ao</name>{_AES}</proposal></rkmp>'


def wait_for(what: str, condition: Callable[[], bool], *, seconds: float = LONG_ENOUGH, interval: float = 1.0) -> None:
    """Poll ``condition`` until it holds; fail with ``what`` when it does not within ``seconds`` of the guest."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(interval)
