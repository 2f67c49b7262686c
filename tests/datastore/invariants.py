"""What is true of a data tree at all times, checked the slow way."""

from __future__ import annotations

from typing import Any

from rkmp.datastore.data_tree import DataTree


def check_tree(tree: DataTree) -> None:
    """The indexes say what a look at the tree says, and the tree is in normal form."""
    _check_entries(tree)
    _check_values(tree)
    _check_form(tree)


def _check_entries(tree: DataTree) -> None:
    fresh = DataTree(tree.layouts, tree.root)
    for parent, indexes in tree._entries.items():
        top = parent
        for ancestor in parent.iterancestors():
            top = ancestor
        if top is not tree.root:
            # Out of the tree, but an open journal can still bring it back.
            assert tree.journal is not None, f"an index of {parent.tag!r} outlived it"
            continue
        layout = tree.layouts.root if parent is tree.root else tree.layouts.of_element(parent)
        for tag, entries in indexes.items():
            expected = fresh.entries(parent, layout.children[tag])
            assert entries.by_key == expected.by_key
            assert entries.last is expected.last


def _check_values(tree: DataTree) -> None:
    fresh = DataTree(tree.layouts, tree.root)
    for node, values in tree._values.items():
        layout = tree.layouts.of_node(node)
        assert layout is not None
        expected = fresh.values(layout)
        assert {text: set(leaves) for text, leaves in values.items()} == {
            text: set(leaves) for text, leaves in expected.items()
        }


def _check_form(tree: DataTree) -> None:
    pending = [(tree.root, tree.layouts.root)]
    while pending:
        element, layout = pending.pop()
        assert element.tail is None
        if layout.is_opaque:
            continue
        assert not element.attrib
        assert not len(element) or element.text is None
        ranks = [layout.children[child.tag].rank for child in element]
        assert ranks == sorted(ranks)
        assert len(element) or not layout.is_structural
        for child in element:
            pending.append((child, layout.children[child.tag]))


def user_orders(tree: DataTree) -> Any:
    """The keys of every user-ordered list and leaf-list in the tree, in their order."""
    return [
        (layout.name, [layout.key_of(entry) for entry in tree.instances(layout)])
        for layout in tree.layouts.root.descendants()
        if layout.node.ordered_by_user
    ]


def unordered(content: Any) -> Any:
    """Nested tuples of ``servers.plain`` with the children of each node sorted."""
    if isinstance(content, tuple) and len(content) > 1 and isinstance(content[1], tuple):
        return (content[0], *sorted(map(unordered, content[1:]), key=repr))
    return content
