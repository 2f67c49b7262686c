"""Hostile and idle sessions, counted: whatever they do and wherever they stop, nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema
from rkmp.netconf import ServerLimits, TransportLimits
from rkmp.netconf.framing import Framing, frame
from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from rkmp.netconf.ssh import SshServer
from tests.netconf.agents import NET, Agent, edit, get_config, require_ok
from tests.netconf.conversation import client_hello, rpc, settle
from tests.netconf.over_ssh import HOST_KEY, Users, Wire, connect, eventually

PEER_7 = f'<network xmlns="{NET}"><peer><name>p7</name></peer></network>'


@dataclass(frozen=True)
class Census:
    """What a process has, besides memory."""

    tasks: int
    descriptors: int
    sessions: int
    logins: int

    @classmethod
    def of(cls, agent: Agent) -> Census:
        gc.collect()
        servers = [each for each in agent.server._transports if isinstance(each, SshServer)]
        return cls(
            len(asyncio.all_tasks()),
            sum(1 for _ in Path("/proc/self/fd").iterdir()),
            len(agent.server.sessions),
            sum(len(server._logins) for server in servers),
        )


@contextlib.asynccontextmanager
async def served(
    schema: Schema, limits: ServerLimits | None = None, octets: int = 10
) -> AsyncIterator[tuple[Agent, int]]:
    agent = Agent(schema, limits or ServerLimits())
    peers = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(5000))
    await agent.load(f'<network xmlns="{NET}"><name>{"x" * octets}</name>{peers}</network>')
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    try:
        yield agent, port
    finally:
        await agent.close()


async def slowest(wire: Wire, times: int = 30) -> float:
    longest = 0.0
    for _ in range(times):
        begun = time.monotonic()
        assert b"p7" in await wire.call(get_config("running", PEER_7))
        longest = max(longest, time.monotonic() - begun)
    return longest


async def test_a_thousand_idle_sessions_cost_little_and_leave_nothing(schema: Schema) -> None:
    channels = TransportLimits().channels
    async with served(schema) as (agent, port), await connect(port) as lively:
        wire = await Wire.open(lively)
        await slowest(wire)
        before, memory = Census.of(agent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connections = [await connect(port) for _ in range(-(-1000 // channels))]
        for connection in connections:
            await asyncio.gather(*(Wire.open(connection) for _ in range(channels)))
        assert len(agent.server.sessions) > 1000
        # The clients are in this process, too.
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        assert grown < 150_000, f"{grown} kB for {len(agent.server.sessions)} sessions and their clients"
        assert await slowest(wire) < 2
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_closed()
        del connections, connection
        await eventually(lambda: Census.of(agent) == before)


CONVERSATION = (
    frame(client_hello(BASE_1_0, BASE_1_1), Framing.END_OF_MESSAGE)
    + b"\n#20\n"
    + rpc("<lock><target><running/></target></lock>")[:20]
    + b"\n#1\n"
    + rpc("<lock><target><running/></target></lock>")[20:21]
    + b"\n#%d\n" % len(rpc("<lock><target><running/></target></lock>")[21:])
    + rpc("<lock><target><running/></target></lock>")[21:]
    + b"\n##\n"
    + frame(rpc(get_config()), Framing.CHUNKED)
)


async def test_a_client_may_be_gone_after_any_octet(agent: Agent) -> None:
    """The whole hello, chunk headers, chunks and ends of chunks, and locks that are held by then."""
    await agent.load()
    tasks = len(asyncio.all_tasks())
    for length in range(len(CONVERSATION) + 1):
        peer = agent.open()
        peer.send_octets(CONVERSATION[:length])
        await settle()
        peer.session.connection_lost()
        await peer.ended()
        assert not agent.server.sessions
        assert not agent.datastores.locks()
    del peer
    await settle()
    assert len(asyncio.all_tasks()) == tasks
    require_ok(await (await agent.connect()).call(edit("running", f'<network xmlns="{NET}"><name>x</name></network>')))


BOUNDARIES = (
    b"",
    b"\n",
    b"\n#",
    b"\n#5",
    b"\n#50\n",
    b"\n#5\n<rpc ",
    b"\n#5\n<rpc \n",
    b"\n#5\n<rpc \n##",
    b"\n#4294967295\n",
)


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_a_channel_may_end_at_every_boundary_of_framing(schema: Schema, ending: str) -> None:
    async with served(schema) as (agent, port), await connect(port) as lively:
        wire = await Wire.open(lively)
        await slowest(wire, 3)
        before = Census.of(agent)
        for octets in BOUNDARIES:
            connection = await connect(port)
            hostile = await Wire.open(connection)
            hostile.process.stdin.write(octets)
            await hostile.process.stdin.drain()
            if ending == "close":
                hostile.process.close()
                connection.close()
            else:
                connection.abort()
            await connection.wait_closed()
        del connection, hostile
        await eventually(lambda: Census.of(agent) == before)
        assert await slowest(wire) < 2


HALF_OPEN = (
    b"",
    b"SSH-2.0-x",
    b"SSH-2.0-x\r\n",
    b"SSH-2.0-x\r\n" + bytes.fromhex("000003fc0a14") + bytes(100),
    b"SSH-2.0-x\r\n" + bytes.fromhex("ffffffff0a14"),
    b"x" * 200_000,
)


async def test_half_open_ssh_ends_in_time_and_leaves_nothing(schema: Schema) -> None:
    limits = ServerLimits(transport=TransportLimits(login_timeout=1.5, pending_logins=1000, failed_logins=1000))
    async with served(schema, limits) as (agent, port), await connect(port) as lively:
        wire = await Wire.open(lively)
        before = Census.of(agent)
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30) for _ in HALF_OPEN]
        for number, (_, writer) in enumerate(streams):
            writer.write(HALF_OPEN[number % len(HALF_OPEN)])
        assert await slowest(wire) < 2
        for reader, writer in streams:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        del streams, reader, writer
        await eventually(lambda: Census.of(agent) == before)


async def test_a_reply_of_ten_megabytes_that_nobody_reads_is_held_once(schema: Schema) -> None:
    async with served(schema, octets=9_900_000) as (agent, port), await connect(port) as lively:
        wire = await Wire.open(lively)
        await slowest(wire, 3)
        assert len(await wire.call(get_config())) > 10_000_000
        before, memory = Census.of(agent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stuck = [await connect(port) for _ in range(3)]
        for connection in stuck:
            hostile = await Wire.open(connection, window=65536)
            hostile.process.channel.pause_reading()
            for _ in range(20):
                hostile.send(rpc(get_config()))
        assert await slowest(wire) < 10
        # Sixty were asked for; three are held, and what it takes to make one.
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        assert grown < 150_000, f"the process grew by {grown} kB"
        for connection in stuck:
            connection.abort()
            await connection.wait_closed()
        del stuck, connection, hostile
        await eventually(lambda: Census.of(agent) == before)
