"""Programs on the key API that read nothing, and many keys and neighbors at once: nothing grows, nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from rkmp.southbound import KeyPermission
from rkmp.southbound import feed as feed_module
from rkmp.southbound import key_session as key_session_module
from tests.keytable.rows import PEER
from tests.southbound.test_key_api import ME, World, row, until

SUBSCRIPTIONS = 400
"""Their keys are some 100,000 octets, which a socket's buffers hold twice."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "keys.sock")
    made.start()
    await until(made.path.exists)
    yield made
    await made.stop()


async def subscribed(world: World, number: int = 1) -> socket.socket:
    """Return the connection of a program that has subscribed so often and reads nothing."""
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, str(world.path))
    lines = [{"type": "hello", "version": 1, "name": "deaf"}]
    lines += [{"type": "subscribe", "id": each, "protocol": "bgp", "neighbor": PEER} for each in range(number)]
    octets = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    await asyncio.get_running_loop().sock_sendall(connection, octets)
    assert world.southbound is not None
    southbound = world.southbound
    await until(lambda: len(southbound.clients()) == number)
    return connection


async def test_a_program_that_reads_nothing_takes_no_memory_and_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_session_module._Subscriber, "timeout", 0.02)
    monkeypatch.setattr(feed_module, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(feed_module, "LAST_RETRY", 0.02)
    world.install(row(1))
    connection = await subscribed(world, SUBSCRIPTIONS)
    assert world.southbound is not None
    key_socket = world.southbound.key_socket()
    assert key_socket is not None
    (session,) = key_socket.sessions
    await asyncio.sleep(1.5)
    assert session._writer.transport.get_write_buffer_size() < 200_000
    # What it is not permitted any more it does not get, and it is gone.
    world.permit(KeyPermission(users=frozenset({ME}), protocols=frozenset({"ldp"})))
    await until(lambda: not world.southbound.clients() if world.southbound is not None else True)
    connection.close()


async def test_an_agent_stops_though_a_program_reads_nothing(world: World) -> None:
    world.install(*(row(number) for number in range(1, 9)))
    connection = await subscribed(world, 1)
    assert world.southbound is not None
    key_socket = world.southbound.key_socket()
    assert key_socket is not None
    (session,) = key_socket.sessions
    session._writer.write(b" " * 1_000_000)
    await asyncio.wait_for(world.stop(), 5)
    connection.close()


def test_a_program_that_has_to_come_again_is_no_fault_of_the_loop_of_the_daemon(tmp_path: Path) -> None:
    faults: list[object] = []

    async def one() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        world = World(tmp_path / "keys.sock")
        world.start()
        await until(world.path.exists)
        connection = await subscribed(world)
        world.permit(KeyPermission(users=frozenset({ME}), protocols=frozenset({"ldp"})))
        southbound = world.southbound
        assert southbound is not None
        await until(lambda: not southbound.clients())
        await world.stop()
        connection.close()
        gc.collect()

    uvloop.run(one())
    assert faults == []
