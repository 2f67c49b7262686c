"""strongSwan's charon as a child process: configured, watched and driven over a vici socket of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.interop.strongswan.namespace import NetworkNamespace, Unavailable, find_program

PATIENCE = 10.0
PLUGINS = (
    "pem pkcs1 pkcs8 pubkey x509 openssl kdf nonce random constraints curve25519 hmac gcm aes sha2 "
    "kernel-netlink socket-default vici"
)
PACKAGES = "charon-systemd"

CHARON_NAME, ROUTER_NAME = "charon.example", "router.example"
SECRET = "a secret of charon and a router"

_SETTINGS = """\
charon-systemd {{
  load = {plugins}
  port = {port}
  port_nat_t = {nat_port}
  install_routes = no
  install_virtual_ip = no
  threads = 16
  user =
  group =
  piddir = {directory}
{own}
  filelog {{
    f {{
      path = {directory}/charon.log
      default = {log_level}
      flush_line = yes
      time_format = %H:%M:%S
      time_add_ms = yes
    }}
  }}
  journal {{ default = -1 }}
  syslog {{ daemon {{ default = -1 }} }}
  plugins {{
    vici {{ socket = unix://{directory}/vici.sock }}
    socket-default {{ use_ipv6 = yes }}
  }}
}}
"""

_CONNECTION = """\
connections {{
  rkmp {{
    version = 2
    local_addrs = {local[0]}
    local_port = {local[1]}
    remote_addrs = {remote[0]}
    remote_port = {remote[1]}
    proposals = {proposals}
    childless = {childless}
    dpd_delay = {dpd_delay}
    mobike = no
    unique = never
{own}
    local {{
      auth = {local_auth}
      id = {local_id}
    }}
    remote {{
      auth = {remote_auth}
      id = {remote_id}
    }}
    children {{
      net {{ esp_proposals = aes128gcm16 }}
    }}
  }}
}}
secrets {{
  ike-rkmp {{ secret = "{secret}" }}
  {ppk}
}}
"""


_PPK = """ppk-rkmp {{
    id = {0.ppk_id}
    secret = "{0.ppk}"
  }}"""


@dataclass(frozen=True, slots=True)
class Connection:
    """charon's one connection: with whom, and how.

    ``proposals`` are in its own words, comma-separated. ``remote`` is where the peer is, by default anywhere.
    ``childless`` is allow (as the initiator decides), force or never; with never, charon asks for an ESP child.
    ``dpd_delay`` is in seconds, 0 for no liveness checks. ``local_auth`` and ``remote_auth`` are psk, or pubkey: by a
    certificate that it was given (:meth:`Charon.keep`). ``ppk`` is a post-quantum pre-shared key that it knows as
    ``ppk_id``; ``own`` are further lines, which say that it is used, for one.
    """

    proposals: str
    remote: tuple[str, int] = ("%any", 0)
    secret: str = SECRET
    local_id: str = CHARON_NAME
    remote_id: str = ROUTER_NAME
    childless: str = "allow"
    dpd_delay: int = 0
    local_auth: str = "psk"
    remote_auth: str = "psk"
    ppk_id: str = "ppk"
    ppk: str | None = None
    own: str = ""


@dataclass(frozen=True, slots=True)
class SwanctlResult:
    """How a command to charon ended: its exit status and what it printed."""

    status: int
    output: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> SwanctlResult:
        """Wait for the command to end."""
        output, _ = process.communicate(timeout=PATIENCE)
        return cls(process.returncode, output)


class Charon:
    """One charon, started by :meth:`start` and ended with the ``with`` block; keeps its files to itself.

    It takes ``port`` and ``nat_port`` on every address, and is spoken to at ``address``. ``settings`` are lines for its
    section of strongswan.conf. ``root`` is the folder that another release of strongSwan was unpacked to, where it is
    not the one of this machine that is meant.
    """

    def __init__(
        self,
        namespace: NetworkNamespace,
        address: str = "127.0.0.2",
        port: int = 500,
        nat_port: int = 4500,
        settings: Mapping[str, str] | None = None,
        plugins: str = PLUGINS,
        log_level: int = 1,
        root: Path | None = None,
    ) -> None:
        self.address = (address, port)
        self._namespace = namespace
        self._setpriv = find_program("setpriv", "util-linux")
        if root is None:
            self._daemon = [find_program("charon-systemd", PACKAGES)]
            self._swanctl = [find_program("swanctl", "strongswan-swanctl")]
        else:
            change_root = [find_program("chroot", "coreutils"), str(root)]
            self._daemon = [*change_root, "/usr/sbin/charon-systemd"]
            self._swanctl = [*change_root, "/usr/sbin/swanctl"]
        self._files = tempfile.TemporaryDirectory(prefix="charon-", dir=None if root is None else root / "tmp")
        self.directory = Path(self._files.name)
        # The same folder, as charon sees it.
        self._inside = self.directory if root is None else Path("/", self.directory.relative_to(root))
        self._process: subprocess.Popen[bytes] | None = None
        (self.directory / "swanctl").mkdir()
        own = "\n".join(f"  {name} = {value}" for name, value in (settings or {}).items())
        (self.directory / "strongswan.conf").write_text(
            _SETTINGS.format(
                plugins=plugins,
                port=port,
                nat_port=nat_port,
                directory=self._inside,
                own=own,
                log_level=log_level,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until it listens; raise :class:`Unavailable` with its words where it does not."""
        # Should this process be killed, the kernel ends charon.
        command = self._namespace.command(self._setpriv, "--pdeathsig", "TERM", *self._daemon)
        with (self.directory / "output").open("w") as output:
            self._process = subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "output").read_text() + self.log
                self.close()
                raise Unavailable(f"charon does not start: {said.strip() or 'it says nothing'}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once, so that its peers hear nothing more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote about itself so far; no keys at the level that is set here."""
        path = self.directory / "charon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """End it and remove its files."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._files.cleanup()

    # -- what it is told and asked -----------------------------------------------------------------------------------

    def keep(self, kind: str, pem: bytes) -> None:
        """Give it a file of a kind: its certificate (x509), its key (private), or an authority (x509ca)."""
        directory = self.directory / "swanctl" / kind
        directory.mkdir(exist_ok=True)
        (directory / f"{kind}.pem").write_bytes(pem)

    def load(self, connection: Connection) -> None:
        """Replace its configuration by ``connection``."""
        (self.directory / "swanctl" / "swanctl.conf").write_text(
            _CONNECTION.format(
                local=self.address,
                remote=connection.remote,
                proposals=connection.proposals,
                childless=connection.childless,
                dpd_delay=f"{connection.dpd_delay}s",
                local_id=connection.local_id,
                remote_id=connection.remote_id,
                secret=connection.secret,
                local_auth=connection.local_auth,
                remote_auth=connection.remote_auth,
                ppk="" if connection.ppk is None else _PPK.format(connection),
                own=connection.own,
            )
        )
        loaded = self.swanctl("--load-all", "--noprompt")
        assert loaded.status == 0, loaded.output

    def initiate(self, *, child: bool = False) -> subprocess.Popen[str]:
        """Let it open an IKE SA, or with ``child`` an ESP child in one; the process ends when it has."""
        return self.begin("--initiate", *(("--child", "net") if child else ("--ike", "rkmp")), "--timeout", "8")

    def terminate(self) -> subprocess.Popen[str]:
        """Let it delete its IKE SAs; the process ends when it has."""
        return self.begin("--terminate", "--ike", "rkmp", "--timeout", "8")

    def rekey(self) -> subprocess.Popen[str]:
        """Let it replace its IKE SA; the process ends when that has begun."""
        return self.begin("--rekey", "--ike", "rkmp")

    def ike_sas(self) -> list[dict[str, str]]:
        """Return what it shows of each IKE SA, oldest first, by charon's names."""
        listed = self.swanctl("--list-sas", "--raw")
        assert listed.status == 0, listed.output
        lines = [line for line in listed.output.splitlines() if line.startswith("list-sa event")]
        return [dict(re.findall(r"([\w-]+)=(\S+?)(?=[\s}])", line)) for line in lines]

    def is_established(self) -> bool:
        """Return whether it has one IKE SA, established."""
        return [ike_sa["state"] for ike_sa in self.ike_sas()] == ["ESTABLISHED"]

    def is_idle(self) -> bool:
        """Return whether it has no IKE SA, not even one that is being opened or closed."""
        return not self.ike_sas()

    def swanctl(self, *arguments: str) -> SwanctlResult:
        """Tell it something and wait for the answer."""
        with self.begin(*arguments) as process:
            return SwanctlResult.of(process)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Tell it something; the process prints the answer, and both streams go the same way."""
        return subprocess.Popen(
            [*self._swanctl, *arguments, "--uri", f"unix://{self._inside}/vici.sock"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "STRONGSWAN_CONF": str(self._inside / "strongswan.conf"),
            "SWANCTL_DIR": str(self._inside / "swanctl"),
        }

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.directory / "vici.sock"))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True
