"""get-data and edit-data (RFC 8526): every datastore, every filter, and where values come from."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.netconf import Origin, set_origin
from tests.netconf.agents import NET, SECRET, Agent, Fault, fault_of, net, require_ok, texts
from tests.netconf.test_default_handling import DEFAULT

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
BINDINGS = (
    f'xmlns="{NMDA}" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores" '
    'xmlns:or="urn:ietf:params:xml:ns:yang:ietf-origin"'
)
ORIGIN = "{urn:ietf:params:xml:ns:yang:ietf-origin}origin"
NETWORK = f'<subtree-filter><network xmlns="{NET}"/></subtree-filter>'


def get_data(datastore: str, parameters: str = "") -> str:
    return f"<get-data {BINDINGS}><datastore>ds:{datastore}</datastore>{parameters}</get-data>"


def edit_data(datastore: str, content: str, parameters: str = "") -> str:
    return (
        f"<edit-data {BINDINGS}><datastore>ds:{datastore}</datastore>{parameters}<config>{content}</config></edit-data>"
    )


def data_of(reply: etree._Element) -> etree._Element:
    assert [child.tag for child in reply] == [f"{{{NMDA}}}data"], etree.tostring(reply).decode()
    assert SECRET not in etree.tostring(reply)
    return reply[0]


def provide(root: etree._Element) -> None:
    """State of every peer, one peer that was learned, and one that the system made."""
    network = root.find(net("network"))
    if network is None:
        network = etree.SubElement(root, net("network"))
    for name, origin in (("learned", Origin.LEARNED), ("system", None)):
        added = etree.SubElement(network, net("peer"))
        etree.SubElement(added, net("name")).text = name
        etree.SubElement(added, net("address")).text = "192.0.2.9"
        if origin is not None:
            set_origin(added, origin)
    for peer in network.iterchildren(net("peer")):
        etree.SubElement(peer, net("sessions")).text = "3"
        etree.SubElement(peer, net("traffic-key")).text = SECRET.decode()
        counters = etree.SubElement(peer, net("counters"))
        etree.SubElement(counters, net("octets")).text = "7"


@pytest.fixture
async def loaded(agent: Agent) -> Agent:
    await agent.load()
    agent.server.provide_state(net("network"), provide)
    return agent


def origins(data: etree._Element) -> dict[str, str]:
    """The origin in effect of every leaf of every peer, by peer and name."""
    found = {}
    for peer in data.iterfind(f"{net('network')}/{net('peer')}"):
        for leaf in peer.iter(etree.Element):
            chain = [leaf, *leaf.iterancestors()]
            values = [str(element.get(ORIGIN)) for element in chain if element.get(ORIGIN) is not None]
            if not len(leaf):
                name = f"{peer.findtext(net('name'))}/{etree.QName(leaf).localname}"
                found[name] = values[0].partition(":")[2] if values else ""
    return found


@pytest.mark.parametrize("datastore", ["running", "candidate", "intended", "startup"])
async def test_configuration_can_be_had_of_every_datastore(loaded: Agent, datastore: str) -> None:
    peer = await loaded.connect()
    require_ok(await peer.call("<copy-config><target><startup/></target><source><running/></source></copy-config>"))
    require_ok(await peer.call(edit_data("candidate", f'<network xmlns="{NET}"><name>changed</name></network>')))
    data = data_of(await peer.call(get_data(datastore)))
    assert texts(data, "network", "peer", "name") == ["a", "b"]
    assert texts(data, "network", "name") == ["changed" if datastore == "candidate" else "lab"]
    assert not texts(data, "network", "peer", "sessions")
    for selection in (
        f'<subtree-filter><network xmlns="{NET}"><peer><name>a</name></peer></network></subtree-filter>',
        f"<xpath-filter xmlns:n=\"{NET}\">/n:network/n:peer[n:name='a']</xpath-filter>",
    ):
        data = data_of(await peer.call(get_data(datastore, selection)))
        assert texts(data, "network", "peer", "name") == ["a"]
        assert texts(data, "network", "peer", "mtu") == ["1400"]


async def test_operational_holds_what_is_in_use_with_its_origin(loaded: Agent) -> None:
    peer = await loaded.connect()
    data = data_of(await peer.call(get_data("operational", f"{NETWORK}<with-origin/>")))
    assert origins(data) == {
        "a/name": "intended",
        "a/address": "intended",
        "a/mtu": "intended",
        "a/profile": "intended",
        "a/sessions": "intended",
        "a/octets": "intended",
        "b/name": "intended",
        "b/address": "intended",
        "b/enabled": "intended",
        "b/mtu": "default",
        "b/sessions": "intended",
        "b/octets": "intended",
        "learned/name": "learned",
        "learned/address": "learned",
        "learned/mtu": "default",
        "learned/sessions": "learned",
        "learned/octets": "learned",
        "system/name": "system",
        "system/address": "system",
        "system/mtu": "default",
        "system/sessions": "system",
        "system/octets": "system",
    }
    # State has no origin of its own, and the values are bound to ietf-origin.
    assert not [leaf for leaf in data.iter(net("sessions"), net("octets"), net("counters")) if leaf.get(ORIGIN)]
    (network,) = data
    assert network.nsmap[str(network.get(ORIGIN)).partition(":")[0]] == ORIGIN[1:].partition("}")[0]


async def test_origins_are_there_only_where_they_are_asked_for(loaded: Agent) -> None:
    peer = await loaded.connect()
    for operation in (get_data("operational"), "<get/>"):
        reply = await peer.call(operation)
        assert len(reply[0])
        assert b"origin=" not in etree.tostring(reply)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("<origin-filter>or:learned</origin-filter>", {"learned": ["name", "address", "sessions", "octets"]}),
        ("<origin-filter>or:default</origin-filter>", {"b": ["name", "mtu"], "a": ["name"]}),
        ("<origin-filter>or:intended</origin-filter>", {"a": ["name", "address", "mtu", "profile"]}),
        ("<origin-filter>or:learned</origin-filter><origin-filter>or:system</origin-filter>", {"system": ["address"]}),
        ("<negated-origin-filter>or:intended</negated-origin-filter>", {"system": ["name", "address", "mtu"]}),
        ("<negated-origin-filter>or:default</negated-origin-filter>", {"system": ["name", "address"]}),
    ],
)
async def test_origins_can_be_filtered(loaded: Agent, parameters: str, expected: dict[str, list[str]]) -> None:
    peer = await loaded.connect()
    # Only nodes that can be configured are filtered by origin; state goes with config-filter.
    data = data_of(await peer.call(get_data("operational", f"{NETWORK}{parameters}")))
    found = {
        entry.findtext(net("name")): {etree.QName(leaf).localname for leaf in entry.iter() if not len(leaf)}
        for entry in data.iterfind(f"{net('network')}/{net('peer')}")
    }
    for name, leaves in expected.items():
        assert set(leaves) <= found[name]
    assert all({"sessions", "octets", "name"} <= leaves for leaves in found.values())
    data = data_of(
        await peer.call(get_data("operational", f"{NETWORK}<config-filter>true</config-filter>{parameters}"))
    )
    inherited = data_of(
        await peer.call(
            get_data("operational", f"{NETWORK}<config-filter>true</config-filter>{parameters}<with-origin/>")
        )
    )
    assert len(list(data.iter())) == len(list(inherited.iter()))
    wanted = set(etree.fromstring(f"<x {BINDINGS}>{parameters}</x>").itertext())
    wanted = {value.partition(":")[2] for value in wanted}
    for leaf, origin in origins(inherited).items():
        if not leaf.endswith("/name"):
            assert (origin in wanted) is not parameters.startswith("<negated"), leaf


async def test_configuration_and_state_can_be_told_apart(loaded: Agent) -> None:
    peer = await loaded.connect()
    data = data_of(await peer.call(get_data("operational", f"{NETWORK}<config-filter>false</config-filter>")))
    names = {etree.QName(leaf).localname for leaf in data.iter() if not len(leaf)}
    assert names == {"name", "sessions", "octets"}
    assert texts(data, "network", "peer", "name") == ["a", "b", "learned", "system"]
    data = data_of(await peer.call(get_data("operational", f"{NETWORK}<config-filter>true</config-filter>")))
    assert not list(data.iter(net("sessions"), net("counters")))
    assert texts(data, "network", "peer", "mtu") == ["1400", "1500", "1500", "1500"]
    data = data_of(await peer.call(get_data("running", "<config-filter>false</config-filter>")))
    assert len(data) == 0


@pytest.mark.parametrize(
    ("selection", "depth", "names"),
    [
        ("", "1", ["network"]),
        (NETWORK, "1", ["network"]),
        (NETWORK, "2", ["network", "name", "profile", "name", "peer", "name", "peer", "name"]),
        (
            f'<subtree-filter><network xmlns="{NET}"><peer/></network></subtree-filter>',
            "1",
            ["network", "peer", "name", "peer", "name"],
        ),
        (f'<xpath-filter xmlns:n="{NET}">//n:peer</xpath-filter>', "1", ["network", "peer", "name", "peer", "name"]),
        (
            f"<xpath-filter xmlns:n=\"{NET}\">//n:peer[n:name='b']</xpath-filter>",
            "2",
            ["network", "peer", "name", "address", "enabled"],
        ),
        ("<xpath-filter>/</xpath-filter>", "1", ["network"]),
    ],
)
async def test_depth_counts_from_what_is_selected(loaded: Agent, selection: str, depth: str, names: list[str]) -> None:
    peer = await loaded.connect()
    data = data_of(await peer.call(get_data("running", f"{selection}<max-depth>{depth}</max-depth>")))
    assert [etree.QName(element).localname for element in data.iterdescendants()] == names
    unbounded = data_of(await peer.call(get_data("running", f"{selection}<max-depth>unbounded</max-depth>")))
    assert len(list(unbounded.iterdescendants())) >= 5


@pytest.mark.parametrize(
    ("datastore", "mode", "mtus"),
    [
        ("running", "report-all", ["1400", "1500"]),
        ("running", "trim", ["1400"]),
        ("operational", "explicit", ["1400", "1500", "1500", "1500"]),
        ("operational", "report-all", ["1400", "1500", "1500", "1500"]),
        ("operational", "report-all-tagged", ["1400", "1500", "1500", "1500"]),
        ("operational", "trim", ["1400"]),
    ],
)
async def test_defaults_are_reported_as_asked(loaded: Agent, datastore: str, mode: str, mtus: list[str]) -> None:
    peer = await loaded.connect()
    parameters = f"{NETWORK}<with-defaults>{mode}</with-defaults>"
    data = data_of(await peer.call(get_data(datastore, parameters)))
    assert texts(data, "network", "peer", "mtu") == mtus
    tagged = [leaf.text for leaf in data.iter() if leaf.get(DEFAULT) == "true"]
    assert tagged == (["1500"] * 3 if mode == "report-all-tagged" else [])


async def test_what_makes_no_sense_is_an_invalid_value(loaded: Agent) -> None:
    peer = await loaded.connect()
    for operation, element in (
        (get_data("running", "<with-origin/>"), "with-origin"),
        (get_data("intended", "<origin-filter>or:learned</origin-filter>"), "origin-filter"),
        (get_data("running", "<negated-origin-filter>or:learned</negated-origin-filter>"), "negated-origin-filter"),
        (get_data("conventional"), "datastore"),
        (edit_data("operational", ""), "datastore"),
        (edit_data("intended", ""), "datastore"),
        (edit_data("startup", ""), "datastore"),
    ):
        assert fault_of(await peer.call(operation)) == Fault(
            "application", "invalid-value", info=(("bad-element", element),)
        )
    for operation, tag in (
        (get_data("bogus"), "invalid-value"),
        (get_data("operational", "<origin-filter>or:bogus</origin-filter>"), "invalid-value"),
        (get_data("operational", "<max-depth>0</max-depth>"), "invalid-value"),
        (get_data("running", "<with-defaults>bogus</with-defaults>"), "invalid-value"),
        (get_data("running", "<xpath-filter>1 + 1</xpath-filter>"), "invalid-value"),
        (get_data("running", "<xpath-filter>/</xpath-filter><subtree-filter/>"), "bad-element"),
        (f"<get-data {BINDINGS}/>", "missing-element"),
        (f"<edit-data {BINDINGS}><datastore>ds:running</datastore></edit-data>", "missing-element"),
    ):
        assert fault_of(await peer.call(operation)).tag == tag, operation


@pytest.mark.parametrize("datastore", ["running", "candidate"])
async def test_data_can_be_edited(loaded: Agent, datastore: str) -> None:
    peer = await loaded.connect()
    require_ok(await peer.call(edit_data(datastore, f'<network xmlns="{NET}"><peer><name>c</name></peer></network>')))
    data = data_of(await peer.call(get_data(datastore)))
    assert texts(data, "network", "peer", "name") == ["a", "b", "c"]
    content = f'<network xmlns="{NET}"><name>only</name></network>'
    operation = edit_data(datastore, content, "<default-operation>replace</default-operation>")
    require_ok(await peer.call(operation))
    data = data_of(await peer.call(get_data(datastore)))
    assert [etree.QName(element).localname for element in data.iterdescendants()] == ["network", "name"]
    bad = edit_data(
        datastore, f'<network xmlns="{NET}"><name>x</name><peer><name>d</name><mtu>1</mtu></peer></network>'
    )
    expected = Fault("application", "invalid-value", path="/net:network/net:peer[net:name='d']/net:mtu")
    assert fault_of(await peer.call(bad)) == expected
    assert texts(data_of(await peer.call(get_data(datastore))), "network", "name") == ["only"]


async def test_older_operations_take_datastores_by_their_identities(loaded: Agent) -> None:
    peer, other = await loaded.connect(), await loaded.connect()
    target = f"<target><datastore {BINDINGS}>ds:{{}}</datastore></target>"
    require_ok(await peer.call(f"<lock>{target.format('running')}</lock>"))
    assert fault_of(await other.call(f"<lock>{target.format('running')}</lock>")).tag == "lock-denied"
    require_ok(await peer.call(f"<unlock>{target.format('running')}</unlock>"))
    for name in ("operational", "intended"):
        assert fault_of(await peer.call(f"<lock>{target.format(name)}</lock>")).tag == "invalid-value"
    source = target.replace("target>", "source>")
    require_ok(await peer.call(f"<validate>{source.format('candidate')}</validate>"))
    assert fault_of(await peer.call(f"<validate>{source.format('operational')}</validate>")).tag == "invalid-value"


async def test_secrets_are_in_no_datastore(loaded: Agent) -> None:
    peer = await loaded.connect()
    for datastore in ("running", "intended", "operational"):
        data_of(await peer.call(get_data(datastore)))
        for text in ("//n:password", "//n:peer[n:password='hunter2a']", "//n:vault", "//n:traffic-key"):
            selection = f'<xpath-filter xmlns:n="{NET}">{text}</xpath-filter>'
            assert len(data_of(await peer.call(get_data(datastore, selection)))) == 0
