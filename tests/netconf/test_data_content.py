"""``<data>`` says what the tree says, in the default namespace of each top-level node, whatever its values hold."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.access_control import AccessControl, Reader
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.documents import parse_document
from rkmp.netconf.transport import Client
from tests.netconf.agents import NET, net

XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


def shape(element: etree._Element) -> tuple[object, ...]:
    """What an element means: its name, attributes and content, whatever the prefixes."""
    text = (element.text or "").replace("\r\n", "\n")
    return str(element.tag), text, tuple(sorted(element.attrib.items())), tuple(shape(child) for child in element)


def tree_of(schema: Schema, *top_level: etree._Element) -> etree._Element:
    root = schema.new_root()
    root.extend(top_level)
    return root


def reader(schema: Schema) -> Reader:
    """The eyes of a recovery session."""
    return AccessControl(schema).access_of(Client("root", "", "netconf-ssh", is_recovery=True)).reader


def written(schema: Schema, tree: etree._Element) -> etree._Element:
    before = [shape(child) for child in tree]
    writer = DataWriter(schema)
    copied = parse_document(writer.copy_of(tree, reader(schema)))
    data = parse_document(writer.data(tree, reader(schema)))
    for root in (copied, data):
        assert root.tag == "{urn:ietf:params:xml:ns:netconf:base:1.0}data"
        assert [shape(child) for child in root] == before
    return data


def network(name: str = "lab") -> etree._Element:
    element = etree.Element(net("network"), nsmap={"net": NET})
    etree.SubElement(element, net("name")).text = name
    peer = etree.SubElement(element, net("peer"))
    etree.SubElement(peer, net("name")).text = "a"
    return element


def test_names_have_no_prefix(schema: Schema) -> None:
    octets = DataWriter(schema).data(tree_of(schema, network()), None)
    assert b"<net:" not in octets
    assert f'<network xmlns="{NET}"><name>lab</name><peer><name>a</name></peer></network></data>'.encode() in octets


def test_secrets_are_not_written_and_stay_where_they_are(schema: Schema) -> None:
    element = network()
    etree.SubElement(element[-1], net("password")).text = "hunter2"
    vault = etree.Element(net("vault"), nsmap={"net": NET})
    etree.SubElement(vault, net("combination")).text = "hunter2"
    tree = tree_of(schema, element, vault)
    writer = DataWriter(schema)
    assert b"hunter2" not in writer.copy_of(tree, reader(schema))
    assert etree.tostring(tree).count(b"hunter2") == 2
    assert b"hunter2" not in writer.data(tree, reader(schema))


def test_a_top_level_node_without_children_is_written_empty(schema: Schema) -> None:
    octets = DataWriter(schema).data(tree_of(schema, etree.Element(net("network"), nsmap={"net": NET})), None)
    assert octets.endswith(f'<network xmlns="{NET}"/></data>'.encode())
    written(schema, tree_of(schema, etree.Element(net("network"), {"a": ">"}, nsmap={"net": NET})))


def test_no_data_is_an_empty_element(schema: Schema) -> None:
    assert len(written(schema, schema.new_root())) == 0


def test_prefixes_in_values_stay_bound(schema: Schema) -> None:
    element = network()
    profile = etree.SubElement(element, net("profile"))
    etree.SubElement(profile, net("medium")).text = "net:fibre"
    data = written(schema, tree_of(schema, element))
    (medium,) = data.iter(net("medium"))
    assert medium.text == "net:fibre"
    assert medium.nsmap["net"] == NET


def test_names_of_other_modules_keep_their_prefix(schema: Schema) -> None:
    other = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    element = network()
    etree.SubElement(element, f"{{{other}}}extra").text = "x"
    etree.SubElement(element, "{urn:unknown}more", {"{urn:unknown}a": "b"}).text = "y"
    written(schema, tree_of(schema, element, network("second")))


def test_default_namespaces_inside_are_left_alone(schema: Schema) -> None:
    element = network()
    inside = etree.SubElement(element, "{urn:unknown}more", nsmap={None: "urn:unknown"})
    etree.SubElement(inside, net("name")).text = "z"
    written(schema, tree_of(schema, element))


@given(
    st.lists(st.one_of(XML_TEXT, st.sampled_from(["<net:name>", "</net:", ' xmlns="', "]]>", "&lt;net:"])), max_size=5)
)
def test_values_are_never_changed(schema: Schema, values: list[str]) -> None:
    element = network("".join(values))
    element.set("a", "".join(values))
    for value in values:
        etree.SubElement(element, net("text"), {"{urn:x}net": value}).text = value
    written(schema, tree_of(schema, element))


def test_what_clients_put_into_anydata_is_not_moved_into_a_namespace(tmp_path: Path) -> None:
    (tmp_path / "open.yang").write_text(
        'module open { yang-version 1.1; namespace "urn:open"; prefix o; container top { anydata any; } }'
    )
    schema = load_schema({"open": ()}, [tmp_path])
    top = etree.fromstring('<o:top xmlns:o="urn:open"><o:any><plain><o:x/></plain></o:any></o:top>')
    written(schema, tree_of(schema, top))


@pytest.mark.parametrize("count", [3000])
def test_a_large_tree_is_written_whole(schema: Schema, count: int) -> None:
    element = network()
    peer = element[-1]
    element.extend(copy.deepcopy(peer) for _ in range(count))
    assert len(written(schema, tree_of(schema, element))[0]) == count + 2
