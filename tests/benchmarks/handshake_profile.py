"""Where our CPU time of an IKE SA goes, by room and by function: both sides in one process, without any socket.

A timer looks every half millisecond at what is being done; what C code does (cryptography, built-in functions) counts
for the function of ours that asked for it. Unlike a tracing profiler it costs the same whatever is called how often.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import rkmp
from rkmp.ike import ChildRequest, IkeSa, IkeSaState
from tests.benchmarks.handshakes import INITIATOR, RESPONDER, SETTINGS
from tests.benchmarks.table import Table

HANDSHAKES = 15_000
INTERVAL = 0.0005
SHOWN = 16

PACKAGE = f"{Path(rkmp.__file__).parent}{os.sep}"


class Sampler:
    """Counts what is being done at every tick, by the side that does it."""

    def __init__(self) -> None:
        self.side = "initiator"
        self.functions: Counter[tuple[str, str]] = Counter()

    def __call__(self, _signal: int, frame: FrameType | None) -> None:
        """Take one sample."""
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        if frame is not None:
            module = frame.f_code.co_filename.removeprefix(PACKAGE).removesuffix(".py").replace(os.sep, ".")
            self.functions[self.side, f"{module}.{frame.f_code.co_qualname}"] += 1


def run(handshakes: int = HANDSHAKES, child: ChildRequest | None = None) -> Table:
    """Measure and return the table."""
    _open_and_answer(Sampler(), 200, child)
    sampler = Sampler()
    before = signal.signal(signal.SIGALRM, sampler)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
    started = time.process_time()
    try:
        _open_and_answer(sampler, handshakes, child)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    cost = (time.process_time() - started) / handshakes * 1e6
    rooms: Counter[tuple[str, str]] = Counter()
    for (side, function), count in sampler.functions.items():
        rooms[side, function.partition(".")[0]] += count
    children = "without a child" if child is None else "with a child"
    return Table(
        f"Where the CPU time of a handshake goes: {cost:.0f} us for both sides together",
        ("", "responder", "initiator"),
        (
            *(_row(room, rooms) for room in _largest(rooms, SHOWN)),
            ("", "", ""),
            *(_row(function, sampler.functions) for function in _largest(sampler.functions, SHOWN)),
        ),
        (f"{sampler.functions.total()} samples over {handshakes} handshakes {children}; sockets are not in it.",),
    )


def _open_and_answer(sampler: Sampler, handshakes: int, child: ChildRequest | None) -> None:
    for _ in range(handshakes):
        sampler.side = "initiator"
        initiator = IkeSa.initiate(SETTINGS, INITIATOR, os.urandom, child, 0.0)
        responder: IkeSa | None = None
        while requests := initiator.datagrams():
            sampler.side = "responder"
            responder = responder or IkeSa.respond(SETTINGS, RESPONDER, os.urandom)
            for request in requests:
                responder.receive(request, 0.0)
            responder.events()
            answers = responder.datagrams()
            sampler.side = "initiator"
            for answer in answers:
                initiator.receive(answer, 0.0)
            initiator.events()
        assert initiator.state is IkeSaState.ESTABLISHED


def _largest(counts: Counter[tuple[str, str]], number: int) -> list[str]:
    total: Counter[str] = Counter()
    for (_, name), count in counts.items():
        total[name] += count
    return [name for name, _ in total.most_common(number)]


def _row(name: str, counts: Counter[tuple[str, str]]) -> tuple[str, ...]:
    totals = {
        side: sum(count for (of, _), count in counts.items() if of == side) for side in ("responder", "initiator")
    }
    return (name, *(f"{100 * counts[side, name] / max(1, total):.1f} %" for side, total in totals.items()))
