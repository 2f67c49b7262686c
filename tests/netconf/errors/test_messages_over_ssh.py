"""Messages that are wrong as messages, over SSH: no client library sends such, so asyncssh alone is the client."""

from __future__ import annotations

import pytest

from rkmp.datastore.schema import Schema
from rkmp.netconf.documents import parse_document
from tests.netconf.agents import Agent, Fault, fault_of
from tests.netconf.over_ssh import HOST_KEY, Users, Wire, connect

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
MALFORMED = Fault("rpc", "malformed-message")

MESSAGES: dict[str, tuple[str | bytes, Fault]] = {
    "no message-id": (
        f'<rpc xmlns="{BASE}"><get/></rpc>',
        Fault("rpc", "missing-attribute", info=(("bad-attribute", "message-id"), ("bad-element", "rpc"))),
    ),
    "rpc in no namespace": (
        '<rpc message-id="1"><get/></rpc>',
        Fault("rpc", "unknown-namespace", info=(("bad-element", "rpc"), ("bad-namespace", ""))),
    ),
    "no rpc": (f'<hello xmlns="{BASE}"/>', Fault("rpc", "unknown-element", info=(("bad-element", "hello"),))),
    "no operation": (
        f'<rpc xmlns="{BASE}" message-id="1"/>',
        Fault("rpc", "missing-element", info=(("bad-element", "rpcOperation"),)),
    ),
    "cut off": (f'<rpc xmlns="{BASE}" message-id="1"><get>', MALFORMED),
    "not XML at all": ("hello there", MALFORMED),
    "not UTF-8": (b'<rpc xmlns="' + BASE.encode() + b'" message-id="\xff"/>', MALFORMED),
    "an entity": (f'<!DOCTYPE x [<!ENTITY a "b">]><rpc xmlns="{BASE}" message-id="1"><get>&a;</get></rpc>', MALFORMED),
    "an external entity": (
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><rpc xmlns="{BASE}" message-id="1">&a;</rpc>',
        MALFORMED,
    ),
    "very deep": (f'<rpc xmlns="{BASE}" message-id="1">' + "<a>" * 5000 + "</a>" * 5000 + "</rpc>", MALFORMED),
}


async def test_messages_that_are_none_get_an_answer_and_the_session_goes_on(schema: Schema) -> None:
    agent = Agent(schema)
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    async with await connect(port) as connection:
        wire = await Wire.open(connection)
        for name, (message, fault) in MESSAGES.items():
            wire.send(message if isinstance(message, bytes) else message.encode())
            assert fault_of(parse_document(await wire.receive())) == fault, name
        reply = await wire.call("<get-config><source><running/></source></get-config>")
        assert b"<data" in reply
    await agent.close()


@pytest.mark.parametrize(
    "octets", [b"\n#0\n", b"\n#x\n", b"\n#4294967296\n", b"\n#99999999999\n", b"\n##\n", b"no header", b"\n#01\n"]
)
async def test_a_fault_of_framing_ends_the_session(schema: Schema, octets: bytes) -> None:
    """RFC 6242 section 4.2: the two sides are out of step."""
    agent = Agent(schema)
    _, port = await agent.server.listen_ssh("127.0.0.1", 0, [HOST_KEY], Users())
    async with await connect(port) as connection:
        wire = await Wire.open(connection)
        wire.process.stdin.write(octets)
        with pytest.raises(EOFError):
            await wire.receive()
        assert not agent.server.sessions
    await agent.close()
