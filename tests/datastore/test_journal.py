"""Whatever was done to a tree, undoing it leaves the tree and its indexes as they were."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.edits import EditKind
from rkmp.datastore.layout import Layouts
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.invariants import check_tree
from tests.datastore.servers import document, schema_of

SCHEMA = schema_of("zoo")


def apply(tree: DataTree, content: str, default_operation: str = "merge") -> bool:
    """Apply an edit; false when it is refused, half-applied as it may be then."""
    operation = Operation(default_operation)
    try:
        Editor(tree, parse_payload(tree.layouts, document(content), operation)).carry_out(operation)
    except (RpcError, RpcErrors):
        return False
    return True


def text(tree: DataTree) -> str:
    return etree.tostring(tree.root, encoding="unicode")


def indexed(content: str = "") -> DataTree:
    """A tree whose indexes of lists and values all exist, so that they have to follow."""
    tree = DataTree(Layouts(SCHEMA))
    apply(tree, content)
    for layout in tree.layouts.root.descendants():
        if layout.node.has_text:
            tree.values(layout)
        if layout.is_entry and layout.parent is not None:
            for parent in tree.instances(layout.parent):
                tree.entries(parent, layout)
    return tree


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(payloads(SCHEMA), max_size=3), st.lists(payloads(SCHEMA), min_size=1, max_size=4), st.data())
def test_edits_that_are_undone_leave_nothing_behind(before: list[str], edits: list[str], data: st.DataObject) -> None:
    tree = indexed()
    for content in before:
        tree.open_journal()
        if apply(tree, content):
            tree.close_journal()
        else:
            tree.roll_back()
    check_tree(tree)
    earlier = text(tree)
    journal = tree.open_journal()
    for content in edits:
        apply(tree, content, data.draw(st.sampled_from(("merge", "none", "replace"))))
    later = text(tree)
    assert etree.tostring(tree.copy_of_before(), encoding="unicode") == earlier
    assert text(tree) == later, "looking at what was before changes nothing"
    assert journal.edits() or later == earlier, "a difference without an edit"
    tree.roll_back()
    assert text(tree) == earlier
    check_tree(tree)


def edits_of(before: str, after: str, default_operation: str = "merge") -> list[tuple[str, str]]:
    """The edits that ``after`` makes on top of ``before``, as (kind, path)."""
    tree = indexed(before)
    journal = tree.open_journal()
    assert apply(tree, after, default_operation)
    return [(edit.kind.value, edit.path.text) for edit in journal.edits()]


def test_what_is_created_counts_as_one_edit_with_everything_in_it() -> None:
    assert edits_of("", "<zoo><species><name>a</name><weight>3</weight></species></zoo>") == [("created", "/z:zoo")]
    assert edits_of("<zoo><motto>m</motto></zoo>", "<zoo><species><name>a</name></species></zoo>") == [
        ("created", "/z:zoo/z:species[z:name='a']")
    ]


def test_what_is_deleted_counts_as_one_edit_at_its_old_path() -> None:
    before = "<zoo><motto>m</motto><species><name>a</name><weight>3</weight></species></zoo>"
    after = "<zoo><species nc:operation='delete'><name>a</name></species></zoo>"
    assert edits_of(before, after) == [("deleted", "/z:zoo/z:species[z:name='a']")]


def test_the_last_child_takes_its_container_along() -> None:
    before = "<zoo><motto>m</motto></zoo>"
    assert edits_of(before, "<zoo><motto nc:operation='delete'/></zoo>") == [("deleted", "/z:zoo")]


def test_a_value_that_stays_the_same_is_no_edit() -> None:
    assert edits_of("<zoo><motto>m</motto></zoo>", "<zoo><motto>m</motto></zoo>") == []
    assert edits_of("<zoo><motto>m</motto></zoo>", "<zoo><motto>n</motto></zoo>") == [("changed", "/z:zoo/z:motto")]


def test_replacing_something_by_its_equal_is_no_edit() -> None:
    entry = "<zoo><species{}><name>a</name><weight>3</weight></species></zoo>"
    assert edits_of(entry.format(""), entry.format(" nc:operation='replace'")) == []


def test_a_case_that_replaces_another_is_a_deletion_and_a_creation() -> None:
    before = "<zoo><feeding><id>1</id><hour>3</hour></feeding></zoo>"
    after = "<zoo><feeding><id>1</id><on-demand>x</on-demand></feeding></zoo>"
    assert edits_of(before, after) == [
        ("deleted", "/z:zoo/z:feeding[z:id='1']/z:hour"),
        ("created", "/z:zoo/z:feeding[z:id='1']/z:on-demand[.='x']"),
    ]


def test_an_entry_that_goes_elsewhere_has_moved() -> None:
    before = "<holiday>a</holiday><holiday>b</holiday>"
    assert edits_of(before, "<holiday yang:insert='first'>b</holiday>") == [("moved", "/z:holiday[.='b']")]


def test_the_kinds_of_edits_are_those_that_clients_are_told_of() -> None:
    assert {kind.value for kind in EditKind} == {"created", "deleted", "changed", "moved"}


def test_only_one_journal_is_open_at_a_time() -> None:
    tree = indexed()
    tree.open_journal()
    with pytest.raises(RuntimeError, match="open already"):
        tree.open_journal()
    tree.close_journal()
    for close in (tree.close_journal, tree.roll_back, tree.copy_of_before):
        with pytest.raises(RuntimeError, match="no journal"):
            close()
