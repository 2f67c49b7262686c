"""Programs on the key API that read nothing, and many keys and neighbors at once: nothing grows, nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from rkmp.southbound import KeyClient, KeyPermission, Remove
from rkmp.southbound import feed as feed_module
from rkmp.southbound import key_session as key_session_module
from rkmp.southbound.feed import KeyFeed
from rkmp.southbound.feeds import Feeds
from tests.keytable.rows import NOON, PEER
from tests.southbound.test_key_api import ME, World, in_thread, row, take, until

RUNS: list[Callable[[Coroutine[None, None, None]], None]] = [asyncio.run]
with contextlib.suppress(ImportError):
    import uvloop

    RUNS.append(uvloop.run)
"""What an agent runs on: Python's own event loop, and uvloop where it is installed."""

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
    monkeypatch.setattr(key_session_module, "MOST_UNREAD", 50_000)
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


async def test_a_program_subscribes_thousands_of_times_before_it_reads(world: World) -> None:
    world.install(row(1))
    assert world.southbound is not None
    southbound = world.southbound
    with KeyClient(str(world.path), "bgpd") as client:
        for _ in range(2500):
            client.subscribe("bgp", PEER)
        told = await asyncio.wait_for(in_thread(client.wait, 0.1), 8)
        assert told
        assert client.fileno() != -1
        await until(lambda: len(southbound.clients()) == 2500)


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


async def test_a_key_that_moves_to_another_neighbor_leaves_the_first_at_once(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        await take(client)
        world.install(replace(row(1), peers=("192.0.2.99",)))
        told = await in_thread(client.wait, 2.0)
        assert [each.step for each in told] == [Remove("key-1")]


async def test_a_key_wakes_the_feeds_of_its_neighbor_and_no_others(world: World) -> None:
    woken: list[str] = []

    class Noted(KeyFeed):
        def wake(self) -> None:
            woken.append(self.neighbor)

    def feed(neighbor: str) -> KeyFeed:
        return Noted(None, world.table, neighbor, "bgp", lambda: NOON, lambda _: None)  # type: ignore[arg-type]

    feeds = Feeds()
    world.table.subscribe(feeds.wake)
    of_peer, other = feed(PEER), feed("2001:DB8::1")
    feeds.add(of_peer)
    feeds.add(other)
    world.install(row(1))
    assert set(woken) == {PEER}
    woken.clear()
    world.install(replace(row(1), peers=("2001:db8:0::1",)))
    assert set(woken) == {PEER, "2001:DB8::1"}
    woken.clear()
    feeds.discard(of_peer)
    world.install(row(2))
    assert woken == []
    assert list(feeds) == [other]


@pytest.mark.parametrize("run", RUNS, ids=["asyncio", "uvloop"][: len(RUNS)])
def test_a_program_that_has_to_come_again_is_no_fault_of_the_loop(
    tmp_path: Path, run: Callable[[Coroutine[None, None, None]], None]
) -> None:
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

    run(one())
    assert faults == []
