"""Subscriptions over NETCONF sessions: order, sharing, the end of a session, a client that does not read (RFC 8640)."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.netconf import ServerLimits
from rkmp.netconf.capabilities import NETCONF_MODULES
from rkmp.netconf.subscriptions import SubscriptionLimits
from tests.netconf.agents import Agent, Fault, data_of, edit, fault_of, get, require_ok
from tests.netconf.conversation import Peer, rpc, settle
from tests.netconf.judge import require_valid_state
from tests.netconf.subscriptions.conftest import MODULES
from tests.netconf.subscriptions.requests import (
    DS,
    SHOP,
    SN,
    YP,
    delete,
    kill,
    modify,
    on_change,
    periodic,
    push,
    resync,
    shop,
    sn,
    stream,
    subtree,
    xpath,
    yp,
)

ALL = subtree(f'<shop xmlns="{SHOP}"/>')
NAME = f'<shop xmlns="{SHOP}"><name>{{}}</name></shop>'


async def subscribe(peer: Peer, operation: str) -> int:
    reply = await peer.call(operation)
    assert reply[0].tag == sn("id"), etree.tostring(reply).decode()
    return int(reply[0].text or "")


async def event(peer: Peer) -> etree._Element:
    return (await peer.message())[1]


async def test_records_follow_the_reply_that_grants_them(agent: Agent) -> None:
    peer = await agent.connect()
    peer.send(rpc(push(on_change(), ALL), "7"))
    reply = await peer.message()
    assert reply.get("message-id") == "7"
    assert (await event(peer)).tag == yp("push-update")


async def test_one_session_has_many_subscriptions_and_operations_in_between(agent: Agent) -> None:
    peer = await agent.connect()
    numbers = [
        await subscribe(peer, push(on_change(sync=False), ALL)),
        await subscribe(peer, push(on_change(sync=False), xpath("/s:shop/s:name"), "running")),
        await subscribe(peer, stream(f'<stream-subtree-filter><closing xmlns="{SHOP}"/></stream-subtree-filter>')),
    ]
    peer.send(rpc(edit("running", NAME.format("x")), "8"))
    told = [await peer.message() for _ in range(3)]
    assert told[0].get("message-id") == "8"
    assert [message[1].findtext(yp("id")) for message in told[1:]] == [str(number) for number in numbers[:2]]
    require_ok(await peer.call(delete(numbers[0])))
    peer.send(rpc(edit("running", NAME.format("y")), "9"))
    assert (await peer.message()).get("message-id") == "9"
    assert (await event(peer)).findtext(yp("id")) == str(numbers[1])


async def test_nothing_more_is_sent_once_a_subscription_is_deleted(agent: Agent) -> None:
    peer = await agent.connect()
    number = await subscribe(peer, push(on_change(sync=False), ALL))
    require_ok(await (await agent.connect()).call(edit("running", NAME.format("x"))))
    require_ok(await peer.call(delete(number)))
    await settle()
    assert not peer.transport.sent


async def test_a_resynchronisation_follows_its_reply(agent: Agent) -> None:
    peer = await agent.connect()
    number = await subscribe(peer, push(on_change(), ALL))
    await event(peer)
    require_ok(await peer.call(resync(number)))
    assert (await event(peer)).tag == yp("push-update")


async def test_time_passes_for_real(agent: Agent) -> None:
    peer = await agent.connect()
    await subscribe(peer, push(periodic(10), ALL, parameters="<stop-time>2126-01-01T00:00:00Z</stop-time>"))
    for _ in range(3):
        assert (await event(peer)).tag == yp("push-update")


async def test_the_end_of_a_session_ends_its_subscriptions(agent: Agent) -> None:
    peer, other = await agent.connect(), await agent.connect()
    for operation in (stream(), push(on_change(sync=False), ALL), push(periodic(1000), ALL)):
        await subscribe(peer, operation)
    kept = weakref.ref(next(iter(agent.server._publisher)))
    peer.session.connection_lost()
    await peer.ended()
    assert len(data_of(await other.call(get(f'<subscriptions xmlns="{SN}"/>')))) == 0
    del peer
    gc.collect()
    assert kept() is None, "nothing of it is left"


async def test_killing_a_subscription_is_for_those_who_are_permitted_to(shop_schema: Schema) -> None:
    agent = Agent(shop_schema, is_recovery=lambda user: user == "alice")
    owner, intruder, operator = [await agent.connect(username=name) for name in ("bob", "eve", "alice")]
    number = await subscribe(owner, push(on_change(sync=False), ALL))
    # The operation is under nacm:default-deny-all.
    assert fault_of(await intruder.call(kill(number))).tag == "access-denied"
    require_ok(await operator.call(kill(number)))
    told = await event(owner)
    assert told.tag == sn("subscription-terminated")
    assert (told.findtext(sn("id")), told.findtext(sn("reason"))) == (str(number), "no-such-subscription")
    await agent.close()


async def test_a_client_that_does_not_read_costs_nobody_but_itself(shop_schema: Schema) -> None:
    limits = SubscriptionLimits(queued_records=5, suspension_seconds=0.2)
    agent = Agent(shop_schema, ServerLimits(subscriptions=limits))
    slow, quick = await agent.connect(), await agent.connect()
    for operation in (push(on_change(sync=False), ALL), stream()):
        await subscribe(slow, operation)
    await subscribe(quick, push(on_change(sync=False), ALL))
    slow.session.pause_writing()
    editor = await agent.connect()
    for number in range(30):
        require_ok(await editor.call(edit("running", NAME.format(number))))
        assert (await event(quick)).findtext(f".//{shop('name')}") == str(number)
    await asyncio.sleep(0.3)
    assert [each.subscriber.session_id for each in agent.server._publisher] == [quick.session.id]
    assert slow.session.ended is None
    slow.session.resume_writing()
    told: list[str] = []
    while "suspension-timeout" not in told or told.count("suspension-timeout") < 2:
        found = await event(slow)
        told.append(found.findtext(sn("reason")) or etree.QName(found).localname)
    assert told.count("unsupportable-volume") == 2
    # The session is as good as ever.
    await subscribe(slow, stream())
    await agent.close()


async def test_state_shows_streams_and_subscriptions_as_the_modules_have_them(agent: Agent) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(edit("running", NAME.format("x"))))
    await subscribe(peer, push(on_change(100, excluded=("move",)), ALL))
    await event(peer)
    await subscribe(peer, push(periodic(5000, "2026-01-01T00:00:00Z"), xpath("/s:shop[s:name = 'x']"), "running"))
    await subscribe(peer, stream("<replay-start-time>2026-01-01T00:00:00Z</replay-start-time>"))
    while (await event(peer)).tag != sn("replay-completed"):
        pass
    data = data_of(await peer.call(get(f'<streams xmlns="{SN}"/><subscriptions xmlns="{SN}"/>')))
    streams, subscriptions = data
    assert streams.findtext(f"{sn('stream')}/{sn('name')}") == "NETCONF"
    assert streams.find(f"{sn('stream')}/{sn('replay-support')}") is not None
    first, second, third = subscriptions
    assert first.findtext(f"{yp('on-change')}/{yp('excluded-change')}") == "move"
    assert first.findtext(f".//{sn('sent-event-records')}") == "1"
    assert second.findtext(f"{yp('periodic')}/{yp('anchor-time')}") == "2026-01-01T00:00:00Z"
    # In a prefix that the reply binds.
    assert second.findtext(yp("datastore-xpath-filter")) == '/shop:shop[shop:name = "x"]'
    assert third.findtext(sn("replay-start-time")) == "2026-01-01T00:00:00Z"
    assert {each.text for each in subscriptions.iter(sn("state"))} == {"active"}
    require_valid_state({**NETCONF_MODULES, "example-shop": ()}, [MODULES], data)


async def test_a_name_that_xml_cannot_hold_does_no_harm(agent: Agent) -> None:
    peer = await agent.connect(username="ali\x07ce")
    await subscribe(peer, stream())
    found = data_of(await (await agent.connect()).call(get(f'<subscriptions xmlns="{SN}"/>')))
    assert found.findtext(f".//{sn('name')}") == f"ali\ufffdce session {peer.session.id}"


async def test_what_waited_for_a_session_that_is_gone_counts_no_longer(shop_schema: Schema) -> None:
    limits = SubscriptionLimits(queued_records=2)
    agent = Agent(shop_schema, ServerLimits(subscriptions=limits))
    peer, operator = await agent.connect(), await agent.connect()
    number = await subscribe(peer, push(on_change(sync=False), ALL))
    peer.session.pause_writing()
    for name in range(4):
        require_ok(await operator.call(edit("running", NAME.format(name))))
    require_ok(await operator.call(kill(number)))
    backlog = agent.server._publisher._surroundings.backlog
    assert backlog.octets > 0
    peer.session.connection_lost()
    await peer.ended()
    assert backlog.octets == 0
    await agent.close()


async def test_operational_says_that_subscriptions_are_learned(agent: Agent) -> None:
    peer = await agent.connect()
    await subscribe(peer, push(on_change(sync=False), ALL))
    nmda = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
    (data,) = await peer.call(
        f'<get-data xmlns="{nmda}"><datastore xmlns:ds="{DS}">ds:operational</datastore>'
        f'<subtree-filter><subscriptions xmlns="{SN}"/></subtree-filter><with-origin/></get-data>'
    )
    (subscription,) = data.iter(sn("subscription"))
    assert subscription.get("{urn:ietf:params:xml:ns:yang:ietf-origin}origin") == "or:learned"
    # There is no such configuration.
    assert len(data_of(await peer.call("<get-config><source><running/></source></get-config>"))) == 0


async def test_parameters_that_are_not_named_stay_as_they_are(agent: Agent) -> None:
    peer = await agent.connect()
    number = await subscribe(peer, push(periodic(5000), ALL, "running"))
    await event(peer)
    # RFC 8640 figure 7 leaves the datastore out, and RFC 8641 4.4.2 has it so, whatever the module says.
    require_ok(await peer.call(modify(number, periodic(6000))))
    data = data_of(await peer.call(get(f'<subscriptions xmlns="{SN}"/>')))
    assert data.findtext(f".//{yp('datastore')}") == "ds:running"
    assert data.findtext(f".//{yp('period')}") == "6000"
    assert data.find(f".//{yp('datastore-subtree-filter')}/{shop('shop')}") is not None


async def test_features_are_announced_for_what_they_are(agent: Agent) -> None:
    peer = await agent.connect()
    library = data_of(await peer.call(get('<yang-library xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"/>')))
    names = {"y": "urn:ietf:params:xml:ns:yang:ietf-yang-library"}
    found = {
        module: library.xpath(f"//y:module[y:name='{module}']/y:feature/text()", namespaces=names)
        for module in ("ietf-subscribed-notifications", "ietf-yang-push")
    }
    assert found == {
        "ietf-subscribed-notifications": ["encode-xml", "replay", "subtree", "xpath"],
        "ietf-yang-push": ["on-change"],
    }


@pytest.mark.parametrize("namespace", [SN, YP])
async def test_the_modules_can_be_had_with_get_schema(agent: Agent, namespace: str) -> None:
    peer = await agent.connect()
    name = namespace.rpartition(":")[2]
    monitoring = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    reply = await peer.call(f'<get-schema xmlns="{monitoring}"><identifier>{name}</identifier></get-schema>')
    assert f"module {name} {{" in (reply[0].text or "")


async def test_older_subscriptions_do_not_see_what_is_told_of_newer_ones(agent: Agent) -> None:
    older, newer = await agent.connect(), await agent.connect()
    require_ok(await older.call('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'))
    number = await subscribe(newer, push(on_change(), ALL))
    require_ok(await (await agent.connect()).call(kill(number)))
    names: list[str] = []
    while "netconf-config-change" not in names:
        if len(names) == 1:
            require_ok(await (await agent.connect()).call(edit("running", NAME.format("x"))))
        names.append(etree.QName(await event(older)).localname)
    assert set(names) == {"netconf-session-start", "netconf-config-change"}
    assert Fault("protocol", "operation-not-supported") == fault_of(await older.call(stream()))
