"""rpcs and actions: input checked, handlers called with what is canonical, output checked, instances that exist."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf import Invocation
from tests.netconf.agents import NET, SECRET, Agent, Fault, fault_of, faults_of, net, require_ok
from tests.netconf.conversation import nc

YANG = "urn:ietf:params:xml:ns:yang:1"
TRACE = (net("trace"),)
RESTART = (net("network"), net("peer"), net("restart"))
CLEAR = (net("network"), net("peer"), net("counters"), net("clear"))
INPUT = "<reason>tea</reason><everything/>"


def action(content: str) -> str:
    return f'<action xmlns="{YANG}">{content}</action>'


def on_peer(content: str, name: str = "a") -> str:
    return action(f'<network xmlns="{NET}"><peer><name>{name}</name>{content}</peer></network>')


class Recorder:
    """A handler that notes what it is called with and returns what it was told to."""

    def __init__(self, *output: etree._Element) -> None:
        self.calls: list[Invocation] = []
        self.output = output

    async def __call__(self, invocation: Invocation) -> Sequence[etree._Element] | None:
        self.calls.append(invocation)
        return self.output


def leaf(name: str, text: str) -> etree._Element:
    element = etree.Element(net(name), nsmap={None: NET})
    element.text = text
    return element


# rpcs.


async def test_an_rpc_reaches_its_handler_and_its_output_comes_back(agent: Agent) -> None:
    recorder = Recorder(leaf("hop", "r1"), leaf("hop", "r2"))
    agent.server.handle(TRACE, recorder)
    peer = await agent.connect()
    content = f"{INPUT}<delay>+05</delay><via><hop>1</hop><medium xmlns:q='{NET}'>q:fibre</medium></via>"
    reply = await peer.call(f'<trace xmlns="{NET}">{content}</trace>')
    assert [(child.tag, child.text) for child in reply] == [(net("hop"), "r1"), (net("hop"), "r2")]
    (call,) = recorder.calls
    assert (call.username, call.session_id, call.instance) == ("alice", peer.session.id, ())
    assert call.input.findtext(net("delay")) == "5"
    assert call.input.findtext(f"{net('via')}/{net('medium')}") == "net:fibre"


async def test_no_output_is_ok(agent: Agent) -> None:
    agent.server.handle(TRACE, Recorder())
    peer = await agent.connect()
    require_ok(await peer.call(f'<trace xmlns="{NET}">{INPUT}<via><hop>1</hop></via></trace>'))


async def test_bad_input_does_not_reach_the_handler(agent: Agent) -> None:
    recorder = Recorder()
    agent.server.handle(TRACE, recorder)
    peer = await agent.connect()
    faults = faults_of(await peer.call(f'<trace xmlns="{NET}"><bogus/></trace>'))
    assert [fault.tag for fault in faults] == [
        "unknown-element",
        "missing-element",
        "missing-element",
        "operation-failed",
    ]
    assert not recorder.calls


async def test_an_rpc_without_a_handler_is_not_supported(agent: Agent) -> None:
    peer = await agent.connect()
    assert fault_of(await peer.call(f'<forget xmlns="{NET}"/>')) == Fault("protocol", "operation-not-supported")


@pytest.mark.parametrize(
    "output",
    [
        [leaf("bogus", "x")],
        [etree.Element("{urn:other}hop")],
    ],
)
async def test_output_that_the_schema_does_not_have_is_our_fault(
    agent: Agent, output: list[etree._Element], caplog: pytest.LogCaptureFixture
) -> None:
    agent.server.handle(TRACE, Recorder(*output))
    peer = await agent.connect()
    reply = await peer.call(f'<trace xmlns="{NET}">{INPUT}<via><hop>1</hop></via></trace>')
    assert fault_of(reply) == Fault("application", "operation-failed")
    assert "internal error" in caplog.text


async def test_output_of_an_operation_that_has_none_is_our_fault(agent: Agent) -> None:
    agent.server.handle((net("forget"),), Recorder(leaf("hop", "x")))
    peer = await agent.connect()
    assert fault_of(await peer.call(f'<forget xmlns="{NET}"/>')).tag == "operation-failed"


# Actions.


async def test_an_action_is_called_on_its_instance(agent: Agent) -> None:
    await agent.load()
    recorder = Recorder(leaf("restarts", "7"))
    agent.server.handle(RESTART, recorder)
    peer = await agent.connect()
    reply = await peer.call(on_peer(f"<restart>{INPUT}</restart>"))
    assert [(child.tag, child.text) for child in reply] == [(net("restarts"), "7")]
    (call,) = recorder.calls
    assert [step.tag for step in call.instance] == [net("network"), net("peer")]
    assert call.key(net("peer"), net("name")) == "a"
    assert call.input.findtext(net("reason")) == "tea"


async def test_secrets_in_output_are_not_sent(agent: Agent) -> None:
    await agent.load()
    agent.server.handle(RESTART, Recorder(leaf("restarts", "7"), leaf("token", SECRET.decode())))
    peer = await agent.connect()
    reply = await peer.call(on_peer(f"<restart>{INPUT}</restart>"))
    assert SECRET not in etree.tostring(reply)
    assert [child.tag for child in reply] == [net("restarts")]


async def test_secrets_deep_in_output_are_not_sent(agent: Agent) -> None:
    way = etree.Element(net("way"), nsmap={None: NET})
    way.extend([leaf("length", "2"), leaf("token", SECRET.decode())])
    agent.server.handle(TRACE, Recorder(way))
    peer = await agent.connect()
    reply = await peer.call(f'<trace xmlns="{NET}">{INPUT}<via><hop>1</hop></via></trace>')
    assert SECRET not in etree.tostring(reply)
    assert reply.findtext(f"{net('way')}/{net('length')}") == "2"


async def test_output_that_lacks_what_is_mandatory_is_our_fault(agent: Agent) -> None:
    await agent.load()
    agent.server.handle(RESTART, Recorder())
    peer = await agent.connect()
    assert fault_of(await peer.call(on_peer(f"<restart>{INPUT}</restart>"))).tag == "operation-failed"


async def test_an_action_may_be_on_a_container_of_state(agent: Agent) -> None:
    await agent.load()
    recorder = Recorder()
    agent.server.handle(CLEAR, recorder)
    peer = await agent.connect()
    require_ok(await peer.call(on_peer("<counters><clear/></counters>")))
    assert [step.tag for step in recorder.calls[0].instance] == [net("network"), net("peer"), net("counters")]


async def test_an_action_may_be_on_an_entry_that_is_state_alone(agent: Agent) -> None:
    def learn(root: etree._Element) -> None:
        network = etree.SubElement(root, net("network"))
        etree.SubElement(etree.SubElement(network, net("peer")), net("name")).text = "learned"

    recorder = Recorder()
    agent.server.handle(CLEAR, recorder)
    agent.server.provide_state(net("network"), learn)
    peer = await agent.connect()
    require_ok(await peer.call(on_peer("<counters><clear/></counters>", "learned")))
    assert len(recorder.calls) == 1


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (
            on_peer(f"<restart>{INPUT}</restart>", "zz"),
            Fault(
                "application", "data-missing", None, "/net:network/net:peer[net:name='zz']", (("bad-element", "peer"),)
            ),
        ),
        (
            on_peer("<restart><everything/></restart>"),
            Fault(
                "application",
                "missing-element",
                None,
                "/net:network/net:peer[net:name='a']/net:restart",
                (("bad-element", "reason"),),
            ),
        ),
        (
            on_peer("<bogus/>"),
            Fault(
                "application",
                "unknown-element",
                None,
                "/net:network/net:peer[net:name='a']/net:bogus",
                (("bad-element", "bogus"),),
            ),
        ),
        (
            on_peer("<mtu/>"),
            Fault(
                "application",
                "bad-element",
                None,
                "/net:network/net:peer[net:name='a']/net:mtu",
                (("bad-element", "mtu"),),
            ),
        ),
        (
            on_peer(""),
            Fault(
                "application",
                "missing-element",
                None,
                "/net:network/net:peer[net:name='a']",
                (("bad-element", "action"),),
            ),
        ),
        (
            on_peer(f"<restart>{INPUT}</restart><restart>{INPUT}</restart>"),
            Fault(
                "application",
                "bad-element",
                None,
                "/net:network/net:peer[net:name='a']/net:restart",
                (("bad-element", "restart"),),
            ),
        ),
        (
            action(f'<network xmlns="{NET}"><peer><restart>{INPUT}</restart></peer></network>'),
            Fault("application", "missing-element", None, "/net:network/net:peer", (("bad-element", "name"),)),
        ),
        (
            action(f'<network xmlns="{NET}"><peer><name>a</name><name>b</name><restart/></peer></network>'),
            Fault(
                "application",
                "bad-element",
                None,
                "/net:network/net:peer[net:name='a']/net:name",
                (("bad-element", "name"),),
            ),
        ),
        (
            on_peer("<restart/>", "x" * 17),
            Fault("application", "invalid-value", None, f"/net:network/net:peer[net:name='{'x' * 17}']/net:name"),
        ),
        (
            action('<network xmlns="urn:nowhere"/>'),
            Fault(
                "application",
                "unknown-namespace",
                None,
                None,
                (("bad-element", "network"), ("bad-namespace", "urn:nowhere")),
            ),
        ),
        (
            action(f'<bogus xmlns="{NET}"/>'),
            Fault("application", "unknown-element", None, None, (("bad-element", "bogus"),)),
        ),
        (
            action(f'<network xmlns="{NET}"><defragment/></network>'),
            Fault("protocol", "operation-not-supported"),
        ),
    ],
)
async def test_an_action_that_cannot_be_called(agent: Agent, operation: str, fault: Fault) -> None:
    await agent.load()
    recorder = Recorder(leaf("restarts", "1"))
    agent.server.handle(RESTART, recorder)
    peer = await agent.connect()
    found = fault_of(await peer.call(operation))
    assert (found.type, found.tag, found.app_tag, found.info) == (fault.type, fault.tag, fault.app_tag, fault.info)
    assert fault.path in (None, found.path)
    assert not recorder.calls


async def test_an_empty_action_names_none(agent: Agent) -> None:
    peer = await agent.connect()
    fault = fault_of(await peer.call(action("")))
    assert (fault.tag, fault.info) == ("missing-element", (("bad-element", "action"),))


async def test_two_actions_in_one_rpc_are_a_bad_element(agent: Agent) -> None:
    """RFC 7950 section 7.15.2."""
    await agent.load()
    peer = await agent.connect()
    one = f'<network xmlns="{NET}"><peer><name>a</name><restart>{INPUT}</restart></peer></network>'
    assert fault_of(await peer.call(action(one + one))).tag == "bad-element"
    assert fault_of(await peer.call(action(one) + action(one))).tag == "bad-element"


async def test_what_a_handler_refuses_is_the_answer(agent: Agent) -> None:
    async def refuse(invocation: Invocation) -> Sequence[etree._Element] | None:
        raise RpcError("resource-denied", "no peers left", app_tag="try-later")

    await agent.load()
    agent.server.handle(RESTART, refuse)
    peer = await agent.connect()
    reply = await peer.call(on_peer(f"<restart>{INPUT}</restart>"))
    assert fault_of(reply) == Fault("application", "resource-denied", "try-later")
    assert reply.findtext(f"{nc('rpc-error')}/{nc('error-message')}") == "no peers left"
