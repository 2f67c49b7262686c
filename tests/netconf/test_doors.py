"""Doors open and close as wanted, sessions stay, a failure is told and mended, and nobody is ever locked out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import asyncssh
import pytest

from rkmp.datastore.schema import Schema
from rkmp.netconf.doors import Doors, DoorSettings, DoorStatus, Identity, SshIdentity
from rkmp.netconf.transport import TransportServer
from rkmp.secret import Secret
from tests.netconf.agents import Agent, get_config
from tests.netconf.conversation import PATIENCE
from tests.netconf.over_ssh import HOST_KEY, Users, Wire, connect, eventually
from tests.netconf.test_tls import IDENTITY

RETRY = 0.05
OTHER_HOST_KEY = Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def door(name: str, port: int, identity: Identity | None = None) -> DoorSettings:
    return DoorSettings(name, "127.0.0.1", port, identity or SshIdentity())


class House:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.last_port = free_port()
        self.doors = Doors(self._make, agent.server.retire, door("last", self.last_port), retry_seconds=RETRY)

    def _make(self, identity: Identity) -> TransportServer:
        if isinstance(identity, SshIdentity):
            return self.agent.server.ssh_server(identity.host_keys or (HOST_KEY,), Users())
        return self.agent.server.tls_server(identity)

    async def change(self, *settings: DoorSettings) -> None:
        self.doors.want(settings)
        async with asyncio.timeout(PATIENCE):
            await self.doors.settled()

    @property
    def ports(self) -> list[int]:
        return sorted(port for _, port in self.doors.addresses)


@contextlib.asynccontextmanager
async def house(schema: Schema, *settings: DoorSettings) -> AsyncIterator[House]:
    agent = Agent(schema)
    built = House(agent)
    await built.doors.start(settings)
    try:
        yield built
    finally:
        await built.doors.close()
        await agent.close()


async def test_the_last_resort_is_open_while_nothing_else_is(schema: Schema) -> None:
    async with house(schema) as built:
        assert built.ports == [built.last_port]
        port = free_port()
        await built.change(door("one", port))
        assert built.ports == [port]
        assert built.doors.status("one") == (DoorStatus.LISTENING, None)
        await built.change()
        assert built.ports == [built.last_port]


async def test_sessions_stay_when_their_door_closes(schema: Schema) -> None:
    async with house(schema) as built, await connect(built.last_port) as connection:
        wire = await Wire.open(connection)
        await built.change(door("one", port := free_port()))
        with pytest.raises(OSError, match="onnect"):
            await connect(built.last_port)
        assert b"<data" in await wire.call(get_config())
        async with await connect(port) as other:
            assert b"<data" in await (await Wire.open(other)).call(get_config())


async def test_the_address_of_the_last_resort_can_be_taken_over(
    schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(schema) as built:
        await built.change(door("one", built.last_port))
        assert built.doors.status("one") == (DoorStatus.LISTENING, None)
        assert built.ports == [built.last_port]
        assert "cannot be opened" not in caplog.text, "the last resort was given up for it, as it is meant to be"
        await built.change(door("two", built.last_port, SshIdentity((OTHER_HOST_KEY,))))
        assert built.doors.status("two") == (DoorStatus.LISTENING, None)
        async with await connect(built.last_port) as connection:
            shown = connection.get_server_host_key()
            assert shown is not None
            assert shown.public_data == asyncssh.import_private_key(OTHER_HOST_KEY.reveal()).public_data


async def test_a_door_that_cannot_be_opened_says_why_and_is_tried_again(
    schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        async with house(schema, door("one", port)) as built:
            status, reason = built.doors.status("one")
            assert status is DoorStatus.FAILED
            assert "in use" in (reason or "")
            await eventually(lambda: built.doors.status("one")[0] is DoorStatus.FAILED)
            assert caplog.text.count("NETCONF endpoint one cannot be opened") == 1
            # Nobody is locked out meanwhile.
            assert built.ports == [built.last_port]
            squatter.close()
            await eventually(lambda: built.ports == [port])
            assert built.doors.status("one") == (DoorStatus.LISTENING, None)


async def test_the_last_resort_stays_open_while_another_is_tried_again(
    schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with house(schema) as built:
        # An address that is not there yet, and the port of the last resort.
        await built.change(DoorSettings("one", "192.0.2.77", built.last_port, SshIdentity()))
        assert built.doors.status("one")[0] is DoorStatus.FAILED
        await asyncio.sleep(10 * RETRY)
        assert caplog.text.count("NETCONF endpoint one cannot be opened") == 1
        assert caplog.text.count("NETCONF endpoint last listens") == 1, "it was closed and opened again"


async def test_one_that_fails_is_in_no_others_way(schema: Schema) -> None:
    port, bad = free_port(), IDENTITY.__class__(b"none", Secret(b"none"), (), ())
    async with house(schema) as built:
        await built.change(
            door("no key", free_port(), SshIdentity((Secret(b"none"),))),
            door("no certificate", free_port(), bad),
            DoorSettings("no address", "192.0.2.77", 830, SshIdentity()),
            door("good", port),
            door("tls", tls_port := free_port(), IDENTITY),
        )
        assert built.ports == sorted([port, tls_port])
        for name in ("no key", "no certificate", "no address"):
            status, reason = built.doors.status(name)
            assert status is DoorStatus.FAILED
            assert reason


async def test_a_port_that_was_picked_is_kept(schema: Schema) -> None:
    agent = Agent(schema)
    built = House(agent)
    built.doors._last_resort = door("last", 0)
    await built.doors.start()
    picked = built.ports
    await built.change(door("one", free_port()))
    assert built.ports != picked
    await built.change()
    assert built.ports == picked
    await built.doors.close()
    await agent.close()


async def test_an_agent_without_any_door_does_not_start(schema: Schema) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        agent = Agent(schema)
        built = House(agent)
        built.doors._last_resort = door("last", squatter.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await built.doors.start()
        await agent.close()


async def test_what_is_wanted_last_counts_however_fast_it_changes(schema: Schema) -> None:
    async with house(schema) as built:
        ports = [free_port() for _ in range(5)]
        for port in ports:
            built.doors.want([door("one", port)])
        async with asyncio.timeout(PATIENCE):
            await built.doors.settled()
        assert built.ports == ports[-1:]
