"""A NETCONF server that offers less than the agent behind it: it hides capabilities in the agent's hello."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence

import asyncssh

from tests.e2e.agents import USER, AgentProcess


class Relay:
    """Passes octets on; ``hidden`` are parts of the capabilities that clients are not told of. A context manager."""

    def __init__(self, agent: AgentProcess, hidden: Sequence[str]) -> None:
        self._agent = agent
        self._hidden = re.compile(rb"<[\w:]*capability>[^<]*(?:%s)[^<]*</[\w:]*capability>" % "|".join(hidden).encode())
        self.asked = b""
        """What clients have said."""
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        assert self._ready.wait(15)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)

    def _run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=f"{self._agent.user_key}.pub",
            process_factory=self._serve,
            encoding=None,
        )
        self.port = server.get_port()
        self._ready.set()
        async with server:
            await self._stop.wait()

    async def _serve(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        async with asyncssh.connect(
            "127.0.0.1",
            self._agent.netconf_port,
            username=USER,
            client_keys=[str(self._agent.user_key)],
            known_hosts=None,
            config=None,
        ) as connection:
            writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)

            async def upwards() -> None:
                while octets := await client.stdin.read(65536):
                    self.asked += octets
                    writer.write(octets)
                writer.write_eof()

            going_up = asyncio.create_task(upwards())
            hello = await reader.readuntil(b"]]>]]>")
            client.stdout.write(self._hidden.sub(b"", hello))
            while octets := await reader.read(65536):
                client.stdout.write(octets)
            going_up.cancel()
        client.exit(0)
