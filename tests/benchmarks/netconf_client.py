"""A NETCONF client with as little around it as will do, and where it connects to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh

from rkmp.netconf.framing import FrameDecoder, Framing, frame
from rkmp.netconf.hello import BASE_1_1
from tests.e2e.agents import NETCONF
from tests.interop.strongswan.namespace import Unavailable

_HELLO = (
    f'<hello xmlns="{NETCONF}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
    f"<capability>{BASE_1_1}</capability></capabilities></hello>"
).encode()


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
