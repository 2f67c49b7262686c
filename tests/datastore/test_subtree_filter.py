"""Subtree filters (RFC 6241 section 6), on datastores with their indexes, on plain trees and on notifications."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.modules import compiled, module
from tests.datastore.servers import ZOO, Server, plain, schema_of

SCHEMA = schema_of("zoo")
CONTENT = (
    "<zoo><open>false</open><night>loud</night>"
    "<species><name>a</name><latin>strix</latin><weight>3</weight><kind>owl</kind></species>"
    "<species><name>b</name><latin>corvus</latin><shelf><row>1</row></shelf></species>"
    "<species><name>c</name></species>"
    "<cage><hall>east</hall><number>1</number><size>3</size><animal>a</animal><animal>b</animal></cage>"
    "<cage><hall>west</hall><number>1</number><animal>c</animal></cage>"
    "</zoo><ticket><id>1</id><price>2</price></ticket><holiday>x</holiday><name>n</name>"
)


@pytest.fixture(scope="module")
def server() -> Server:
    server = Server()
    server.edit(CONTENT)
    return server


def parse(content: str, default_namespace: str = ZOO) -> SubtreeFilter:
    element = etree.fromstring(f"<filter xmlns='{default_namespace}' xmlns:z='{ZOO}'>{content}</filter>")
    return SubtreeFilter.parse(element, SCHEMA)


def select(server: Server, content: str, default_namespace: str = ZOO) -> Any:
    """What a filter selects; with the index and without it is the same but for the order of entries."""
    found = parse(content, default_namespace)
    by_scan = plain(found.apply(server.datastores.tree("running")))[1:]
    by_index = plain(server.datastores.select("running", found))[1:]
    assert _sorted(by_index) == _sorted(by_scan)
    return by_scan


def _sorted(content: Any) -> Any:
    return sorted(map(_sorted, content), key=repr) if isinstance(content, tuple) else content


A = ("species", ("name", "a"), ("latin", "strix"), ("weight", "3"), ("kind", "z:owl"))
B = ("species", ("name", "b"), ("latin", "corvus"), ("shelf", ("row", "1")))
C = ("species", ("name", "c"))
EAST = ("cage", ("hall", "east"), ("number", "1"), ("size", "3"), ("animal", "a"), ("animal", "b"))
TICKET = ("ticket", ("id", "1"), ("price", "2.0"))
WEST = ("cage", ("hall", "west"), ("number", "1"), ("animal", "c"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ()),
        # Selection nodes (6.2.4)
        ("<name/>", (("name", "n"),)),
        ("<name> </name>", (("name", "n"),)),
        ("<zoo><open/></zoo>", (("zoo", ("open", "false")),)),
        ("<zoo><species/></zoo>", (("zoo", A, B, C),)),
        ("<ticket/><name/>", (("name", "n"), TICKET)),
        # Containment (6.2.3), keys come along (6.2.5)
        (
            "<zoo><species><latin/></species></zoo>",
            (("zoo", ("species", ("name", "a"), ("latin", "strix")), ("species", ("name", "b"), ("latin", "corvus"))),),
        ),
        ("<zoo><species><name/></species></zoo>", (("zoo", *(("species", ("name", key)) for key in "abc")),)),
        (
            "<zoo><species><shelf><row/></shelf></species></zoo>",
            (("zoo", ("species", ("name", "b"), ("shelf", ("row", "1")))),),
        ),
        ("<zoo><keeper><name/></keeper></zoo>", ()),
        # Content match (6.2.5)
        ("<zoo><species><name>b</name></species></zoo>", (("zoo", B),)),
        ("<zoo><species><name> b\n</name></species></zoo>", (("zoo", B),)),
        ("<zoo><species><latin>corvus</latin></species></zoo>", (("zoo", B),)),
        ("<zoo><species><name>x</name></species></zoo>", ()),
        ("<zoo><species><name>a</name><latin>corvus</latin></species></zoo>", ()),
        ("<zoo><species><name>a</name><latin>strix</latin></species></zoo>", (("zoo", A),)),
        (
            "<zoo><species><name>a</name><weight/></species></zoo>",
            (("zoo", ("species", ("name", "a"), ("weight", "3"))),),
        ),
        (
            "<zoo><species><latin>corvus</latin><shelf><row/></shelf></species></zoo>",
            (("zoo", ("species", ("name", "b"), ("latin", "corvus"), ("shelf", ("row", "1")))),),
        ),
        ("<zoo><species><shelf><row>1</row></shelf></species></zoo>", (("zoo", ("species", ("name", "b"), B[3])),)),
        ("<zoo><open>false</open><night/></zoo>", (("zoo", ("open", "false"), ("night", "loud")),)),
        ("<zoo><open>true</open><night/></zoo>", ()),
        ("<zoo><cage><animal>b</animal></cage></zoo>", (("zoo", EAST),)),
        ("<zoo><cage><hall>west</hall><number>1</number></cage></zoo>", (("zoo", WEST),)),
        ("<zoo><cage><number>1</number></cage></zoo>", (("zoo", EAST, WEST),)),
        ("<name>n</name>", (("name", "n"),)),
        ("<name>x</name><zoo><open/></zoo>", ()),
        ("<holiday>x</holiday>", (("holiday", "x"),)),
        # Values are compared in canonical form
        ("<ticket><id>+01</id></ticket>", (TICKET,)),
        ("<ticket><price>2.00</price></ticket>", (TICKET,)),
        ("<zoo><species><kind>owl</kind></species></zoo>", (("zoo", A),)),
        ("<zoo><species><kind>z:owl</kind></species></zoo>", (("zoo", A),)),
        ("<ticket><id>x</id></ticket>", ()),
        # Several fragments that select the same data do not give it twice (6.1)
        ("<zoo><species/></zoo><zoo><species><name>a</name></species></zoo>", (("zoo", A, B, C),)),
        (
            "<zoo><species><name>a</name></species><species><name>c</name></species></zoo>",
            (("zoo", A, C),),
        ),
        (
            "<zoo><species><name>a</name><weight/></species><species><name>a</name><latin/></species></zoo>",
            (("zoo", ("species", ("name", "a"), ("latin", "strix"), ("weight", "3"))),),
        ),
        ("<zoo><species><name>a</name></species><open/></zoo>", (("zoo", ("open", "false"), A),)),
        # Namespaces (6.2.1)
        ("<zoo xmlns='urn:nowhere'/>", ()),
        ("<zoo xmlns=''><z:open/></zoo>", (("zoo", ("open", "false")),)),
        ("<zoo xmlns=''><species><name>b</name></species></zoo>", (("zoo", B),)),
        ("<bogus/>", ()),
        ("<zoo><bogus/></zoo>", ()),
        # Attributes (6.2.2): configuration has none
        ("<zoo z:a='1'/>", ()),
        ("<zoo><species z:a='1'><name>a</name></species><open/></zoo>", (("zoo", ("open", "false")),)),
        ("<zoo><species><name z:a='1'>a</name></species></zoo>", ()),
    ],
)
def test_a_filter_selects(server: Server, content: str, expected: Any) -> None:
    assert select(server, content) == expected


def test_the_result_binds_the_prefixes_of_values(server: Server) -> None:
    result = server.datastores.select("running", parse("<zoo><species/></zoo>"))
    assert result.nsmap["z"] == ZOO
    assert result.tag == server.datastores.tree("running").tag


def test_a_result_is_a_copy(server: Server) -> None:
    before = server.text()
    result = server.datastores.select("running", parse("<zoo/>"))
    result[0].clear()
    assert server.text() == before


def test_attributes_of_other_trees_are_matched_and_kept() -> None:
    tree = etree.fromstring(f"<data><zoo xmlns='{ZOO}' a='1'><open a='2'>true</open></zoo></data>")
    assert etree.tostring(parse("<zoo a='1'><open/></zoo>").apply(tree)).count(b"a=") == 2
    assert len(parse("<zoo a='2'><open/></zoo>").apply(tree)) == 0
    assert len(parse("<zoo><open a='2'>true</open></zoo>").apply(tree)) == 1
    assert len(parse("<zoo><open a='3'>true</open></zoo>").apply(tree)) == 0


def test_only_top_level_nodes_that_can_be_selected_are_selected() -> None:
    found = parse("<zoo><open/></zoo><name xmlns=''/>")
    assert found.selects(f"{{{ZOO}}}zoo")
    assert found.selects(f"{{{ZOO}}}name")
    assert found.selects("{urn:other}name")
    assert not found.selects(f"{{{ZOO}}}ticket")
    assert not parse("").selects(f"{{{ZOO}}}zoo")


def test_other_datastores_are_selected_from_as_well(server: Server) -> None:
    other = Server()
    other.edit(CONTENT)
    other.datastores.copy("running", "startup", session_id=1)
    other.edit("<name>m</name>", "candidate")
    found = parse("<name/>")
    for store, name in (("running", "n"), ("candidate", "m"), ("startup", "n")):
        assert plain(other.datastores.select(store, found))[1:] == (("name", name),)
    with pytest.raises(RpcError):
        other.datastores.select("bogus", found)


def test_notifications_are_matched(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "notification alarm { leaf level { type uint8; } container where { leaf hall { type string; } } }"
            "container c { list l { key k; leaf k { type string; } notification event { leaf x { type string; } } } }"
        ),
    )
    alarm = etree.fromstring("<alarm xmlns='urn:m'><level>3</level><where><hall>east</hall></where></alarm>")
    event = etree.fromstring("<c xmlns='urn:m'><l><k>1</k><event><x>y</x></event></l></c>")

    def matches(content: str, notification: etree._Element) -> bool:
        element = etree.fromstring(f"<filter xmlns='urn:m'>{content}</filter>")
        return SubtreeFilter.parse(element, schema).matches(notification)

    assert matches("<alarm/>", alarm)
    assert matches("<alarm><level>+3</level></alarm>", alarm)
    assert matches("<alarm><where><hall>east</hall></where></alarm>", alarm)
    assert not matches("<alarm><level>4</level></alarm>", alarm)
    assert not matches("<other/>", alarm)
    assert not matches("", alarm)
    assert matches("<other/><alarm/>", alarm)
    assert matches("<c><l><k>1</k><event/></l></c>", event)
    assert not matches("<c><l><k>2</k></l></c>", event)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payloads(SCHEMA, operations=False), payloads(SCHEMA, operations=False))
def test_index_and_scan_select_the_same(content: str, filter_content: str) -> None:
    server = Server()
    try:
        server.edit(content)
    except (RpcError, RpcErrors):
        return
    select(server, filter_content)
    before = server.text()
    everything = "".join(f"<{node.name}/>" for node in SCHEMA.top.values())
    assert select(server, everything) == server.tree()
    assert server.text() == before
