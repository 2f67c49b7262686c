"""Routers that get key chains, from configuration to state, against the model and a NETCONF server that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rkmp.errors import RpcError
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.consumers import ConsumersState, read_southbound
from rkmp.southbound import KeyIds, NetconfNeighbor, Southbound
from tests.keytable.rows import PEER
from tests.northbound.test_consumers import AGENT, SSH_KEYS, below, check, document, public, texts
from tests.northbound.world import config, schema
from tests.southbound.router import Kind, Router, until
from tests.southbound.test_key_api import World, row

PATH = (AgentNames.AGENT, AgentNames.SOUTHBOUND, AgentNames.NETCONF_SERVER)


def router_document(content: str, port: int = 9, neighbor: str = "") -> etree._Element:
    return config(
        etree.fromstring(
            f"""<agent xmlns="{AGENT}"><southbound><netconf-server><name>core</name><host>127.0.0.1</host>
            <port>{port}</port><user>agent</user>{content}{neighbor}</netconf-server></southbound></agent>"""
        )
    )


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    router = read_southbound(schema(), document(tmp_path)).netconf_servers["core"]
    assert (router.host, router.port, router.user) == ("127.0.0.1", 9, "agent")
    assert router.private_key is not None
    assert router.password is not None
    assert (router.private_key.reveal().decode(), router.password.reveal()) == (SSH_KEYS[0], b"a secret")
    assert (router.host_keys, router.trusts_any_host_key) == ((public(SSH_KEYS[0]),), False)
    assert (router.timeout, router.reconcile_interval, router.clock_tolerance) == (19, 401, 41)
    assert router.key_ids is KeyIds.SEND_ID
    assert router.neighbors == (NetconfNeighbor(PEER, "bgp", "nb"),)
    assert "a secret" not in repr(router)
    assert "OPENSSH" not in repr(router)


def test_defaults_are_those_of_the_model() -> None:
    (router,) = read_southbound(
        schema(), router_document("<password>p</password><trust-any-host-key/>")
    ).netconf_servers.values()
    assert router.trusts_any_host_key
    assert (router.timeout, router.reconcile_interval, router.clock_tolerance) == (30, 300, 60)
    assert (router.key_ids, router.enabled, router.private_key) == (KeyIds.BOTH, True, None)


@pytest.mark.parametrize(
    ("content", "leaf", "words"),
    [
        ("<private-key>a secret thing</private-key><trust-any-host-key/>", "private-key", "no private key"),
        ("<password>p</password><host-key>a public thing</host-key>", "host-key", "ssh-keyscan prints"),
    ],
)
def test_keys_that_are_none_are_refused_where_they_are(content: str, leaf: str, words: str) -> None:
    with pytest.raises(RpcError, match=words) as refused:
        read_southbound(schema(), router_document(content))
    assert refused.value.tag == "invalid-value"
    assert (refused.value.path or "").rpartition("[")[0].endswith(leaf) or (refused.value.path or "").endswith(leaf)
    assert "a secret thing" not in str(refused.value)


async def test_every_state_node_is_produced_and_of_its_type(tmp_path: Path) -> None:
    router = Router(tmp_path, Kind())
    router.start()
    key = router.private_key.decode()
    neighbor = f"<neighbor><address>{PEER}</address><protocol>bgp</protocol><key-chain>nb</key-chain></neighbor>"
    credentials = f"<private-key>{key}</private-key><host-key>{router.host_key} of a router</host-key>"
    root = router_document(credentials, router.port, neighbor)
    world = World(tmp_path / "keys.sock")
    world.install(row(1))
    southbound = Southbound(world.table, lambda: world.now, "rkmpd of a test")
    try:
        southbound.configure(read_southbound(schema(), root))
        await until(lambda: southbound.key_chains()[0][1].holding.preferred == "key-1")
        await until(lambda: southbound.key_chains()[0][1].state.value in ("synchronised", "awaiting-peer"))
        router.kill()
        southbound.look()
        await until(lambda: southbound.key_chains()[0][1].last_error is not None)
        ConsumersState(southbound).provide(root)
    finally:
        await southbound.close()
        router.kill()
    assert texts(root, "status") == ["failed"]
    assert texts(root, "preferred-key") == texts(root, "accepted-key") == ["key-1"]
    assert "127.0.0.1" in texts(root, "last-error")[0]
    top = schema().node_at(PATH)
    assert top is not None
    missing = {
        node.name
        for node in below(top)
        if not node.config and root.find("/".join(node.data_path)) is None and "segments" not in node.name
    }
    # A router tells nothing of connections; what it sends with, by its own clock, which is not that of this test.
    assert missing <= {"connections", "dropped-icmps", "sending-key", "reported-at"}
    agent = root.find(AgentNames.AGENT)
    assert agent is not None
    check(agent, schema().top[AgentNames.AGENT])


def test_a_router_that_is_not_in_use_is_disabled() -> None:
    root = router_document("<enabled>false</enabled><password>p</password><trust-any-host-key/>")
    world = World(Path("/nowhere"))

    ConsumersState(Southbound(world.table, lambda: world.now, "x")).provide(root)
    assert texts(root, "status") == ["disabled"]
