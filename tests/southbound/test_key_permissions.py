"""Who may read which keys: what the kernel says of a program, and what the permissions say of that."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rkmp.southbound import Credentials, KeyApiRefusal, KeyClient, KeyPermission
from rkmp.southbound import key_socket as key_socket_module
from rkmp.southbound.permissions import MOST_REFUSALS_KNOWN, KeyAccessRefused, Permitted, Refusals
from tests.keytable.rows import PEER
from tests.southbound.test_key_api import ME, World, in_thread, row, take, until

NOT_ME = frozenset({"nobody-that-runs-this"})
OTHER = "192.0.2.99"


def mine(protocols: frozenset[str] = frozenset(), neighbors: frozenset[str] = frozenset()) -> KeyPermission:
    return KeyPermission(users=frozenset({ME}), protocols=protocols, neighbors=neighbors)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "keys.sock")
    made.install(row(1))
    yield made
    await made.stop()


async def started(world: World, *permissions: KeyPermission) -> None:
    world.start(*permissions)
    await until(world.path.exists)


async def test_whoever_is_not_permitted_is_told_so_and_gets_nothing(world: World) -> None:
    await started(world, KeyPermission(users=NOT_ME))
    with KeyClient(str(world.path), "bgpd") as client:
        client.subscribe("bgp", PEER)
        with pytest.raises(KeyApiRefusal, match="is not permitted") as refused:
            await in_thread(client.wait, 5.0)
        assert refused.value.code == "not-permitted"
    (told,) = world.refusals
    assert (told.credentials.process, told.credentials.user_name) == (os.getpid(), ME)
    assert (told.client, told.protocol, told.neighbor) == (None, None, None)


async def test_many_that_are_refused_and_stay_take_no_descriptors(world: World) -> None:
    await started(world, KeyPermission(users=NOT_ME))
    before = descriptors()
    crowd = [await asyncio.open_unix_connection(str(world.path)) for _ in range(100)]
    for reader, _ in crowd:
        assert json.loads(await reader.readline())["code"] == "not-permitted"
    await asyncio.sleep(0.1)
    # Theirs, and those of a few that are listened to for a moment.
    assert descriptors() - before < 100 + 20
    assert len(world.refusals) == 1
    for _, writer in crowd:
        writer.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_without_permissions_nobody_gets_anything(world: World) -> None:
    await started(world)
    world.permit()
    with KeyClient(str(world.path), "bgpd") as client, pytest.raises(KeyApiRefusal, match="is not permitted"):
        await in_thread(client.look_up, "bgp", PEER)


async def test_keys_of_other_neighbors_and_protocols_are_refused_and_the_rest_goes_on(world: World) -> None:
    await started(world, mine(frozenset({"bgp"}), frozenset({PEER})))
    assert world.southbound is not None
    with KeyClient(str(world.path), "bgpd") as client:
        permitted = client.subscribe("bgp", PEER)
        assert len(await take(client)) == 2
        for protocol, neighbor in (("bgp", OTHER), ("ldp", PEER)):
            with pytest.raises(KeyApiRefusal, match=f"keys of {protocol} with {neighbor}") as refused:
                await in_thread(client.look_up, protocol, neighbor)
            assert refused.value.code == "not-permitted"
        refused_one = client.subscribe("bgp", OTHER)
        with pytest.raises(KeyApiRefusal, match=OTHER):
            await in_thread(client.wait, 5.0)
        assert permitted.is_synchronised
        assert not refused_one.is_synchronised
        assert (await in_thread(client.look_up, "bgp", PEER))[1] == "key-1"
    # The second time it was asked for the same is counted, and not told of again.
    assert [(told.client, told.protocol, told.neighbor) for told in world.refusals] == [
        ("bgpd", "bgp", OTHER),
        ("bgpd", "ldp", PEER),
    ]
    assert world.southbound.refusals() == 3


async def test_permissions_that_change_hold_at_once_for_those_whom_they_concern(world: World) -> None:
    """A program that may read the same as before is not disturbed; one that may not comes again and is refused."""
    await started(world, mine())
    with KeyClient(str(world.path), "bgpd") as client:
        subscription = client.subscribe("bgp", PEER)
        await take(client)
        world.permit(KeyPermission(users=NOT_ME), mine())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.create_task(closed(client)), 0.3)
        world.permit(mine(neighbors=frozenset({OTHER})))
        with pytest.raises(KeyApiRefusal, match="keys of bgp"):
            await in_thread(client.wait, 5.0)
        assert [held.key.name for held in subscription.holding.keys] == ["key-1"]
        world.permit(mine())
        await take(client)
        assert subscription.is_synchronised


async def closed(client: KeyClient) -> None:
    while client.fileno() >= 0:
        await asyncio.sleep(0.02)
        await in_thread(client.wait)


async def test_a_socket_that_moves_and_comes_back_is_there(world: World, tmp_path: Path) -> None:
    await started(world, mine())
    first = world.path
    world.path = tmp_path / "elsewhere.sock"
    world.permit(mine())
    world.path = first
    world.permit(mine())
    await asyncio.sleep(0.1)
    with KeyClient(str(world.path), "bgpd") as client:
        assert (await in_thread(client.look_up, "bgp", PEER))[1] == "key-1"


def test_a_link_in_the_place_of_the_socket_opens_no_file_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, path = tmp_path / "secret", tmp_path / "keys.sock"
    secret.touch(mode=0o600)
    bind = socket.socket.bind

    def bind_and_lose(self: socket.socket, address: str) -> None:
        bind(self, address)
        path.unlink()
        path.symlink_to(secret)

    monkeypatch.setattr(socket, "socket", type("Lost", (socket.socket,), {"bind": bind_and_lose}))
    with pytest.raises(OSError, match="something else"):
        key_socket_module._bound(path)
    assert secret.stat().st_mode & 0o777 == 0o600


async def test_groups_permit_too(world: World) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    await started(world, KeyPermission(groups=frozenset({group, "there-is-no-such-group"})))
    with KeyClient(str(world.path), "bgpd") as client:
        assert (await in_thread(client.look_up, "bgp", PEER))[1] == "key-1"


PROGRAM = """
import os, socket, sys
if os.geteuid() == 0:
    os.setgroups([int(group) for group in sys.argv[2].split(",") if group])
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
print(connection.recv(1))
"""


@pytest.mark.parametrize("groups", [(), (4444,), tuple(range(5000, 5500))])
def test_the_groups_are_those_that_the_process_has_when_it_connects(tmp_path: Path, groups: tuple[int, ...]) -> None:
    """Not those that the system's databases give its user; of which there may be very many."""
    if os.geteuid() != 0:
        groups = tuple(os.getgroups())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        words = [sys.executable, "-c", PROGRAM, str(tmp_path / "s"), ",".join(map(str, groups))]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process, listener.accept()[0] as connection:
            found = Credentials.of(connection)
            connection.send(b".")
        assert found == Credentials(process.pid, os.geteuid(), frozenset({os.getegid(), *groups}))
        assert found.user_name == pwd.getpwuid(os.geteuid()).pw_name


def test_a_user_without_a_name_is_known_by_number() -> None:
    nameless = Credentials(1, 3_999_999_999, frozenset())
    assert Permitted.to([KeyPermission(users=frozenset({"3999999999"}))], nameless).permissions
    assert not Permitted.to([KeyPermission(users=NOT_ME)], nameless).permissions


@pytest.mark.parametrize(
    ("permitted", "neighbor", "is_covered"),
    [
        ("192.0.2.2", "192.0.2.2", True),
        ("192.0.2.2", "192.0.2.3", False),
        ("192.0.2.0/24", "192.0.2.3", True),
        ("192.0.2.0/24", "192.0.3.3", False),
        ("192.0.2.0/24", "2001:db8::1", False),
        ("192.0.2.0/24", "r2.example.net", False),
        ("2001:db8::/32", "2001:DB8:0:0::2", True),
        ("2001:db8::2", "2001:DB8:0:0::2", True),
        ("r2.example.net", "r2.example.net", True),
        ("r2.example.net", "192.0.2.2", False),
    ],
)
def test_neighbors_are_named_by_address_prefix_or_name(permitted: str, neighbor: str, is_covered: bool) -> None:
    me = Credentials(1, os.geteuid(), frozenset())
    assert Permitted.to([mine(neighbors=frozenset({permitted}))], me).covers("bgp", neighbor) is is_covered


def test_one_permission_has_to_name_both_protocol_and_neighbor() -> None:
    me = Credentials(1, os.geteuid(), frozenset())
    permitted = Permitted.to([mine(frozenset({"bgp"}), frozenset({PEER})), mine(frozenset({"ldp"}))], me)
    assert permitted.covers("bgp", PEER)
    assert permitted.covers("ldp", OTHER)
    assert not permitted.covers("bgp", OTHER)
    assert not permitted.covers("msdp", PEER)


def test_somebody_who_makes_up_neighbors_is_counted_and_fills_no_log() -> None:
    refusals = Refusals()
    me = Credentials(1, os.geteuid(), frozenset())
    news = [refusals.is_news(KeyAccessRefused(me, "x", "bgp", f"n{number}")) for number in range(2000)]
    assert (refusals.count, sum(news)) == (2000, MOST_REFUSALS_KNOWN)
    refusals.forget()
    assert refusals.is_news(KeyAccessRefused(me, "x", "bgp", "n0"))


async def test_a_name_longer_than_any_is_refused(world: World) -> None:
    await started(world, mine())
    reader, writer = await asyncio.open_unix_connection(str(world.path))
    await reader.readline()
    writer.write(b'{"type":"hello","version":1,"name":"odd"}\n')
    writer.write(json.dumps({"type": "lookup", "id": 1, "protocol": "bgp", "neighbor": "x" * 256}).encode() + b"\n")
    assert json.loads(await reader.readline())["code"] == "malformed"
    writer.close()
