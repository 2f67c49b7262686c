"""Whatever is asked about subscriptions gets an answer that says what is wrong, and harms nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.schema import Schema
from tests.netconf.agents import Agent, data_of, get
from tests.netconf.conversation import BASE, Peer, nc
from tests.netconf.subscriptions.requests import DS, SHOP, SN, YP, sn

TIMES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2126-02-29T00:00:00.123456789+14:00", "0001-01-01T00:00:00-00:00"]
)
NUMBERS = st.sampled_from(["0", "1", "10", "4294967295", "4294967296", "-1", "x", ""])
XPATHS = st.sampled_from(
    [
        *("/", "//*", "/s:shop", "/example-shop:shop/example-shop:queue[1]", "count(//*)", "1 + 1", "'x'", "s:"),
        *("/x:y", "deref(/s:shop)", "//s:queue[last()]/..", "/s:shop/s:safe", "id('x')", "$x", "current()"),
    ]
)
SUBTREES = st.sampled_from(
    [
        *("", "text", f'<shop xmlns="{SHOP}"/>', '<shop xmlns=""/>', "<x:y xmlns:x='urn:x'/>"),
        f'<shop xmlns="{SHOP}" a="b"><queue>x</queue></shop>',
    ]
)


def leaf(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(lambda value: f"<{name}>{value}</{name}>")


PARAMETERS = st.one_of(
    leaf("stream", st.sampled_from(["NETCONF", "", "x"])),
    leaf("stream-filter-name", st.just("f")),
    leaf("stream-subtree-filter", SUBTREES),
    leaf("stream-xpath-filter", XPATHS),
    leaf("stop-time", TIMES),
    leaf("replay-start-time", TIMES),
    leaf("encoding", st.sampled_from(["encode-xml", "sn:encode-xml", "sn:encode-json", ""])),
    leaf("yp:datastore", st.sampled_from(["ds:operational", "ds:running", "ds:candidate", "ds:dynamic", "ds:x", ""])),
    leaf("yp:selection-filter-ref", st.just("f")),
    leaf("yp:datastore-subtree-filter", SUBTREES),
    leaf("yp:datastore-xpath-filter", XPATHS),
    leaf("yp:periodic", st.tuples(leaf("yp:period", NUMBERS), leaf("yp:anchor-time", TIMES)).map("".join)),
    leaf("yp:on-change", leaf("yp:dampening-period", NUMBERS)),
    leaf("yp:on-change", leaf("yp:excluded-change", st.sampled_from(["create", "move", "x"]))),
    leaf("id", st.sampled_from(["1", "2", "7", "x"])),
)
OPERATIONS = st.tuples(
    st.sampled_from(["establish", "establish", "establish", "modify", "delete", "kill", "resync"]),
    st.lists(PARAMETERS, max_size=5),
).map(
    lambda each: (
        f'<{each[0]}-subscription xmlns="{YP if each[0] == "resync" else SN}" xmlns:sn="{SN}" xmlns:yp="{YP}" '
        f'xmlns:ds="{DS}" xmlns:s="{SHOP}">{"".join(each[1])}</{each[0]}-subscription>'
    )
)


async def answer(peer: Peer, operation: str) -> etree._Element:
    """Return the reply, whatever is pushed before it."""
    peer.send(f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'.encode())
    while (message := await peer.message()).tag != nc("rpc-reply"):
        pass
    return message


@given(st.lists(OPERATIONS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
async def test_every_request_is_carried_out_or_refused_for_a_reason(shop_schema: Schema, operations: list[str]) -> None:
    agent = Agent(shop_schema, clock=lambda: datetime.now(UTC))
    try:
        peer = await agent.connect()
        established = 0
        for operation in operations:
            reply = await answer(peer, operation)
            assert len(reply)
            for error in reply.iterchildren(nc("rpc-error")):
                assert error.findtext(nc("error-message")) != "internal error", operation
            established += reply[0].tag == sn("id")
        found = data_of(await (await agent.connect()).call(get(f'<subscriptions xmlns="{SN}"/>')))
        assert len(list(found.iter(sn("subscription")))) <= established
    finally:
        await agent.close()
