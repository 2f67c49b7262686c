"""What a subscriber is pushed of peers and keys is, at any time, what the operational datastore holds (RFC 8641)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from lxml import etree

from rkmp.northbound.names import KeyTableNames, Rkmp
from rkmp.northbound.state_changes import EXCEPTED
from tests.netconf.agents import edit, require_ok
from tests.netconf.conversation import PATIENCE, Peer, settle
from tests.netconf.subscriptions.receiver import Content, Receiver, content_of
from tests.netconf.subscriptions.requests import DS, on_change, push, subtree, yp
from tests.northbound.test_agents import R1, R2, configuration
from tests.northbound.test_netconf import Routers, rekey, text_of
from tests.northbound.world import KEY_TABLE, RKMP, schema

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
KEYS = f'<key-table xmlns="{KEY_TABLE}"/>'
BOTH = f'<rkmp xmlns="{RKMP}"/>{KEYS}'


def get_data(selection: str) -> str:
    return (
        f'<get-data xmlns="{NMDA}"><datastore xmlns:ds="{DS}">ds:operational</datastore>'
        f"<subtree-filter>{selection}</subtree-filter></get-data>"
    )


class Watcher:
    """A client that is pushed what another client reads."""

    def __init__(self, routers: Routers, subscriber: Peer, reader: Peer, selection: str) -> None:
        self.routers = routers
        self.selection = selection
        self.subscriber = subscriber
        self.reader = reader
        self.receiver = Receiver(schema())
        self.operations: list[tuple[str, str]] = []

    async def read(self) -> Content:
        """Return the operational datastore, without what is not on-change capable."""
        (data,) = await self.reader.call(get_data(self.selection))
        assert data.tag == f"{{{NMDA}}}data", etree.tostring(data).decode()
        for path in EXCEPTED:
            for found in data.findall("/".join(path)):
                parent = found.getparent()
                assert parent is not None
                parent.remove(found)
        return content_of(schema(), data)

    async def catch_up(self) -> None:
        """Return when what was pushed is what is there; fail where it never is."""
        async with asyncio.timeout(PATIENCE):
            while content_of(schema(), self.receiver.tree) != await self.read():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        while True:
                            self.take((await self.subscriber.message())[1])

    def take(self, event: etree._Element) -> None:
        self.receiver.receive(event)
        for change in event.iter(yp("edit")):
            self.operations.append((change.findtext(yp("operation"), ""), change.findtext(yp("target"), "")))

    async def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass for the routers, and look after each step."""
        for _ in range(round(seconds / step)):
            self.routers.world.run(step)
            await self.catch_up()


@pytest.fixture
async def routers() -> AsyncIterator[Routers]:
    routers = Routers()
    yield routers
    await routers.close()


async def watch(routers: Routers, selection: str) -> Watcher:
    """Return a watcher that has been told what there is."""
    subscriber, reader = await routers.client(routers.r1), await routers.client(routers.r1)
    reply = await subscriber.call(push(on_change(), subtree(selection)))
    assert reply[0].text == "1", etree.tostring(reply).decode()
    watcher = Watcher(routers, subscriber, reader, selection)
    watcher.take((await subscriber.message())[1])
    return watcher


@pytest.fixture
async def watcher(routers: Routers) -> Watcher:
    return await watch(routers, BOTH)


async def test_everything_that_happens_to_keys_and_peers_is_pushed(watcher: Watcher) -> None:
    routers = watcher.routers
    other = await routers.client(routers.r2)
    await watcher.catch_up()
    require_ok(await other.call(edit("running", text_of(configuration("r2", "r1", R1, initiate="never")))))
    require_ok(await watcher.reader.call(edit("running", text_of(configuration("r1", "r2", R2)))))
    await watcher.run(0.3, step=0.02)
    (key,) = {target for operation, target in watcher.operations if "/key=" in target and operation == "create"}
    assert ("replace", "/rkmp:rkmp/peer=r2/association=bgp/state") in watcher.operations
    assert any(target.startswith("/rkmp:rkmp/peer=r2/ike-sa=") for _, target in watcher.operations)

    async def roll() -> None:
        reply = asyncio.create_task(other.call(rekey("r1")))
        for _ in range(20):
            await settle()
            await watcher.run(0.02, step=0.02)
        assert (await reply)[0].tag == Rkmp.ADMIN_KEY_NAME

    await roll()
    assert len({target for _, target in watcher.operations if target.count("/") == 2 and "/key=" in target}) == 2
    await watcher.run(30.0, step=10.0)
    # A peer that is gone takes its keys with it.
    gone = f'<rkmp xmlns="{RKMP}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
    gone += '<peer nc:operation="delete"><name>r2</name></peer></rkmp>'
    require_ok(await watcher.reader.call(edit("running", gone)))
    await watcher.run(0.2, step=0.1)
    assert ("delete", key) in watcher.operations
    assert watcher.receiver.tree.find(f"{KeyTableNames.KEY_TABLE}/{KeyTableNames.KEY}") is None


async def test_counters_alone_lead_to_no_record(watcher: Watcher) -> None:
    routers = watcher.routers
    other = await routers.client(routers.r2)
    require_ok(await other.call(edit("running", text_of(configuration("r2", "r1", R1, initiate="never")))))
    require_ok(await watcher.reader.call(edit("running", text_of(configuration("r1", "r2", R2)))))
    await watcher.run(1.0)
    before, counted = len(watcher.receiver.patches), routers.r1.driver.statistics()["messages-in"]
    # Liveness checks go to and fro.
    await watcher.run(120.0, step=30.0)
    assert routers.r1.driver.statistics()["messages-in"] > counted
    assert len(watcher.receiver.patches) == before


async def test_of_many_entries_those_are_looked_at_that_have_changed(routers: Routers) -> None:
    one, other = await routers.configure()
    watcher = await watch(routers, BOTH)
    server = routers.r1.server
    assert server is not None
    # A whole look would fail, and end the subscription.
    server._publisher._views.look = None  # type: ignore[assignment,method-assign]
    await watcher.catch_up()
    for _ in range(2):
        reply = asyncio.create_task(one.call(rekey()))
        for _ in range(10):
            await settle()
            await watcher.run(0.02, step=0.02)
        assert (await reply)[0].tag == Rkmp.ADMIN_KEY_NAME
    keys = watcher.receiver.tree.findall(f"{KeyTableNames.KEY_TABLE}/{KeyTableNames.KEY}")
    assert len(keys) == 3
    assert [key.findtext(KeyTableNames.SELECTED_FOR_SENDING) for key in keys].count("true") == 1
    await watcher.run(600, step=30)
    # One key after the other has been given up, and what replaced it is sent with.
    selections = [target for _, target in watcher.operations if target.endswith("/selected-for-sending")]
    assert len(set(selections)) >= 2, watcher.operations
    # The peer goes, its IKE SAs and its associations with it.
    routers.world.is_cut = True
    await watcher.run(600, step=60)
    lost = [target for kind, target in watcher.operations if kind == "delete" and "/ike-sa=" in target]
    assert lost, watcher.operations
    description = "<peer><name>r2</name><description>lost</description></peer>"
    require_ok(await watcher.reader.call(edit("running", f'<rkmp xmlns="{RKMP}">{description}</rkmp>')))
    await watcher.catch_up()
    assert other.session.ended is None


def test_whatever_changes_all_the_time_is_excepted() -> None:
    for top in (Rkmp.RKMP, KeyTableNames.KEY_TABLE):
        for node in schema().top[top].descendants():
            counts = node.name.startswith(("messages-", "octets-")) or node.name.endswith("-left")
            if counts and not node.config:
                path = node.data_path
                assert any(path[: len(each)] == each for each in EXCEPTED), node


async def test_a_listener_is_told_of_when_others_are_configured(watcher: Watcher) -> None:
    for content in (
        "<listen><name>a</name><address>192.0.2.1</address></listen>",
        "<listen><name>b</name><address>192.0.2.11</address></listen>",
        "<enabled>false</enabled>",
    ):
        require_ok(await watcher.reader.call(edit("running", f'<rkmp xmlns="{RKMP}">{content}</rkmp>')))
        await watcher.catch_up()
    assert ("replace", "/rkmp:rkmp/listen=a/state") in watcher.operations
