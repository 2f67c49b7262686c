"""The client's end of a NETCONF session in one process: a transport without a network, and messages both ways."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from lxml import etree

from rkmp.netconf.documents import parse_document
from rkmp.netconf.framing import FrameDecoder, Framing, frame
from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from rkmp.netconf.session import Session

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
PATIENCE = 10.0
"""Seconds that a test waits for what is to come; nothing that works comes near it."""


def nc(name: str) -> str:
    return f"{{{BASE}}}{name}"


def client_hello(*versions: str) -> bytes:
    listed = "".join(f"<capability>{version}</capability>" for version in versions)
    return f'<hello xmlns="{BASE}"><capabilities>{listed}</capabilities></hello>'.encode()


def rpc(operation: str, message_id: str = "1", attributes: str = "") -> bytes:
    return f'<rpc xmlns="{BASE}" message-id="{message_id}" {attributes}>{operation}</rpc>'.encode()


class MemoryTransport:
    """A transport that keeps what is written until the test takes it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.changed = asyncio.Event()
        self.closed = False
        self.aborted = False
        self.reading_paused = False

    def write(self, octets: bytes) -> None:
        if not self.closed and not self.aborted:
            self.sent += octets
            self.changed.set()

    def close(self) -> None:
        self.closed = True
        self.changed.set()

    def abort(self) -> None:
        self.aborted = True
        self.changed.set()

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    @property
    def is_over(self) -> bool:
        return self.closed or self.aborted


class Peer:
    """The client of one session over a MemoryTransport."""

    def __init__(self, open_session: Callable[[MemoryTransport], Session]) -> None:
        self.transport = MemoryTransport()
        self.session = open_session(self.transport)
        self.framing = Framing.END_OF_MESSAGE
        self._decoder = FrameDecoder()
        self._ids = itertools.count(1)
        self.server_hello: etree._Element | None = None
        self.session.start()

    def send(self, message: bytes) -> None:
        """Send one message, framed."""
        self.session.data_received(frame(message, self.framing))

    def send_octets(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.session.data_received(octets)

    async def octets(self) -> bytes | None:
        """Return the next message the session sent, as octets, or None when the session ended instead."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._decoder.receive(bytes(self.transport.sent))
                self.transport.sent.clear()
                self._decoder.framing = self.framing
                message = self._decoder.next_message()
                if message is not None:
                    assert isinstance(message, bytes)
                    return message
                if self.transport.is_over:
                    assert not self._decoder.within_message, "the session ended in the middle of a message"
                    return None
                self.transport.changed.clear()
                await self.transport.changed.wait()

    async def message(self) -> etree._Element:
        """Return the root of the next message the session sent."""
        octets = await self.octets()
        assert octets is not None, "the session ended"
        return parse_document(octets)

    async def hello(self, *versions: str) -> Peer:
        """Exchange hellos; without arguments as a client of both versions."""
        self.server_hello = await self.message()
        versions = versions or (BASE_1_0, BASE_1_1)
        self.send(client_hello(*versions))
        if BASE_1_1 in versions:
            self.framing = Framing.CHUNKED
        return self

    async def call(self, operation: str, attributes: str = "") -> etree._Element:
        """Send one rpc and return its reply."""
        message_id = str(next(self._ids))
        self.send(rpc(operation, message_id, attributes))
        reply = await self.message()
        assert reply.tag == nc("rpc-reply")
        assert reply.get("message-id") == message_id
        return reply

    async def ended(self) -> None:
        """Return when the session has ended and nothing of it runs."""
        async with asyncio.timeout(PATIENCE):
            await self.session.wait_ended()
        assert self.transport.is_over


async def settle() -> None:
    """Let everything that is ready to run do so."""
    for _ in range(20):
        await asyncio.sleep(0)
