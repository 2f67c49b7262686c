"""A user store and a client for tests over real SSH."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import asyncssh

from rkmp.errors import StorageError
from rkmp.netconf import generate_host_key
from rkmp.netconf.framing import FrameDecoder, Framing, frame
from rkmp.netconf.hello import BASE_1_1
from rkmp.secret import Secret
from tests.netconf.conversation import PATIENCE, client_hello, rpc

HOST_KEY = generate_host_key()
ALICE_KEY = asyncssh.generate_private_key("ssh-ed25519")
ALICE_RSA_KEY = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
PASSWORD = "correct horse"


class Users:
    """One user, alice, with a key and a password; a lock-out that behaves like a failing store."""

    def __init__(self) -> None:
        self.broken = False

    def authorized_keys(self, user: str) -> Iterable[str]:
        if self.broken:
            raise StorageError("the disk refused")
        keys = ["not a key", *(key.export_public_key().decode() for key in (ALICE_RSA_KEY, ALICE_KEY))]
        return keys if user == "alice" else []

    async def check_password(self, user: str, password: Secret) -> bool:
        await asyncio.sleep(0)
        if self.broken:
            raise StorageError("the disk refused")
        return user == "alice" and password == Secret(PASSWORD.encode())


async def connect(port: int, **options: Any) -> asyncssh.SSHClientConnection:
    """Log in as alice, unless told otherwise."""
    settings: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "username": "alice",
        "client_keys": [ALICE_KEY],
        "known_hosts": None,
        "config": None,
        "agent_path": None,
    }
    return await asyncssh.connect(**(settings | options))


class Wire:
    """A NETCONF client on one channel."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.process = process
        self._decoder = FrameDecoder()
        self.framing = Framing.END_OF_MESSAGE

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, **options: Any) -> Wire:
        wire = cls(await connection.create_process(subsystem="netconf", encoding=None, **options))
        assert (await wire.receive()).startswith(b"<?xml")
        wire.send(client_hello(BASE_1_1))
        wire.framing = Framing.CHUNKED
        return wire

    def send(self, message: bytes) -> None:
        self.process.stdin.write(frame(message, self.framing))

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while True:
                self._decoder.framing = self.framing
                message = self._decoder.next_message()
                if message is not None:
                    assert isinstance(message, bytes)
                    return message
                octets = await self.process.stdout.read(65536)
                if not octets:
                    raise EOFError
                self._decoder.receive(octets)

    async def call(self, operation: str) -> bytes:
        self.send(rpc(operation))
        return await self.receive()


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
