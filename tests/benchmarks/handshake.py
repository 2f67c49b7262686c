"""CPU time of one IKE SA: IKE_SA_INIT and IKE_AUTH with pre-shared keys, for us in both roles and for charon.

Responder and initiator are processes on a processor each, over UDP on loopback; the responders keep what they
established, start fresh in every round and take turns in going first. We are there as a bare loop around rkmp.ike,
which does less than charon (no threads, no configuration, no kernel), and as a whole agent, which does more: it agrees
on a TCP-AO key and has it on the disk before it answers.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, repeat
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl import backend

from rkmp.crypto.authentication import shared_key_auth, signed_octets
from rkmp.crypto.ike_keys import derive_ike_keys
from rkmp.crypto.key_exchange import start
from rkmp.crypto.protection import Protector
from rkmp.crypto.suites import IkeSuite
from rkmp.ike import ChildRequest
from rkmp.secret import Secret
from tests.benchmarks.agent_responder import peer_address, peer_name
from tests.benchmarks.handshakes import AT_ONCE, CHILD, INITIATOR, SETTINGS, SUITE, Address, Opener, open_each, policy
from tests.benchmarks.table import Table
from tests.interop.strongswan.charon import CHARON_NAME, Charon, Connection
from tests.interop.strongswan.namespace import NetworkNamespace

REPOSITORY = Path(__file__).parents[2]

ROUNDS = 9
HANDSHAKES = 300
WARM_UP = 60

CHARON, IKE, IKE_CHILD, AGENT = "charon", "rkmp.ike", "rkmp.ike, with a key", "rkmp agent, with a key on the disk"
TOWARDS_CHARON, TOWARDS_IKE = "rkmp.ike, towards charon", "rkmp.ike, towards rkmp.ike"
CRYPTOGRAPHY = "rkmp.crypto alone"

IP_PKTINFO = 8
"""ip(7); Python has no name for it."""

# Its defences against a flood from one address, which is what this is; and no log.
CHARON_SETTINGS = {"cookie_threshold": "100000", "cookie_threshold_ip": "100000", "block_threshold": "100001"}


@dataclass
class Samples:
    """Microseconds of CPU time per handshake, one entry a round, by role and by who it is."""

    responder: dict[str, list[float]] = field(default_factory=dict)
    initiator: dict[str, list[float]] = field(default_factory=dict)
    one_side: list[float] = field(default_factory=list)


def run(rounds: int = ROUNDS, handshakes: int = HANDSHAKES) -> Table:
    """Measure and return the table; raise Unavailable where charon cannot be started."""
    samples = Samples()
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[0]})
    try:
        for number in range(rounds):
            _round(samples, handshakes, processors[-1], charon_first=number % 2 == 0)
            samples.one_side.append(_cryptography(handshakes))
    finally:
        os.sched_setaffinity(0, processors)
    return _table(samples, rounds, handshakes, shared=len(processors) == 1)


def process_cpu_time(pid: int) -> float:
    """Return the seconds of CPU time of another process, all of its threads, in the kernel and outside."""
    # What clock_getcpuclockid(3) returns for a process on Linux; nanoseconds, where /proc counts ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def _pin(pid: int, processor: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {processor})


@dataclass(frozen=True, slots=True)
class Turn:
    """One responder with what opens IKE SAs at it; ``initiator`` names the initiator's row, None for no row."""

    responder: str
    initiator: str | None
    pid: int
    openers: Iterator[Opener]
    child: ChildRequest | None

    def take(self, bound: socket.socket, handshakes: int, samples: Samples) -> None:
        """Open IKE SAs, and note what each cost."""
        open_each(bound, islice(self.openers, WARM_UP), self.child)
        theirs, ours = process_cpu_time(self.pid), time.process_time()
        open_each(bound, islice(self.openers, handshakes), self.child)
        cost = (process_cpu_time(self.pid) - theirs, time.process_time() - ours)
        samples.responder.setdefault(self.responder, []).append(cost[0] / handshakes * 1e6)
        if self.initiator is not None:
            samples.initiator.setdefault(self.initiator, []).append(cost[1] / handshakes * 1e6)


def _round(samples: Samples, handshakes: int, processor: int, *, charon_first: bool) -> None:
    peers = WARM_UP + handshakes
    with (
        NetworkNamespace() as network,
        Charon(network, settings=CHARON_SETTINGS, log_level=-1) as charon,
        network.udp_socket("0.0.0.0") as bound,  # noqa: S104 - to come from many addresses
        _ike_responder(network) as (ike_pid, ike_address),
        _agent_responder(network, peers) as (agent_pid, agent_address),
    ):
        charon.start()
        charon.load(Connection(SUITE))
        for pid in (charon.pid, ike_pid, agent_pid):
            _pin(pid, processor)

        def one(address: Address) -> Iterator[Opener]:
            return repeat(Opener(INITIATOR, lambda datagram: bound.sendto(datagram, address)))

        everyone = (
            Opener(policy(peer_name(number), CHARON_NAME), partial(_send_as, bound, number, agent_address))
            for number in range(peers)
        )
        turns = (
            Turn(CHARON, TOWARDS_CHARON, charon.pid, one(charon.address), None),
            Turn(IKE, TOWARDS_IKE, ike_pid, one(ike_address), None),
            Turn(IKE_CHILD, IKE_CHILD, ike_pid, one(ike_address), CHILD),
            Turn(AGENT, None, agent_pid, everyone, CHILD),
        )
        for turn in turns if charon_first else reversed(turns):
            turn.take(bound, handshakes, samples)


def _send_as(bound: socket.socket, number: int, responder: Address, datagram: bytes) -> None:
    """Send from the address of a peer of the agent's."""
    source = struct.pack("i4s4x", 0, socket.inet_aton(peer_address(number)))
    bound.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, responder)


@contextmanager
def _ike_responder(network: NetworkNamespace) -> Iterator[tuple[int, Address]]:
    with network.udp_socket("127.0.0.3") as bound:
        command = [sys.executable, "-m", "tests.benchmarks.handshakes", str(bound.fileno())]
        process = subprocess.Popen(command, cwd=REPOSITORY, pass_fds=(bound.fileno(),))
        address = bound.getsockname()
    try:
        yield process.pid, address
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _agent_responder(network: NetworkNamespace, peers: int) -> Iterator[tuple[int, Address]]:
    address = ("127.0.0.4", 15500)
    arguments = ("-m", "tests.benchmarks.agent_responder", address[0], str(address[1]), str(peers))
    with subprocess.Popen(
        network.command(sys.executable, *arguments), cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the agent does not start")
        yield process.pid, address


def _cryptography(handshakes: int) -> float:
    """Return what one side of a handshake costs in cryptography alone, through our own functions."""
    (offered,) = SETTINGS.proposals
    ((encryption, key_bits),), (prf,), (method,) = offered.encryption, offered.prf, offered.key_exchange
    suite = IkeSuite(encryption, key_bits, 0, prf, method)
    psk, nonce, spi, message, identity = Secret(bytes(30)), bytes(32), bytes(8), bytes(200), bytes(20)
    peer_value = start(method, os.urandom).public_value
    peer = Protector(suite, Secret(bytes(suite.encryption_algorithm.key_length)), Secret(b""))
    sealed = peer.seal(bytes(32), bytes(80), os.urandom)
    before = time.process_time()
    for _ in range(handshakes):
        shared_secret = start(method, os.urandom).finish(peer_value)
        keys = derive_ike_keys(suite, nonce, nonce, shared_secret, spi, spi)
        for sk_p in (keys.sk_pi, keys.sk_pr):
            shared_key_auth(prf, psk, signed_octets(prf, message, nonce, sk_p, identity))
        ours, _ = Protector(suite, keys.sk_ei, keys.sk_ai), Protector(suite, keys.sk_er, keys.sk_ar)
        ours.seal(bytes(32), bytes(80), os.urandom)
        peer.open(bytes(32), sealed)
    return (time.process_time() - before) / handshakes * 1e6


def _table(samples: Samples, rounds: int, handshakes: int, *, shared: bool) -> Table:
    charon = samples.responder[CHARON]

    def row(role: str, who: str, values: list[float]) -> tuple[str, ...]:
        ratios = [value / reference for value, reference in zip(values, charon, strict=True)]
        return (
            f"{role}: {who}",
            f"{statistics.median(values):.0f}",
            f"{min(values):.0f}-{max(values):.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
        )

    return Table(
        f"IKE_SA_INIT and IKE_AUTH, pre-shared keys, {SUITE}: CPU time of one side",
        ("", "us", "range", "to charon", "range"),
        (
            *(row("responder", who, values) for who, values in samples.responder.items()),
            *(row("initiator", who, values) for who, values in samples.initiator.items()),
            row("either", CRYPTOGRAPHY, samples.one_side),
        ),
        (
            (
                f"Medians of {rounds} rounds of {handshakes} handshakes, {AT_ONCE} at a time, which suits charon best; "
                "ratios are of each round, to charon as responder in it."
            ),
            (
                "rkmp.ike is a loop around one socket; the agent is engine, asyncio and SQLite, synchronous. "
                "Where no key is named the IKE SA has no child: charon knows none of ours."
            ),
            *(("Both sides shared one processor: expect more than on two.",) if shared else ()),
            (
                f"{_processor()}; {platform.python_implementation()} {platform.python_version()}, "
                f"cryptography {cryptography.__version__} with {backend.openssl_version_text()}"
            ),
        ),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
