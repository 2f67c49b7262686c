"""Strict key exchange (OpenSSH PROTOCOL 1.9; CVE-2023-48795): nothing may be slipped in before keys are there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from rkmp.netconf.ssh import CIPHERS, KEY_EXCHANGES, MACS, SIGNATURES
from tests.netconf.conversation import PATIENCE
from tests.netconf.test_ssh import serving

KEXINIT, IGNORE, DEBUG, DISCONNECT = 20, 2, 4, 1
STRICT = "kex-strict-c-v00@openssh.com"


def names(*given: str) -> bytes:
    text = ",".join(given).encode()
    return len(text).to_bytes(4, "big") + text


def kexinit(*markers: str) -> bytes:
    """A client's offer (RFC 4253 section 7.1) of what the server knows."""
    lists = [
        *(names(*KEY_EXCHANGES, *markers), names(*SIGNATURES), names(*CIPHERS), names(*CIPHERS)),
        *(names(*MACS), names(*MACS), names("none"), names("none"), names(), names()),
    ]
    return bytes([KEXINIT]) + bytes(16) + b"".join(lists) + b"\x00" + bytes(4)


def packet(payload: bytes) -> bytes:
    """A packet of the time before there are keys (RFC 4253 section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


IGNORED = packet(bytes([IGNORE]) + names("x"))
DEBUGGED = packet(bytes([DEBUG]) + b"\x00" + names("x") + names(""))


@contextlib.asynccontextmanager
async def talking(*packets: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which the packets have been sent, read up to and with the server's own offer."""
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"SSH-2.0-test\r\n" + b"".join(packets))
            assert (await reader.readline()).startswith(b"SSH-2.0-")
            payload = await read(reader)
            assert payload[0] == KEXINIT
            assert b"kex-strict-s-v00@openssh.com" in payload
            yield reader
        finally:
            writer.close()


async def read(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "big")
    body = await reader.readexactly(length)
    return body[1 : length - body[0]]


@pytest.mark.parametrize("before", [IGNORED, DEBUGGED], ids=["ignore", "debug"])
async def test_what_comes_before_the_offer_of_a_strict_client_ends_the_connection(before: bytes) -> None:
    async with talking(before, packet(kexinit(STRICT))) as reader, asyncio.timeout(PATIENCE):
        assert (await read(reader))[0] == DISCONNECT
        assert await reader.read() == b""


@pytest.mark.parametrize("after", [IGNORED, DEBUGGED], ids=["ignore", "debug"])
async def test_what_comes_between_offer_and_keys_ends_the_connection(after: bytes) -> None:
    async with talking(packet(kexinit(STRICT)), after) as reader, asyncio.timeout(PATIENCE):
        assert (await read(reader))[0] == DISCONNECT
        assert await reader.read() == b""


async def test_a_client_that_is_not_strict_may_still_send_them() -> None:
    async with talking(IGNORED, packet(kexinit()), IGNORED) as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)
