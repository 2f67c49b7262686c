"""Defaults of the entries that a filter names: the same as when all of the tree is completed, at the cost of these."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.datastore.with_defaults import DefaultsMode, defaults_of
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.invariants import check_tree
from tests.datastore.servers import ZOO, Server, schema_of
from tests.datastore.test_incremental_validation import FULL

SCHEMA = schema_of("zoo")
MODES = (DefaultsMode.REPORT_ALL, DefaultsMode.REPORT_ALL_TAGGED, DefaultsMode.TRIM)
CONFINED = (
    "/z:zoo/z:species[z:name='a']",
    "/z:zoo/z:species[z:name='b']/z:weight",
    "/z:zoo/z:cage[z:hall='east'][z:number='1']",
    "/z:zoo/z:feeding[z:id='2']/*",
    "/z:ticket[z:id='1']",
    "/z:zoo/z:feeding[z:id='9']",
    "<zoo><species><name>a</name></species></zoo>",
    "<zoo><species><name>a</name><weight/></species><feeding><id>1</id></feeding></zoo>",
    "<zoo><cage><hall>west</hall><number>2</number><open/></cage></zoo><ticket><id>1</id></ticket>",
)
WIDER = (
    "/z:zoo/z:species",
    "/z:zoo/z:species[z:weight='20']",
    "//z:species[z:name='a']",
    "<zoo/>",
    "<zoo><species/></zoo>",
    "<zoo><motto>m</motto><species><name>a</name></species></zoo>",
    "<zoo><species><name>a</name></species><motto/></zoo>",
)


def filter_of(text: str) -> SubtreeFilter | XPathFilter:
    if not text.startswith("<"):
        return XPathFilter.parse(text, {"z": ZOO}, SCHEMA)
    return SubtreeFilter.parse(etree.fromstring(f'<filter xmlns="{ZOO}">{text}</filter>'), SCHEMA)


def canonical(tree: etree._Element) -> str:
    return etree.canonicalize(etree.tostring(tree, encoding="unicode"), rewrite_prefixes=True)


def require_the_same(server: Server, text: str, mode: DefaultsMode) -> None:
    selection = filter_of(text)
    before = server.text()
    entries = server.datastores.entries_in_mode("running", selection, mode)
    assert entries is not None
    assert server.text() == before
    check_tree(server.datastores._running.tree)
    everything = etree.fromstring(etree.tostring(server.datastores.tree("running")))
    defaults_of(SCHEMA).apply(everything, mode)
    assert canonical(selection.apply(entries)) == canonical(selection.apply(everything))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", CONFINED)
def test_entries_named_by_their_keys_are_completed_alone(text: str, mode: DefaultsMode) -> None:
    server = Server("zoo")
    server.edit(FULL)
    require_the_same(server, text, mode)


@pytest.mark.parametrize("text", WIDER)
def test_a_filter_that_looks_further_is_known_by_it(text: str) -> None:
    server = Server("zoo")
    server.edit(FULL)
    assert server.datastores.entries_in_mode("running", filter_of(text), DefaultsMode.REPORT_ALL) is None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(("", FULL)),
    st.lists(payloads(SCHEMA), max_size=3),
    st.sampled_from(CONFINED),
    st.sampled_from(MODES),
)
def test_whatever_is_configured_the_two_agree(start: str, edits: list[str], text: str, mode: DefaultsMode) -> None:
    server = Server("zoo")
    for content in (start, *edits):
        with contextlib.suppress(RpcError, RpcErrors):
            server.edit(content)
    require_the_same(server, text, mode)
