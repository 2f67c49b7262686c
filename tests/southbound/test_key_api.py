"""The local key API over its socket, client and agent as they are: steps, restarts on either side, refusals."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rkmp.keytable import KeyRow, KeyTable, Lifetime
from rkmp.southbound import (
    Add,
    ConsumerReport,
    FeedState,
    FeedStatus,
    KeyAccessRefused,
    KeyClient,
    KeyPermission,
    KeySocketConfiguration,
    MasterKeyTuple,
    Prefer,
    Remove,
    Retire,
    Southbound,
    SouthboundConfiguration,
    Told,
    Usage,
)
from rkmp.southbound import client as client_module
from rkmp.southbound import key_session as key_session_module
from tests.keytable.rows import NOON, PEER, memory_table, negotiated_row

ME = pwd.getpwuid(os.geteuid()).pw_name


def row(number: int, start: float = 0, end: float = 3600, overlap: float = 60) -> KeyRow:
    """Return a key that is sent with from ``start`` to ``end`` and accepted from noon on, in seconds after noon."""
    return negotiated_row(
        f"key-{number}",
        local_key_name=f"{number:02x}",
        peer_key_name=f"{number + 16:02x}",
        send_lifetime=Lifetime(at(start), at(end)),
        accept_lifetime=Lifetime(at(0), at(end + overlap)),
    )


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass
class World:
    """An agent's key table and southbound with a clock that the test sets."""

    path: Path
    table: KeyTable = field(default_factory=memory_table)
    now: datetime = NOON
    reports: list[ConsumerReport] = field(default_factory=list)
    refusals: list[KeyAccessRefused] = field(default_factory=list)
    southbound: Southbound | None = None

    def start(self, *permissions: KeyPermission) -> Southbound:
        """Start the agent's part; without permissions this user may read everything."""
        self.southbound = Southbound(self.table, lambda: self.now, "rkmpd of a test")
        self.southbound.subscribe(lambda event, _: self.take(event))
        self.permit(*(permissions or (KeyPermission(users=frozenset({ME})),)))
        return self.southbound

    def permit(self, *permissions: KeyPermission) -> None:
        assert self.southbound is not None
        key_socket = KeySocketConfiguration(str(self.path), permissions)
        self.southbound.configure(SouthboundConfiguration(key_socket=key_socket))

    def take(self, event: ConsumerReport | KeyAccessRefused) -> None:
        if isinstance(event, KeyAccessRefused):
            self.refusals.append(event)
        else:
            self.reports.append(event)

    def install(self, *rows: KeyRow) -> None:
        with self.table.transaction(self.now) as change:
            for each in rows:
                known = self.table.get(each.admin_key_name)
                (change.install if known is None else change.update)(each)

    def remove(self, name: str) -> None:
        self.table.remove(name, self.now, "replaced")

    async def stop(self) -> None:
        if self.southbound is not None:
            await self.southbound.close()
            self.southbound = None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "keys.sock")
    made.start()
    await until(made.path.exists)
    yield made
    await made.stop()


async def in_thread(deed: Callable[..., Any], *arguments: Any) -> Any:
    """Call what blocks; the agent runs meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(None, deed, *arguments)


async def take(client: KeyClient, *, seconds: float = 5.0) -> list[Told]:
    """Do and acknowledge steps until the agent says that there are no more."""
    done: list[Told] = []
    subscriptions = list(client._subscriptions.values())
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        for told in await in_thread(client.wait, 0.05):
            client.acknowledge(told)
            done.append(told)
        if all(each.is_synchronised for each in subscriptions):
            break
    return done


def steps(done: list[Told]) -> list[Any]:
    return [told.step for told in done]


def tuple_of(one: KeyRow) -> MasterKeyTuple:
    found = MasterKeyTuple.of(one)
    assert found is not None
    return found


def status(world: World) -> FeedStatus:
    assert world.southbound is not None
    ((client_name, found),) = world.southbound.clients()
    assert client_name == "bgpd"
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is the outer behaviour
            await asyncio.sleep(0.01)


async def test_a_rollover_comes_in_steps_and_is_seen_by_the_agent(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        subscription = client.subscribe("bgp", PEER)
        assert steps(await take(client)) == [Add(tuple_of(row(1))), Prefer("key-1")]
        client.report(subscription, Usage(frozenset({"key-1"}), connections=1, good=7))
        await until(lambda: status(world).usage == Usage(frozenset({"key-1"}), connections=1, good=7))

        world.install(row(1, end=5), row(2, start=5))
        world.now = at(1)
        assert steps(await take_after(world, client)) == [Add(tuple_of(row(2)))]
        world.now = at(6)
        world.table.handle_time(world.now)
        assert steps(await take_after(world, client)) == [Prefer("key-2")]
        await until(lambda: status(world).state is FeedState.AWAITING_PEER)

        client.report(subscription, Usage(frozenset({"key-2"}), connections=1))
        assert steps(await take_after(world, client)) == [Retire("key-1")]
        world.remove("key-1")
        assert steps(await take_after(world, client)) == [Remove("key-1")]
        await until(lambda: status(world).state is FeedState.SYNCHRONISED)
        assert [held.key.name for held in subscription.holding.keys] == ["key-2"]
    assert world.reports == []


async def take_after(world: World, client: KeyClient) -> list[Told]:
    """Take the steps of a change that was just made."""
    for subscription in client._subscriptions.values():
        subscription.is_synchronised = False
    return await take(client)


async def test_a_client_whose_agent_restarts_goes_on_from_what_it_has(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        await take(client)
        await world.stop()
        assert await in_thread(client.wait, 0.1) == []
        world.install(row(1, end=5), row(2, start=5))
        world.now = at(6)
        world.start()
        assert steps(await take(client)) == [Add(tuple_of(row(2))), Prefer("key-2"), Retire("key-1")]


async def test_addresses_may_be_written_as_one_likes(world: World) -> None:
    world.install(replace(row(1), peers=("2001:db8::2",)))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", "2001:DB8:0:0::2")
        assert len(await take(client)) == 2
        world.remove("key-1")
        assert steps(await take_after(world, client)) == [Remove("key-1")]


async def test_a_path_that_is_too_long_is_said_so(tmp_path: Path) -> None:
    world = World(tmp_path / ("x" * 120))
    southbound = world.start()
    await until(lambda: (found := southbound.key_socket()) is not None and found.last_error is not None)
    assert "too long" in (southbound.key_socket().last_error or "")  # type: ignore[union-attr]
    await world.stop()


async def test_a_client_that_restarts_is_told_everything_again(world: World) -> None:
    world.install(row(1))
    for _ in range(2):
        with KeyClient(str(world.path), "bgpd") as client:
            client.subscribe("bgp", PEER)
            assert steps(await take(client)) == [Add(tuple_of(row(1))), Prefer("key-1")]


async def test_a_key_that_was_replaced_under_its_name_is_known_by_its_fingerprint(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        await take(client)
        await world.stop()
        world.remove("key-1")
        changed = negotiated_row("key-1", key=type(row(1).key)(b"another secret of 20"))
        world.install(changed)
        world.start()
        assert steps(await take(client)) == [Remove("key-1"), Add(tuple_of(changed)), Prefer("key-1")]


async def test_a_step_that_is_refused_is_reported_and_comes_again(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        (told,) = await in_thread(client.wait, 5.0)
        client.refuse(told, "no memory")
        await until(lambda: len(world.reports) == 1)
        assert world.reports[0] == ConsumerReport("bgpd", PEER, "bgp", "refused: no memory")
        assert steps(await take(client)) == [Add(tuple_of(row(1))), Prefer("key-1")]
        assert world.reports[1:] == [ConsumerReport("bgpd", PEER, "bgp", None)]


async def test_the_words_of_a_refusal_are_one_line_without_the_key(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        (told,) = await in_thread(client.wait, 5.0)
        secret = row(1).key.reveal()
        client.refuse(told, f"bad line:\n  key {secret.hex().upper()}\n  or {secret.hex(':')}\x07\udfff")
        await until(lambda: len(world.reports) == 1)
        assert world.reports[0].reason == "refused: bad line: key (the key) or (the key)"


async def test_a_client_that_does_not_answer_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_session_module._Subscriber, "timeout", 0.1)
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        await in_thread(client.wait, 5.0)
        await until(lambda: [report.reason for report in world.reports] == ["no answer within 0.1 s"])


def hello_row(number: int, start: float = 0, end: float = 3600) -> KeyRow:
    """Return a key of LDP's targeted Hellos, as the one of TCP-AO with this number."""
    of_hellos: dict[str, Any] = {"protocol": "ldp-discovery", "kdf": "none", "alg_id": "hmac-sha-256"}
    ids: dict[str, Any] = {"local_key_name": f"{number + 0xAB00:08x}", "peer_key_name": f"{number + 0xCD00:08x}"}
    return replace(row(number, start, end), admin_key_name=f"hello-{number}", **of_hellos, **ids)


async def test_the_last_key_is_taken_away_at_the_end_of_its_accept_lifetime(world: World) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        await take(client)
        world.now = at(3660.5)
        world.table.handle_time(world.now)
        assert steps(await take_after(world, client)) == [Remove("key-1")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense\n", "no JSON object"),
        (b"[]\n", "no JSON object"),
        (b'{"type":"dance"}\n', "no message of type 'dance'"),
        (b'{"type":"subscribe","id":1,"protocol":"bgp"}\n', "lacks 'neighbor'"),
        (b'{"type":"subscribe","id":true,"protocol":"bgp","neighbor":"x"}\n', "'id' is not a whole number"),
        (b'{"type":"subscribe","id":-1,"protocol":"bgp","neighbor":"x"}\n', "'id' is negative"),
        (b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"x","holds":[1]}\n', "'holds' lists objects"),
        (b'{"type":"usage","subscription":1,"sending":[1]}\n', "'sending' lists names"),
        (b'{"type":"usage","subscription":1,"sending":[],"unsigned":"many"}\n', "'unsigned' is not a whole number"),
        (b'{"type":"usage","subscription":1,"sending":[],"bad":18446744073709551616}\n', "more than a counter holds"),
        (b'{"type":"hello","version":1,"name":"again"}\n', "a hello already"),
        (b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"x\\n1970-01-01 ERROR"}\n', "'neighbor' is not text"),
        (b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"\\ud800"}\n', "'neighbor' is not text"),
        (b'{"type":"usage","subscription":1,"sending":["a\\nb"]}\n', "'sending' lists names"),
        (
            b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"x","holds":[{"name":"\\n","fingerprint":"0"}]}\n',
            "'holds' lists objects",
        ),
        (b"[" * 60000 + b"\n", "no JSON object"),
        (b"x" * 70000 + b"\n", "too long"),
    ],
)
async def test_what_is_no_message_ends_the_session_with_a_reason(world: World, line: bytes, reason: str) -> None:
    reader, writer = await asyncio.open_unix_connection(str(world.path), limit=200000)
    assert json.loads(await reader.readline())["type"] == "hello"
    subscription = b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"192.0.2.2"}\n'
    writer.write(b'{"type":"hello","version":1,"name":"odd"}\n' + (subscription if b"usage" in line else b"") + line)
    while (said := json.loads(await reader.readline()))["type"] in ("subscribed", "synchronised"):
        pass
    assert (said["type"], said["code"]) == ("error", "malformed")
    assert reason in said["reason"]
    assert await reader.read() == b""
    writer.close()


async def test_a_subscription_that_is_not_there_or_twice_is_said_so_and_the_session_goes_on(world: World) -> None:
    reader, writer = await asyncio.open_unix_connection(str(world.path))
    subscription = b'{"type":"subscribe","id":1,"protocol":"bgp","neighbor":"192.0.2.2"}\n'
    writer.write(b'{"type":"hello","version":1,"name":"odd"}\n{"type":"unsubscribe","subscription":9}\n')
    writer.write(subscription * 2)
    said = [json.loads(await reader.readline()) for _ in range(4)]
    assert [(each["type"], each.get("code"), each.get("id")) for each in said] == [
        ("hello", None, None),
        ("error", "no-such-subscription", 9),
        ("subscribed", None, None),
        ("error", "id-in-use", 1),
    ]
    writer.close()


async def test_counters_are_told_from_time_to_time_and_what_is_sent_with_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.install(row(1))
    with KeyClient(str(world.path), "bgpd") as client:
        subscription = client.subscribe("bgp", PEER)
        first = Usage(frozenset({"key-1"}), 1, good=1, bad=2, key_not_found=3, unsigned=4, dropped_icmps=5)
        # Nobody listens yet, so that nothing is lost.
        client.report(subscription, first)
        await take(client)
        client.report(subscription, first)
        await until(lambda: status(world).usage == first)
        client.report(subscription, replace(first, good=100))
        client.report(subscription, replace(first, sending=frozenset(), good=101))
        await until(lambda: status(world).usage == replace(first, sending=frozenset(), good=101))
        monkeypatch.setattr(client_module, "REPORT_SECONDS", 0.0)
        later = replace(first, sending=frozenset(), good=102)
        client.report(subscription, later)
        await until(lambda: status(world).usage == later)
        # An agent that has restarted knows nothing of it.
        await world.stop()
        await in_thread(client.wait, 0.1)
        world.start()
        await take(client)
        client.report(subscription, later)
        await until(lambda: status(world).usage == later)


async def test_another_version_is_refused(world: World) -> None:
    reader, writer = await asyncio.open_unix_connection(str(world.path))
    await reader.readline()
    writer.write(b'{"type":"hello","version":2,"name":"odd"}\n')
    said = json.loads(await reader.readline())
    assert (said["code"], said["reason"]) == ("unsupported-version", "this is version 1 of the key API")
    writer.close()


async def test_a_socket_that_an_earlier_agent_left_is_no_obstacle(tmp_path: Path) -> None:
    world = World(tmp_path / "keys.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(world.path))
    southbound = world.start()
    await until(lambda: (found := southbound.key_socket()) is not None and found.is_listening)
    await world.stop()
    assert not world.path.exists()


async def test_a_place_that_cannot_be_had_is_said_and_no_file_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path / "keys.sock")
    world.path.write_text("somebody's file")
    southbound = world.start()
    await until(lambda: (found := southbound.key_socket()) is not None and found.last_error is not None)
    await world.stop()
    assert world.path.read_text() == "somebody's file"
