"""CPU time of one IKE SA: IKE_SA_INIT and IKE_AUTH, for us in both roles and for charon in both.

With pre-shared keys, and with ECDSA P-256 certificates of one authority. Responder and initiator are processes on a
processor each, over UDP on loopback; both keep what they established, start fresh in every round and take turns in
going first. We are there as a bare loop around rkmp.ike, which does less than charon (no threads, no configuration, no
kernel), and as a whole agent, which does more: it agrees on a TCP-AO key and has it on the disk before it answers.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, repeat
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl import backend

from rkmp.ike import ChildRequest, Policy
from tests.benchmarks.agents import RESPONDER, peer_policy, send_as, started_agent
from tests.benchmarks.floor import cryptography_alone
from tests.benchmarks.handshakes import (
    AT_ONCE,
    CHILD,
    SUITE,
    Address,
    Opener,
    Responder,
    answer_each,
    open_each,
)
from tests.benchmarks.parties import Authentication, make_certificates, policy
from tests.benchmarks.table import Table
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, Charon, Connection
from tests.interop.strongswan.namespace import NetworkNamespace
from tests.interop.strongswan.vici import Vici

REPOSITORY = Path(__file__).parents[2]

ROUNDS = 9
HANDSHAKES = 300
WARM_UP = 60

CHARON, IKE, IKE_CHILD, AGENT = "charon", "rkmp.ike", "rkmp.ike, with a key", "rkmp agent, with a key on the disk"
NEW_CHAIN = "rkmp.ike, chain not seen before"
TOWARDS_CHARON = "rkmp.ike, towards charon"
CRYPTOGRAPHY = "rkmp.crypto alone"
ORDER = (CHARON, TOWARDS_CHARON, IKE, IKE_CHILD, NEW_CHAIN, AGENT)
"""In which they are listed, whoever had the first turn."""

# Its defences against a flood from one address, which is what this is; every IKE SA of its own is a new one; no log.
CHARON_SETTINGS = {
    "cookie_threshold": "100000",
    "cookie_threshold_ip": "100000",
    "block_threshold": "100001",
    "reuse_ikesa": "no",
}


Process = tuple[int, Address]
"""Its process ID, and where it answers."""


@dataclass
class Samples:
    """Microseconds of CPU time per handshake, one entry a round, by role and by who it is."""

    authentication: Authentication
    responder: dict[str, list[float]] = field(default_factory=dict)
    initiator: dict[str, list[float]] = field(default_factory=dict)
    one_side: list[float] = field(default_factory=list)


def run(rounds: int = ROUNDS, handshakes: int = HANDSHAKES) -> Table:
    """Measure and return the table; raise Unavailable where charon cannot be started."""
    both = (Samples(Authentication.PRE_SHARED_KEYS), Samples(Authentication.CERTIFICATES))
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[0]})
    try:
        with tempfile.TemporaryDirectory(prefix="rkmp-benchmark-") as folder:
            make_certificates(Path(folder))
            for number in range(rounds):
                for samples in both:
                    _Round(samples, Path(folder), handshakes, processors[-1]).run(charon_first=number % 2 == 0)
                    samples.one_side.append(cryptography_alone(samples.authentication, Path(folder), handshakes))
    finally:
        os.sched_setaffinity(0, processors)
    return _table(both, rounds, handshakes, shared=len(processors) == 1)


def process_cpu_time(pid: int) -> float:
    """Return the seconds of CPU time of another process, all of its threads, in the kernel and outside."""
    # What clock_getcpuclockid(3) returns for a process on Linux; nanoseconds, where /proc counts ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def _pin(pid: int, processor: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {processor})


@dataclass(frozen=True, slots=True)
class Turn:
    """A process with what makes it do handshakes: ``handshake(count)`` does so many of them.

    ``rows`` say what the process is to be called, and what we are to be called on the other side of it; None for no
    row. ``as_initiator``: it is the process that opens the IKE SAs.
    """

    pid: int
    handshake: Callable[[int], None]
    rows: tuple[str | None, str | None]
    as_initiator: bool = False

    def take(self, handshakes: int, samples: Samples) -> None:
        """Do handshakes, and note what each cost."""
        self.handshake(WARM_UP)
        theirs, ours = process_cpu_time(self.pid), time.process_time()
        self.handshake(handshakes)
        costs = (process_cpu_time(self.pid) - theirs, time.process_time() - ours)
        roles = (samples.initiator, samples.responder) if self.as_initiator else (samples.responder, samples.initiator)
        for role, row, cost in zip(roles, self.rows, costs, strict=True):
            if row is not None:
                role.setdefault(row, []).append(cost / handshakes * 1e6)


@dataclass(frozen=True, slots=True)
class _Round:
    """One round: everybody is started afresh, and takes a turn."""

    samples: Samples
    folder: Path
    handshakes: int
    processor: int

    def run(self, *, charon_first: bool) -> None:
        """Take all turns, in one order or the other."""
        by_certificate = self.samples.authentication is Authentication.CERTIFICATES
        with (
            NetworkNamespace() as network,
            Charon(network, settings=CHARON_SETTINGS, log_level=-1) as charon,
            network.udp_socket("0.0.0.0") as bound,  # noqa: S104 - to come from many addresses
            network.udp_socket("127.0.0.1", 15500) as answering,
            _ike_responder(network, "127.0.0.3", self.samples.authentication, self.folder) as ike,
            self._third(network, by_certificate=by_certificate) as third,
        ):
            charon.start()
            if by_certificate:
                _equip(charon, self.folder)
            method = "pubkey" if by_certificate else "psk"
            charon.load(
                Connection(SUITE, answering.getsockname(), childless="force", local_auth=method, remote_auth=method)
            )
            for pid in (charon.pid, ike[0], third[0]):
                _pin(pid, self.processor)
            with Vici(charon.directory / "vici.sock") as vici:
                turns = [
                    Turn(charon.pid, self._opening(bound, charon.address), (CHARON, TOWARDS_CHARON)),
                    Turn(charon.pid, self._answering(answering, vici), (CHARON, None), as_initiator=True),
                    Turn(ike[0], self._opening(bound, ike[1]), (IKE, None)),
                ]
                if by_certificate:
                    turns.append(Turn(third[0], self._opening(bound, third[1]), (NEW_CHAIN, None)))
                else:
                    turns += [
                        Turn(ike[0], self._opening(bound, ike[1], CHILD), (IKE_CHILD, IKE_CHILD)),
                        Turn(third[0], self._opening_as_peers(bound, third[1]), (AGENT, None)),
                    ]
                for turn in turns if charon_first else reversed(turns):
                    turn.take(self.handshakes, self.samples)

    def _third(self, network: NetworkNamespace, *, by_certificate: bool) -> AbstractContextManager[Process]:
        if by_certificate:
            return _ike_responder(network, "127.0.0.4", Authentication.NEW_CHAINS, self.folder)
        return _agent_responder(network, WARM_UP + self.handshakes)

    def _policy(self, own_name: str, peer_name: str) -> Policy:
        return policy(self.samples.authentication, own_name, peer_name, self.folder)

    def _opening(
        self, bound: socket.socket, address: Address, child: ChildRequest | None = None
    ) -> Callable[[int], None]:
        """Return what opens IKE SAs at ``address``."""
        opener = Opener(self._policy(ROUTER_NAME, CHARON_NAME), lambda datagram: bound.sendto(datagram, address))
        return lambda count: open_each(bound, repeat(opener, count), child)

    def _opening_as_peers(self, bound: socket.socket, address: Address) -> Callable[[int], None]:
        """Return what opens an IKE SA at an agent for each of its peers, with a key."""
        openers = (
            Opener(peer_policy(number), partial(send_as, bound, number, address))
            for number in range(WARM_UP + self.handshakes)
        )
        return lambda count: open_each(bound, islice(openers, count), CHILD)

    def _answering(self, bound: socket.socket, vici: Vici) -> Callable[[int], None]:
        """Return what lets charon open IKE SAs with us."""
        responder = Responder(self._policy(ROUTER_NAME, CHARON_NAME))
        # With this timeout charon answers at once and opens the IKE SA on its own.
        begin = partial(vici.command, "initiate", ike="rkmp", timeout="-1")
        return lambda count: answer_each(bound, responder, begin, count)


def _equip(charon: Charon, folder: Path) -> None:
    for kind, name in (("x509", f"{CHARON_NAME}.pem"), ("private", f"{CHARON_NAME}.key"), ("x509ca", "root.pem")):
        charon.keep(kind, (folder / name).read_bytes())


@contextmanager
def _ike_responder(
    network: NetworkNamespace, host: str, authentication: Authentication, folder: Path
) -> Iterator[Process]:
    with network.udp_socket(host) as bound:
        arguments = (str(bound.fileno()), authentication.value, str(folder))
        command = [sys.executable, "-m", "tests.benchmarks.handshakes", *arguments]
        process = subprocess.Popen(command, cwd=REPOSITORY, pass_fds=(bound.fileno(),))
        address = bound.getsockname()
    try:
        yield process.pid, address
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _agent_responder(network: NetworkNamespace, peers: int) -> Iterator[Process]:
    address = ("127.0.0.4", 15500)
    with started_agent(network, RESPONDER, address, peers) as process:
        yield process.pid, address


def _table(both: tuple[Samples, ...], rounds: int, handshakes: int, *, shared: bool) -> Table:
    return Table(
        f"IKE_SA_INIT and IKE_AUTH, {SUITE}: CPU time of one side",
        ("", "us", "range", "to charon", "range"),
        tuple(row for samples in both for row in _rows(samples)),
        (
            (
                f"Medians of {rounds} rounds of {handshakes} handshakes, {AT_ONCE} at a time, which suits charon best; "
                "ratios are of each round, to charon in the same role in it, for cryptography to the cheaper one."
            ),
            (
                "rkmp.ike is a loop around one socket; the agent is engine, asyncio and SQLite, synchronous. "
                "Where no key is named the IKE SA has no child: charon knows none of ours."
            ),
            "charon as initiator is told over vici to open each IKE SA, which is in its figure.",
            "Both remember a peer's chain of certificates that they have verified, except where it says otherwise.",
            *(("Both sides shared one processor: expect more than on two.",) if shared else ()),
            (
                f"{_processor()}; {platform.python_implementation()} {platform.python_version()}, "
                f"cryptography {cryptography.__version__} with {backend.openssl_version_text()}"
            ),
        ),
    )


def _rows(samples: Samples) -> Iterator[tuple[str, ...]]:
    name = {Authentication.PRE_SHARED_KEYS: "PSK", Authentication.CERTIFICATES: "ECDSA"}[samples.authentication]
    charon_s = samples.responder[CHARON], samples.initiator[CHARON]

    def row(role: str, who: str, values: list[float], references: list[float]) -> tuple[str, ...]:
        ratios = [value / reference for value, reference in zip(values, references, strict=True)]
        return (
            f"{name} {role}: {who}",
            f"{statistics.median(values):.0f}",
            f"{min(values):.0f}-{max(values):.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
        )

    for role, by_who, charon in (
        ("responder", samples.responder, charon_s[0]),
        ("initiator", samples.initiator, charon_s[1]),
    ):
        for who in sorted(by_who, key=ORDER.index):
            yield row(role, who, by_who[who], charon)
    yield row("either", CRYPTOGRAPHY, samples.one_side, [min(pair) for pair in zip(*charon_s, strict=True)])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
