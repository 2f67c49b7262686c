"""Agents in processes of their own (:mod:`tests.benchmarks.agent_process`), seen from the one who measures them."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rkmp.ike import Identity, Policy
from rkmp.secret import Secret
from tests.benchmarks.agent_process import INITIATOR, RESPONDER, peer_address
from tests.interop.strongswan.charon import CHARON_NAME, SECRET
from tests.interop.strongswan.namespace import NetworkNamespace
from tests.interop.strongswan.policy import PreSharedKeyPolicy

__all__ = ["INITIATOR", "RESPONDER", "Agent", "peer_policy", "resident", "send_as", "started_agent"]

REPOSITORY = Path(__file__).parents[2]

IP_PKTINFO = 8
"""ip(7); Python has no name for it."""


class Agent:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def expect(self, word: str) -> None:
        """Wait until it says ``word``; RuntimeError where it says something else or ends."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().strip()
        if said != word:
            raise RuntimeError(f"the agent should say {word}, and says {said or 'nothing'}")

    def begin(self) -> None:
        """Let an initiator open its IKE SAs."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")
        self._process.stdin.flush()


@contextmanager
def started_agent(
    network: NetworkNamespace, role: str, responder: tuple[str, int], peers: int, disk: Path | None = None
) -> Iterator[Agent]:
    """Yield an agent that is ready; ``disk`` is the folder for its files, by default that for temporary ones."""
    arguments = ("-m", "tests.benchmarks.agent_process", role, responder[0], str(responder[1]), str(peers))
    with subprocess.Popen(
        network.command(sys.executable, *arguments),
        cwd=REPOSITORY,
        env=os.environ | ({} if disk is None else {"TMPDIR": str(disk)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        agent = Agent(process)
        agent.expect("ready")
        yield agent


def peer_policy(number: int) -> Policy:
    """Return how a peer of a responder authenticates."""
    secret = Secret(SECRET.encode())
    identity = Identity.of_address(peer_address(number))
    return PreSharedKeyPolicy(identity, Identity.parse("fqdn", CHARON_NAME), psk=secret, peer_psk=secret)


def send_as(bound: socket.socket, number: int, responder: tuple[str, int], datagram: bytes) -> None:
    """Send from the address of a peer of a responder's."""
    source = struct.pack("i4s4x", 0, socket.inet_aton(peer_address(number)))
    bound.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, responder)


def resident(pid: int) -> int:
    """Return the octets of memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
