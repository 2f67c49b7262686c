"""Call home (RFC 8071): the agent connects to clients that wait for it, again and again, and then serves them.

One task a client. It goes through the client's endpoints as its reconnect strategy says, waits longer after each
failure, and calls again when a connection has ended, or when its period is over. It must not know transports.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from rkmp.netconf.doors import Identity
from rkmp.netconf.transport import CallFailed, Connection, TransportServer

_log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
"""Seconds after the first failure; each wait is twice the one before, up to the client's longest."""

_LASTING = 10.0
"""Seconds after which a connection was one; what ends before counts as a failure."""


class StartWith(Enum):
    """Which endpoint of a client is tried first."""

    FIRST_LISTED = "first-listed"
    LAST_CONNECTED = "last-connected"
    RANDOM_SELECTION = "random-selection"


@dataclass(frozen=True, slots=True)
class CalledEndpoint:
    """Where a client waits: an address or a name, a port, and who we are to it."""

    name: str
    address: str
    port: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class CalledClient:
    """A client that waits for calls."""

    name: str
    endpoints: tuple[CalledEndpoint, ...]
    """At least one; in the order in which they are tried."""
    period: float | None = None
    """Seconds from one call to the next; None for a connection that is always there."""
    start_with: StartWith = StartWith.FIRST_LISTED
    max_attempts: int = 3
    """Of one endpoint, before the next is tried."""
    max_wait: float = 60.0
    """Seconds; the longest wait between two attempts."""


class CallStatus(Enum):
    """How it stands with the connection to a client."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"


@dataclass(slots=True)
class _Line:
    """What is known of one endpoint's server: made when it is first called."""

    endpoint: CalledEndpoint
    server: TransportServer | None = None


class Caller:
    """Calls one client until ``stop``; ``chance`` returns a number from 0 to 1."""

    def __init__(
        self,
        client: CalledClient,
        make_server: Callable[[Identity], TransportServer],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.client = client
        self.status = CallStatus.CONNECTING
        self.last_connected: str | None = None
        self.last_error: str | None = None
        self.connection: Connection | None = None
        self._make_server = make_server
        self._chance = chance
        self._lines = [_Line(endpoint) for endpoint in client.endpoints]
        self._wait = FIRST_WAIT
        self._task: asyncio.Task[None] | None = None

    @property
    def servers(self) -> Sequence[TransportServer]:
        """The servers that were made for it."""
        return [line.server for line in self._lines if line.server is not None]

    def start(self, before: Connection | None = None) -> None:
        """Call, once a connection that there still is from ``before`` has ended."""
        self._task = asyncio.create_task(self._run(before), name=f"call home to {self.client.name}")

    async def stop(self) -> None:
        """Call no more; the connection goes on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, before: Connection | None) -> None:
        loop = asyncio.get_running_loop()
        if before is not None:
            self.status, self.connection = CallStatus.CONNECTED, before
            await before.wait_closed()
        while True:
            begun = loop.time()
            connection = await self._connect()
            connected = loop.time()
            await connection.wait_closed()
            self.connection = None
            if self.client.period is not None:
                await self._pause(max(begun + self.client.period - loop.time(), 0.0))
            elif loop.time() - connected < _LASTING:
                # It was accepted and dropped at once: no reason to do this as fast as we can.
                await self._back_off()
            else:
                self._wait = FIRST_WAIT

    async def _connect(self) -> Connection:
        while True:
            for line in self._in_order():
                for _ in range(self.client.max_attempts):
                    self.status = CallStatus.CONNECTING
                    try:
                        return await self._call(line)
                    except (CallFailed, ValueError) as error:
                        self._failed(line, str(error))
                    await self._back_off()

    async def _call(self, line: _Line) -> Connection:
        if line.server is None:
            line.server = self._make_server(line.endpoint.identity)
        connection = await line.server.call(line.endpoint.address, line.endpoint.port)
        self.connection = connection
        self.status, self.last_connected, self.last_error = CallStatus.CONNECTED, line.endpoint.name, None
        _log.info("connected to netconf client %s at %s", self.client.name, line.endpoint.name)
        return connection

    def _failed(self, line: _Line, reason: str) -> None:
        told = f"{line.endpoint.name}: {reason}"
        if told != self.last_error:
            _log.warning("netconf client %s cannot be called at %s", self.client.name, told)
        self.last_error = told

    def _in_order(self) -> Sequence[_Line]:
        names = [line.endpoint.name for line in self._lines]
        first = 0
        if self.client.start_with is StartWith.RANDOM_SELECTION:
            first = min(int(self._chance() * len(names)), len(names) - 1)
        elif self.client.start_with is StartWith.LAST_CONNECTED and self.last_connected in names:
            first = names.index(self.last_connected)
        return [*self._lines[first:], *self._lines[:first]]

    async def _back_off(self) -> None:
        # Between half of it and all: agents that lost a client at the same moment do not come back at the same one.
        await self._pause(self._wait * (1 + self._chance()) / 2)
        self._wait = min(self._wait * 2, self.client.max_wait)

    async def _pause(self, seconds: float) -> None:
        self.status = CallStatus.WAITING
        await asyncio.sleep(seconds)


class CallHome:
    """The callers of all clients that configuration has; needs a running event loop, and ``close`` ends it."""

    def __init__(
        self, make_server: Callable[[Identity], TransportServer], retire: Callable[[TransportServer], None]
    ) -> None:
        self._make_server = make_server
        self._retire = retire
        self._callers: dict[str, Caller] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def want(self, clients: Iterable[CalledClient]) -> None:
        """Call these clients from now on, and no others."""
        wanted = {client.name: client for client in clients}
        before = self._callers
        self._callers = {}
        for name, client in wanted.items():
            caller = before.pop(name, None)
            if caller is None or caller.client != client:
                connection = None if caller is None else self._end(caller)
                caller = Caller(client, self._make_server)
                caller.start(connection)
            self._callers[name] = caller
        for caller in before.values():
            self._end(caller)

    def get(self, name: str) -> Caller | None:
        """Return the caller of a client, if it is called."""
        return self._callers.get(name)

    def _end(self, caller: Caller) -> Connection | None:
        async def end() -> None:
            await caller.stop()
            for server in caller.servers:
                self._retire(server)

        task = asyncio.create_task(end(), name="call home ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return caller.connection

    async def close(self) -> None:
        """Call nobody any more; the servers are closed by whoever made them."""
        self.want(())
        while self._ending:
            await asyncio.wait(self._ending)
