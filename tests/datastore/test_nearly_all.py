"""A subtree filter that selects most of a tree gives the same whether it copies the whole or the pieces."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore import subtree_filter
from rkmp.datastore.subtree_filter import SubtreeFilter
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.servers import ZOO, Server, schema_of
from tests.datastore.test_incremental_validation import FULL

SCHEMA = schema_of("zoo")
FILTERS = (
    "<zoo/>",
    "<zoo><species/></zoo>",
    "<zoo><species/><cage/></zoo>",
    "<zoo><species/><motto/></zoo><ticket/>",
    "<zoo><keeper/><safe><pin/></safe></zoo>",
    "<zoo><keeper><name/></keeper><feeding/></zoo>",
    "<zoo><species><name/></species></zoo>",
    "<zoo><species><name>a</name></species></zoo>",
    "<zoo><motto>m</motto><species/></zoo>",
    "<name>big</name><zoo/>",
    "<holiday/><ticket><price/></ticket>",
    "<none/>",
    "",
)


def selected(server: Server, text: str, few: int) -> str:
    parsed = SubtreeFilter.parse(etree.fromstring(f'<filter xmlns="{ZOO}">{text}</filter>'), SCHEMA)
    before = server.text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subtree_filter, "_FEW", few)
        found = etree.tostring(server.datastores.select("running", parsed), encoding="unicode")
    assert server.text() == before
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(("", FULL)), st.lists(payloads(SCHEMA), max_size=2), st.sampled_from(FILTERS))
def test_the_whole_without_the_rest_is_the_pieces(start: str, edits: list[str], text: str) -> None:
    server = Server("zoo")
    for content in (start, *edits):
        with contextlib.suppress(RpcError, RpcErrors):
            server.edit(content)
    assert selected(server, text, -1) == selected(server, text, 10**9)


@pytest.mark.parametrize("text", FILTERS)
def test_every_filter_gives_the_same_on_a_full_tree(text: str) -> None:
    server = Server("zoo")
    server.edit(FULL)
    assert selected(server, text, -1) == selected(server, text, 10**9)
