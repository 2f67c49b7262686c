"""A router without rkmp: a NETCONF server that serves the unmodified ietf-key-chain, as a process of its own.

``python -m tests.southbound.router FOLDER`` with a :class:`Kind` as JSON on the command line keeps its database and
host key in the folder, takes the user ``agent`` with the password or the key there, says ``ready PORT`` and serves
until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
from lxml import etree
from ncclient.manager import Manager

from ncclient import manager
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import load_schema
from rkmp.netconf import NETCONF_MODULES, NetconfServer, ServerLimits, TransportLimits, generate_host_key
from rkmp.secret import Secret
from rkmp.southbound.chain_documents import RemoteChain, read_chain
from rkmp.storage import Database, KeyEncryptionKey, Sealer
from tests.e2e.agents import NETCONF

KEY_CHAIN = "urn:ietf:params:xml:ns:yang:ietf-key-chain"
USER, AUDITOR = "agent", "auditor"
PASSWORD = "a password of a router of a test"
ALL_FEATURES = ("hex-key-string", "independent-send-accept-lifetime", "crypto-hmac-sha-1-12", "aes-cmac-prf-128")
_STRING = "/k:key-chains/k:key-chain/k:key/k:key-string"
RULES = """<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm">
  <write-default>permit</write-default>
  <groups><group><name>writers</name><user-name>agent</user-name></group>
    <group><name>auditors</name><user-name>auditor</user-name></group></groups>
  <rule-list><name>write</name><group>writers</group><rule><name>strings</name>
    <path xmlns:k="urn:ietf:params:xml:ns:yang:ietf-key-chain">STRING</path>
    <access-operations>create update delete</access-operations><action>WRITING</action></rule></rule-list>
  <rule-list><name>read</name><group>auditors</group><rule><name>strings</name>
    <path xmlns:k="urn:ietf:params:xml:ns:yang:ietf-key-chain">STRING</path>
    <access-operations>read</access-operations><action>permit</action></rule></rule-list></nacm>"""


@dataclass(frozen=True)
class Kind:
    """What a router is like. ``skew`` is how many seconds its clock is ahead of ours."""

    features: tuple[str, ...] = ALL_FEATURES
    has_key_chains: bool = True
    has_tcp: bool = False
    skew: float = 0
    shows_strings: bool = True
    may_write: bool = True
    port: int = 0


class Users:
    """The agent, by its key or password, and an auditor who may read keys, by the password."""

    def __init__(self, folder: Path) -> None:
        self._line = (folder / "user_key.pub").read_text(encoding="ascii")

    def authorized_keys(self, user: str) -> Iterable[str]:
        return [self._line] if user == USER else []

    async def check_password(self, user: str, password: Secret) -> bool:
        return user in (USER, AUDITOR) and password == Secret(PASSWORD.encode())


async def serve(folder: Path, kind: Kind) -> None:
    modules: dict[str, tuple[str, ...]] = {}
    if kind.has_key_chains:
        modules = {"ietf-key-chain": kind.features, **({"ietf-tcp": ("authentication",)} if kind.has_tcp else {})}
    schema = load_schema({**NETCONF_MODULES, **modules}, [Path(__file__).parent / "modules"])

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=kind.skew)

    def activity(root: etree._Element) -> None:
        for chain in root.iter(f"{{{KEY_CHAIN}}}key-chain"):
            read = read_chain(root, chain.findtext(f"{{{KEY_CHAIN}}}name") or "")
            for key in chain.iterchildren(f"{{{KEY_CHAIN}}}key"):
                lifetime = (read or RemoteChain()).keys[int(key.findtext(f"{{{KEY_CHAIN}}}key-id") or "")].send_lifetime
                is_active = lifetime.start != lifetime.end and lifetime.contains(clock())
                leaf = etree.SubElement(key, f"{{{KEY_CHAIN}}}send-lifetime-active")
                leaf.text = "true" if is_active else "false"

    is_free = kind.shows_strings and kind.may_write
    with Database(folder / "router.db") as database:
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "router")
        datastores = Datastores(schema, database, sealer, os.urandom, clock)
        limits = ServerLimits(transport=TransportLimits(failed_logins=1000))
        server = NetconfServer(
            datastores, clock=clock, limits=limits, is_recovery=lambda user: user == USER and is_free
        )
        if kind.has_key_chains:
            rules = RULES.replace("STRING", _STRING).replace("WRITING", "permit" if kind.may_write else "deny")
            datastores.edit("running", etree.fromstring(f'<config xmlns="{NETCONF}">{rules}</config>'), session_id=1)
        if kind.has_key_chains:
            server.provide_state(f"{{{KEY_CHAIN}}}key-chains", activity)
        host_key = folder / "host_key"
        if not host_key.exists():
            host_key.write_bytes(generate_host_key().reveal())
        _, port = await server.listen_ssh("127.0.0.1", kind.port, [Secret(host_key.read_bytes())], Users(folder))
        print(f"ready {port}", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.close()


class Router:
    """The process; its port stays what it was at the first start."""

    def __init__(self, folder: Path, kind: Kind | None = None) -> None:
        self.folder = folder
        self.kind = kind or Kind()
        self.log = folder / "router.log"
        self._process: subprocess.Popen[str] | None = None
        self._operator: Manager | None = None
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.private_key = user_key.export_private_key("openssh")
        user_key.write_public_key(str(folder / "user_key.pub"))

    def start(self) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*(sys.executable, "-m", "tests.southbound.router"), str(self.folder), json.dumps(asdict(self.kind))],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready "), self.log.read_text()
        self.kind = Kind(**{**asdict(self.kind), "port": int(line.split()[1])})

    @property
    def port(self) -> int:
        return self.kind.port

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def host_key(self) -> str:
        """The line of the public host key, as it is configured."""
        key = asyncssh.read_private_key(str(self.folder / "host_key"))
        return " ".join(key.export_public_key("openssh").decode().split()[:2])

    def kill(self) -> None:
        if self._process is None:
            return
        if self._operator is not None:
            self._operator._session.close()
            self._operator = None
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process = None

    def connect(self, user: str = USER) -> Manager:
        """Return an operator's session."""
        session: Manager = manager.connect(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=PASSWORD,
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=20,
        )
        return session

    def chain(self, name: str) -> RemoteChain | None:
        """Return a chain as an operator sees it now."""
        shown = "subtree", f'<key-chains xmlns="{KEY_CHAIN}"/>'
        return read_chain(etree.fromstring(self._session().get(filter=shown).data_xml.encode()), name)

    def edit(self, content: str) -> None:
        """Change something by hand."""
        self._session().edit_config(
            target="running",
            config=f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}">'
            f'<key-chains xmlns="{KEY_CHAIN}">{content}</key-chains></config>',
        )

    def _session(self) -> Manager:
        """Return the session of the operator who looks on."""
        if self._operator is None or not self._operator.connected:
            self._operator = self.connect()
        return self._operator


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that goes through NETCONF; fail when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is the outer behaviour
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    described = json.loads(sys.argv[2])
    asyncio.run(serve(Path(sys.argv[1]), Kind(**{**described, "features": tuple(described["features"])})))
