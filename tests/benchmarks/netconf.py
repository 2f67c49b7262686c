"""What a NETCONF server takes for a list of entries of twelve leaves: the peers of our own module, at three sizes.

One agent a size, a process of its own, over SSH. ``NETCONF_HOST`` in the environment names another server to measure,
with ``NETCONF_PORT`` (830), ``NETCONF_USER``, ``NETCONF_KEY`` (a file) or ``NETCONF_PASSWORD``, and ``NETCONF_PID``
for its memory where it runs here. It has to serve the module rkmp, and to have no configuration of it: what is loaded
there is removed again.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import asyncssh

from rkmp.netconf.framing import FrameDecoder, Framing, frame
from rkmp.netconf.hello import BASE_1_1
from tests.benchmarks.table import Table
from tests.e2e.agents import NETCONF, RKMP, USER, AgentProcess, make_user_key
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

_HELLO = (
    f'<hello xmlns="{NETCONF}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
    f"<capability>{BASE_1_1}</capability></capabilities></hello>"
).encode()
_SUBSCRIPTION = (
    '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"><filter type="subtree">'
    '<netconf-config-change xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/></filter>'
    "</create-subscription>"
)
_SURROUNDINGS = (
    "<local-identity><type>fqdn</type><value>benchmark.example.net</value></local-identity><credentials>"
    "<pre-shared-key><name>k</name><secret><keystring>a secret of a benchmark</keystring></secret></pre-shared-key>"
    "</credentials><ike-policy><name>p</name></ike-policy>"
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect; ``pid`` is None where the server's memory cannot be read from here."""

    options: dict[str, Any]
    pid: int | None

    async def connect(self) -> asyncssh.SSHClientConnection:
        """Log in; raise Unavailable where that does not work."""
        try:
            return await asyncssh.connect(known_hosts=None, config=None, agent_path=None, **self.options)
        except (OSError, asyncssh.Error) as error:
            raise Unavailable(f"no session with {self.options['host']}: {error}") from error


class Client:
    """A session with as little around it as will do: no polling, and replies are not parsed."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self._decoder = FrameDecoder(2**32)

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Server) -> AsyncIterator[Client]:
        """Log in and exchange hellos."""
        async with await server.connect() as connection:
            process = await connection.create_process(subsystem="netconf", encoding=None, window=2**24)
            client = cls(process)
            process.stdin.write(frame(_HELLO, Framing.END_OF_MESSAGE))
            await client._receive()
            client._decoder.framing = Framing.CHUNKED
            yield client

    async def call(self, operation: str) -> bytes:
        """Return the reply; raise RuntimeError where it is an error."""
        message = f'<rpc xmlns="{NETCONF}" message-id="1">{operation}</rpc>'.encode()
        self._process.stdin.write(frame(message, Framing.CHUNKED))
        reply = await self._receive()
        if b"rpc-error" in reply:
            raise RuntimeError(reply[:2000].decode())
        return reply

    async def read_on(self) -> None:
        """Read whatever comes, for ever."""
        while True:
            await self._receive()

    async def _receive(self) -> bytes:
        while True:
            message = self._decoder.next_message()
            if isinstance(message, bytes):
                return message
            octets = await self._process.stdout.read(2**20)
            if not octets:
                raise RuntimeError("the server has ended the session")
            self._decoder.receive(octets)


def run(sizes: Sequence[int] = SIZES, reads: int = READS, edits: int = EDITS, sessions: int = SESSIONS) -> Table:
    """Measure and return the table."""
    measured = [asyncio.run(_measure_size(size, reads, edits, sessions)) for size in sizes]
    return _table(sizes, measured, reads, edits)


async def _measure_size(size: int, reads: int, edits: int, sessions: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        server = _server_of_environment()
        if server is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            agent = AgentProcess("benchmark", folder / "state", make_user_key(folder))
            agent.initialise()
            agent.start()
            stack.callback(agent.stop)
            options = {"host": "127.0.0.1", "port": agent.netconf_port, "username": USER}
            server = Server(options | {"client_keys": [str(agent.user_key)]}, agent.pid)
        client = await stack.enter_async_context(Client.open(server))
        if b"local-identity" in (present := await client.call(_get())) or b"peer>" in present:
            raise Unavailable("the server has a configuration of module rkmp, which would be lost")
        try:
            return await _measure(client, server, size, reads, edits, sessions)
        finally:
            await client.call(_edit(f'<rkmp xmlns="{RKMP}" xmlns:nc="{NETCONF}" nc:operation="remove"/>'))


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


async def _measure(
    client: Client, server: Server, size: int, reads: int, edits: int, sessions: int
) -> dict[str, float]:
    result: dict[str, float] = {}
    entries = "".join(map(_entry, range(size)))
    await client.call(_edit(_rkmp(_SURROUNDINGS)))
    load = _edit(_rkmp(entries))
    result[LOAD] = (await _times(client, [(load,)]))[0]
    result[WATCHED], result[WATCHING] = await _watched(client, server, load)
    middle = size // 2
    named, described = f"<name>{_name(middle)}</name>", f"description='{_description(middle)}'"
    for what, operation, expected in (
        (ALL, _get(_subtree("<peer/>")), size),
        (LEAF, _get(_subtree("<peer><description/></peer>")), size),
        (KEY_SUBTREE, _get(_subtree(f"<peer>{named}</peer>")), 1),
        (KEY_XPATH, _get(_xpath(f"name='{_name(middle)}'")), 1),
        (NO_KEY, _get(_xpath(described)), 1),
    ):
        found = len(re.findall(rb"<(?:\w+:)?description>", await client.call(operation)))
        if found != expected:
            raise RuntimeError(f"{what}: {found} entries instead of {expected}")
        result[what] = statistics.median(await _times(client, repeat((operation,), reads)))

    def change(number: int) -> str:
        return _rkmp(f"<peer>{named}<description>changed {number}</description></peer>")

    times = await _times(client, [(_edit(change(number)),) for number in range(edits)])
    result[EDIT], result[EDIT_P99] = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
    times = await _times(
        client, [(_edit(change(number), "candidate"), "<commit/>") for number in range(edits, edits + edits // 2)]
    )
    result[CANDIDATE] = statistics.median(times)
    added = _edit(_rkmp(_entry(size, "create")))
    removed = _edit(_rkmp(f'<peer xmlns:nc="{NETCONF}" nc:operation="delete"><name>{_name(size)}</name></peer>'))
    result[ENTRY] = statistics.median(await _times(client, repeat((added, removed), edits // 2)))
    if server.pid is not None:
        result[MEMORY] = _resident(server.pid)
    result[IN_TURN] = await _sessions(server, sessions, 1)
    result[AT_ONCE] = await _sessions(server, sessions, CLIENTS)
    return result


async def _watched(client: Client, server: Server, load: str) -> tuple[float, float]:
    """Return how long a load takes while somebody is told of it, and how many times as long as without."""
    empty = (_edit(f'<rkmp xmlns="{RKMP}" xmlns:nc="{NETCONF}" nc:operation="remove"/>'), _edit(_rkmp(_SURROUNDINGS)))
    alone, watched = [], []
    for _ in range(_ROUNDS):
        await _times(client, [empty])
        alone += await _times(client, [(load,)])
        await _times(client, [empty])
        async with Client.open(server) as subscriber:
            await subscriber.call(_SUBSCRIPTION)
            reading = asyncio.create_task(subscriber.read_on())
            watched += await _times(client, [(load,)])
            reading.cancel()
    return min(watched), min(watched) / min(alone)


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


def _name(number: int) -> str:
    return f"peer-{number:06}"


def _description(number: int) -> str:
    return f"router {number:06} of the benchmark"


def _entry(number: int, operation: str | None = None) -> str:
    attribute = f' xmlns:nc="{NETCONF}" nc:operation="{operation}"' if operation else ""
    return (
        f"<peer{attribute}><name>{_name(number)}</name><description>{_description(number)}</description>"
        f"<address>10.{number >> 16}.{number >> 8 & 255}.{number & 255}</address><port>500</port>"
        "<initiate>never</initiate><ike-policy>p</ike-policy><authentication>"
        "<local><method>psk</method><pre-shared-key>k</pre-shared-key></local>"
        f"<remote><identity><type>fqdn</type><value>{_name(number)}.example.net</value></identity>"
        "<method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication></peer>"
    )


def _rkmp(content: str) -> str:
    return f'<rkmp xmlns="{RKMP}">{content}</rkmp>'


def _edit(content: str, target: str = "running") -> str:
    return f"<edit-config><target><{target}/></target><config>{content}</config></edit-config>"


def _get(selection: str | None = None) -> str:
    return f"<get-config><source><running/></source>{selection or _subtree('')}</get-config>"


def _subtree(content: str) -> str:
    return f'<filter type="subtree">{_rkmp(content)}</filter>'


def _xpath(predicate: str) -> str:
    return f'<filter type="xpath" xmlns:r="{RKMP}" select="/r:rkmp/r:peer[r:{predicate}]"/>'


def _table(sizes: Sequence[int], measured: Sequence[dict[str, float]], reads: int, edits: int) -> Table:
    def recorded(what: str, size: int) -> float | None:
        figures = RECORDED[what]
        return figures[SIZES.index(size)] if figures is not None and size in SIZES else None

    def row(what: str) -> tuple[str, ...]:
        ours = [values.get(what) for values in measured]
        theirs = [recorded(what, size) for size in sizes]
        ratio = None
        if ours[-1] and theirs[-1]:
            ratio = ours[-1] / theirs[-1] if what in RATES else theirs[-1] / ours[-1]
        return (what, *map(_figure, chain.from_iterable(zip(ours, theirs, strict=True))), _figure(ratio))

    watching = chain.from_iterable((values[WATCHING], None) for values in measured)
    growth: list[float | None] = [None] * (2 * len(sizes) + 1)
    growth[-3] = measured[-1][EDIT] / measured[0][EDIT]
    smallest, largest = recorded(EDIT, sizes[0]), recorded(EDIT, sizes[-1])
    if smallest and largest:
        growth[-2] = largest / smallest
    return Table(
        "Entries of twelve leaves over NETCONF; netopeer2 as recorded on another run, so ratios to it are rough",
        ("ms", *chain.from_iterable((f"{size:,}", "netopeer2") for size in sizes), "times as good"),
        (*map(row, RECORDED), (GROWTH, *map(_figure, growth)), (WATCHING, *map(_figure, (*watching, None)))),
        (
            (
                f"Medians, of one load, of {reads} reads and of {edits} edits, half as many in the last two kinds. "
                "rkmpd has an edit on the disk before <ok/>; netopeer2 keeps running in shared memory."
            ),
            (
                "Ours are the peers of module rkmp, which have leafrefs and musts and are handed to the engine; "
                f"netopeer2's were another list, 412 octets of XML an entry; ours have {len(_entry(0))}."
            ),
            (
                f"With a subscriber, of {_ROUNDS} loads, and as many without between them, the quickest: netopeer2's "
                "users have reported 30 seconds for such a load."
            ),
            "The client is Python, often on the server's own processors; its cost is in the figures.",
        ),
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
