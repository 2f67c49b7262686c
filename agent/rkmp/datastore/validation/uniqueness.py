"""``unique``: no two entries of a list with the same values (RFC 7950 7.8.3), found by hash.

The index of a list is made when it is first needed and follows the changes of its entries: each entry that may have
changed is looked at again, after the change and after it has been undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from rkmp.datastore.layout import Layout
from rkmp.datastore.validation.accessible_tree import AccessibleTree

Values = tuple[str, ...]
Leaves = tuple[Layout, ...]


@dataclass(slots=True)
class _Index:
    """The entries of one list under one parent by their values for one ``unique``."""

    of_entry: dict[etree._Element, Values] = field(default_factory=dict)
    entries: dict[Values, dict[etree._Element, None]] = field(default_factory=dict)

    def put(self, entry: etree._Element, values: Values | None) -> None:
        earlier = self.of_entry.pop(entry, None)
        if earlier is not None:
            same = self.entries[earlier]
            del same[entry]
            if not same:
                del self.entries[earlier]
        if values is not None:
            self.of_entry[entry] = values
            self.entries.setdefault(values, {})[entry] = None


class Uniqueness:
    """The indexes of one tree."""

    def __init__(self) -> None:
        self._indexes: dict[etree._Element, dict[Leaves, _Index]] = {}
        self._touched: dict[tuple[etree._Element, etree._Element], tuple[Layout, tuple[Leaves, ...]]] = {}

    def put(
        self,
        parent: etree._Element,
        entry: etree._Element,
        layout: Layout,
        uniques: tuple[Leaves, ...],
        accessible: AccessibleTree,
    ) -> None:
        """The entry is new, or may have other values than before."""
        self._touched[parent, entry] = (layout, uniques)
        for leaves in uniques:
            index = self._index(parent, layout, leaves, accessible)
            index.put(entry, values_of(entry, layout, leaves, accessible))

    def same_as(self, parent: etree._Element, entry: etree._Element, leaves: Leaves) -> tuple[etree._Element, ...]:
        """The entries that have the values of ``entry``, itself among them; empty where its values are not complete."""
        index = self._indexes[parent][leaves]
        values = index.of_entry.get(entry)
        return tuple(index.entries[values]) if values is not None else ()

    def drop(self, parent: etree._Element, entry: etree._Element, layout: Layout, uniques: tuple[Leaves, ...]) -> None:
        """The entry has left the tree."""
        self._touched[parent, entry] = (layout, uniques)
        for index in self._indexes.get(parent, {}).values():
            index.put(entry, None)

    def forget(self, parent: etree._Element) -> None:
        """The lists under ``parent`` have left the tree with it."""
        self._indexes.pop(parent, None)

    def kept(self) -> None:
        """The change of the tree stands."""
        self._touched.clear()

    def undone(self, accessible: AccessibleTree) -> None:
        """The change of the tree has been undone."""
        for (parent, entry), (layout, uniques) in self._touched.items():
            indexes = self._indexes.get(parent)
            if indexes is None:
                continue
            for leaves in uniques:
                index = indexes.get(leaves)
                if index is not None:
                    there = entry.getparent() is parent
                    index.put(entry, values_of(entry, layout, leaves, accessible) if there else None)
        self._touched.clear()

    def _index(self, parent: etree._Element, layout: Layout, leaves: Leaves, accessible: AccessibleTree) -> _Index:
        indexes = self._indexes.setdefault(parent, {})
        index = indexes.get(leaves)
        if index is None:
            index = indexes[leaves] = _Index()
            for entry in parent.iterchildren(layout.tag):
                index.put(entry, values_of(entry, layout, leaves, accessible))
        return index


def values_of(entry: etree._Element, layout: Layout, leaves: Leaves, accessible: AccessibleTree) -> Values | None:
    """The values in use of the leaves in an entry; None where one of them has none."""
    values = []
    for leaf in leaves:
        if leaf.node.defaults:
            accessible.ensure(entry, layout, leaf)
        found = find_leaf(entry, layout, leaf)
        if found is None:
            return None
        values.append(found.text or "")
    return tuple(values)


def find_leaf(entry: etree._Element, layout: Layout, leaf: Layout) -> etree._Element | None:
    """The instance of a descendant leaf in an entry, through containers only."""
    if leaf.parent is layout:
        return next(entry.iterchildren(leaf.tag), None)
    above = find_leaf(entry, layout, leaf.parent) if leaf.parent is not None else None
    return next(above.iterchildren(leaf.tag), None) if above is not None else None
