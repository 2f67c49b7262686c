"""Which instances a change concerns: the other half of the constraints' table of dependents.

The table says what can turn out differently and how far up the change and the instance are sure to meet; here this
becomes elements of one tree. Entries that are looked up by a value concern only the instances that look for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout, Layouts
from rkmp.datastore.validation.accessible_tree import AccessibleTree
from rkmp.datastore.validation.constraints import Dependent
from rkmp.datastore.validation.reach import depth_of


class Affected:
    """Finds instances in one accessible tree."""

    def __init__(self, layouts: Layouts, accessible: AccessibleTree) -> None:
        self._layouts = layouts
        self._accessible = accessible

    def instances(self, edit: Edit, dependent: Dependent) -> Iterator[etree._Element]:
        """The instances to check because of ``edit``."""
        check = dependent.check
        reach = dependent.reach
        if reach.lookup is not None and dependent.condition is not None:
            inverse = dependent.condition.inverse(reach.lookup)
            node = self._layouts.of_node(inverse[0]) if inverse is not None else None
            if inverse is not None and node is not None and check.layout.node is dependent.condition.context:
                yield from self._looking_up(edit, dependent, node, inverse[1])
                return
        top, layout = self._ancestor(edit, dependent.depth)
        yield from self.below(check.layout, top, layout)

    def _looking_up(self, edit: Edit, dependent: Dependent, node: Layout, levels: int) -> Iterator[etree._Element]:
        """The contexts that look the edited entries up, by the values that these have or had."""
        if dependent.condition is None or dependent.reach.lookup is None:
            return
        lookup = dependent.condition.lookups[dependent.reach.lookup].lookup
        values = self._accessible.tree.values(node)
        for text in self._looked_up(edit, lookup.node, lookup.leaf):
            for leaf in list(values.get(text, ())):
                context: etree._Element | None = leaf
                for _ in range(levels):
                    context = context.getparent() if context is not None else None
                if context is not None:
                    yield context

    def _looked_up(self, edit: Edit, entry_node: object, leaf_node: object) -> Iterator[str]:
        """The values by which entries at, above or below an edited node are or were found."""
        layout: Layout | None = edit.layout
        at: etree._Element | None = edit.element
        if edit.node is leaf_node:
            # The value itself has come, gone or changed.
            yield edit.element.text or ""
            if edit.kind is EditKind.CHANGED:
                yield edit.before
            return
        while layout is not None and layout.node is not entry_node:
            at = edit.parent if at is edit.element else at.getparent() if at is not None else None
            layout = layout.parent
        if layout is not None and at is not None:
            yield from self._texts_in(at, layout, leaf_node)
            return
        # The entries are inside of what has come or gone.
        for below in edit.layout.descendants():
            if below.node is entry_node:
                for entry in self._accessible.tree.instances(below, edit.element, edit.layout):
                    yield from self._texts_in(entry, below, leaf_node)

    def _texts_in(self, entry: etree._Element, layout: Layout, leaf_node: object) -> Iterator[str]:
        for child in layout.children.values():
            if child.node is leaf_node:
                for leaf in entry.iterchildren(child.tag):
                    yield leaf.text or ""

    def _ancestor(self, edit: Edit, depth: int) -> tuple[etree._Element, Layout]:
        """The ancestor (or self) of an edited node at a depth; for one that is gone, at most its parent."""
        layout = edit.layout
        at: etree._Element = edit.element
        here = depth_of(layout.node, self._layouts.schema)
        if edit.kind is EditKind.DELETED and layout.parent is not None:
            layout, at, here = layout.parent, edit.parent, here - 1
        while here > depth and layout.parent is not None:
            up = at.getparent()
            if up is None:
                break
            layout, at, here = layout.parent, up, here - 1
        return at, layout

    def below(self, layout: Layout, top: etree._Element, top_layout: Layout) -> list[etree._Element]:
        """The instances of a node at or below ``top``, those included that are only there by default."""
        if (layout.node.defaults or layout.is_structural) and layout is not top_layout:
            self._accessible.ensure(top, top_layout, layout)
        return list(self._accessible.tree.instances(layout, top, top_layout))
