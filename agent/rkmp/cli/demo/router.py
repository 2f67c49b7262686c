"""One router of the demonstration: an ``rkmpd`` of its own, driven over NETCONF like any other.

The child process reads its standard input and stops when that closes, so that no agent outlives the demonstration,
however it ends.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from rkmp.cli.configure import rekey_instance
from rkmp.cli.credentials import KeyFile
from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import Session, Target
from rkmp.cli.show import subtree
from rkmp.cli.views import VIEWS
from rkmp.errors import CommandError

LOOPBACK = "127.0.0.1"
USER = "demo"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The UDP and TCP ports on loopback that an agent told us in its ready line."""

    netconf: int
    ike: int


class Router:
    """An agent with its state directory; ``start`` and ``kill`` may alternate."""

    def __init__(self, name: str, directory: Path, user_key: Path) -> None:
        self.name = name
        self.directory = directory
        self._user_key = user_key
        self._process: subprocess.Popen[str] | None = None
        self.addresses = Addresses(0, 0)

    def initialise(self) -> None:
        """Make the state directory with its first administrator."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "rkmp.daemon", "init", "--state-dir", str(self.directory)),
                *("--user", USER, "--authorized-key", f"{self._user_key}.pub"),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CommandError(f"{self.name} could not be made: {done.stderr.strip()}")

    def start(self) -> None:
        """Start the agent on the ports it had before (at first: free ones) and wait until it serves."""
        log = (self.directory / "rkmpd.log").open("a")
        with log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "rkmp.daemon", "--state-dir", str(self.directory)),
                    *("--netconf-listen", f"{LOOPBACK}:{self.addresses.netconf}"),
                    *("--ike-listen", f"{LOOPBACK}:{self.addresses.ike}"),
                    "--exit-on-stdin-eof",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = self._process.stdout.readline()
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if not line.startswith("rkmpd ready"):
            # The last words themselves: the directory may be gone before anybody looks.
            last_words = (self.directory / "rkmpd.log").read_text(encoding="utf-8").strip().rpartition("\n")[2]
            raise CommandError(f"{self.name} did not start: {last_words or 'it said nothing'}")
        self.addresses = Addresses(*(int(words[key].rpartition(":")[2]) for key in ("netconf", "ike")))

    def kill(self) -> None:
        """End the agent at once, as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def stop(self) -> None:
        """End the agent in good order (SIGTERM)."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._reap(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def session(self) -> Session:
        """Open a NETCONF session, insisting on the host key that ``init`` made."""
        host_key = (self.directory / "ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()[1]
        return Session(
            Target(LOOPBACK, self.addresses.netconf, USER, KeyFile(str(self._user_key)), None, host_key=host_key)
        )

    def configure(self, config: etree._Element) -> None:
        """Merge ``config`` into running, through the candidate."""
        with self.session() as session, session.clean_candidate():
            session.edit_config("candidate", config)
            session.commit()

    def rekey(self, peer: str, protocol: str) -> str:
        """Ask for a new key and return its name."""
        with self.session() as session:
            reply = to_dictionary(session.action(rekey_instance(peer, protocol)))
        return str(reply["admin-key-name"])

    def wait(self, condition: Callable[[State], bool], *, seconds: float, interval: float = 0.2) -> State:
        """Poll the agent until ``condition`` holds of its state; raise :class:`CommandError` when it never does."""
        deadline = time.monotonic() + seconds
        with self.session() as session:
            while True:
                state = read_state(session)
                if condition(state):
                    return state
                if time.monotonic() > deadline:
                    raise CommandError(f"{self.name} did not get there within {seconds:.0f} s: {state.summary()}")
                time.sleep(interval)

    def state(self) -> State:
        """Return what the agent shows now."""
        with self.session() as session:
            return read_state(session)

    def running(self) -> bytes:
        """Return the running configuration in canonical form, to compare."""
        with self.session() as session:
            return etree.tostring(session.get_config("running"), method="c14n2")

    def _reap(self, timeout: float | None = None) -> None:
        assert self._process is not None  # noqa: S101 - callers have checked
        self._process.wait(timeout)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None


@dataclass(frozen=True, slots=True)
class State:
    """The one association of the demonstration and the key table, as dictionaries of YANG names."""

    association: Mapping[str, Any]
    keys: tuple[Mapping[str, Any], ...]

    def key(self, name: str | None) -> Mapping[str, Any]:
        """Return the row with AdminKeyName ``name``; raise :class:`CommandError` without one."""
        for row in self.keys:
            if row["admin-key-name"] == name:
                return row
        raise CommandError(f"there is no key {name} in the key table")

    @property
    def current(self) -> Mapping[str, Any]:
        """The row of the association's current key."""
        return self.key(self.association.get("current-key"))

    @property
    def fingerprints(self) -> frozenset[str]:
        """The fingerprints of all keys, which tell two tables apart without showing a key."""
        return frozenset(row["fingerprint"] for row in self.keys)

    def summary(self) -> str:
        """Return one line for an error message."""
        reason = self.association.get("last-error", "no error reported")
        return f"association {self.association.get('state', 'absent')}, {len(self.keys)} keys, {reason}"


def read_state(session: Session) -> State:
    """Return the association and keys that the agent behind ``session`` shows."""
    filters = [subtree(VIEWS[subject].selection) for subject in ("peers", "keys")]
    data = to_dictionary(session.get(*filters))
    peers = (data.get("rkmp") or {}).get("peer") or [{}]
    associations = peers[0].get("association") or [{}]
    return State(associations[0], tuple((data.get("key-table") or {}).get("key") or ()))
