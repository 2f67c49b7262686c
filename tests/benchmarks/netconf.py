"""What a NETCONF server takes for a list of entries of twelve leaves, at three sizes, over SSH.

One server a size, a process of its own: ours over the module bench, without an engine behind it, as netopeer2 had none
when it was measured. With the peers of our own module it is ``tests.benchmarks.netconf_peers``.

``NETCONF_HOST`` in the environment names another server to measure, with ``NETCONF_PORT`` (830), ``NETCONF_USER``,
``NETCONF_KEY`` (a file) or ``NETCONF_PASSWORD``, and ``NETCONF_PID`` for its memory and processor time where it runs
here. It has to serve the module (tests/datastore/modules/bench.yang, or rkmp for the peers), and to have no
configuration of it: what is loaded there is removed again.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from tests.benchmarks.netconf_client import Client, Server
from tests.benchmarks.netconf_loads import PLAIN, Load
from tests.benchmarks.table import Table
from tests.e2e.agents import USER, AgentProcess, make_user_key
from tests.interop.strongswan.namespace import Unavailable

SIZES = (100, 1_000, 10_000)
READS, EDITS, SESSIONS = 15, 200, 40
CLIENTS = 4

WATCHED, WATCHING = "load all, a subscriber to netconf-config-change", "load all, with that subscriber against without"
LOAD, ALL, LEAF = "load all in one edit-config of running", "get-config of all", "get-config of one leaf of every entry"
KEY_SUBTREE, KEY_XPATH = "get-config of one key, subtree", "get-config of one key, xpath"
NO_KEY = "get-config, xpath on a leaf that is no key"
EDIT, EDIT_P99 = "one leaf, edit-config of running, p50", "one leaf, edit-config of running, p99"
CANDIDATE, ENTRY = "one leaf, candidate edit + commit, p50", "create + delete one entry"
MEMORY, IN_TURN, AT_ONCE = (
    "resident memory, MB",
    "session set-ups a second, in turn",
    "session set-ups a second, 4 clients",
)
GROWTH = "one-leaf edit, the largest against the smallest"

RECORDED: dict[str, tuple[float, float, float] | None] = {
    LOAD: (10, 70, 780),
    WATCHED: None,
    ALL: (1.7, 12, 118),
    LEAF: (3.9, 32, 306),
    KEY_SUBTREE: (0.51, 0.52, 0.43),
    KEY_XPATH: (0.50, 0.47, 0.58),
    NO_KEY: (0.65, 1.7, 17),
    EDIT: (2.0, 15, 157),
    EDIT_P99: (3.0, 23, 235),
    CANDIDATE: (5.5, 37, 424),
    ENTRY: (4.0, 29, 351),
    MEMORY: (19, 42, 302),
    IN_TURN: (50, 50, 50),
    AT_ONCE: (256, 256, 256),
}
"""netopeer2 2.7.0 (sysrepo 4.2.10, libyang 4.2.1), its entries a list of twelve leaves of its own, by SIZES.

Milliseconds where the row names no unit. Of sessions, the middle of 47 to 53 and of 231 to 282. None: not recorded.
"""

RATES = frozenset({IN_TURN, AT_ONCE})
"""Rows where more is better."""

_ROUNDS = 3
"""Loads with a subscriber, and as many without, in turn."""

_WITHOUT_SYNC = Path("/dev/shm")
_WRITES = (LOAD, EDIT, EDIT_P99, CANDIDATE, ENTRY)
_REPOSITORY = Path(__file__).parents[2]

Figures = dict[str, float]
"""What was measured, by row: milliseconds where the row names no unit."""

_SUBSCRIPTION = (
    '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"><filter type="subtree">'
    '<netconf-config-change xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/></filter>'
    "</create-subscription>"
)


def run(
    sizes: Sequence[int] = SIZES,
    reads: int = READS,
    edits: int = EDITS,
    sessions: int = SESSIONS,
    load: Load = PLAIN,
) -> Table:
    """Measure and return the table."""
    measured = [asyncio.run(_measure_size(load, size, reads, edits, sessions, None)) for size in sizes]
    unsynced: Figures = {}
    if "NETCONF_HOST" not in os.environ and _WITHOUT_SYNC.is_dir():
        unsynced, _ = asyncio.run(_measure_size(load, sizes[-1], 1, edits, 0, _WITHOUT_SYNC))
    return _table(load, sizes, measured, unsynced, reads, edits)


async def _measure_size(
    load: Load, size: int, reads: int, edits: int, sessions: int, disk: Path | None
) -> tuple[Figures, Figures]:
    """Return the figures at one size, and the processor time of the server for each; ``disk`` is where it keeps it."""
    async with AsyncExitStack() as stack:
        server = _server_of_environment()
        if server is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=disk)))
            server = _start_ours(load, folder, stack)
        client = await stack.enter_async_context(Client.open(server))
        if b"<name" in await client.call(_get(load.everything)):
            raise Unavailable(f"the server has a configuration of module {load.module}, which would be lost")
        measuring = _Measuring(load, size, client, server)
        try:
            await measuring.loads()
            await measuring.reads(reads)
            await measuring.edits(edits)
            await measuring.sessions(sessions)
        finally:
            await client.call(_edit(load.removal))
        return measuring.figures, measuring.cpu


def _server_of_environment() -> Server | None:
    environment = os.environ
    if "NETCONF_HOST" not in environment:
        return None
    options: dict[str, Any] = {
        "host": environment["NETCONF_HOST"],
        "port": int(environment.get("NETCONF_PORT", "830")),
        "username": environment.get("NETCONF_USER", USER),
        "client_keys": [environment["NETCONF_KEY"]] if "NETCONF_KEY" in environment else None,
        "password": environment.get("NETCONF_PASSWORD"),
    }
    return Server(options, int(environment["NETCONF_PID"]) if "NETCONF_PID" in environment else None)


def _start_ours(load: Load, folder: Path, stack: AsyncExitStack) -> Server:
    """Start a server of ours that ends with ``stack``: the whole agent where the module is its own."""
    key = make_user_key(folder)
    if load is not PLAIN:
        agent = AgentProcess("benchmark", folder / "state", key)
        agent.initialise()
        agent.start()
        stack.callback(agent.stop)
        port, pid = agent.netconf_port, agent.pid
    else:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.netconf_server", str(folder)],
                cwd=_REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        assert process.stdout is not None
        word, _, number = process.stdout.readline().decode().partition(" ")
        if word != "ready":
            raise RuntimeError("the server did not start")
        port, pid = int(number), process.pid
    return Server({"host": "127.0.0.1", "port": port, "username": USER, "client_keys": [str(key)]}, pid)


class _Measuring:
    """Measures one list of ``size`` entries; ``cpu`` is the server's processor time of each figure, where known."""

    def __init__(self, load: Load, size: int, client: Client, server: Server) -> None:
        self.figures: Figures = {}
        self.cpu: Figures = {}
        self._load = load
        self._size = size
        self._client = client
        self._server = server

    async def loads(self) -> None:
        """All at once, and again while somebody is told of it."""
        load = self._load
        everything = _edit(load.around("".join(map(load.entry, range(self._size)))))
        await self._client.call(_edit(load.surroundings))
        await self._note(LOAD, [(everything,)], min)
        empty = (_edit(load.removal), _edit(load.surroundings))
        alone, watched = [], []
        for _ in range(_ROUNDS):
            await _times(self._client, [empty])
            alone += await _times(self._client, [(everything,)])
            await _times(self._client, [empty])
            async with Client.open(self._server) as subscriber:
                await subscriber.call(_SUBSCRIPTION)
                reading = asyncio.create_task(subscriber.read_on())
                watched += await _times(self._client, [(everything,)])
                reading.cancel()
        self.figures[WATCHED], self.figures[WATCHING] = min(watched), min(watched) / min(alone)

    async def reads(self, count: int) -> None:
        """Everything, a part of everything, and one entry."""
        load, middle = self._load, self._size // 2
        named, described = f"name='{load.name(middle)}'", f"description='{load.description(middle)}'"
        for what, selection, expected in (
            (ALL, load.subtree("<peer/>"), self._size),
            (LEAF, load.subtree("<peer><description/></peer>"), self._size),
            (KEY_SUBTREE, load.subtree(f"<peer><name>{load.name(middle)}</name></peer>"), 1),
            (KEY_XPATH, load.xpath(named), 1),
            (NO_KEY, load.xpath(described), 1),
        ):
            operation = _get(selection)
            found = len(re.findall(rb"<(?:\w+:)?description>", await self._client.call(operation)))
            if found != expected:
                raise RuntimeError(f"{what}: {found} entries instead of {expected}")
            await self._note(what, list(repeat((operation,), count)))

    async def edits(self, count: int) -> None:
        """One leaf, in running and by way of the candidate, and one entry made and removed."""
        load, size = self._load, self._size

        def change(number: int) -> str:
            leaves = f"<name>{load.name(size // 2)}</name><description>changed {number}</description>"
            return load.around(f"<peer>{leaves}</peer>")

        times = await self._note(EDIT, [(_edit(change(number)),) for number in range(count)])
        self.figures[EDIT_P99] = sorted(times)[int(len(times) * 0.99)]
        later = range(count, count + count // 2)
        await self._note(CANDIDATE, [(_edit(change(number), "candidate"), "<commit/>") for number in later])
        added, removed = (_edit(load.around(load.entry(size, operation))) for operation in ("create", "delete"))
        await self._note(ENTRY, list(repeat((added, removed), count // 2)))

    async def sessions(self, count: int) -> None:
        """What a server that is loaded takes of memory, and how quickly it takes new sessions."""
        if self._server.pid is not None:
            self.figures[MEMORY] = _resident(self._server.pid)
        for what, at_once in ((IN_TURN, 1), (AT_ONCE, CLIENTS)):
            if count:
                self.figures[what] = await _sessions(self._server, count, at_once)

    async def _note(
        self,
        what: str,
        calls: list[tuple[str, ...]],
        of: Callable[[list[float]], float] = statistics.median,
    ) -> list[float]:
        pid = self._server.pid
        before = None if pid is None else _processor_time(pid)
        times = await _times(self._client, calls)
        self.figures[what] = of(times)
        if pid is not None and before is not None:
            self.cpu[what] = (_processor_time(pid) - before) / len(calls)
        return times


async def _times(client: Client, calls: Iterable[tuple[str, ...]]) -> list[float]:
    """Return the milliseconds that each group of operations took, one after the other."""
    times = []
    for operations in calls:
        before = time.perf_counter()
        for operation in operations:
            await client.call(operation)
        times.append((time.perf_counter() - before) * 1e3)
    return times


async def _sessions(server: Server, sessions: int, at_once: int) -> float:
    """Return how many sessions a second were opened, hellos exchanged, and closed."""

    async def open_some() -> None:
        for _ in range(sessions // at_once):
            async with Client.open(server):
                pass

    before = time.perf_counter()
    await asyncio.gather(*(open_some() for _ in range(at_once)))
    return sessions // at_once * at_once / (time.perf_counter() - before)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


def _processor_time(pid: int) -> float:
    """Return the milliseconds that the threads of a process have run for."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e6


def _edit(content: str, target: str = "running") -> str:
    return f"<edit-config><target><{target}/></target><config>{content}</config></edit-config>"


def _get(selection: str) -> str:
    return f"<get-config><source><running/></source>{selection}</get-config>"


def _table(
    load: Load,
    sizes: Sequence[int],
    measured: Sequence[tuple[Figures, Figures]],
    unsynced: Figures,
    reads: int,
    edits: int,
) -> Table:
    figures = [ours for ours, _ in measured]
    largest, processor = measured[-1]

    def recorded(what: str, size: int) -> float | None:
        known = RECORDED[what]
        return known[SIZES.index(size)] if known is not None and size in SIZES else None

    def row(what: str) -> tuple[str, ...]:
        ours, theirs = [each.get(what) for each in figures], [recorded(what, size) for size in sizes]
        ratio = None
        if ours[-1] and theirs[-1]:
            ratio = ours[-1] / theirs[-1] if what in RATES else theirs[-1] / ours[-1]
        beside = chain.from_iterable(zip(ours, theirs, strict=True))
        without = unsynced.get(what) if what in _WRITES else None
        return (what, *map(_figure, (*beside, ratio, without, processor.get(what))))

    nothing = [None] * 3
    watching = chain.from_iterable((each.get(WATCHING), None) for each in figures)
    growth: list[float | None] = [None] * (2 * len(sizes))
    growth[-2] = largest[EDIT] / figures[0][EDIT]
    small, large = recorded(EDIT, sizes[0]), recorded(EDIT, sizes[-1])
    if small and large:
        growth[-1] = large / small
    columns = (
        "ms",
        *chain.from_iterable((f"{size:,}", "netopeer2") for size in sizes),
        "times as good",
        "no sync",
        "server CPU",
    )
    is_plain = load is PLAIN
    return Table(
        f"Entries of twelve leaves of module {load.module} over NETCONF; netopeer2 as recorded on another run and "
        "machine, so ratios to it are rough",
        columns,
        (
            *map(row, RECORDED),
            (GROWTH, *map(_figure, (*growth, *nothing))),
            (WATCHING, *map(_figure, (*watching, *nothing))),
        ),
        (
            (
                f"Medians, of one load, of {reads} reads and of {edits} edits, half as many in the last two kinds. "
                "Ours are on the disk before <ok/>; netopeer2 keeps running in shared memory."
            ),
            (
                f"The last two columns are of {sizes[-1]:,} entries: without waiting for the disk, the database being "
                "in memory, and the processor time of the server, which other work on the machine changes least."
            ),
            (
                f"An entry has {len(load.entry(0))} octets of XML; netopeer2's had 412, of another list. There is "
                + (
                    "a leafref and a must in each."
                    if is_plain
                    else "more to check in each, and an engine to hand it to."
                )
            ),
            (
                f"With a subscriber, of {_ROUNDS} loads, and as many without between them, the quickest: netopeer2's "
                "users have reported 30 seconds for such a load."
            ),
            "The client is Python, often on the server's own processors; its cost is in all but the last column.",
        ),
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
