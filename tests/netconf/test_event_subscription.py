"""create-subscription sends live events to its session, filtered, between the replies (RFC 5277)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.netconf.hello import BASE_1_0, BASE_1_1
from rkmp.netconf.namespaces import NOTIFICATION
from tests.netconf.agents import NET, NOW, SECRET, Agent, Fault, data_of, fault_of, get, net, require_ok
from tests.netconf.conversation import Peer, settle


def subscribe(content: str = "") -> str:
    return f'<create-subscription xmlns="{NOTIFICATION}">{content}</create-subscription>'


def alarm(severity: str, text: str = "x") -> etree._Element:
    return etree.fromstring(
        f'<alarm xmlns="{NET}"><severity>{severity}</severity><text>{text}</text>'
        f"<secret>{SECRET.decode()}</secret></alarm>"
    )


def lost(peer: str) -> etree._Element:
    return etree.fromstring(
        f'<network xmlns="{NET}"><peer><name>{peer}</name><lost><reason>silence</reason></lost></peer></network>'
    )


async def event(peer: Peer) -> etree._Element:
    message = await peer.message()
    assert message.tag == f"{{{NOTIFICATION}}}notification"
    assert message.findtext(f"{{{NOTIFICATION}}}eventTime") == "2026-01-02T03:04:05Z"
    return message[1]


@pytest.mark.parametrize("version", [BASE_1_0, BASE_1_1])
@pytest.mark.parametrize("parameters", ["", "<stream>NETCONF</stream>", "<stream> NETCONF </stream>"])
async def test_events_come_as_notifications(agent: Agent, version: str, parameters: str) -> None:
    peer = await agent.connect(version)
    agent.server.publish(NOW, alarm("major", "before"))
    require_ok(await peer.call(subscribe(parameters)))
    agent.server.publish(NOW, alarm("minor", "after"))
    assert (await event(peer)).findtext(net("text")) == "after"
    agent.server.publish(NOW, lost("a"))
    assert (await event(peer)).tag == net("network")


async def test_operations_go_on_between_notifications(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(subscribe()))
    for _ in range(3):
        data_of(await peer.call(get("")))
        agent.server.publish(NOW, alarm("major"))
        await event(peer)
    require_ok(await peer.call("<close-session/>"))
    await peer.ended()
    assert not agent.server.has_subscribers


async def test_secrets_are_not_in_notifications(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(subscribe()))
    agent.server.publish(NOW, alarm("major"))
    assert SECRET not in etree.tostring(await event(peer))


@pytest.mark.parametrize(
    ("filter_content", "expected"),
    [
        (f'<alarm xmlns="{NET}"/>', ["minor", "major"]),
        (f'<alarm xmlns="{NET}"><severity>major</severity></alarm>', ["major"]),
        (f'<alarm xmlns="{NET}"><text/></alarm>', ["minor", "major"]),
        (f'<network xmlns="{NET}"><peer><lost/></peer></network>', ["lost a", "lost b"]),
        (f'<network xmlns="{NET}"><peer><name>b</name><lost/></peer></network>', ["lost b"]),
        (f'<alarm xmlns="{NET}"/><network xmlns="{NET}"/>', ["minor", "major", "lost a", "lost b"]),
        (f'<alarm xmlns="{NET}"><secret>{SECRET.decode()}</secret></alarm>', []),
        ("", []),
        ('<bogus xmlns="urn:nowhere"/>', []),
    ],
)
async def test_a_filter_selects_whole_events(agent: Agent, filter_content: str, expected: list[str]) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(subscribe(f'<filter type="subtree">{filter_content}</filter>')))
    for published in (alarm("minor"), alarm("major"), lost("a"), lost("b")):
        agent.server.publish(NOW, published)
    found = []
    for _ in expected:
        received = await event(peer)
        name = received.findtext(f"{net('peer')}/{net('name')}")
        found.append(received.findtext(net("severity")) or f"lost {name}")
        assert name or received.findtext(net("text")) == "x"
    assert found == expected
    await settle()
    assert not peer.transport.sent


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ("<stream>syslog</stream>", Fault("protocol", "invalid-value", info=(("bad-element", "stream"),))),
        ("<bogus/>", Fault("protocol", "unknown-element", info=(("bad-element", "bogus"),))),
        ("<stream/><stream/>", Fault("protocol", "bad-element", info=(("bad-element", "stream"),))),
        # RFC 5277 2.1.1.
        (
            "<stopTime>2026-01-01T00:00:00Z</stopTime>",
            Fault("protocol", "missing-element", info=(("bad-element", "startTime"),)),
        ),
        (
            '<filter type="bogus"/>',
            Fault("protocol", "bad-attribute", info=(("bad-attribute", "type"), ("bad-element", "filter"))),
        ),
    ],
)
async def test_a_bad_subscription_is_refused(agent: Agent, parameters: str, fault: Fault) -> None:
    peer = await agent.connect()
    assert fault_of(await peer.call(subscribe(parameters))) == fault
    assert not agent.server.has_subscribers
    require_ok(await peer.call(subscribe()))


async def test_a_session_has_one_subscription(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(subscribe()))
    assert fault_of(await peer.call(subscribe())) == Fault("protocol", "operation-failed")
    agent.server.publish(NOW, alarm("major"))
    await event(peer)
    await settle()
    assert not peer.transport.sent


async def test_every_session_has_its_own_subscription(agent: Agent) -> None:
    peers = [await agent.connect() for _ in range(3)]
    for peer in peers:
        require_ok(await peer.call(subscribe()))
    agent.server.publish(NOW, alarm("major"))
    for peer in peers:
        await event(peer)
