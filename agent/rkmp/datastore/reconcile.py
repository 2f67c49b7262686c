"""Making one subtree equal to another with the fewest changes: replace, copy-config, commit and discard.

Compares node by node and lets ``DataTree`` change only what differs, so that indexes, journals and rows on disk see no
more than that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.layout import Key, Layout, is_empty

Taken = Callable[["etree._Element"], "etree._Element"]


class Reconciler:
    """Changes ``tree`` after sources in normal form, whose nodes it copies, or takes away where ``take`` says so."""

    def __init__(self, tree: DataTree, *, take: bool = False) -> None:
        self._tree = tree
        self._taken: Taken = _as_is if take else copy.deepcopy

    def make_equal(self, target: etree._Element, source: etree._Element, layout: Layout) -> None:
        """Make ``target``, an instance of ``layout`` in the tree, equal to ``source``; the keys are already."""
        if layout.is_opaque:
            if etree.tostring(target, method="c14n") != etree.tostring(source, method="c14n"):
                self._tree.replace_content(target, layout, self._taken(source))
            return
        if layout.node.has_text:
            if (target.text or "") != (source.text or ""):
                self._tree.set_text(target, layout, source.text or "")
            return
        if is_empty(source):
            for child in reversed(target):
                self._tree.remove(child, layout.children[child.tag])
            return
        self._make_children_equal(target, source, layout)

    def _make_children_equal(self, target: etree._Element, source: etree._Element, layout: Layout) -> None:
        wanted, wanted_lists = _sorted_out(source, layout)
        present, present_lists = _sorted_out(target, layout)
        for tag, child in present.items():
            if tag not in wanted:
                self._tree.remove(child, layout.children[tag])
        for tag in present_lists:
            if tag not in wanted_lists:
                for child in list(target.iterchildren(tag)):
                    self._tree.remove(child, layout.children[tag])
        for tag, child in wanted.items():
            below = layout.children[tag]
            if tag in present:
                self.make_equal(present[tag], child, below)
            else:
                self._tree.add(target, self._taken(child), below)
        for tag, entries in wanted_lists.items():
            self.make_entries_equal(target, entries, layout.children[tag])

    def make_entries_equal(self, target: etree._Element, sources: list[etree._Element], layout: Layout) -> None:
        """Make the entries of one list under ``target`` equal to ``sources``, in order where the user gives it."""
        present = self._tree.entries(target, layout).by_key
        keys: list[Key] = [layout.key_of(source) for source in sources]
        wanted = set(keys)
        for key in [key for key in present if key not in wanted]:
            self._tree.remove(present[key], layout)
        for key, source in zip(keys, sources, strict=True):
            entry = present.get(key)
            if entry is None:
                self._tree.add(target, self._taken(source), layout)
            elif not layout.is_leaf_list:
                self.make_equal(entry, source, layout)
        if layout.node.ordered_by_user and keys:
            self._put_in_order(present, keys, layout)

    def _put_in_order(self, present: dict[Key, etree._Element], keys: list[Key], layout: Layout) -> None:
        first = present[keys[0]]
        at: etree._Element | None = first
        while at is not None and (preceding := at.getprevious()) is not None and preceding.tag == layout.tag:
            at = preceding
        for key in keys:
            entry = present[key]
            if entry is at:
                at = at.getnext()
            else:
                self._tree.move(entry, layout, at)


def _as_is(element: etree._Element) -> etree._Element:
    return element


def _sorted_out(
    parent: etree._Element, layout: Layout
) -> tuple[dict[Any, etree._Element], dict[Any, list[etree._Element]]]:
    """The children of an element: those with one instance by tag, and the entries of each list."""
    singles: dict[Any, etree._Element] = {}
    lists: dict[Any, list[etree._Element]] = {}
    for child in parent:
        if layout.children[child.tag].is_entry:
            lists.setdefault(child.tag, []).append(child)
        else:
            singles[child.tag] = child
    return singles, lists
