"""Paths that error-path carries: one node of a tree, with keys (RFC 6241 section 4.3, RFC 7950 section 9.13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.instance_path import instance_path
from rkmp.datastore.schema import Schema
from rkmp.datastore.xpath.syntax import quoted
from tests.datastore.modules import compiled, module

MODULE = module(
    """
    container c {
      list l { key "b a"; leaf a { type string; } leaf b { type string; } leaf v { type string; }
               action q { input { leaf i { type string; } } } notification n { leaf j { type string; } } }
      leaf-list e { type string; }
      list s { config false; leaf v { type string; } }
      anydata d;
    }
    rpc r { input { container c { leaf i { type string; } } } }
    notification n { leaf j { type string; } }
    """
)
CONFIG = "urn:ietf:params:xml:ns:netconf:base:1.0"
CONTENT = """<c xmlns="urn:m"><l><a>1</a><b>x</b><v>y</v></l><l><b>only</b></l><e>it's</e>
  <s><v>one</v></s><s><v>two</v></s><d><any xmlns="urn:any"><thing/></any><bare xmlns=""/></d><nosuch/></c>"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return compiled(tmp_path_factory.mktemp("paths"), MODULE)


def paths(schema: Schema, document: str) -> dict[str, str]:
    """The path of every element below the document's element, by its path in terms of positions."""
    root = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    tree = root.getroottree()
    return {tree.getelementpath(element): instance_path(schema, element).text for element in root.iterdescendants()}


def test_every_step_has_a_prefix_and_what_names_one_entry(schema: Schema) -> None:
    found = list(paths(schema, f'<config xmlns="{CONFIG}">{CONTENT}</config>').values())
    assert found == [
        "/m:c",
        "/m:c/m:l[m:b='x'][m:a='1']",
        "/m:c/m:l[m:b='x'][m:a='1']/m:a",
        "/m:c/m:l[m:b='x'][m:a='1']/m:b",
        "/m:c/m:l[m:b='x'][m:a='1']/m:v",
        # Keys that are not there cannot be named.
        "/m:c/m:l[m:b='only']",
        "/m:c/m:l[m:b='only']/m:b",
        '/m:c/m:e[.="it\'s"]',
        "/m:c/m:s[1]",
        "/m:c/m:s[1]/m:v",
        "/m:c/m:s[2]",
        "/m:c/m:s[2]/m:v",
        "/m:c/m:d",
        # What no schema knows is named as it is written.
        "/m:c/m:d/ns1:any",
        "/m:c/m:d/ns1:any/ns1:thing",
        "/m:c/m:d/bare",
        "/m:c/m:nosuch",
    ]


def test_the_prefixes_are_bound(schema: Schema) -> None:
    root = etree.fromstring(f'<config xmlns="{CONFIG}">{CONTENT}</config>')
    thing = next(root.iter("{urn:any}thing"))
    assert instance_path(schema, thing).namespaces == {"m": "urn:m", "ns1": "urn:any"}


def test_a_path_finds_its_element_again(schema: Schema) -> None:
    root = etree.fromstring(f'<config xmlns="{CONFIG}">{CONTENT}</config>', etree.XMLParser(remove_blank_text=True))
    for element in root.iterdescendants():
        path = instance_path(schema, element)
        assert root.xpath("." + path.text, namespaces=dict(path.namespaces)) == [element]


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        f'<config xmlns="{CONFIG}">{{}}</config>',
        "<anything>{}</anything>",
        f'<rpc xmlns="{CONFIG}"><edit-config><config>{{}}</config></edit-config></rpc>',
        f'<r xmlns="urn:m"><config xmlns="{CONFIG}">{{}}</config></r>',
    ],
)
def test_the_path_starts_at_the_top_level_node_whatever_is_around_it(schema: Schema, around: str) -> None:
    root = etree.fromstring(around.format(CONTENT))
    assert instance_path(schema, next(root.iter("{urn:m}v"))).text == "/m:c/m:l[m:b='x'][m:a='1']/m:v"


def test_operations_and_notifications_have_paths(schema: Schema) -> None:
    rpc = f'<rpc xmlns="{CONFIG}"><r xmlns="urn:m"><c><i>1</i></c></r></rpc>'
    assert list(paths(schema, rpc).values()) == ["/m:r", "/m:r/m:c", "/m:r/m:c/m:i"]
    action = (
        '<action xmlns="urn:ietf:params:xml:ns:yang:1"><c xmlns="urn:m"><l><a>1</a><b>2</b><q><i/></q></l></c></action>'
    )
    assert list(paths(schema, action).values())[-1] == "/m:c/m:l[m:b='2'][m:a='1']/m:q/m:i"
    event = '<notification><c xmlns="urn:m"><l><a>1</a><b>2</b><n><j/></n></l></c></notification>'
    assert list(paths(schema, event).values())[-1] == "/m:c/m:l[m:b='2'][m:a='1']/m:n/m:j"
    top = '<notification><n xmlns="urn:m"><j/></n></notification>'
    assert list(paths(schema, top).values()) == ["/m:n", "/m:n/m:j"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])))
def test_any_value_can_be_quoted(value: str) -> None:
    assert etree.XPath(quoted(value), smart_strings=False)(etree.Element("a")) == value
