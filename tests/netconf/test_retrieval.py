"""get and get-config return what the filter selects, and never a secret."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from tests.netconf.agents import (
    NET,
    SECRET,
    Agent,
    Fault,
    data_of,
    edit,
    fault_of,
    faults_of,
    get,
    get_config,
    net,
    require_ok,
    texts,
)
from tests.netconf.conversation import nc

PEER_A = f'<network xmlns="{NET}"><peer><name>a</name></peer></network>'


def add_sessions(root: etree._Element) -> None:
    """A state provider: every configured peer has sessions and a key, and there is one that was learned."""
    network = root.find(net("network"))
    if network is None:
        network = etree.SubElement(root, net("network"))
    learned = etree.SubElement(network, net("peer"))
    etree.SubElement(learned, net("name")).text = "learned"
    for peer in network.iterchildren(net("peer")):
        etree.SubElement(peer, net("sessions")).text = "3"
        etree.SubElement(peer, net("traffic-key")).text = SECRET.decode()
        counters = etree.SubElement(peer, net("counters"))
        etree.SubElement(counters, net("octets")).text = "7"


async def test_get_config_returns_the_configuration_without_secrets(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    reply = await peer.call(get_config())
    data = data_of(reply)
    assert texts(data, "network", "peer", "name") == ["a", "b"]
    assert texts(data, "network", "peer", "mtu") == ["1400"]
    assert data.find(net("vault")) is None
    assert not list(data.iter(net("password")))
    assert SECRET not in etree.tostring(reply)
    # The datastore has them.
    assert SECRET in etree.tostring(agent.datastores.tree("running"))


@pytest.mark.parametrize("source", ["running", "candidate", "startup"])
async def test_get_config_reads_the_datastore_that_is_named(agent: Agent, source: str) -> None:
    peer = await agent.connect()
    require_ok(await peer.call(edit("candidate", f'<network xmlns="{NET}"><name>candidate</name></network>')))
    require_ok(await peer.call(edit("running", f'<network xmlns="{NET}"><name>running</name></network>')))
    require_ok(await peer.call("<copy-config><target><startup/></target><source><running/></source></copy-config>"))
    name = {"startup": "running"}.get(source, source)
    assert texts(data_of(await peer.call(get_config(source))), "network", "name") == [name]


async def test_values_of_identities_stay_bound_whatever_the_request_binds(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    for attributes in ("", f'xmlns:net="urn:other" xmlns:n="{NET}"', f'xmlns:x="{NET}"'):
        data = data_of(await peer.call(get_config(), attributes))
        (medium,) = data.iter(net("medium"))
        prefix, _, name = (medium.text or "").partition(":")
        assert (medium.nsmap[prefix], name) == (NET, "fibre")


@pytest.mark.parametrize("source", ["get", "get-config"])
@pytest.mark.parametrize(
    ("filter_content", "expected"),
    [
        ("", []),
        ('<nothing xmlns="urn:nowhere"/>', []),
        (f'<bogus xmlns="{NET}"/>', []),
        (PEER_A, ["a"]),
        (f'<network xmlns="{NET}"><peer><name>a</name><mtu/></peer></network>', ["a"]),
        (f'<network xmlns="{NET}"><peer><mtu>01400</mtu></peer></network>', ["a"]),
        (f'<network xmlns="{NET}"><peer><name/></peer></network>', ["a", "b"]),
        (f'<network xmlns="{NET}"><peer><name>zz</name></peer></network>', []),
        (f'<network xmlns="{NET}"><peer><name>a</name></peer><peer><name>b</name></peer></network>', ["a", "b"]),
        ("<network><peer><name>b</name></peer></network>", []),
        ('<network xmlns=""><peer><name>b</name></peer></network>', ["b"]),
    ],
)
async def test_a_subtree_filter_selects(agent: Agent, source: str, filter_content: str, expected: list[str]) -> None:
    await agent.load()
    peer = await agent.connect()
    operation = get(filter_content) if source == "get" else get_config("running", filter_content)
    reply = await peer.call(operation)
    assert texts(data_of(reply), "network", "peer", "name") == expected
    assert SECRET not in etree.tostring(reply)


@pytest.mark.parametrize(
    "filter_content",
    [
        f'<network xmlns="{NET}"><peer><password>hunter2a</password></peer></network>',
        f'<network xmlns="{NET}"><peer><password>hunter2a</password><mtu/></peer></network>',
        f'<network xmlns="{NET}"><peer><password/></peer></network>',
        '<network xmlns=""><peer><password>hunter2a</password></peer></network>',
        f'<vault xmlns="{NET}"/>',
        f'<vault xmlns="{NET}"><combination>hunter2c</combination></vault>',
        f'<network xmlns="{NET}"><peer><traffic-key>hunter2</traffic-key></peer></network>',
    ],
)
async def test_a_filter_cannot_be_used_to_guess_a_secret(agent: Agent, filter_content: str) -> None:
    await agent.load()
    agent.server.provide_state(net("network"), add_sessions)
    peer = await agent.connect()
    for operation in (get_config("running", filter_content), get(filter_content)):
        assert len(data_of(await peer.call(operation))) == 0


async def test_get_adds_state_and_get_config_does_not(agent: Agent) -> None:
    await agent.load()
    agent.server.provide_state(net("network"), add_sessions)
    peer = await agent.connect()
    reply = await peer.call(get())
    data = data_of(reply)
    assert texts(data, "network", "peer", "name") == ["a", "b", "learned"]
    assert texts(data, "network", "peer", "sessions") == ["3", "3", "3"]
    assert SECRET not in etree.tostring(reply)
    data = data_of(await peer.call(get_config()))
    assert texts(data, "network", "peer", "name") == ["a", "b"]
    assert not texts(data, "network", "peer", "sessions")
    assert not texts(agent.datastores.tree("running"), "network", "peer", "sessions")


async def test_state_can_be_filtered(agent: Agent) -> None:
    await agent.load()
    agent.server.provide_state(net("network"), add_sessions)
    peer = await agent.connect()
    data = data_of(await peer.call(get(f'<network xmlns="{NET}"><peer><name>a</name><sessions/></peer></network>')))
    assert texts(data, "network", "peer", "sessions") == ["3"]
    assert texts(data, "network", "peer", "mtu") == []


async def test_only_providers_that_can_be_selected_are_asked(agent: Agent) -> None:
    asked: list[str] = []
    agent.server.provide_state(net("network"), lambda root: asked.append("network"))
    agent.server.provide_state(net("vault"), lambda root: asked.append("vault"))
    peer = await agent.connect()
    await peer.call(get(PEER_A))
    assert asked == ["network"]
    await peer.call(get(""))
    assert asked == ["network"]
    await peer.call(get())
    assert asked == ["network", "network", "vault"]


async def test_a_provider_that_fails_costs_one_request(agent: Agent) -> None:
    def fail(root: etree._Element) -> None:
        raise RuntimeError

    agent.server.provide_state(net("network"), fail)
    peer = await agent.connect()
    assert fault_of(await peer.call(get())) == Fault("application", "operation-failed")
    data_of(await peer.call(get_config()))


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        (
            'type="regex"',
            Fault("protocol", "bad-attribute", info=(("bad-attribute", "type"), ("bad-element", "filter"))),
        ),
        (
            'kind="subtree"',
            Fault("protocol", "unknown-attribute", info=(("bad-attribute", "kind"), ("bad-element", "filter"))),
        ),
    ],
)
async def test_filters_that_are_not_served(agent: Agent, attributes: str, fault: Fault) -> None:
    peer = await agent.connect()
    for operation in ("<get>{}</get>", "<get-config><source><running/></source>{}</get-config>"):
        assert fault_of(await peer.call(operation.format(f"<filter {attributes}/>"))) == fault


@pytest.mark.parametrize("attributes", ["", 'type="subtree"', 'n:type="subtree"'])
async def test_the_type_of_a_filter_may_be_qualified_or_left_out(agent: Agent, attributes: str) -> None:
    await agent.load()
    peer = await agent.connect()
    reply = await peer.call(f'<get><n:filter xmlns:n="{nc("")[1:-1]}" {attributes}>{PEER_A}</n:filter></get>')
    assert texts(data_of(reply), "network", "peer", "name") == ["a"]


async def test_two_filters_are_one_too_many(agent: Agent) -> None:
    peer = await agent.connect()
    assert [fault.tag for fault in faults_of(await peer.call("<get><filter/><filter/></get>"))] == ["bad-element"]


async def test_times_do_not_matter_to_configuration(agent: Agent) -> None:
    agent.clock = lambda: datetime.now(UTC)
    await agent.load()
    peer = await agent.connect()
    first, second = [etree.tostring(data_of(await peer.call(get_config()))) for _ in range(2)]
    assert first == second
