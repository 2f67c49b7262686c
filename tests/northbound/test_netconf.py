"""The same agents behind the NETCONF server itself: what a client writes, reads, calls and hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from lxml import etree

from rkmp.netconf import Client
from tests.netconf.agents import data_of, edit, fault_of, get, get_config, require_ok
from tests.netconf.conversation import Peer, settle
from tests.northbound.agents import Agent, World
from tests.northbound.test_agents import R1, R2, configuration
from tests.northbound.world import KEY_TABLE, NAMESPACES, RKMP

YANG = "urn:ietf:params:xml:ns:yang:1"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
SECRETS = ("a long shared secret",)


class Routers:
    """Two routers and a client of each."""

    def __init__(self) -> None:
        self.world = World(has_netconf=True)
        self.r1, self.r2 = self.world.agent("r1", R1), self.world.agent("r2", R2)

    async def client(self, agent: Agent) -> Peer:
        server = agent.server
        assert server is not None
        who = Client("admin", "192.0.2.99", "netconf-ssh")
        return await Peer(lambda transport: server.open_session(who, transport)).hello()

    async def configure(self) -> tuple[Peer, Peer]:
        one, other = await self.client(self.r1), await self.client(self.r2)
        require_ok(await other.call(edit("running", text_of(configuration("r2", "r1", R1, initiate="never")))))
        require_ok(await one.call(edit("running", text_of(configuration("r1", "r2", R2)))))
        self.world.run(1)
        return one, other

    async def close(self) -> None:
        for agent in (self.r1, self.r2):
            assert agent.server is not None
            await agent.server.close()


@pytest.fixture
async def routers() -> AsyncIterator[Routers]:
    routers = Routers()
    yield routers
    await routers.close()


def text_of(config: etree._Element) -> str:
    return "".join(etree.tostring(top, encoding="unicode") for top in config)


def rekey(peer: str = "r2", protocol: str = "bgp") -> str:
    return (
        f'<action xmlns="{YANG}"><rkmp xmlns="{RKMP}"><peer><name>{peer}</name><association>'
        f"<protocol>{protocol}</protocol><rekey/></association></peer></rkmp></action>"
    )


async def test_a_client_reads_the_same_key_on_both_routers(routers: Routers) -> None:
    clients = await routers.configure()
    shown = []
    for client in clients:
        data = data_of(await client.call(get(f'<key-table xmlns="{KEY_TABLE}"/>')))
        (fingerprint,) = data.xpath("k:key-table/k:key/k:fingerprint", namespaces=NAMESPACES)
        (protocol,) = data.xpath("k:key-table/k:key/k:protocol", namespaces=NAMESPACES)
        prefix, _, name = (protocol.text or "").rpartition(":")
        assert (protocol.nsmap[prefix or None], name) == (KEY_TABLE, "bgp")
        shown.append(fingerprint.text)
    assert shown[0] == shown[1]


async def test_a_filter_selects_one_association_with_its_state(routers: Routers) -> None:
    client, _ = await routers.configure()
    selection = (
        f'<rkmp xmlns="{RKMP}"><peer><name>r2</name><association><protocol>bgp</protocol><state/>'
        "<current-key/></association></peer></rkmp>"
    )
    data = data_of(await client.call(get(selection)))
    (association,) = data.xpath("r:rkmp/r:peer/r:association", namespaces=NAMESPACES)
    assert [etree.QName(leaf).localname for leaf in association] == ["protocol", "state", "current-key"]
    assert association[1].text == "established"


async def test_no_reply_shows_a_secret_or_a_key(routers: Routers) -> None:
    clients = await routers.configure()
    for agent, client in zip((routers.r1, routers.r2), clients, strict=True):
        (row,) = agent.key_table.rows()
        for operation in (get(), get_config()):
            reply = etree.tostring(await client.call(operation), encoding="unicode").lower()
            assert "<pre-shared-key" in reply or ":pre-shared-key" in reply
            assert row.key.reveal().hex() not in reply
            assert not any(secret in reply for secret in SECRETS)


async def test_rekey_is_answered_with_the_new_key_and_told_to_subscribers(routers: Routers) -> None:
    client, other = await routers.configure()
    require_ok(await other.call(f'<create-subscription xmlns="{NOTIFICATION}"/>'))
    call = asyncio.create_task(client.call(rekey()))
    await settle()
    assert not call.done()
    routers.world.run(1)
    reply = await call
    (name,) = reply
    assert name.tag == f"{{{RKMP}}}admin-key-name"
    assert routers.r1.key_table.get(name.text or "") is not None
    heard = [etree.QName((await other.message())[1]).localname for _ in range(3)]
    assert "key-installed" in heard
    assert "rollover-started" in heard


async def test_rekey_of_what_is_not_there_is_refused(routers: Routers) -> None:
    client, _ = await routers.configure()
    assert fault_of(await client.call(rekey(protocol="ldp"))).tag == "data-missing"
    require_ok(await client.call(edit("running", f'<rkmp xmlns="{RKMP}"><enabled>false</enabled></rkmp>')))
    fault = fault_of(await client.call(rekey()))
    assert (fault.type, fault.tag) == ("application", "operation-failed")


async def test_the_engine_s_refusal_reaches_the_client_with_its_path(routers: Routers) -> None:
    client, _ = await routers.configure()
    before = data_of(await client.call(get_config()))
    change = f'<rkmp xmlns="{RKMP}"><peer><name>r2</name><address>224.0.0.5</address></peer></rkmp>'
    fault = fault_of(await client.call(edit("running", change)))
    assert (fault.type, fault.tag) == ("application", "operation-failed")
    assert fault.path == "/rkmp:rkmp/rkmp:peer[rkmp:name='r2']"
    after = data_of(await client.call(get_config()))
    assert etree.tostring(after) == etree.tostring(before)


async def test_everything_that_get_shows_fits_the_model(routers: Routers) -> None:
    client, _ = await routers.configure()
    data = data_of(await client.call(get()))
    schema = routers.r1.schema
    checked = 0
    for namespace, top in ((RKMP, "rkmp"), (KEY_TABLE, "key-table")):
        element = data.find(f"{{{namespace}}}{top}")
        assert element is not None
        for below in element.iterdescendants(etree.Element):
            path = [str(below.tag), *(str(above.tag) for above in below.iterancestors())][:-2]
            node = schema.node_at(reversed(path))
            assert node is not None, path
            if node.type is not None:
                node.type.check(below.text or "", below.nsmap)
                checked += 1
    assert checked > 50
