"""Hostile clients, all at once and over SSH: the others keep their latency and the server its memory."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Coroutine

import asyncssh
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf import ServerLimits, SessionLimits, TransportLimits
from rkmp.netconf.framing import Framing, frame
from rkmp.netconf.namespaces import NOTIFICATION
from tests.netconf.agents import NET, NOW, Agent, edit, get, get_config, require_ok
from tests.netconf.conversation import rpc
from tests.netconf.over_ssh import HOST_KEY, Users, Wire, connect, eventually

LIMITS = ServerLimits(
    sessions=50,
    session=SessionLimits(message_octets=1_000_000, queued_notifications=500),
    transport=TransportLimits(pending_logins=10),
)
ENTITY_BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>'
    b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get>&c;</get></rpc>'
)
ALARM = etree.fromstring(f'<alarm xmlns="{NET}"><severity>major</severity><text>{"x" * 200}</text></alarm>')


async def giant_chunk(connection: asyncssh.SSHClientConnection) -> None:
    """Announces four gigabytes and sends as much of them as is taken."""
    wire = await Wire.open(connection)
    wire.process.stdin.write(b"\n#4294967295\n")
    while True:
        wire.process.stdin.write(b"x" * 100_000)
        await wire.process.stdin.drain()
        await asyncio.sleep(0.01)


async def entity_bombs(connection: asyncssh.SSHClientConnection) -> None:
    wire = await Wire.open(connection)
    while True:
        wire.send(ENTITY_BOMB)
        assert b"malformed-message" in await wire.receive()
        await asyncio.sleep(0.01)


async def one_octet_at_a_time(connection: asyncssh.SSHClientConnection) -> None:
    wire = await Wire.open(connection)
    for octet in frame(rpc(get("")), Framing.CHUNKED):
        wire.process.stdin.write(bytes([octet]))
        await asyncio.sleep(0.005)


async def reads_nothing(connection: asyncssh.SSHClientConnection) -> None:
    """Asks for everything, many times, and takes none of it."""
    wire = await Wire.open(connection, window=65536)
    wire.process.channel.pause_reading()
    for _ in range(500):
        wire.send(rpc(get_config()))
    await asyncio.Event().wait()


async def subscribes_and_reads_nothing(connection: asyncssh.SSHClientConnection) -> None:
    wire = await Wire.open(connection, window=65536)
    assert b"<ok/>" in await wire.call(f'<create-subscription xmlns="{NOTIFICATION}"/>')
    wire.process.channel.pause_reading()
    await asyncio.Event().wait()


async def loses_its_framing(connection: asyncssh.SSHClientConnection) -> None:
    while True:
        wire = await Wire.open(connection)
        wire.process.stdin.write(b"\n#0\n")
        with contextlib.suppress(EOFError):
            await wire.receive()


async def drops_in_the_middle(connection: asyncssh.SSHClientConnection) -> None:
    wire = await Wire.open(connection)
    wire.process.stdin.write(b"\n#500\n<rpc")
    await asyncio.sleep(0.05)
    connection.abort()


HOSTILE: tuple[Callable[[asyncssh.SSHClientConnection], Coroutine[None, None, None]], ...] = (
    giant_chunk,
    entity_bombs,
    one_octet_at_a_time,
    reads_nothing,
    subscribes_and_reads_nothing,
    loses_its_framing,
    drops_in_the_middle,
)


async def test_hostile_clients_harm_nobody(schema: Schema) -> None:
    agent = Agent(schema, LIMITS)
    entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(2000))
    loader = await agent.connect()
    require_ok(await loader.call(edit("running", f'<network xmlns="{NET}">{entries}</network>')))
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    connections = [await connect(port) for _ in HOSTILE]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tasks = [asyncio.create_task(behave(connection)) for behave, connection in zip(HOSTILE, connections, strict=True)]
    try:
        async with await connect(port) as lively:
            wire = await Wire.open(lively)
            slowest = 0.0
            for _ in range(60):
                for _ in range(20):
                    agent.server.publish(NOW, ALARM)
                begun = time.monotonic()
                assert b"</network>" in await wire.call(
                    get_config("running", f'<network xmlns="{NET}"><peer><name>p7</name></peer></network>')
                )
                slowest = max(slowest, time.monotonic() - begun)
                await asyncio.sleep(0.01)
            # Each takes milliseconds; the bound is for a loaded machine.
            assert slowest < 2
            # The subscriber that reads nothing is gone, and the one that reads no replies holds one of them.
            await eventually(lambda: not agent.server.has_subscribers)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            connection.abort()
        for _, writer in silent:
            writer.close()
    # Each went on to be hostile to the end, or did what it was to do once.
    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes
    await eventually(lambda: agent.server.sessions == (loader.session,))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"the process grew by {grown} kB"
    await agent.close()
