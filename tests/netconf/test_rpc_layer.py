"""The messages layer (RFC 6241 section 4): what is no correct rpc, what comes back of one, and contained faults."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.errors import RpcError, RpcErrors, StorageError
from rkmp.netconf import Invocation, ServerLimits, SessionLimits, TerminationReason
from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from tests.netconf.agents import NET, Agent, Fault, fault_of, faults_of, get, get_config, net, require_ok
from tests.netconf.conversation import BASE, nc, rpc

ENTITY_BOMB = (
    b'<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>'
    b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get/><x>&c;</x></rpc>'
)


async def test_every_attribute_and_prefix_of_the_rpc_comes_back(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call("<discard-changes/>", 'xmlns:ex="urn:ex" ex:user-id="fred" other="a &amp; &quot;b&quot;"')
    require_ok(reply)
    assert dict(reply.attrib) == {"message-id": "1", "{urn:ex}user-id": "fred", "other": 'a & "b"'}
    assert reply.nsmap["ex"] == "urn:ex"


async def test_an_rpc_may_have_any_prefix_and_message_id(agent: Agent) -> None:
    peer = await agent.connect()
    peer.send(f'<n:rpc xmlns:n="{BASE}" message-id="a b&lt;"><n:discard-changes/></n:rpc>'.encode())
    reply = await peer.message()
    require_ok(reply)
    assert reply.get("message-id") == "a b<"


async def test_errors_come_with_the_attributes_of_the_rpc(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call("<bogus/>", 'xmlns:ex="urn:ex" ex:user-id="fred"')
    assert reply.get("{urn:ex}user-id") == "fred"
    assert fault_of(reply) == Fault("protocol", "operation-not-supported")


@pytest.mark.parametrize(
    ("message", "fault", "message_id"),
    [
        (
            f'<rpc xmlns="{BASE}" a="b"><get/></rpc>',
            Fault("rpc", "missing-attribute", info=(("bad-attribute", "message-id"), ("bad-element", "rpc"))),
            None,
        ),
        (
            f'<rpc xmlns="{BASE}" message-id="7"/>',
            Fault("rpc", "missing-element", info=(("bad-element", "rpcOperation"),)),
            "7",
        ),
        (
            f'<rpc xmlns="{BASE}" message-id="7"><get/><get/></rpc>',
            Fault("rpc", "bad-element", info=(("bad-element", "get"),)),
            "7",
        ),
        (
            '<rpc message-id="7"><get/></rpc>',
            Fault("rpc", "unknown-namespace", info=(("bad-element", "rpc"), ("bad-namespace", ""))),
            None,
        ),
        (
            '<rpc xmlns="urn:x" message-id="7"><get/></rpc>',
            Fault("rpc", "unknown-namespace", info=(("bad-element", "rpc"), ("bad-namespace", "urn:x"))),
            None,
        ),
        (
            f'<hello xmlns="{BASE}"><capabilities/></hello>',
            Fault("rpc", "unknown-element", info=(("bad-element", "hello"),)),
            None,
        ),
    ],
)
async def test_what_is_no_correct_rpc_is_told_so_and_the_session_goes_on(
    agent: Agent, message: str, fault: Fault, message_id: str | None
) -> None:
    peer = await agent.connect()
    peer.send(message.encode())
    reply = await peer.message()
    assert fault_of(reply) == fault
    assert reply.get("message-id") == message_id
    assert peer.session.counters.in_bad_rpcs == 1
    require_ok(await peer.call("<discard-changes/>"))
    assert peer.session.counters.in_rpcs == 1


async def test_an_rpc_without_message_id_keeps_its_other_attributes(agent: Agent) -> None:
    peer = await agent.connect()
    peer.send(f'<rpc xmlns="{BASE}" a="b"><get/></rpc>'.encode())
    assert dict((await peer.message()).attrib) == {"a": "b"}


@pytest.mark.parametrize(
    "message",
    [b"<rpc", b"not XML", b"", b"\xff\xfe<\x00", rpc("<get>"), rpc("<get>&undefined;</get>"), ENTITY_BOMB, b"<a/><b/>"],
    ids=repr,
)
async def test_malformed_messages_are_told_so_in_base_1_1(agent: Agent, message: bytes) -> None:
    peer = await agent.connect(BASE_1_1)
    peer.send(message or b" ")
    reply = await peer.message()
    assert fault_of(reply) == Fault("rpc", "malformed-message")
    assert not reply.attrib
    require_ok(await peer.call("<discard-changes/>"))


@pytest.mark.parametrize("message", [b"<rpc", ENTITY_BOMB])
async def test_malformed_messages_end_a_base_1_0_session_which_has_no_word_for_them(
    agent: Agent, message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await agent.connect(BASE_1_0)
    peer.send(message)
    assert await peer.octets() is None
    assert peer.session.ended is TerminationReason.DROPPED
    # So only the log can say why.
    assert "not well-formed" in caplog.text or "document type" in caplog.text


async def test_a_message_over_the_limit_is_too_big_and_the_next_one_is_answered(schema: Schema) -> None:
    agent = Agent(schema, ServerLimits(session=SessionLimits(message_octets=10_000)))
    peer = await agent.connect()
    peer.send(rpc(get("<x>" + "x" * 20_000 + "</x>"), "a7"))
    reply = await peer.message()
    assert fault_of(reply) == Fault("rpc", "too-big")
    assert reply.get("message-id") == "a7"
    peer.send(b"x" * 20_000)
    reply = await peer.message()
    assert fault_of(reply) == Fault("rpc", "too-big")
    assert not reply.attrib
    require_ok(await peer.call("<discard-changes/>"))
    await agent.close()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("<bogus/>", Fault("protocol", "operation-not-supported")),
        ('<get xmlns="urn:nowhere"/>', Fault("protocol", "operation-not-supported")),
        (f'<network xmlns="{NET}"/>', Fault("protocol", "operation-not-supported")),
        (
            '<bogus xmlns="urn:ietf:params:xml:ns:netconf:partial-lock:1.0"/>',
            Fault("protocol", "operation-not-supported"),
        ),
        (
            '<get x="1"/>',
            Fault("protocol", "unknown-attribute", info=(("bad-attribute", "x"), ("bad-element", "get"))),
        ),
        (
            "<get><bogus/></get>",
            Fault("application", "unknown-element", None, "/nc:get/nc:bogus", (("bad-element", "bogus"),)),
        ),
        ("<get>text</get>", Fault("application", "bad-element", None, "/nc:get", (("bad-element", "get"),))),
        (
            "<get-config/>",
            Fault("application", "missing-element", None, "/nc:get-config", (("bad-element", "source"),)),
        ),
        (
            "<get-config><source/></get-config>",
            Fault(
                "application",
                "missing-element",
                "missing-choice",
                "/nc:get-config/nc:source",
                (("bad-element", "config-source"), ("missing-choice", "config-source")),
            ),
        ),
        (get_config("bogus"), Fault("application", "bad-element", info=(("bad-element", "bogus"),))),
        (
            "<get-config><source><running/><candidate/></source></get-config>",
            Fault(
                "application",
                "bad-element",
                None,
                "/nc:get-config/nc:source/nc:candidate",
                (("bad-element", "candidate"),),
            ),
        ),
        (
            "<edit-config><target><running/></target></edit-config>",
            Fault(
                "application",
                "missing-element",
                "missing-choice",
                "/nc:edit-config",
                (("bad-element", "edit-content"), ("missing-choice", "edit-content")),
            ),
        ),
        (
            "<edit-config><target><startup/></target><config/></edit-config>",
            Fault("protocol", "operation-not-supported"),
        ),
        (
            "<edit-config><target><bogus/></target><config/></edit-config>",
            Fault("application", "bad-element", info=(("bad-element", "bogus"),)),
        ),
        (
            "<edit-config><target><running/></target><url>file:///x</url></edit-config>",
            Fault("protocol", "operation-not-supported"),
        ),
        ("<delete-config><target><running/></target></delete-config>", Fault("protocol", "operation-not-supported")),
        ("<delete-config><target><candidate/></target></delete-config>", Fault("protocol", "operation-not-supported")),
        (
            "<kill-session><session-id>0</session-id></kill-session>",
            Fault("application", "invalid-value", None, "/nc:kill-session/nc:session-id"),
        ),
    ],
)
async def test_operations_that_are_asked_for_in_the_wrong_way(agent: Agent, operation: str, fault: Fault) -> None:
    peer = await agent.connect()
    found = faults_of(await peer.call(operation))
    assert fault in found
    require_ok(await peer.call("<discard-changes/>"))


async def test_paths_in_errors_bind_their_prefixes(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call("<get><bogus/></get>")
    (path,) = reply.iter(nc("error-path"))
    assert path.nsmap["nc"] == BASE
    (message,) = reply.iter(nc("error-message"))
    assert message.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (RuntimeError("hunter2"), Fault("application", "operation-failed")),
        (StorageError("disk full"), Fault("application", "resource-denied")),
        (RpcError("in-use", "busy", type="protocol", info=[("session-id", "4")]), None),
        (RpcErrors([RpcError("in-use", "busy"), RpcError("too-big", "much")]), None),
        (RpcError("operation-failed", "odd \x00 \ud800 text \ufffe"), Fault("application", "operation-failed")),
    ],
    ids=repr,
)
async def test_whatever_an_operation_does_costs_one_request(
    agent: Agent, error: Exception, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(invocation: Invocation) -> Sequence[etree._Element] | None:
        raise error

    agent.server.handle((net("forget"),), fail)
    peer = await agent.connect()
    with caplog.at_level(logging.DEBUG):
        reply = await peer.call(f'<forget xmlns="{NET}"/>')
    if fault is not None:
        assert fault_of(reply) == fault
    elif isinstance(error, RpcErrors):
        assert [found.tag for found in faults_of(reply)] == ["in-use", "too-big"]
    else:
        assert fault_of(reply) == Fault("protocol", "in-use", info=(("session-id", "4"),))
    assert peer.session.counters.out_rpc_errors == 1
    # The words of an unexpected exception may repeat what the client sent; where it happened is what is logged.
    assert "hunter2" not in caplog.text
    assert b"hunter2" not in etree.tostring(reply)
    assert ("internal error" in caplog.text) == isinstance(error, RuntimeError)
    require_ok(await peer.call("<discard-changes/>"))
