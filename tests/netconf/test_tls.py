"""Over TLS, with ncclient and with OpenSSL's own client behind Python's ssl: who gets in, and what harm others do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ncclient import manager
from rkmp.datastore.schema import Schema
from rkmp.netconf import CertToName, MapType, ServerLimits, TerminationReason, TlsIdentity, TransportLimits
from rkmp.netconf.framing import FrameDecoder, Framing, frame
from rkmp.netconf.hello import BASE_1_1
from rkmp.netconf.namespaces import BASE, NOTIFICATION
from rkmp.secret import Secret
from tests.netconf.agents import NET, NOW, Agent, get, get_config
from tests.netconf.certificates import AUTHORITY, SERVER, Holder, issue
from tests.netconf.conversation import PATIENCE, client_hello, rpc
from tests.netconf.over_ssh import eventually

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
ALICE = issue("alice", AUTHORITY)
STRANGER = issue("alice", issue("another authority", is_authority=True))
IDENTITY = TlsIdentity(
    SERVER.pem,
    SERVER.private_key,
    (AUTHORITY.pem,),
    (CertToName(AUTHORITY.fingerprint, MapType.COMMON_NAME),),
)


LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS.append(uvloop.new_event_loop)
"""What an agent runs on: Python's own event loop, and uvloop where it is installed. They differ below TLS."""


@contextlib.asynccontextmanager
async def serving(schema: Schema, identity: TlsIdentity = IDENTITY, **limits: Any) -> AsyncIterator[tuple[Agent, int]]:
    agent = Agent(schema, ServerLimits(transport=TransportLimits(**limits)))
    server = agent.server.tls_server(identity)
    await server.listen("127.0.0.1", 0)
    try:
        yield agent, server.address[1]
        assert server.pending is not None
    finally:
        async with asyncio.timeout(PATIENCE):
            await agent.close()
        assert server.is_idle
        assert len(server.pending) == 0


def client_context(holder: Holder | None, directory: Path, **settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    if holder is not None:
        context.load_cert_chain(holder.write(directory, "client"))
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class TlsWire:
    """A NETCONF client on one TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = FrameDecoder()
        self.framing = Framing.END_OF_MESSAGE

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext) -> TlsWire:
        return await cls.over(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    @classmethod
    async def over(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> TlsWire:
        wire = cls(reader, writer)
        try:
            # The hello is sent at once: the server need not know yet who we are.
            wire.send(client_hello(BASE_1_1))
            assert (await wire.receive()).startswith(b"<?xml")
        except BaseException:
            wire.writer.close()
            raise
        wire.framing = Framing.CHUNKED
        return wire

    def send(self, message: bytes) -> None:
        self.writer.write(frame(message, self.framing))

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while True:
                self._decoder.framing = self.framing
                message = self._decoder.next_message()
                if message is not None:
                    assert isinstance(message, bytes)
                    return message
                octets = await self.reader.read(65536)
                if not octets:
                    raise EOFError
                self._decoder.receive(octets)

    async def call(self, operation: str) -> bytes:
        self.send(rpc(operation))
        return await self.receive()


async def test_ncclient_manages_over_tls(schema: Schema, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    certificate = ALICE.write(tmp_path, "alice")

    def use(port: int) -> str:
        with manager.connect_tls(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            port=port,
            certfile=str(certificate),
            ca_certs=str(tmp_path / "ca.pem"),
            protocol=ssl.PROTOCOL_TLS_CLIENT,
        ) as session:
            config = f'<config xmlns="{BASE}"><network xmlns="{NET}"><name>over tls</name></network></config>'
            session.edit_config(target="running", config=config)
            return str(session.get_config("running").data_xml)

    async with serving(schema) as (agent, port):
        assert "over tls" in await asyncio.to_thread(use, port)
        assert not agent.server.sessions


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_client_is_who_its_certificate_says(schema: Schema, tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with serving(schema) as (agent, port):
        context = client_context(ALICE, tmp_path, minimum_version=version, maximum_version=version)
        wire = await TlsWire.open(port, context)
        assert b"<data" in await wire.call(get_config())
        (session,) = agent.server.sessions
        client = session.client
        assert (client.username, client.source_host, client.transport) == ("alice", "127.0.0.1", "netconf-tls")
        sessions = f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>'
        assert b"netconf-tls" in await wire.call(get(sessions))
        assert b"<ok/>" in await wire.call("<close-session/>")
        with pytest.raises(EOFError):
            await wire.receive()
        assert session.ended is TerminationReason.CLOSED
        wire.writer.close()


@pytest.mark.parametrize("loop_factory", LOOPS, ids=lambda factory: factory.__module__.partition(".")[0])
def test_it_is_the_same_on_every_event_loop(
    schema: Schema, tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def many() -> None:
        async with serving(schema) as (agent, port):
            context = client_context(ALICE, tmp_path)
            for _ in range(10):
                wires = await asyncio.gather(*(TlsWire.open(port, context) for _ in range(3)))
                for wire in wires:
                    assert b"<data" in await wire.call(get_config())
                    wire.writer.transport.abort()
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await TlsWire.open(port, client_context(STRANGER, tmp_path))
            await eventually(lambda: not agent.server.sessions)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(many())


async def test_an_intermediate_authority_and_a_trusted_client_without_one(schema: Schema, tmp_path: Path) -> None:
    between = issue("between", AUTHORITY, is_authority=True)
    carol, dave = issue("carol", between), issue("dave")
    identity = replace(
        IDENTITY,
        trust_anchors=(AUTHORITY.pem, dave.pem),
        cert_to_name=(
            CertToName(dave.fingerprint, MapType.SPECIFIED, "trusted"),
            CertToName(between.fingerprint, MapType.COMMON_NAME),
        ),
    )
    async with serving(schema, identity) as (agent, port):
        path = carol.write(tmp_path, "carol")
        path.write_bytes(path.read_bytes() + between.pem)
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        context.load_cert_chain(path)
        wires = [await TlsWire.open(port, context), await TlsWire.open(port, client_context(dave, tmp_path))]
        assert sorted(session.client.username for session in agent.server.sessions) == ["carol", "trusted"]
        for wire in wires:
            wire.writer.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("holder", "settings"),
    [
        (None, {}),
        (STRANGER, {}),
        (issue("alice", AUTHORITY, is_expired=True), {}),
        (ALICE, {"maximum_version": ssl.TLSVersion.TLSv1_1, "minimum_version": ssl.TLSVersion.TLSv1_1}),
    ],
    ids=["no certificate", "of another authority", "expired", "TLS 1.1"],
)
async def test_whom_we_do_not_believe_gets_no_hello(
    schema: Schema, tmp_path: Path, holder: Holder | None, settings: dict[str, Any]
) -> None:
    async with serving(schema) as (agent, port):
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await TlsWire.open(port, client_context(holder, tmp_path, **settings))
        assert not agent.server.sessions


async def test_a_certificate_without_a_name_gets_no_session_and_soon_no_answer(schema: Schema, tmp_path: Path) -> None:
    identity = replace(IDENTITY, cert_to_name=(CertToName(AUTHORITY.fingerprint, MapType.SAN_DNS_NAME),))
    named = issue("bob", AUTHORITY)
    async with serving(schema, identity, failed_logins=2) as (agent, port):
        for _ in range(3):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await TlsWire.open(port, client_context(named, tmp_path))
        assert not agent.server.sessions


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (replace(IDENTITY, private_key=ALICE.private_key), "private key"),
        (replace(IDENTITY, private_key=Secret(b"none")), "private key"),
        (replace(IDENTITY, chain=b"none"), "certificate"),
        (replace(IDENTITY, trust_anchors=(b"none",)), "trust anchor"),
        (replace(IDENTITY, trust_anchors=("ü".encode(),)), "trust anchor"),
    ],
)
async def test_credentials_that_are_none_are_refused_with_words(
    schema: Schema, identity: TlsIdentity, words: str
) -> None:
    agent = Agent(schema)
    with pytest.raises(ValueError, match=words):
        await agent.server.tls_server(identity).listen("127.0.0.1", 0)
    await agent.close()


async def test_silent_and_senseless_connections_end_and_stand_in_nobodys_way(schema: Schema, tmp_path: Path) -> None:
    async with serving(schema, login_timeout=1.5, pending_logins=3, failed_logins=1000) as (_, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 5000, b"\x00" * 100):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(octets)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        wire = await TlsWire.open(port, client_context(ALICE, tmp_path))
        assert b"<data" in await wire.call(get_config())
        async with asyncio.timeout(PATIENCE):
            for reader, writer in silent:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
        wire.writer.close()


async def test_a_client_that_does_not_read_is_held_back_and_let_go(schema: Schema, tmp_path: Path) -> None:
    async with serving(schema, idle_timeout=0.2) as (agent, port):
        entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(5000))
        await agent.load(f'<network xmlns="{NET}">{entries}</network>')
        stuck = await TlsWire.open(port, client_context(ALICE, tmp_path))
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (session,) = agent.server.sessions
        for _ in range(200):
            stuck.send(rpc(get_config()))
        await eventually(lambda: not session._writable.is_set())
        lively = await TlsWire.open(port, client_context(ALICE, tmp_path))
        for _ in range(20):
            assert b"p7" in await lively.call(
                get_config("running", f'<network xmlns="{NET}"><peer><name>p7</name></peer></network>')
            )
        assert session.counters.in_rpcs < 50
        session.end(TerminationReason.OTHER, flush=True)
        # It never takes what it is owed, and is not waited for.
        await eventually(lambda: len(agent.server._transports[0]._connections) == 1)  # type: ignore[attr-defined]
        for wire in (stuck, lively):
            wire.writer.transport.abort()


async def test_a_server_that_ends_does_not_wait_long_for_a_client_that_does_not_read(
    schema: Schema, tmp_path: Path
) -> None:
    async with serving(schema) as (agent, port):
        entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(5000))
        await agent.load(f'<network xmlns="{NET}">{entries}</network>')
        stuck = await TlsWire.open(port, client_context(ALICE, tmp_path))
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (session,) = agent.server.sessions
        for _ in range(200):
            stuck.send(rpc(get_config()))
        await eventually(lambda: not session._writable.is_set())
        async with asyncio.timeout(8):
            await agent.server.close()
        stuck.writer.transport.abort()


async def test_a_client_that_vanishes_ends_its_session(schema: Schema, tmp_path: Path) -> None:
    async with serving(schema) as (agent, port):
        for octets in (b"", b"\n#100\n<rpc", frame(rpc(get_config()), Framing.CHUNKED)):
            wire = await TlsWire.open(port, client_context(ALICE, tmp_path))
            wire.writer.write(octets)
            await asyncio.sleep(0.01)
            wire.writer.transport.abort()
        await eventually(lambda: not agent.server.sessions)


async def test_notifications_come_over_tls(schema: Schema, tmp_path: Path) -> None:
    async with serving(schema) as (agent, port):
        wire = await TlsWire.open(port, client_context(ALICE, tmp_path))
        subscribe = f'<create-subscription xmlns="{NOTIFICATION}"/>'
        assert b"<ok/>" in await wire.call(subscribe)
        agent.server.publish(NOW, etree.fromstring(f'<alarm xmlns="{NET}"><severity>major</severity></alarm>'))
        assert b"major" in await wire.receive()
        wire.writer.close()
