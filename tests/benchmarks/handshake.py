"""CPU time of one IKE SA: IKE_SA_INIT and IKE_AUTH with pre-shared keys, for rkmp.ike in both roles and for charon.

Responder and initiator are processes on a processor each, over UDP on loopback; both responders keep what they
established, start fresh in every round and take turns in going first. Ours is a bare loop around rkmp.ike, without the
engine: what charon does beside IKE (threads, configuration, kernel) is in its figures and not in ours.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from tests.benchmarks.handshakes import CHILD, SETTINGS, SUITE, Address, open_many
from tests.benchmarks.table import Table
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.namespace import NetworkNamespace

REPOSITORY = Path(__file__).parents[2]

ROUNDS = 9
HANDSHAKES = 300
WARM_UP = 60

CHARON, OURS, WITH_CHILD = "charon", "rkmp.ike", "rkmp.ike, with an RKMP child"
BY_CHARON, BY_US = "rkmp.ike, towards charon", "rkmp.ike, towards rkmp.ike"
CRYPTOGRAPHY = "rkmp.crypto alone"

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


def _round(samples: Samples, handshakes: int, processor: int, *, charon_first: bool) -> None:
    with (
        NetworkNamespace() as network,
        Charon(network, settings=CHARON_SETTINGS, log_level=-1) as charon,
        network.udp_socket("127.0.0.1") as initiator,
        _our_responder(network, processor) as (our_pid, our_address),
    ):
        charon.start()
        charon.load(Connection(SUITE))
        # Threads that there are already stay where they were unless each is told.
        _pin(charon.pid, processor)

        def against(pid: int, address: Address, responder: str, opener: str, child: ChildRequest | None) -> None:
            open_many(initiator, address, WARM_UP, child)
            theirs, ours = process_cpu_time(pid), time.process_time()
            open_many(initiator, address, handshakes, child)
            cost = (process_cpu_time(pid) - theirs, time.process_time() - ours)
            samples.responder.setdefault(responder, []).append(cost[0] / handshakes * 1e6)
            samples.initiator.setdefault(opener, []).append(cost[1] / handshakes * 1e6)

        turns: list[Callable[[], None]] = [
            lambda: against(charon.pid, charon.address, CHARON, BY_CHARON, None),
            lambda: against(our_pid, our_address, OURS, BY_US, None),
            lambda: against(our_pid, our_address, WITH_CHILD, WITH_CHILD, CHILD),
        ]
        for turn in turns if charon_first else reversed(turns):
            turn()


@contextmanager
def _our_responder(network: NetworkNamespace, processor: int) -> Iterator[tuple[int, Address]]:
    with network.udp_socket("127.0.0.3") as bound:
        command = [sys.executable, "-m", "tests.benchmarks.handshakes", str(bound.fileno())]
        process = subprocess.Popen(command, cwd=REPOSITORY, pass_fds=(bound.fileno(),))
        address = bound.getsockname()
    try:
        _pin(process.pid, processor)
        yield process.pid, address
    finally:
        process.terminate()
        process.wait()


def _cryptography(handshakes: int) -> float:
    """Return what one side of a handshake costs in cryptography alone, through our own functions."""
    (policy,) = SETTINGS.proposals
    ((encryption, key_bits),), (prf,), (method,) = policy.encryption, policy.prf, policy.key_exchange
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
            *(row("responder", who, samples.responder[who]) for who in (CHARON, OURS, WITH_CHILD)),
            *(row("initiator", who, samples.initiator[who]) for who in (BY_CHARON, BY_US, WITH_CHILD)),
            row("either", CRYPTOGRAPHY, samples.one_side),
        ),
        (
            (
                f"Medians of {rounds} rounds of {handshakes} handshakes, 8 at a time; "
                "ratios are of each round, to charon as responder in it."
            ),
            "All without a child but where one is named; charon knows none of ours. Ours is without the engine.",
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
