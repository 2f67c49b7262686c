"""with-defaults on get, get-config and copy-config (RFC 6243), seen by a client."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.netconf.agents import NET, Agent, Fault, data_of, fault_of, get_config, net, require_ok, texts
from tests.netconf.test_retrieval import add_sessions
from tests.netconf.test_xpath_filters import xpath

DEFAULT = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"
SET_TO_DEFAULT = (
    f'<network xmlns="{NET}"><peer><name>b</name><mtu>1500</mtu></peer><peer><name>c</name></peer></network>'
)


def in_mode(operation: str, mode: str | None) -> str:
    if mode is None:
        return operation
    parameter = f'<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">{mode}</with-defaults>'
    head, end = operation.rsplit("</", 1)
    return f"{head}{parameter}</{end}"


@pytest.mark.parametrize("operation", ["get", "get-config"])
@pytest.mark.parametrize(
    ("mode", "mtus"),
    [
        (None, [("a", "1400", None), ("b", "1500", None), ("c", None, None)]),
        ("explicit", [("a", "1400", None), ("b", "1500", None), ("c", None, None)]),
        ("trim", [("a", "1400", None), ("b", None, None), ("c", None, None)]),
        ("report-all", [("a", "1400", None), ("b", "1500", None), ("c", "1500", None)]),
        ("report-all-tagged", [("a", "1400", None), ("b", "1500", None), ("c", "1500", "true")]),
    ],
)
async def test_each_mode_reports_its_own(
    agent: Agent, operation: str, mode: str | None, mtus: list[tuple[str, str | None, str | None]]
) -> None:
    await agent.load()
    await agent.load(SET_TO_DEFAULT)
    peer = await agent.connect()
    for selection in ("", f'<filter><network xmlns="{NET}"/></filter>', '<filter type="xpath" select="/*"/>'):
        source = "<source><running/></source>" if operation == "get-config" else ""
        data = data_of(await peer.call(in_mode(f"<{operation}>{source}{selection}</{operation}>", mode)))
        found = []
        for entry in data.iterfind(f"{net('network')}/{net('peer')}"):
            mtu = entry.find(net("mtu"))
            attribute = None if mtu is None else mtu.get(DEFAULT)
            found.append((entry.findtext(net("name")), None if mtu is None else mtu.text, attribute))
        assert found == mtus
        assert b"hunter2" not in etree.tostring(data)
    # What is stored has not changed.
    assert texts(agent.datastores.tree("running"), "network", "peer", "mtu") == ["1400", "1500"]


async def test_a_filter_looks_at_defaults_where_they_are_reported(agent: Agent) -> None:
    await agent.load()
    await agent.load(SET_TO_DEFAULT)
    peer = await agent.connect()
    by_content = get_config("running", f'<network xmlns="{NET}"><peer><mtu>1500</mtu><name/></peer></network>')
    for operation in (by_content, xpath("//n:peer[n:mtu=1500]/n:name")):
        for mode, names in (("explicit", ["b"]), ("trim", []), ("report-all", ["b", "c"])):
            data = data_of(await peer.call(in_mode(operation, mode)))
            assert texts(data, "network", "peer", "name") == names


async def test_state_is_completed_and_trimmed_as_configuration_is(agent: Agent) -> None:
    await agent.load()
    agent.server.provide_state(net("network"), add_sessions)
    peer = await agent.connect()
    data = data_of(await peer.call(in_mode("<get></get>", "report-all")))
    assert texts(data, "network", "peer", "mtu") == ["1400", "1500", "1500"]
    assert texts(data, "network", "peer", "sessions") == ["3", "3", "3"]
    statistics = "{urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring}in-bad-hellos"
    assert [leaf.text for leaf in data.iter(statistics)] == ["0"]
    # RFC 6243 3.2: state that has its default is not reported either.
    assert not list(data_of(await peer.call(in_mode("<get></get>", "trim"))).iter(statistics))


async def test_modes_that_there_are_not_are_refused(agent: Agent) -> None:
    peer = await agent.connect()
    for operation in ("<get></get>", get_config(), COPY):
        for mode in ("bogus", "", "REPORT-ALL"):
            fault = fault_of(await peer.call(in_mode(operation, mode)))
            assert (fault.type, fault.tag) == ("application", "invalid-value")


COPY = "<copy-config><target><startup/></target><source><running/></source></copy-config>"


async def test_copies_between_datastores_are_of_what_was_set(agent: Agent) -> None:
    await agent.load()
    peer = await agent.connect()
    for mode in ("report-all", "report-all-tagged", "trim", "explicit"):
        # RFC 6243 4.5.1: the parameter has no effect on a copy to a datastore.
        require_ok(await peer.call(in_mode(COPY, mode)))
        assert etree.tostring(agent.datastores.tree("startup")) == etree.tostring(agent.datastores.tree("running"))


async def test_what_was_reported_tagged_can_be_sent_back(agent: Agent) -> None:
    await agent.load(f'<network xmlns="{NET}"><peer><name>a</name><enabled>true</enabled></peer></network>')
    before = etree.tostring(agent.datastores.tree("running"))
    peer = await agent.connect()
    data = data_of(await peer.call(in_mode(get_config("running", f'<network xmlns="{NET}"/>'), "report-all-tagged")))
    assert texts(data, "network", "peer", "mtu") == ["1500"]
    config = etree.tostring(data[0]).decode()
    for operation in (
        f"<edit-config><target><running/></target><config>{config}</config></edit-config>",
        f"<copy-config><target><running/></target><source><config>{config}</config></source></copy-config>",
    ):
        require_ok(await peer.call(operation))
        assert etree.tostring(agent.datastores.tree("running")) == before
    wrong = f"<edit-config><target><running/></target><config>{config.replace('1500', '1501')}</config></edit-config>"
    expected = Fault("application", "invalid-value", path="/net:network/net:peer[net:name='a']/net:mtu")
    assert fault_of(await peer.call(wrong)) == expected


async def test_the_capability_names_every_mode(agent: Agent) -> None:
    (uri,) = [uri for uri in agent.server.capabilities if ":with-defaults:" in uri]
    assert uri == (
        "urn:ietf:params:netconf:capability:with-defaults:1.0"
        "?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim"
    )
