"""Filters of type xpath (RFC 6241 section 8.9): what they select, what they refuse, and what they never tell."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from lxml import etree

from tests.netconf.agents import (
    NET,
    NOW,
    SECRET,
    Agent,
    Fault,
    data_of,
    edit,
    fault_of,
    get_config,
    net,
    require_ok,
    texts,
)
from tests.netconf.conversation import nc
from tests.netconf.test_retrieval import add_sessions

PREFIX = f'xmlns:n="{NET}"'


def xpath(select: str, operation: str = "get-config", bindings: str = PREFIX) -> str:
    source = "<source><running/></source>" if operation == "get-config" else ""
    return f'<{operation}>{source}<filter {bindings} type="xpath" select={quoteattr(select)}/></{operation}>'


@pytest.mark.parametrize("operation", ["get", "get-config"])
@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("/n:network/n:peer[n:name='a']", {"name": ["a"], "mtu": ["1400"], "profile": ["fast"]}),
        ("/n:network/n:peer['a'=n:name]/n:mtu", {"name": ["a"], "mtu": ["1400"], "profile": []}),
        ("/n:network/n:peer[n:name='a']/n:mtu/text()", {"name": ["a"], "mtu": ["1400"], "profile": []}),
        ("n:network/n:peer[n:name='a'][n:mtu=1400]/n:profile", {"name": ["a"], "mtu": [], "profile": ["fast"]}),
        ("/n:network/n:peer[n:name='a'][n:mtu=9]/n:profile", {"name": [], "profile": []}),
        ("/n:network/n:peer[n:name='zz']", {"name": []}),
        ("/n:network/n:peer[n:name='a']/*", {"name": ["a"], "mtu": ["1400"], "profile": ["fast"]}),
        ("/n:network/n:peer[n:enabled='false']", {"name": ["b"], "enabled": ["false"]}),
        ("//n:mtu", {"name": ["a"], "mtu": ["1400"]}),
        ("//n:mtu | //n:enabled | //n:peer[n:name='a']", {"name": ["a", "b"], "mtu": ["1400"], "enabled": ["false"]}),
        ("/n:network/n:peer[last()]/n:name", {"name": ["b"]}),
        ("//n:mtu/..", {"name": ["a"], "mtu": ["1400"]}),
        ("//n:peer[deref(n:profile)/../n:medium='n:fibre']/n:name", {"name": ["a"]}),
        ("/n:network/n:peer[n:name='a'][deref(n:profile)]/*", {"name": ["a"], "mtu": ["1400"]}),
        ("/n:network/n:peer[n:name='a'][count(current()//n:profile)>1]/*", {"name": ["a"], "mtu": ["1400"]}),
        ("/n:network/n:peer[n:name='a'][position()=1]/*", {"name": ["a"], "mtu": ["1400"]}),
        ("//n:peer[re-match(n:address, '192\\.0\\.2\\.2')]/n:name", {"name": ["b"]}),
        ("/n:network/n:nothing", {"name": []}),
        ("/network/peer", {"name": []}),
        ("/", {"name": ["a", "b"], "mtu": ["1400"], "enabled": ["false"]}),
    ],
)
async def test_an_expression_selects(agent: Agent, operation: str, select: str, expected: dict[str, list[str]]) -> None:
    await agent.load()
    peer = await agent.connect()
    reply = await peer.call(xpath(select, operation))
    data = data_of(reply)
    assert {name: texts(data, "network", "peer", name) for name in expected} == expected
    assert SECRET not in etree.tostring(reply)


async def test_the_reply_is_the_path_with_its_keys_and_nothing_twice(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    data = data_of(await peer.call(xpath("//n:mtu | //n:peer/n:name | //n:mtu")))
    (network,) = data
    assert [etree.QName(child).localname for child in network] == ["peer", "peer"]
    assert [[etree.QName(leaf).localname for leaf in entry] for entry in network] == [["name", "mtu"], ["name"]]


async def test_any_datastore_can_be_filtered(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    require_ok(await peer.call(edit("candidate", f'<network xmlns="{NET}"><name>candidate</name></network>')))
    operation = xpath("/n:network/n:name").replace("running", "candidate")
    assert texts(data_of(await peer.call(operation)), "network", "name") == ["candidate"]
    operation = xpath("/n:network/n:name").replace("running", "startup")
    assert len(data_of(await peer.call(operation))) == 0


async def test_state_can_be_selected_and_asked_for(agent: Agent) -> None:
    await agent.load()
    agent.server.provide_state(net("network"), add_sessions)
    peer = await agent.connect()
    data = data_of(await peer.call(xpath("//n:peer[n:sessions > 2]/n:counters", "get")))
    assert texts(data, "network", "peer", "name") == ["a", "b", "learned"]
    assert texts(data, "network", "peer", "counters", "octets") == ["7", "7", "7"]
    assert len(data_of(await peer.call(xpath("//n:peer[n:sessions > 2]/n:counters")))) == 0


async def test_only_providers_that_can_be_read_are_asked(agent: Agent) -> None:
    asked: list[str] = []
    agent.server.provide_state(net("network"), lambda root: asked.append("network"))
    agent.server.provide_state(net("vault"), lambda root: asked.append("vault"))
    peer = await agent.connect()
    await peer.call(xpath("/n:network/n:peer", "get"))
    assert asked == ["network"]


async def test_the_streams_are_had_by_their_name(agent: Agent) -> None:
    peer = await agent.connect()
    bindings = 'xmlns:s="urn:ietf:params:xml:ns:netmod:notification"'
    data = data_of(await peer.call(xpath("/s:netconf/s:streams/s:stream[s:name='NETCONF']", "get", bindings)))
    assert len(data) == 1


@pytest.mark.parametrize("operation", ["get", "get-config"])
@pytest.mark.parametrize(
    "select",
    [
        "//n:password",
        "//n:password/..",
        "/n:network/n:peer[n:password]",
        "/n:network/n:peer[n:password='hunter2a']",
        "/n:network/n:peer[n:name='a'][n:password='hunter2a']",
        "/n:network/n:peer[n:name='a'][starts-with(n:password,'h')]",
        "/n:network/n:peer[n:name='a'][count(*)>4]",
        "/n:network/n:peer[contains(.,'hunter2')]",
        "/n:network/n:peer[string-length(n:password)>0]",
        "//*[.='hunter2a']",
        "//*[contains(.,'hunter2')]",
        "//n:name[following-sibling::*='hunter2a']",
        "/n:network[contains(string(/),'hunter2')]",
        "/n:network[sum(//n:password)!=0]",
        "/n:vault",
        "/n:network[/n:vault]",
        "//n:combination",
        "//n:traffic-key",
        "//n:peer[n:traffic-key='hunter2']",
        "//n:peer[n:name='a'][n:mtu]/*[5]",
    ],
)
async def test_an_expression_cannot_tell_whether_a_secret_was_guessed(
    agent: Agent, operation: str, select: str
) -> None:
    await agent.load()
    if operation == "get":
        agent.server.provide_state(net("network"), lambda root: None)
    peer = await agent.connect()
    assert len(data_of(await peer.call(xpath(select, operation)))) == 0
    # The tree that was looked at has its secrets still.
    assert SECRET in etree.tostring(agent.datastores.tree("running"))


async def test_an_entry_asked_for_by_key_is_redacted_alone(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    data = data_of(await peer.call(xpath("/n:network/n:peer[n:name='b']/*")))
    (network,) = data
    assert [etree.QName(leaf).localname for leaf in network[0]] == ["name", "address", "enabled"]


@pytest.mark.parametrize(
    "select",
    [
        "1 + 1",
        "'text'",
        "true()",
        "count(//n:peer)",
        "/n:network[",
        "",
        "/zz:network",
        "bogus()",
        "$x",
        "n:network/n:peer[count(1)]",
        "(" * 60 + "n:network" + ")" * 60,
        "/n:network/" * 10_000 + "n:name",
    ],
)
async def test_what_is_no_node_set_is_an_invalid_value(agent: Agent, select: str) -> None:
    await agent.load()
    peer = await agent.connect()
    expected = Fault("application", "invalid-value", info=(("bad-element", "filter"),))
    for operation in ("get", "get-config"):
        assert fault_of(await peer.call(xpath(select, operation))) == expected


async def test_the_attributes_of_the_filter_are_checked(agent: Agent) -> None:
    peer = await agent.connect()
    missing = get_config().replace("</source>", '</source><filter type="xpath"/>')
    info = (("bad-attribute", "select"), ("bad-element", "filter"))
    assert fault_of(await peer.call(missing)) == Fault("protocol", "missing-attribute", info=info)
    full = xpath("/n:network").replace("/></get-config>", f'><network xmlns="{NET}"/></filter></get-config>')
    assert fault_of(await peer.call(full)) == Fault("protocol", "bad-element", info=(("bad-element", "network"),))
    qualified = (
        xpath("/n:network").replace(" type=", f' xmlns:b="{nc("")[1:-1]}" b:type=').replace("select", "b:select")
    )
    data_of(await peer.call(qualified))


@pytest.mark.parametrize(
    "match",
    [
        "re-match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '(a+)+')",
        "re-match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '(a|a)*')",
        "re-match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', concat('(a+)', '+'))",
        "re-match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a?a?a?a?a?a?a?a?aaaaaaaa')",
        "n:peer[re-match(n:name, '" + "(a|a)" * 40 + "!')]",
    ],
)
async def test_a_pattern_that_could_take_minutes_is_refused_at_once(agent: Agent, match: str) -> None:
    peer = await agent.connect()
    fault = fault_of(await peer.call(xpath(f"/n:network[{match}]")))
    assert (fault.type, fault.tag) == ("application", "invalid-value")


@pytest.mark.parametrize(
    "select",
    [
        "//*[//*]",
        "//n:name//*//*//*",
        "//n:peer[n:name=/n:network/n:peer/n:mtu]",
        "//n:peer/following::n:mtu",
        "//n:peer[count(preceding-sibling::*)=5]",
        "/n:network/n:peer[n:name='p7']/..//*[//*]",
        "/n:network[n:peer/n:name=n:peer/n:mtu]",
    ],
)
async def test_an_expression_that_would_take_minutes_is_refused_at_once(agent: Agent, select: str) -> None:
    entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(15_000))
    await agent.load(f'<network xmlns="{NET}">{entries}</network>')
    peer = await agent.connect()
    expected = Fault("application", "invalid-value", info=(("bad-element", "filter"),))
    assert fault_of(await peer.call(xpath(select))) == expected
    assert texts(data_of(await peer.call(xpath("//n:peer[n:name='p7']/n:mtu"))), "network", "peer", "mtu") == ["1400"]


async def test_what_is_dear_inside_of_a_function_is_counted_too(agent: Agent) -> None:
    entries = "".join(f"<peer><name>p{number}</name><mtu>1400</mtu></peer>" for number in range(300))
    await agent.load(f'<network xmlns="{NET}">{entries}</network>')
    peer = await agent.connect()
    assert fault_of(await peer.call(xpath("//*[count(//*[count(//*) > 0]) > 0]"))).tag == "invalid-value"
    assert fault_of(await peer.call(xpath("//*[concat(count(//*[//*]), '') = '0']"))).tag == "invalid-value"
    assert len(data_of(await peer.call(xpath("//*[count(//*) = 1]")))) == 0


async def test_a_subscriptions_expression_disturbs_no_other_subscription(agent: Agent) -> None:
    stream = "urn:ietf:params:xml:ns:netconf:notification:1.0"
    odd, other = await agent.connect(), await agent.connect()
    subscribe = f'<create-subscription xmlns="{stream}">{{}}</create-subscription>'
    number = f'<filter type="xpath" {PREFIX} select="count(/n:alarm)"/>'
    assert fault_of(await odd.call(subscribe.format(number))).tag == "invalid-value"
    # An argument of the wrong type, which is only met where there is an alarm.
    broken = f'<filter type="xpath" {PREFIX} select="/n:alarm[count(1)]"/>'
    require_ok(await odd.call(subscribe.format(broken)))
    require_ok(await other.call(subscribe.format("")))
    agent.server.publish(NOW, etree.fromstring(f'<alarm xmlns="{NET}"><severity>major</severity></alarm>'))
    assert (await other.message()).findtext(f"{net('alarm')}/{net('severity')}") == "major"
    assert len(data_of(await odd.call(get_config()))) == 0


async def test_notifications_can_be_selected(agent: Agent) -> None:
    peer = await agent.connect()
    selection = f'<filter type="xpath" {PREFIX} select="/n:alarm[n:severity=\'major\']"/>'
    stream = "urn:ietf:params:xml:ns:netconf:notification:1.0"
    require_ok(await peer.call(f'<create-subscription xmlns="{stream}">{selection}</create-subscription>'))
    for severity in ("minor", "major"):
        agent.server.publish(NOW, etree.fromstring(f'<alarm xmlns="{NET}"><severity>{severity}</severity></alarm>'))
    message = await peer.message()
    assert message.findtext(f"{net('alarm')}/{net('severity')}") == "major"
