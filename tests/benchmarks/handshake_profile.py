"""Where our CPU time of an IKE SA with a key goes, by room and by function: both sides in one process, no socket.

A timer looks every half millisecond at what is being done; what C code does (cryptography, built-in functions) counts
for the function of ours that asked for it. Unlike a tracing profiler it costs the same whatever is called how often.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import rkmp
from rkmp.ike import IkeSa, IkeSaState, Policy
from tests.benchmarks.handshakes import CHILD, SETTINGS
from tests.benchmarks.parties import Authentication, make_certificates, policy
from tests.benchmarks.table import Table
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME

HANDSHAKES = 10_000
INTERVAL = 0.0005
SHOWN = 24

PACKAGE = f"{Path(rkmp.__file__).parent}{os.sep}"

RESPONDER, INITIATOR = "responder", "initiator"

Costs = dict[str, Counter[str]]
"""By side, what each function of ours costs; in samples, or in microseconds a handshake."""


class Sampler:
    """Counts what is being done at every tick, by the ``side`` that does it."""

    def __init__(self) -> None:
        self.side = INITIATOR
        self.functions: Costs = {RESPONDER: Counter(), INITIATOR: Counter()}

    def __call__(self, _signal: int, frame: FrameType | None) -> None:
        """Take one sample."""
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        if frame is not None:
            module = frame.f_code.co_filename.removeprefix(PACKAGE).removesuffix(".py").replace(os.sep, ".")
            self.functions[self.side][f"{module}.{frame.f_code.co_qualname}"] += 1


def run(handshakes: int = HANDSHAKES) -> Table:
    """Measure and return the table."""
    with tempfile.TemporaryDirectory(prefix="rkmp-benchmark-") as folder:
        make_certificates(Path(folder))
        measured = {
            "PSK": _measure(Authentication.PRE_SHARED_KEYS, Path(folder), handshakes),
            "ECDSA": _measure(Authentication.CERTIFICATES, Path(folder), handshakes),
        }
    functions = [costs[side] for costs in measured.values() for side in (RESPONDER, INITIATOR)]
    rooms = [_by_room(costs) for costs in functions]
    return Table(
        "Where the CPU time of a handshake goes, in microseconds",
        ("", *(f"{name} {side}" for name in measured for side in (RESPONDER, INITIATOR))),
        (
            ("all", *(f"{costs.total():.0f}" for costs in functions)),
            *_rows(rooms),
            ("", *("" for _ in functions)),
            *_rows(functions),
        ),
        (f"A sample every {INTERVAL * 1e3:g} ms of {handshakes} handshakes each, with a key; sockets are not in it.",),
    )


def _measure(authentication: Authentication, folder: Path, handshakes: int) -> Costs:
    policies = (
        policy(authentication, CHARON_NAME, ROUTER_NAME, folder),
        policy(authentication, ROUTER_NAME, CHARON_NAME, folder),
    )
    _open_and_answer(Sampler(), 200, *policies)
    sampler = Sampler()
    before = signal.signal(signal.SIGALRM, sampler)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
    started = time.process_time()
    try:
        _open_and_answer(sampler, handshakes, *policies)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    spent = (time.process_time() - started) / handshakes * 1e6
    one = spent / max(1, sum(costs.total() for costs in sampler.functions.values()))
    return {
        side: Counter({function: count * one for function, count in costs.items()})
        for side, costs in sampler.functions.items()
    }


def _open_and_answer(sampler: Sampler, handshakes: int, responder_policy: Policy, initiator_policy: Policy) -> None:
    for _ in range(handshakes):
        sampler.side = INITIATOR
        initiator = IkeSa.initiate(SETTINGS, initiator_policy, os.urandom, CHILD, 0.0)
        responder: IkeSa | None = None
        while requests := initiator.datagrams():
            sampler.side = RESPONDER
            responder = responder or IkeSa.respond(SETTINGS, responder_policy, os.urandom)
            for request in requests:
                responder.receive(request, 0.0)
            responder.events()
            answers = responder.datagrams()
            sampler.side = INITIATOR
            for answer in answers:
                initiator.receive(answer, 0.0)
            initiator.events()
        assert initiator.state is IkeSaState.ESTABLISHED


def _by_room(functions: Counter[str]) -> Counter[str]:
    rooms: Counter[str] = Counter()
    for function, cost in functions.items():
        rooms[function.partition(".")[0]] += cost
    return rooms


def _rows(columns: list[Counter[str]]) -> list[tuple[str, ...]]:
    """Return a row for each of the most expensive."""
    together: Counter[str] = sum(columns, Counter())
    return [(name, *(f"{costs[name]:.1f}" for costs in columns)) for name, _ in together.most_common(SHOWN)]
