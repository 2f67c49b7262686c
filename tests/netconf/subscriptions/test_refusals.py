"""What cannot be served is refused with the identity, the error-tag and the hints of RFC 8640 section 7."""

from __future__ import annotations

import pytest

from rkmp.datastore.schema import Schema
from rkmp.netconf import ServerLimits
from rkmp.netconf.namespaces import NOTIFICATION
from rkmp.netconf.subscriptions import SubscriptionLimits
from tests.netconf.agents import NOW, Agent, Fault, edit, fault_of, require_ok
from tests.netconf.conversation import nc
from tests.netconf.subscriptions.requests import (
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
    sn,
    stream,
    subtree,
    xpath,
    yp,
)

ALL = subtree(f'<shop xmlns="{SHOP}"/>')
NOTIFICATIONS_MODULE, PUSH_MODULE = "ietf-subscribed-notifications", "ietf-yang-push"


def application(tag: str, identity: str, module: str = PUSH_MODULE) -> tuple[str, str, str]:
    return "application", tag, f"{module}:{identity}"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (
            stream(f'<encoding xmlns:sn="{SN}">sn:encode-json</encoding>'),
            application("invalid-value", "encoding-unsupported", NOTIFICATIONS_MODULE),
        ),
        (
            stream("<stream-xpath-filter>//example-shop:reason[</stream-xpath-filter>"),
            application("invalid-value", "filter-unsupported", NOTIFICATIONS_MODULE),
        ),
        (
            stream("<stream-xpath-filter>/*[re-match('aaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '(a+)+')]</stream-xpath-filter>"),
            application("invalid-value", "filter-unsupported", NOTIFICATIONS_MODULE),
        ),
        (
            push(periodic(100), xpath("/nowhere:shop")),
            application("invalid-value", "filter-unsupported", NOTIFICATIONS_MODULE),
        ),
        (
            push(periodic(100), xpath("count(/s:shop)")),
            application("invalid-value", "filter-unsupported", NOTIFICATIONS_MODULE),
        ),
        (push(on_change(), ALL, "candidate"), application("operation-not-supported", "on-change-unsupported")),
        (push(on_change(), ALL, "startup"), application("operation-not-supported", "on-change-unsupported")),
        (
            push(on_change(), subtree(f'<weather xmlns="{SHOP}"/>')),
            application("operation-not-supported", "on-change-unsupported"),
        ),
        (
            push(periodic(100), subtree('<nothing xmlns="urn:nowhere"/>')),
            application("operation-failed", "unchanging-selection"),
        ),
        (
            push(periodic(100), subtree(f'<weather xmlns="{SHOP}"/>'), "running"),
            application("operation-failed", "unchanging-selection"),
        ),
        (push(periodic(9), ALL), application("invalid-value", "period-unsupported")),
        (modify(99, ALL), application("invalid-value", "no-such-subscription", NOTIFICATIONS_MODULE)),
        (delete(99), application("invalid-value", "no-such-subscription", NOTIFICATIONS_MODULE)),
        (kill(99), application("invalid-value", "no-such-subscription", NOTIFICATIONS_MODULE)),
        (resync(99), application("invalid-value", "no-such-subscription-resync")),
    ],
)
async def test_each_refusal_names_its_identity(agent: Agent, operation: str, expected: tuple[str, str, str]) -> None:
    peer = await agent.connect()
    fault = fault_of(await peer.call(operation))
    assert (fault.type, fault.tag, fault.app_tag) == expected


@pytest.mark.parametrize(
    ("operation", "tag", "element"),
    [
        (stream(name="NOWHERE"), "invalid-value", "stream"),
        # RFC 8639 2.3: what has no feature is not in the schema.
        (stream("<dscp>10</dscp>"), "unknown-element", "dscp"),
        (stream("<weighting>10</weighting>"), "unknown-element", "weighting"),
        (stream("<dependency>1</dependency>"), "unknown-element", "dependency"),
        (stream("<stop-time>2026-01-02T03:04:04Z</stop-time>"), "invalid-value", "stop-time"),
        (stream("<stop-time>2026-02-30T03:04:04Z</stop-time>"), "invalid-value", "stop-time"),
        # A moment of no year that there is in UTC.
        (stream("<stop-time>0001-01-01T00:00:00+23:59</stop-time>"), "invalid-value", "stop-time"),
        (push(periodic(100, "9999-12-31T23:59:59-23:59"), ALL), "invalid-value", "anchor-time"),
        (stream("<replay-start-time>2036-01-02T03:04:06Z</replay-start-time>"), "invalid-value", "replay-start-time"),
        (
            stream(
                "<replay-start-time>2026-01-01T00:00:00Z</replay-start-time><stop-time>2026-01-01T00:00:00Z</stop-time>"
            ),
            "invalid-value",
            "stop-time",
        ),
        (push("", ALL), "missing-element", "update-trigger"),
        (stream("<stream-filter-name>nobody</stream-filter-name>"), "data-missing", "stream-filter-name"),
        (
            push(periodic(100), "<yp:selection-filter-ref>nobody</yp:selection-filter-ref>"),
            "data-missing",
            "selection-filter-ref",
        ),
        (f'<establish-subscription xmlns="{SN}"/>', "missing-element", "target"),
    ],
)
async def test_parameters_that_make_no_sense_are_named(agent: Agent, operation: str, tag: str, element: str) -> None:
    peer = await agent.connect()
    fault = fault_of(await peer.call(operation))
    assert (fault.type, fault.tag) == ("application", tag)
    assert element in dict(fault.info).values() or fault.path == f"/sn:establish-subscription/sn:{element}"


async def test_a_period_that_is_too_short_gets_a_hint_that_works(agent: Agent) -> None:
    peer = await agent.connect()
    reply = await peer.call(push(periodic(1), ALL))
    info = reply.find(f"{nc('rpc-error')}/{nc('error-info')}")
    assert info is not None
    # RFC 8640 section 7: in the structure of the operation, without the reason, which is the error-app-tag.
    (structure,) = info
    assert structure.tag == yp("establish-subscription-datastore-error-info")
    (hint,) = structure
    assert hint.tag == yp("period-hint")
    reply = await peer.call(push(periodic(int(hint.text or "")), ALL))
    assert reply[0].tag == sn("id")
    reply = await peer.call(modify(int(reply[0].text or ""), periodic(1)))
    assert reply.find(f".//{yp('modify-subscription-datastore-error-info')}/{yp('period-hint')}") is not None


async def test_a_filter_that_cannot_be_read_gets_a_hint(agent: Agent) -> None:
    peer = await agent.connect()
    wrong = "<stream-xpath-filter>/example-shop:closing[</stream-xpath-filter>"
    reply = await peer.call(stream(wrong))
    assert reply.findtext(f".//{sn('establish-subscription-stream-error-info')}/{sn('filter-failure-hint')}")
    number = int((await peer.call(stream()))[0].text or "")
    reply = await peer.call(modify(number, wrong))
    assert reply.findtext(f".//{sn('modify-subscription-stream-error-info')}/{sn('filter-failure-hint')}")


async def test_data_that_is_too_big_gets_an_estimate_and_the_limit(shop_schema: Schema) -> None:
    agent = Agent(shop_schema, ServerLimits(subscriptions=SubscriptionLimits(record_octets=4096)))
    peer = await agent.connect()
    queue = "".join(f"<queue>{number:050}</queue>" for number in range(100))
    require_ok(await peer.call(edit("running", f'<shop xmlns="{SHOP}">{queue}</shop>')))
    for trigger, identity in ((periodic(100), "update-too-big"), (on_change(), "sync-too-big")):
        reply = await peer.call(push(trigger, ALL))
        assert fault_of(reply).app_tag == f"{PUSH_MODULE}:{identity}"
        assert fault_of(reply).tag == "too-big"
        (structure,) = reply.iter(yp("establish-subscription-datastore-error-info"))
        assert [(leaf.tag, leaf.text) for leaf in structure][1] == (yp("kilobytes-limit"), "4")
        assert int(structure[0].text or "") > 4
    # Changes alone can be served.
    assert (await peer.call(push(on_change(sync=False), ALL)))[0].tag == sn("id")
    await agent.close()


async def test_there_are_only_so_many_subscriptions(shop_schema: Schema) -> None:
    limits = SubscriptionLimits(subscriptions=3, session_subscriptions=2)
    agent = Agent(shop_schema, ServerLimits(subscriptions=limits))
    one, other = await agent.connect(), await agent.connect()
    for peer in (one, one, other):
        assert (await peer.call(stream()))[0].tag == sn("id")
    for peer in (one, other):
        fault = fault_of(await peer.call(stream()))
        assert (fault.tag, fault.app_tag) == ("resource-denied", f"{NOTIFICATIONS_MODULE}:insufficient-resources")
    require_ok(await one.call(delete(1)))
    assert (await other.call(stream()))[0].tag == sn("id")
    await agent.close()


async def test_only_so_much_data_is_held_for_comparison(shop_schema: Schema) -> None:
    agent = Agent(shop_schema, ServerLimits(subscriptions=SubscriptionLimits(held_octets=5000)))
    peer = await agent.connect()
    queue = "".join(f"<queue>{number:050}</queue>" for number in range(50))
    require_ok(await peer.call(edit("running", f'<shop xmlns="{SHOP}"><name>x</name>{queue}</shop>')))
    assert (await peer.call(push(on_change(sync=False), ALL)))[0].tag == sn("id")
    changing = int((await peer.call(push(on_change(sync=False), xpath("/s:shop/s:name"))))[0].text or "")
    for operation in (push(on_change(sync=False), ALL, "running"), modify(changing, ALL)):
        assert fault_of(await peer.call(operation)).app_tag == f"{NOTIFICATIONS_MODULE}:insufficient-resources"
    # Of what is sent periodically nothing is held.
    assert (await peer.call(push(periodic(100_000, "2026-01-01T00:00:00Z"), ALL)))[0].tag == sn("id")
    require_ok(await peer.call(delete(1)))
    require_ok(await peer.call(modify(changing, ALL)))
    await agent.close()


async def test_a_filter_may_not_be_larger_than_what_is_kept(agent: Agent) -> None:
    peer = await agent.connect()
    large = f'<shop xmlns="{SHOP}">' + "".join(f"<queue>{number:0100}</queue>" for number in range(600)) + "</shop>"
    for operation in (
        push(periodic(100_000), subtree(large)),
        stream(f"<stream-subtree-filter>{large}</stream-subtree-filter>"),
    ):
        assert fault_of(await peer.call(operation)).app_tag == f"{NOTIFICATIONS_MODULE}:filter-unsupported"


async def test_only_the_session_of_a_subscription_may_change_it(agent: Agent) -> None:
    one, other = await agent.connect(), await agent.connect()
    number = int((await one.call(push(on_change(), ALL)))[0].text or "")
    for operation in (modify(number, ALL), delete(number)):
        assert fault_of(await other.call(operation)).app_tag == f"{NOTIFICATIONS_MODULE}:no-such-subscription"
    assert fault_of(await other.call(resync(number))).app_tag == f"{PUSH_MODULE}:no-such-subscription-resync"


@pytest.mark.parametrize("operation", [push(periodic(1000), ALL), push(on_change(sync=False), ALL), stream()])
async def test_what_is_not_synchronised_cannot_be_resynchronised(agent: Agent, operation: str) -> None:
    peer = await agent.connect()
    number = int((await peer.call(operation))[0].text or "")
    if "periodic" in operation:
        await peer.message()
    fault = fault_of(await peer.call(resync(number)))
    assert (fault.tag, fault.app_tag) == ("operation-not-supported", f"{PUSH_MODULE}:on-change-sync-unsupported")


async def test_a_session_has_subscriptions_of_one_kind_only(agent: Agent) -> None:
    older, newer = await agent.connect(), await agent.connect()
    create = f'<create-subscription xmlns="{NOTIFICATION}"/>'
    require_ok(await older.call(create))
    assert (await newer.call(stream()))[0].tag == sn("id")
    for peer, operation in ((older, stream()), (newer, create)):
        # RFC 8640 section 3.
        assert fault_of(await peer.call(operation)) == Fault("protocol", "operation-not-supported")


async def test_a_server_without_a_log_does_not_replay(shop_schema: Schema) -> None:
    agent = Agent(shop_schema, has_replay=False)
    peer = await agent.connect()
    fault = fault_of(await peer.call(stream("<replay-start-time>2026-01-01T00:00:00Z</replay-start-time>")))
    assert (fault.tag, fault.app_tag) == ("operation-not-supported", f"{NOTIFICATIONS_MODULE}:replay-unsupported")
    await agent.close()


async def test_a_log_that_does_not_go_back_so_far_says_from_when_on(shop_schema: Schema) -> None:
    agent = Agent(shop_schema)
    peer = await agent.connect()
    reply = await peer.call(stream("<replay-start-time>2026-01-01T00:00:00Z</replay-start-time>"))
    assert [child.tag for child in reply] == [sn("id"), sn("replay-start-time-revision")]
    assert reply[1].text == NOW.isoformat().replace("+00:00", "Z")
    await agent.close()


async def test_a_subscription_cannot_become_one_of_the_other_kind(agent: Agent) -> None:
    peer = await agent.connect()
    number = int((await peer.call(stream()))[0].text or "")
    fault = fault_of(await peer.call(modify(number, periodic(100))))
    assert fault == Fault("application", "bad-element", info=(("bad-element", "periodic"),))
    number = int((await peer.call(push(on_change(sync=False), ALL)))[0].text or "")
    fault = fault_of(await peer.call(modify(number, "<stream-xpath-filter>/</stream-xpath-filter>")))
    assert fault.tag == "bad-element"


async def test_subscriptions_cannot_be_configured(agent: Agent) -> None:
    peer = await agent.connect()
    content = (
        f'<subscriptions xmlns="{SN}"><subscription><id>7</id><stream>NETCONF</stream>'
        "<receivers><receiver><name>x</name></receiver></receivers></subscription></subscriptions>"
    )
    fault = fault_of(await peer.call(edit("running", content)))
    assert (fault.tag, fault.path) == ("operation-not-supported", "/sn:subscriptions")


CONFIGURED_SELECTION = (
    f'<selection-filter xmlns="{YP}"><filter-id>f</filter-id>'
    "<datastore-xpath-filter>1 + 1</datastore-xpath-filter></selection-filter>"
)


@pytest.mark.parametrize(
    "entry",
    [
        "<stream-filter><name>f</name><stream-xpath-filter>/x[</stream-xpath-filter></stream-filter>",
        CONFIGURED_SELECTION,
    ],
)
async def test_a_filter_that_cannot_be_read_cannot_be_configured(agent: Agent, entry: str) -> None:
    peer = await agent.connect()
    fault = fault_of(await peer.call(edit("running", f'<filters xmlns="{SN}">{entry}</filters>')))
    assert fault.tag == "invalid-value"
    assert fault.path is not None
    assert fault.path.endswith("-xpath-filter")
