"""Over SSH: who gets in, with which algorithms, and what a slow, silent or hostile client can do to others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncssh
import pytest

from rkmp.netconf.documents import parse_document
from rkmp.netconf.framing import Framing, OversizedMessage, frame
from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from rkmp.netconf.replies import content_reply, ok_reply
from rkmp.netconf.session import Answer, Session, SessionLimits, TerminationReason
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.ssh import CIPHERS, SshServer
from rkmp.netconf.statistics import MessageCounters
from rkmp.netconf.transport import Client, Transport, TransportLimits
from rkmp.secret import Secret
from tests.netconf.conversation import PATIENCE, nc, rpc
from tests.netconf.over_ssh import ALICE_KEY, ALICE_RSA_KEY, HOST_KEY, PASSWORD, Users, Wire, connect, eventually

STRANGERS_KEY = asyncssh.generate_private_key("ssh-ed25519")

BIG_TEXT = "x" * 5_000_000


async def answer(session: Session, message: bytes | OversizedMessage) -> Answer:
    assert isinstance(message, bytes)
    request = parse_document(message)
    session.closing = request.find(nc("close-session")) is not None
    if request.find(nc("get")) is None:
        return Answer(ok_reply(request))
    data = parse_document(f'<data xmlns="urn:x">{BIG_TEXT}</data>'.encode())
    return Answer(content_reply(request, [data]))


@dataclass
class Server:
    """A server over SSH with the simplest of sessions."""

    limits: TransportLimits = field(default_factory=TransportLimits)
    session_limits: SessionLimits = field(default_factory=SessionLimits)
    users: Users = field(default_factory=Users)
    sessions: list[Session] = field(default_factory=list)
    ends: list[TerminationReason] = field(default_factory=list)
    full: bool = False
    port: int = 0

    def __post_init__(self) -> None:
        self.transport = SshServer(
            host_keys=[HOST_KEY],
            authenticator=self.users,
            open_session=self.open_session,
            limits=self.limits,
        )

    def open_session(self, client: Client, transport: Transport) -> Session:
        if self.full:
            raise SessionRefused("full")
        session = Session(
            len(self.sessions) + 1,
            client,
            transport,
            handler=answer,
            capabilities=(BASE_1_0, BASE_1_1),
            limits=self.session_limits,
            login_time=datetime.now(UTC),
            on_end=lambda _, reason: self.ends.append(reason),
            totals=MessageCounters(),
        )
        self.sessions.append(session)
        return session

    async def start(self) -> None:
        await self.transport.listen("127.0.0.1", 0)
        self.port = self.transport.address[1]

    async def connect(self, **options: Any) -> asyncssh.SSHClientConnection:
        return await connect(self.port, **options)


@contextlib.asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Server]:
    server = Server(**settings)
    await server.start()
    try:
        yield server
    finally:
        async with asyncio.timeout(PATIENCE):
            await server.transport.close()
            for session in server.sessions:
                await session.wait_ended()


# Who gets in.


@pytest.mark.parametrize(
    "credentials",
    [{"client_keys": [ALICE_KEY]}, {"client_keys": None, "password": PASSWORD}],
    ids=["public key", "password"],
)
async def test_a_user_with_key_or_password_gets_a_session(credentials: dict[str, Any]) -> None:
    async with serving() as server, await server.connect(**credentials) as connection:
        wire = await Wire.open(connection)
        assert b"<ok/>" in await wire.call("<commit/>")
        client = server.sessions[0].client
        assert (client.username, client.source_host, client.transport) == ("alice", "127.0.0.1", "netconf-ssh")


@pytest.mark.parametrize(
    "credentials",
    [
        {"client_keys": [STRANGERS_KEY]},
        {"client_keys": None, "password": "wrong"},
        {"client_keys": None, "password": ""},
        {"username": "mallory"},
        {"username": "mallory", "client_keys": None, "password": PASSWORD},
        {"username": "", "client_keys": [STRANGERS_KEY]},
        {"client_keys": None},
    ],
    ids=["other key", "wrong password", "no password", "other name", "other name, password", "no name", "nothing"],
)
async def test_anyone_else_does_not(credentials: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        with pytest.raises(asyncssh.PermissionDenied):
            await server.connect(**credentials)
        assert not server.sessions
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "credentials", [{}, {"client_keys": None, "password": PASSWORD}], ids=["public key", "password"]
)
async def test_a_user_store_that_fails_lets_nobody_in(credentials: dict[str, Any]) -> None:
    users = Users()
    # And it is nobody's failed login.
    async with serving(users=users, limits=TransportLimits(failed_logins=1)) as server:
        users.broken = True
        with pytest.raises(asyncssh.PermissionDenied):
            await server.connect(**credentials)
        users.broken = False
        async with await server.connect(**credentials):
            pass


async def test_guessing_ends_the_connection() -> None:
    async with serving(limits=TransportLimits(authentication_failures=3)) as server:
        keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(5)]
        with pytest.raises(asyncssh.PermissionDenied, match="too many"):
            await server.connect(client_keys=[*keys, ALICE_KEY])


async def test_nothing_but_the_netconf_subsystem_is_served() -> None:
    async with serving() as server, await server.connect() as connection:
        for request in ({"subsystem": "sftp"}, {"command": "id"}, {}):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process(encoding=None, **request)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", server.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
        assert not server.sessions


async def test_a_host_key_that_is_none_is_refused_at_start() -> None:
    server = Server()
    transport = SshServer(
        host_keys=[Secret(b"not a key")],
        authenticator=server.users,
        open_session=server.open_session,
        limits=TransportLimits(),
    )
    with pytest.raises(ValueError, match="host key"):
        await transport.listen("127.0.0.1", 0)
    with pytest.raises(RuntimeError):
        transport.address  # noqa: B018
    await transport.close()


# Algorithms.


async def test_aes_gcm_and_a_key_exchange_with_ml_kem_are_negotiated_first() -> None:
    async with serving() as server, await server.connect() as connection:
        assert connection.get_extra_info("send_cipher") == "aes256-gcm@openssh.com"
        assert connection.get_extra_info("recv_cipher") == "aes256-gcm@openssh.com"
    assert "gcm" in CIPHERS[0]
    assert not any("cbc" in cipher or "chacha" in cipher for cipher in CIPHERS)


async def test_strict_key_exchange_is_offered_and_weak_algorithms_are_not() -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"SSH-2.0-test\r\n")
        assert (await reader.readline()).startswith(b"SSH-2.0-rkmp")
        length = int.from_bytes(await reader.readexactly(4), "big")
        offer = await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()
    assert b"kex-strict-s-v00@openssh.com" in offer
    for weak in (b"sha1,", b"-cbc", b"3des", b"arcfour", b"hmac-md5", b"chacha20", b"group1-", b"zlib"):
        assert weak not in offer


@pytest.mark.parametrize(
    "options",
    [
        {"encryption_algs": ["chacha20-poly1305@openssh.com"]},
        {"encryption_algs": ["aes128-cbc"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
    ],
    ids=str,
)
async def test_a_client_with_weak_algorithms_only_is_turned_away(options: dict[str, Any]) -> None:
    async with serving() as server:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await server.connect(**options)


async def test_signatures_with_sha_1_are_not_offered() -> None:
    async with serving() as server:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await server.connect(server_host_key_algs=["ssh-rsa"])
        async with await server.connect(client_keys=[ALICE_RSA_KEY]) as connection:
            await Wire.open(connection)
            offered = connection._server_sig_algs
    assert b"rsa-sha2-512" in offered
    assert b"ssh-rsa" not in offered


# Sessions and connections.


async def test_close_session_closes_the_channel_after_its_reply() -> None:
    async with serving() as server, await server.connect() as connection:
        wire = await Wire.open(connection)
        assert b"<ok/>" in await wire.call("<close-session/>")
        with pytest.raises(EOFError):
            await wire.receive()
        assert server.ends == [TerminationReason.CLOSED]


async def test_one_connection_carries_several_sessions() -> None:
    async with serving() as server, await server.connect() as connection:
        wires = [await Wire.open(connection) for _ in range(3)]
        for wire in wires:
            assert b"<ok/>" in await wire.call("<commit/>")
        await wires[0].call("<close-session/>")
        assert b"<ok/>" in await wires[1].call("<commit/>")
        assert len(server.sessions) == 3


async def test_channels_of_a_connection_are_limited() -> None:
    async with serving(limits=TransportLimits(channels=2)) as server, await server.connect() as connection:
        wires = [await Wire.open(connection) for _ in range(2)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await Wire.open(connection)
        assert b"<ok/>" in await wires[0].call("<commit/>")


async def test_a_refused_session_is_a_refused_subsystem() -> None:
    async with serving(full=True) as server, await server.connect() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await Wire.open(connection)
        server.full = False
        await Wire.open(connection)


async def test_a_killed_session_closes_its_channel_and_leaves_the_others() -> None:
    async with serving() as server, await server.connect() as connection:
        killed, other = await Wire.open(connection), await Wire.open(connection)
        server.sessions[0].end(TerminationReason.KILLED)
        with pytest.raises(EOFError):
            await killed.receive()
        assert b"<ok/>" in await other.call("<commit/>")


async def test_requests_sent_before_the_client_closes_its_side_are_answered() -> None:
    async with serving() as server, await server.connect() as connection:
        wire = await Wire.open(connection)
        wire.send(rpc("<commit/>"))
        wire.send(rpc("<get/>"))
        wire.process.stdin.write_eof()
        assert b"<ok/>" in await wire.receive()
        assert BIG_TEXT.encode() in await wire.receive()
        with pytest.raises(EOFError):
            await wire.receive()
        assert server.ends == [TerminationReason.DROPPED]


async def test_a_connection_without_a_session_is_ended_after_a_while() -> None:
    async with serving(limits=TransportLimits(idle_timeout=0.2)) as server:
        connection = await server.connect()
        wire = await Wire.open(connection)
        await asyncio.sleep(0.4)
        # A session keeps its connection, however quiet it is.
        assert b"<ok/>" in await wire.call("<close-session/>")
        async with asyncio.timeout(PATIENCE):
            await connection.wait_closed()
        assert not server.transport._logins


async def test_closing_the_server_ends_every_session() -> None:
    server = Server()
    await server.start()
    connections = [await server.connect() for _ in range(3)]
    for connection in connections:
        await Wire.open(connection)
    silent = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(PATIENCE):
        await server.transport.close()
        await server.transport.close()
        for connection in connections:
            await connection.wait_closed()
    assert server.ends == [TerminationReason.DROPPED] * 3
    silent[1].close()


# Silent, slow and hostile clients.


async def test_silent_connections_end_at_the_login_timeout() -> None:
    async with serving(limits=TransportLimits(login_timeout=0.2)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()
        await eventually(lambda: not server.transport._logins)


async def test_other_limits_hold_for_the_connections_that_come() -> None:
    async with serving() as server, await server.connect() as before:
        wire = await Wire.open(before)
        server.transport.limit(TransportLimits(login_timeout=0.2, pending_logins=2))
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
        async with asyncio.timeout(PATIENCE):
            for reader, writer in silent:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
        assert b"<ok/>" in await wire.call("<commit/>")


async def test_silent_connections_do_not_block_logins() -> None:
    async with serving(limits=TransportLimits(pending_logins=3)) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10)]
        await eventually(lambda: len(server.transport._logins) <= 3)
        async with await server.connect() as connection:
            wire = await Wire.open(connection)
            assert b"<ok/>" in await wire.call("<commit/>")
        for _, writer in silent:
            writer.close()


def logins(*hosts: str) -> Iterator[Any]:
    for host in hosts:
        yield StandIn(host)


@dataclass(eq=False)
class StandIn:
    source_host: str
    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


def test_a_host_that_floods_evicts_its_own_logins() -> None:
    transport = Server(limits=TransportLimits(pending_logins=4)).transport
    pending = list(
        logins("192.0.2.1", "192.0.2.66", "192.0.2.66", "192.0.2.2", "192.0.2.66", "192.0.2.66", "192.0.2.66")
    )
    for login in pending:
        transport.add(login)
    assert [login.aborted for login in pending] == [False, True, True, False, True, False, False]


def test_a_host_that_logs_in_makes_room() -> None:
    transport = Server(limits=TransportLimits(pending_logins=1)).transport
    for login in logins("192.0.2.1", "192.0.2.1", "192.0.2.1"):
        transport.add(login)
        transport.authenticated(login)
        assert not login.aborted


async def test_octets_that_are_no_ssh_do_no_harm() -> None:
    async with serving() as server:
        for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"SSH-2.0-x\r\n" + b"\xff" * 5000, b"SSH-1.5-x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(octets)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            writer.close()
        async with await server.connect() as connection:
            await Wire.open(connection)
        await eventually(lambda: not server.transport._logins)


async def test_a_client_that_does_not_read_a_big_reply_holds_one_and_harms_nobody() -> None:
    async with serving() as server, await server.connect() as stuck, await server.connect() as lively:
        # The client's window is small and it never takes anything out of it.
        wire = await Wire.open(stuck, window=65536)
        wire.process.channel.pause_reading()
        for _ in range(20):
            wire.send(rpc("<get/>"))
        other = await Wire.open(lively)
        for _ in range(20):
            assert b"<ok/>" in await other.call("<commit/>")
        assert server.sessions[0].counters.in_rpcs == 1
        wire.process.channel.resume_reading()
        for _ in range(20):
            assert BIG_TEXT.encode() in await wire.receive()


async def test_a_client_with_a_huge_window_that_stops_reading_its_socket_is_held_back() -> None:
    async with serving() as server, await server.connect() as stuck:
        wire = await Wire.open(stuck, window=2**31 - 1)
        await wire.call("<commit/>")
        transport: Any = stuck._transport
        transport.pause_reading()
        for _ in range(20):
            wire.send(rpc("<get/>"))
        async with await server.connect() as lively:
            other = await Wire.open(lively)
            for _ in range(20):
                assert b"<ok/>" in await other.call("<commit/>")
        assert server.sessions[0].counters.in_rpcs <= 3
        transport.resume_reading()
        for _ in range(20):
            assert BIG_TEXT.encode() in await wire.receive()


async def test_a_session_closed_while_its_client_does_not_read_frees_its_memory_in_time() -> None:
    async with serving(limits=TransportLimits(idle_timeout=0.2)) as server:
        connection = await server.connect()
        wire = await Wire.open(connection, window=65536)
        wire.process.channel.pause_reading()
        wire.send(rpc("<get/>"))
        await eventually(lambda: not server.sessions[0]._writable.is_set())
        server.sessions[0].end(TerminationReason.OTHER, flush=True)
        await eventually(lambda: not server.transport._logins)
        connection.abort()


async def test_a_client_that_sends_ahead_in_tiny_packets_is_read_in_reasonable_time() -> None:
    limits = SessionLimits(unread_octets=1000)
    async with serving(session_limits=limits) as server, await server.connect() as connection:
        wire = await Wire.open(connection)
        channel = wire.process.channel
        server.sessions[0].pause_writing()
        request = frame(rpc("<commit/>"), Framing.CHUNKED)
        count = 120
        for index in range(len(request) * count):
            channel.write(request[index % len(request) : index % len(request) + 1])
            if index % 200 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: server.sessions[0]._reading_paused)
        server.sessions[0].resume_writing()
        for _ in range(count):
            assert b"<ok/>" in await wire.receive()


async def test_a_client_that_vanishes_ends_its_session() -> None:
    async with serving() as server:
        for drop_at in ("open", "request", "reply"):
            connection = await server.connect()
            wire = await Wire.open(connection)
            if drop_at == "request":
                wire.process.stdin.write(b"\n#100\n<rpc")
            if drop_at == "reply":
                wire.process.channel.pause_reading()
                wire.send(rpc("<get/>"))
            await asyncio.sleep(0.01)
            connection.abort()
            await connection.wait_closed()
        await eventually(lambda: len(server.ends) == 3)
        assert set(server.ends) == {TerminationReason.DROPPED}
        await eventually(lambda: not server.transport._logins)
