"""Whole agents as processes of their own on loopback, for tests that drive them from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from lxml import etree
from ncclient.manager import Manager

from ncclient import manager

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"
NAMESPACES = {"nc": NETCONF, "rkmp": RKMP, "ckt": KEY_TABLE}
USER = "operator"
START_SECONDS = 30.0


def make_user_key(directory: Path) -> Path:
    """Write an SSH key pair and return the private half's path; the public one has ``.pub`` behind it."""
    private = asyncssh.generate_private_key("ssh-ed25519")
    path = directory / "user_key"
    private.write_private_key(str(path))
    path.chmod(0o600)
    private.write_public_key(f"{path}.pub")
    return path


class AgentProcess:
    """One ``rkmpd``. Ports are chosen by the kernel at the first start and kept for the later ones."""

    def __init__(self, name: str, directory: Path, user_key: Path) -> None:
        self.name = name
        self.directory = directory
        self.user_key = user_key
        self.netconf_port = 0
        self.ike_port = 0
        self.ike_address = "127.0.0.1"
        """Where it speaks IKE; routers that one neighbor has keys with need addresses of their own."""
        self.log = directory.with_name(f"{directory.name}.log")
        self.options: tuple[str, ...] = ()
        """What is behind the addresses on its command line."""
        self._process: subprocess.Popen[str] | None = None

    def initialise(self, *, password: str | None = None) -> None:
        """Make the state directory, with a user who logs in by key or, where one is given, by password."""
        credential = ["--password-stdin"] if password else ["--authorized-key", f"{self.user_key}.pub"]
        subprocess.run(
            [
                *(sys.executable, "-m", "rkmp.daemon", "init", "--state-dir", str(self.directory)),
                *("--user", USER, *credential),
            ],
            input=password,
            text=True,
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        writes_json = "json" in self.options
        with self.log.open("a") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "rkmp.daemon", "--state-dir", str(self.directory)),
                    *("--netconf-listen", f"127.0.0.1:{self.netconf_port}"),
                    *("--ike-listen", f"{self.ike_address}:{self.ike_port}", "--exit-on-stdin-eof", *self.options),
                ],
                stdin=subprocess.PIPE,
                stdout=log if writes_json else subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._ready_in_log(before) if writes_json else self._ready_on_output()
        words = dict(word.split("=", 1) for word in line.split()[2:])
        self.netconf_port, self.ike_port = (int(words[name].rpartition(":")[2]) for name in ("netconf", "ike"))

    def _ready_on_output(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("rkmpd ready "), f"{line!r}\n{self.log.read_text()}"
        return line

    def _ready_in_log(self, start: int) -> str:
        def ready() -> list[str]:
            return re.findall(r'"message": "(rkmpd ready [^"]*)"', self.log.read_text()[start:])

        wait_for("ready", lambda: bool(ready()))
        return ready()[0]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, as a power cut would end it."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._reap(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def _reap(self, timeout: float | None = None) -> int:
        assert self._process is not None
        status = self._process.wait(timeout)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None
        return status

    def connect(self, **parameters: Any) -> Manager:
        session: Manager = manager.connect(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            port=self.netconf_port,
            username=USER,
            key_filename=str(self.user_key),
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=30,
            **parameters,
        )
        return session

    def run_client(self, *arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the ``rkmp`` command against this agent."""
        environment = dict(os.environ, HOME=str(home or self.directory.parent), XDG_CONFIG_HOME="", COLUMNS="wide")
        return subprocess.run(
            [
                *(sys.executable, "-m", "rkmp.cli", "--host", "127.0.0.1", "--port", str(self.netconf_port)),
                *("--user", USER, "--key", str(self.user_key), *arguments),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def get(self, session: Manager, *selections: str) -> etree._Element:
        """Return the ``data`` element of a get with a subtree filter of ``selections``."""
        reply = session.get(filter=f'<filter xmlns="{NETCONF}" type="subtree">{"".join(selections)}</filter>')
        return etree.fromstring(reply.data_xml.encode())


def peer_configuration(
    local: str,
    remote: str,
    *,
    port: int,
    psk: str = "a shared secret that only a test would use",
    initiate: str = "on-demand",
    proposal: str = "ao",
    local_identity: str | None = None,
    remote_identity: str | None = None,
    association: str = "",
    ike_policy: str = "<retransmission><initial-timeout>0.5</initial-timeout><tries>4</tries></retransmission>",
    top: str = "",
) -> str:
    """Return the ``config`` of a router that has one peer on loopback, with one BGP association."""
    return f"""
<config xmlns="{NETCONF}">
  <rkmp xmlns="{RKMP}">
    {top}
    <local-identity><type>fqdn</type><value>{local_identity or f"{local}.example.net"}</value></local-identity>
    <credentials><pre-shared-key><name>k</name><secret><keystring>{psk}</keystring></secret></pre-shared-key></credentials>
    <ike-policy><name>p</name>{ike_policy}</ike-policy>
    <proposal><name>ao</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>t1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
      <transform><name>t2</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform></proposal>
    <proposal><name>sha1-only</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>t1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform></proposal>
    <proposal><name>aes-only</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>t1</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform></proposal>
    <peer><name>{remote}</name><address>127.0.0.1</address><port>{port}</port>
      <initiate>{initiate}</initiate><ike-policy>p</ike-policy>
      <authentication>
        <local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><identity><type>fqdn</type><value>{remote_identity or f"{remote}.example.net"}</value></identity>
          <method>psk</method><pre-shared-key>k</pre-shared-key></remote>
      </authentication>
      <association><protocol>bgp</protocol><proposal>{proposal}</proposal>{association}</association></peer>
  </rkmp>
</config>"""


def wait_for(what: str, condition: Callable[[], bool], *, seconds: float = 20.0, interval: float = 0.1) -> None:
    """Poll ``condition`` until it holds; fail with ``what`` when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(interval)
