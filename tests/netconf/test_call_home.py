"""Call home with ncclient waiting: over SSH and TLS, again and again, with patience and without haste."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ncclient.manager import Manager, make_device_handler
from ncclient.transport.tls import TLSSession

from ncclient import manager
from rkmp.datastore.schema import Schema
from rkmp.netconf import call_home
from rkmp.netconf.call_home import CalledClient, CalledEndpoint, Caller, CallHome, CallStatus, StartWith
from rkmp.netconf.doors import Identity, SshIdentity
from rkmp.netconf.transport import CallFailed, TransportServer
from rkmp.secret import Secret
from tests.netconf.agents import Agent
from tests.netconf.conversation import PATIENCE
from tests.netconf.over_ssh import HOST_KEY, PASSWORD, Users, eventually
from tests.netconf.test_doors import free_port
from tests.netconf.test_tls import ALICE, IDENTITY, client_context


class Home:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.call_home = CallHome(self.make, agent.server.retire)

    def make(self, identity: Identity) -> TransportServer:
        if isinstance(identity, SshIdentity):
            return self.agent.server.ssh_server(identity.host_keys or (HOST_KEY,), Users())
        return self.agent.server.tls_server(identity)

    def status(self) -> CallStatus | None:
        caller = self.call_home.get("noc")
        return None if caller is None else caller.status


@contextlib.asynccontextmanager
async def home(schema: Schema) -> AsyncIterator[Home]:
    agent = Agent(schema)
    built = Home(agent)
    try:
        yield built
    finally:
        async with asyncio.timeout(PATIENCE):
            await built.call_home.close()
            await agent.close()


def noc(*ports: int, identity: Identity | None = None, **settings: Any) -> CalledClient:
    endpoints = tuple(
        CalledEndpoint(f"e{number}", "127.0.0.1", port, identity or SshIdentity()) for number, port in enumerate(ports)
    )
    return CalledClient("noc", endpoints, **settings)


def called_over_ssh(listener: socket.socket) -> Manager:
    """Wait for the agent's call, and have ncclient be the client on the connection."""
    connection, _ = listener.accept()
    session: Manager = manager.connect_ssh(  # type: ignore[no-untyped-call]
        host="127.0.0.1",
        sock=connection,
        username="alice",
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
    )
    return session


def called_over_tls(listener: socket.socket, context: ssl.SSLContext) -> Manager:
    """The same over TLS, for which ncclient takes no connection that is there: whoever waits is the client of TLS."""
    connection, _ = listener.accept()
    device = make_device_handler({"name": "default"})  # type: ignore[no-untyped-call]
    session = TLSSession(device)  # type: ignore[no-untyped-call]
    session._host = "127.0.0.1"
    session._socket = context.wrap_socket(connection, server_hostname="127.0.0.1")
    session._connected = True
    session._post_connect()  # type: ignore[no-untyped-call]
    return Manager(session, device)  # type: ignore[no-untyped-call]


def listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    return listener


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_home, "FIRST_WAIT", 0.02)


async def test_ncclient_is_called_over_ssh_and_called_again_when_it_goes(schema: Schema) -> None:
    async with home(schema) as built:
        with listening() as listener:
            built.call_home.want([noc(listener.getsockname()[1], max_wait=0.1)])
            for _ in range(2):
                session = await asyncio.to_thread(called_over_ssh, listener)
                assert built.status() is CallStatus.CONNECTED
                assert (await asyncio.to_thread(session.get_config, "running")).ok
                (served,) = built.agent.server.sessions
                assert (served.client.username, served.client.transport) == ("alice", "netconf-ssh")
                await asyncio.to_thread(session.close_session)
                await eventually(lambda: built.status() is not CallStatus.CONNECTED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_ncclients_own_waiting_is_called(schema: Schema) -> None:
    def wait(port: int) -> bool:
        # Its listening socket is left to the garbage collector.
        session = manager.call_home(  # type: ignore[no-untyped-call]
            host="127.0.0.1", port=port, username="alice", password=PASSWORD, hostkey_verify=False, allow_agent=False
        )
        with session:
            return bool(session.get_config("running").ok)

    async with home(schema) as built:
        port = free_port()
        built.call_home.want([noc(port, max_wait=0.05)])
        assert await asyncio.to_thread(wait, port)


async def test_ncclient_is_called_over_tls_and_called_again_when_it_goes(schema: Schema, tmp_path: Path) -> None:
    context = client_context(ALICE, tmp_path)
    async with home(schema) as built:
        with listening() as listener:
            built.call_home.want([noc(listener.getsockname()[1], identity=IDENTITY, max_wait=0.1)])
            for _ in range(2):
                session = await asyncio.to_thread(called_over_tls, listener, context)
                assert (await asyncio.to_thread(session.get_config, "running")).ok
                assert built.status() is CallStatus.CONNECTED
                (served,) = built.agent.server.sessions
                assert (served.client.username, served.client.transport) == ("alice", "netconf-tls")
                await asyncio.to_thread(session.close_session)
                await eventually(lambda: built.status() is not CallStatus.CONNECTED)


async def test_a_client_that_does_not_believe_us_is_told_in_state(schema: Schema) -> None:
    def refuse(port: int) -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            context = ssl.create_default_context()
            with contextlib.suppress(ssl.SSLError, OSError), connection:
                context.wrap_socket(connection, server_hostname="127.0.0.1")

    async with home(schema) as built:
        port = free_port()
        waiting = asyncio.create_task(asyncio.to_thread(refuse, port))
        built.call_home.want([noc(port, identity=IDENTITY, max_wait=0.05)])
        await waiting
        caller = built.call_home.get("noc")
        assert caller is not None
        await eventually(lambda: caller.last_error)
        assert not built.agent.server.sessions


async def test_credentials_that_are_none_are_told_in_state(schema: Schema) -> None:
    async with home(schema) as built:
        built.call_home.want([noc(free_port(), identity=SshIdentity((Secret(b"none"),)))])
        caller = built.call_home.get("noc")
        assert caller is not None
        await eventually(lambda: caller.last_error)
        assert "host key" in (caller.last_error or "")


async def test_a_client_that_is_taken_away_keeps_its_session_and_is_called_no_more(schema: Schema) -> None:
    async with home(schema) as built:
        with listening() as listener:
            port = listener.getsockname()[1]
            built.call_home.want([noc(port, max_wait=0.05)])
            session = await asyncio.to_thread(called_over_ssh, listener)
            # Other settings: the connection that there is serves them, too.
            built.call_home.want([noc(port, max_wait=0.1)])
            await eventually(lambda: built.status() is CallStatus.CONNECTED)
            built.call_home.want([])
            await asyncio.sleep(0.05)
            assert (await asyncio.to_thread(session.get_config, "running")).ok
            await asyncio.to_thread(session.close_session)
            listener.settimeout(0.3)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(listener.accept)


# The strategy, by itself.


class FakeConnection:
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def wait_closed(self) -> None:
        await self.closed.wait()


class FakeServer:
    """Answers calls as it is told to, and notes them."""

    def __init__(self, answers: list[bool]) -> None:
        self.answers = answers
        self.called: list[int] = []
        self.connection: FakeConnection | None = None

    async def call(self, _host: str, port: int) -> FakeConnection:
        self.called.append(port)
        if not (self.answers.pop(0) if self.answers else True):
            raise CallFailed("nobody answers")
        self.connection = FakeConnection()
        return self.connection


@contextlib.asynccontextmanager
async def calling(client: CalledClient, answers: Sequence[bool], chance: float = 0.0) -> AsyncIterator[FakeServer]:
    server = FakeServer(list(answers))
    caller = Caller(client, lambda _: server, lambda: chance)  # type: ignore[arg-type, return-value]
    caller.start()
    try:
        yield server
    finally:
        await caller.stop()


async def test_each_endpoint_is_tried_so_often_and_then_the_next() -> None:
    client = noc(1, 2, 3, max_attempts=2, max_wait=0.02)
    async with calling(client, [False] * 7) as server:
        await eventually(lambda: server.connection)
        assert server.called == [1, 1, 2, 2, 3, 3, 1, 1]


@pytest.mark.parametrize(
    ("start_with", "expected"),
    [
        (StartWith.FIRST_LISTED, [1, 2, 1]),
        (StartWith.LAST_CONNECTED, [1, 2, 2]),
        # The chance given below picks the last.
        (StartWith.RANDOM_SELECTION, [3, 1, 3]),
    ],
)
async def test_which_endpoint_comes_first(start_with: StartWith, expected: list[int]) -> None:
    client = noc(1, 2, 3, max_attempts=1, max_wait=0.02, start_with=start_with)
    async with calling(client, [False, True], chance=0.99) as server:
        await eventually(lambda: server.connection)
        assert server.connection is not None
        server.connection.closed.set()
        await eventually(lambda: len(server.called) == 3)
        assert server.called == expected


async def test_waits_grow_up_to_the_longest() -> None:
    client = replace(noc(1), max_attempts=5, max_wait=0.08)
    begun = asyncio.get_running_loop().time()
    # With the largest chance: 0.02 + 0.04 + 0.08 + 0.08 seconds.
    async with calling(client, [False] * 4, chance=1.0) as server:
        await eventually(lambda: server.connection)
    assert 0.2 <= asyncio.get_running_loop().time() - begun < 10


async def test_a_client_with_a_period_is_called_when_it_is_over() -> None:
    async with calling(noc(1, period=0.2), []) as server:
        await eventually(lambda: server.connection)
        assert server.connection is not None
        server.connection.closed.set()
        await asyncio.sleep(0.05)
        assert server.called == [1]
        await eventually(lambda: len(server.called) == 2)
