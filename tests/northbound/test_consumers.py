"""Who gets keys, from configuration to state and notifications, against the model."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from rkmp.datastore.schema import SchemaNode
from rkmp.netconf.rpc_content import check_content
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.consumers import ConsumerNotifications, ConsumersState, read_southbound
from rkmp.southbound import (
    ConsumerReport,
    Credentials,
    KeyAccessRefused,
    KeyClient,
    KeyPermission,
    Selection,
    Southbound,
    SouthboundConfiguration,
    Usage,
)
from tests.keytable.rows import PEER
from tests.northbound.world import NOON, config, schema
from tests.southbound.test_key_api import World, row, take, until

AGENT = "urn:rkmp:yang:rkmp-agent"
SSH_KEYS = [asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode() for _ in range(2)]
PATH = (AgentNames.AGENT, AgentNames.SOUTHBOUND)


def document(folder: Path) -> etree._Element:
    """Return a configuration in which every leaf has a value of its own; lists come last, as in a datastore."""
    hook = folder / "hook"
    hook.write_text('#!/bin/sh\nread line\ncase $line in *usage*) echo \'{"sending": ["key-1"]}\';; esac\n')
    hook.chmod(0o755)
    text = f"""<agent xmlns="{AGENT}"><southbound>
      <key-socket><path>{folder}/keys.sock</path><permission><name>me</name>
        <user>{pwd.getpwuid(os.geteuid()).pw_name}</user><group>nobody-has-it</group><protocol>bgp</protocol>
        <neighbor>192.0.2.0/24</neighbor></permission></key-socket>
      <bird><name>main</name><enabled>true</enabled><control-socket>{folder}/bird.ctl</control-socket>
        <include-directory>{folder}</include-directory>
        <neighbor><address>2001:DB8:0::2</address><protocol>nb</protocol></neighbor></bird>
      <hook><name>frr</name><enabled>true</enabled><command>{hook}</command><argument>-v</argument>
        <timeout>7</timeout><neighbor><address>{PEER}</address><protocol>bgp</protocol></neighbor></hook>
      <netconf-server><name>core</name><enabled>true</enabled><host>127.0.0.1</host><port>9</port>
        <user>agent</user><private-key>{SSH_KEYS[0]}</private-key><password>a secret</password>
        <host-key>{public(SSH_KEYS[0])}</host-key><timeout>19</timeout>
        <reconcile-interval>401</reconcile-interval><clock-tolerance>41</clock-tolerance><key-id>send-id</key-id>
        <neighbor><address>{PEER}</address><protocol>bgp</protocol><key-chain>nb</key-chain></neighbor>
      </netconf-server>
      </southbound></agent>"""
    return config(etree.fromstring(text))


def public(private_key: str) -> str:
    line: bytes = asyncssh.import_private_key(private_key).export_public_key("openssh")
    return " ".join(line.decode().split()[:2])


OTHERS = {
    "true": "false",
    "7": "8",
    "9": "10",
    "19": "20",
    "401": "402",
    "41": "42",
    "send-id": "send-and-recv-id",
    SSH_KEYS[0].strip(): SSH_KEYS[1],
    public(SSH_KEYS[0]): public(SSH_KEYS[1]),
}
"""For some texts of the document another one that can be read, too."""


def below(node: SchemaNode) -> Iterator[SchemaNode]:
    for child in node.data_children.values():
        yield child
        yield from below(child)


def southbound_nodes() -> list[SchemaNode]:
    top = schema().node_at(PATH)
    assert top is not None
    return list(below(top))


def test_a_configuration_is_read_whole(tmp_path: Path) -> None:
    read = read_southbound(schema(), document(tmp_path))
    bird, hook, key_socket = read.birds["main"], read.hooks["frr"], read.key_socket
    assert (bird.control_socket, bird.include_directory) == (f"{tmp_path}/bird.ctl", str(tmp_path))
    # As the key table writes addresses.
    assert bird.neighbors == {"2001:db8::2": "nb"}
    assert (hook.command, hook.timeout, hook.neighbors) == ((f"{tmp_path}/hook", "-v"), 7.0, ((PEER, "bgp"),))
    assert key_socket is not None
    assert key_socket.path == f"{tmp_path}/keys.sock"
    me, nobody = frozenset({pwd.getpwuid(os.geteuid()).pw_name}), frozenset({"nobody-has-it"})
    (permission,) = key_socket.permissions
    assert permission == KeyPermission(me, nobody, frozenset({"bgp"}), frozenset({"192.0.2.0/24"}))
    assert read_southbound(schema(), config()) == SouthboundConfiguration()


@pytest.mark.parametrize(
    "path",
    [
        "/".join(node.data_path)
        for node in southbound_nodes()
        # What a permission is called is for operators; who trusts any host key does not say which.
        if node.config
        and node.has_text
        and node.data_path[-2:] != (AgentNames.PERMISSION, AgentNames.NAME)
        and node.tag != AgentNames.TRUST_ANY_HOST_KEY
    ],
)
def test_every_configured_leaf_makes_a_difference(tmp_path: Path, path: str) -> None:
    root = document(tmp_path)
    leaf = root.find(path)
    assert leaf is not None
    text = (leaf.text or "").strip()
    leaf.text = OTHERS.get(text, "192.0.2.99" if "address" in path else f"{text}x")
    assert read_southbound(schema(), root) != read_southbound(schema(), document(tmp_path))


async def test_every_state_node_is_produced_and_of_its_type(tmp_path: Path) -> None:
    root = document(tmp_path)
    etree.strip_elements(root, AgentNames.NETCONF_SERVER)
    world = World(tmp_path / "keys.sock")
    world.install(row(1))
    southbound = Southbound(world.table, lambda: world.now, "rkmpd of a test")
    southbound.configure(read_southbound(schema(), root))
    await until(lambda: (found := southbound.key_socket()) is not None and found.is_listening)
    with KeyClient(str(world.path), "bgpd") as client:
        subscription = client.subscribe("bgp", PEER, Selection("red"))
        await take(client)
        client.report(subscription, Usage(frozenset({"key-1"}), 1, 10, 11, 12, 13, 14))
        await until(lambda: southbound.clients()[0][1].usage is not None)
        await until(lambda: southbound.birds()[0][1].last_error is not None)
        await until(lambda: southbound.hooks()[0][1].steps == 2)
        await until(lambda: southbound.hooks()[0][1].state.value == "synchronised")
        key_socket = southbound.key_socket()
        assert key_socket is not None
        key_socket.last_error = "it was not to be had"
        ConsumersState(southbound).provide(root)
        assert "BIRD does not answer" in texts(root, "consumer-error")[0]
        assert sorted(texts(root, "state")) == ["not-responding", "synchronised", "synchronised"]
        assert (texts(root, "client"), texts(root, "interface")) == (["bgpd"], ["red"])
        assert texts(root, "sending-key") == ["key-1", "key-1"]
        # The hook counts nothing.
        counted = ("good-segments", "bad-segments", "key-not-found-segments", "unsigned-segments", "dropped-icmps")
        assert [texts(root, name) for name in counted] == [[str(number)] for number in range(10, 15)]
    await southbound.close()
    missing = {
        "/".join(etree.QName(tag).localname for tag in node.data_path)
        for node in southbound_nodes()
        if not node.config and root.find("/".join(node.data_path)) is None
    }
    # A counter of a BIRD that answers is seen in the guest, and what a router takes in test_netconf_servers.
    elsewhere = ("agent/southbound/bird/", "agent/southbound/netconf-server/")
    assert {each for each in missing if not each.startswith(elsewhere)} == {
        "agent/southbound/hook/neighbor/consumer-error",
        "agent/southbound/hook/neighbor/connections",
        *(f"agent/southbound/hook/neighbor/{name}" for name in counted),
        "agent/southbound/key-socket/subscription/consumer-error",
    }
    agent = root.find(AgentNames.AGENT)
    assert agent is not None
    check(agent, schema().top[AgentNames.AGENT])


def check(element: etree._Element, node: SchemaNode) -> None:
    """Fail where an element is not of the model, or its value not of its type."""
    for child in element:
        known = node.data_children[str(child.tag)]
        if known.type is not None:
            known.type.check(child.text or "", child.nsmap)
        else:
            check(child, known)


def texts(root: etree._Element, name: str) -> list[str]:
    return [element.text or "" for element in root.iter(f"{{{AGENT}}}{name}")]


@pytest.mark.parametrize("asked_for", [(None, None, None), ("bgpd", "bgp", PEER)])
def test_programs_that_may_not_read_what_they_ask_for_are_told_of(asked_for: tuple[str | None, ...]) -> None:
    told: list[etree._Element] = []
    refusal = KeyAccessRefused(Credentials(4711, os.geteuid(), frozenset()), *asked_for)
    ConsumerNotifications(lambda _, element: told.append(element)).tell(refusal, NOON)
    (element,) = told
    node = schema().notifications[AgentNames.KEY_ACCESS_REFUSED]
    assert {str(child.tag) for child in element} <= set(node.data_children)
    assert [child.text for child in element] == [
        *(pwd.getpwuid(os.geteuid()).pw_name, "4711"),
        *(text for text in asked_for if text is not None),
    ]
    check_content(schema(), node, element, canonicalise=False)


@pytest.mark.parametrize(
    ("reason", "tag"),
    [("no answer", AgentNames.CONSUMER_NOT_RESPONDING), (None, AgentNames.CONSUMER_RESPONDING)],
)
def test_consumers_that_stop_and_begin_to_answer_are_told_of(reason: str | None, tag: str) -> None:
    told: list[etree._Element] = []
    ConsumerNotifications(lambda at, element: told.append(element) if at == NOON else None).tell(
        ConsumerReport("main", PEER, "bgp", reason), NOON
    )
    (element,) = told
    node = schema().notifications[tag]
    assert element.tag == tag
    assert {str(child.tag) for child in element} == set(node.data_children)
    check_content(schema(), node, element, canonicalise=False)
