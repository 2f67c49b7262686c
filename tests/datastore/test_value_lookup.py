"""XPath filters that name entries by a value: the index finds what a search finds, before and after every change."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.data_tree import ASKED, FEW, DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.layout import Layouts
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.invariants import check_tree
from tests.datastore.servers import document, schema_of

SCHEMA = schema_of("bench")
BENCH = "urn:example:bench"
PREFIXES = {"b": BENCH}
LEAVES = ("description", "mtu", "remote-id", "mode", "profile", "priority")


def tree_of(count: int) -> DataTree:
    entries = "".join(
        f"<peer><name>p{number}</name><description>{number % 7}</description><mtu>{600 + number}</mtu>"
        "<profile>f</profile></peer>"
        for number in range(count)
    )
    tree = DataTree(Layouts(SCHEMA))
    change(tree, f'<profiles xmlns="{BENCH}"><profile><name>f</name></profile></profiles>')
    change(tree, f'<peers xmlns="{BENCH}">{entries}</peers>')
    return tree


def change(tree: DataTree, content: str) -> None:
    Editor(tree, parse_payload(tree.layouts, document(content), Operation.MERGE)).carry_out(Operation.MERGE)


def found(tree: DataTree, select: str, *, by_index: bool) -> bytes:
    selected = XPathFilter.parse(select, PREFIXES, SCHEMA).apply(tree.root, tree if by_index else None)
    return etree.tostring(selected)


def require_the_same(tree: DataTree, select: str) -> None:
    expected = found(tree, select, by_index=False)
    for _ in range(3):
        assert found(tree, select, by_index=True) == expected


@pytest.mark.parametrize(
    "select",
    [
        "/b:peers/b:peer[b:mtu='650']",
        "/b:peers/b:peer['650'=b:mtu]/b:description",
        "/b:peers/b:peer[b:mtu='650']/b:name/text()",
        "/b:peers/b:peer[b:mtu='1']",
        "/b:peers/b:peer[b:description='3']",
        "/b:peers/b:peer[b:description='3'][2]",
        "/b:peers/b:peer[b:description='3']/b:name[../b:mtu > 650]",
        "/b:peers/b:peer[b:description='3']/../b:peer[b:name='p1']",
        "/b:peers/b:peer[b:profile='f']",
        "/b:peers/b:peer[b:enabled='true']",
    ],
)
def test_what_is_found_by_value_is_what_a_search_finds(select: str) -> None:
    require_the_same(tree_of(100), select)


def test_the_index_is_made_when_a_leaf_is_asked_about_again_and_follows_changes() -> None:
    tree = tree_of(100)
    (mtu,) = (layout for layout in tree.layouts.root.descendants() if layout.node.name == "mtu")
    select = "/b:peers/b:peer[b:mtu='650']"
    found(tree, select, by_index=True)
    assert mtu.node not in tree._values
    found(tree, select, by_index=True)
    assert mtu.node in tree._values
    change(tree, f'<peers xmlns="{BENCH}"><peer><name>p3</name><mtu>650</mtu></peer></peers>')
    require_the_same(tree, select)
    assert b"p3<" in found(tree, select, by_index=True)


def test_only_so_many_leaves_are_remembered() -> None:
    tree = tree_of(100)
    for leaf in LEAVES:
        for _ in range(2):
            found(tree, f"/b:peers/b:peer[b:{leaf}='1']", by_index=True)
    assert len(tree._values) == ASKED
    change(tree, f'<peers xmlns="{BENCH}"><peer><name>p3</name><mtu>650</mtu></peer></peers>')
    check_tree(tree)
    for leaf in LEAVES:
        require_the_same(tree, f"/b:peers/b:peer[b:{leaf}='1']")


def test_many_entries_are_sought_as_before() -> None:
    tree = tree_of(FEW * 8)
    require_the_same(tree, "/b:peers/b:peer[b:description='3']")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(payloads(SCHEMA), st.tuples(st.sampled_from(LEAVES), st.sampled_from("012")))))
def test_changes_and_questions_in_any_order(steps: list[str | tuple[str, str]]) -> None:
    tree = tree_of(5)
    for step in steps:
        if isinstance(step, tuple):
            require_the_same(tree, f"/b:peers/b:peer[b:{step[0]}='{step[1]}']")
        else:
            tree.open_journal()
            try:
                change(tree, step)
            except (RpcError, RpcErrors):
                tree.roll_back()
            else:
                tree.close_journal()
        check_tree(tree)
