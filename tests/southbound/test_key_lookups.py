"""Which keys a program is told on the key API: lookups, keys of LDP's Hellos, interfaces and algorithms."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rkmp.secret import Secret
from rkmp.southbound import Add, HelloKey, KeyClient, Prefer, Retire, Selection, Usage
from rkmp.southbound.messages import MessageError, read_key, written_key
from tests.keytable.rows import PEER, SECRET_OCTETS
from tests.southbound.test_key_api import World, at, hello_row, in_thread, row, steps, take, take_after, tuple_of, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "keys.sock")
    made.start()
    await until(made.path.exists)
    yield made
    await made.stop()


async def test_lookups_select_as_rfc_7210_does(world: World) -> None:
    world.install(row(1), row(2, start=100))
    with KeyClient(str(world.path), "bgpd") as client:
        keys, preferred = await in_thread(client.look_up, "bgp", PEER)
        assert (keys, preferred) == ([tuple_of(row(1)), tuple_of(row(2, start=100))], "key-1")
        assert keys[0].secret.reveal() == SECRET_OCTETS
        named, _ = await in_thread(lambda: client.look_up("bgp", PEER, recv_id=2))
        assert [key.name for key in named] == ["key-2"]
        assert await in_thread(lambda: client.look_up("bgp", PEER, recv_id=99)) == ([], "key-1")
        assert await in_thread(client.look_up, "ldp", PEER) == ([], None)


async def test_interface_and_algorithms_select_as_rfc_7210_does(world: World) -> None:
    in_red = replace(row(1), interfaces=("red",))
    everywhere = replace(row(2), alg_id="aes-128-cmac-96", kdf="aes-128-cmac", key=Secret(bytes(16)))
    in_blue = replace(row(3, start=-10), interfaces=("blue", "green"))
    world.install(in_red, everywhere, in_blue)
    with KeyClient(str(world.path), "bgpd") as client:
        for interface, names in (("red", ["key-1", "key-2"]), ("green", ["key-3", "key-2"]), ("grey", ["key-2"])):
            keys, _ = await in_thread(client.look_up, "bgp", PEER, Selection(interface))
            assert [key.name for key in keys] == names
        for algorithm, preferred in (("hmac-sha-1-96", "key-1"), ("aes-128-cmac-96", "key-2")):
            selection = Selection("red", (algorithm,))
            assert (await in_thread(client.look_up, "bgp", PEER, selection))[1] == preferred
            subscription = client.subscribe("bgp", PEER, selection)
            await take(client)
            assert subscription.holding.preferred == preferred
            assert [held.key.name for held in subscription.holding.keys] == ["key-1", "key-2"]
        named = await in_thread(lambda: client.look_up("bgp", PEER, Selection("blue"), recv_id=1))
        assert named[0] == []
    for fields in ('"algorithms":[1]', '"interface":1', f'"interface":"{"x" * 256}"'):
        reader, writer = await asyncio.open_unix_connection(str(world.path))
        scope = f'"id":1,"protocol":"bgp","neighbor":"{PEER}"'
        writer.write(f'{{"type":"hello","version":1,"name":"odd"}}\n{{"type":"lookup",{scope},{fields}}}\n'.encode())
        await reader.readline()
        assert json.loads(await reader.readline())["code"] == "malformed"
        writer.close()


async def test_keys_of_hellos_come_in_the_same_steps_and_say_what_they_are_for(world: World) -> None:
    world.install(row(1), hello_row(1))
    with KeyClient(str(world.path), "ldpd") as client:
        subscription = client.subscribe("ldp-discovery", PEER)
        old = HelloKey("hello-1", 0xCD01, 0xAB01, "hmac-sha-256", row(1).key)
        assert steps(await take(client)) == [Add(old), Prefer("hello-1")]
        keys, preferred = await in_thread(lambda: client.look_up("ldp-discovery", PEER, recv_id=0xAB01))
        assert (keys, preferred) == ([old], "hello-1")
        assert await in_thread(lambda: client.look_up("ldp-discovery", PEER, recv_id=1)) == ([], "hello-1")

        world.now = at(6)
        world.install(hello_row(1, end=5), hello_row(2, start=5))
        client.report(subscription, Usage(frozenset({"hello-2"})))
        new = replace(old, name="hello-2", send_id=0xCD02, recv_id=0xAB02)
        assert steps(await take_after(world, client)) == [Add(new), Prefer("hello-2"), Retire("hello-1")]
        client.close()
        # Known again by name and fingerprint, as any other.
        assert steps(await take(client)) == [Retire("hello-1")]
    reader, writer = await asyncio.open_unix_connection(str(world.path))
    lookup = b'{"type":"lookup","id":7,"protocol":"ldp-discovery","neighbor":"192.0.2.2","recv-id":43778}\n'
    writer.write(b'{"type":"hello","version":1,"name":"odd"}\n' + lookup)
    await reader.readline()
    (told,) = json.loads(await reader.readline())["keys"]
    assert told == {
        "name": "hello-2",
        "send-id": 0xCD02,
        "recv-id": 0xAB02,
        "algorithm": "hmac-sha-256",
        "security-protocol": "ldp-discovery",
        "kdf": "none",
        "secret": SECRET_OCTETS.hex(),
    }
    writer.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"security-protocol": "ospf"}, "not known"),
        ({"algorithm": "hmac-sha-1"}, "TCP-AO does not have"),
        ({"recv-id": 256}, "TCP-AO does not have"),
        ({"security-protocol": "ldp-discovery"}, "LDP discovery does not have"),
        ({"security-protocol": "ldp-discovery", "algorithm": "hmac-sha-1", "send-id": 2**32}, "LDP discovery does"),
        ({"secret": "nonsense"}, "not hexadecimal"),
        ({"ignore-tcp-options": "no"}, "is not true or false"),
        ({"send-id": -1}, "is negative"),
    ],
)
def test_a_client_takes_no_key_that_cannot_be(changes: dict[str, Any], reason: str) -> None:
    fields = written_key(tuple_of(row(1)))
    assert read_key(fields) == tuple_of(row(1))
    with pytest.raises(MessageError, match=reason):
        read_key({**fields, **changes})
