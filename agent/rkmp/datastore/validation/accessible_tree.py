"""The accessible tree of RFC 7950 section 6.4.1: data with the defaults in use and containers without presence in it.

Only what an evaluation needs is put into the tree, at the end of its parent and past the tree's indexes, and all of it
is taken out again when the accessible tree is closed. No change of the tree may happen while one is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.layout import Layout
from rkmp.datastore.schema.nodes import SchemaNode
from rkmp.datastore.validation.conditions import Condition


@dataclass(frozen=True, slots=True)
class WhenCheck:
    """A ``when`` of a node (RFC 7950 7.21.5); ``on_parent`` as in ``schema.When``."""

    layout: Layout
    condition: Condition
    on_parent: bool


class AccessibleTree:
    """One tree, opened for evaluations."""

    def __init__(self, tree: DataTree, whens: Mapping[SchemaNode, Sequence[WhenCheck]]) -> None:
        self.tree = tree
        self._whens = whens
        self._added: list[tuple[etree._Element, etree._Element, Layout]] = []
        self._ensured: set[tuple[etree._Element, Layout]] = set()
        self._evaluating: set[tuple[etree._Element, Layout]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for parent, element, _ in reversed(self._added):
            parent.remove(element)
        self._added.clear()
        self._ensured.clear()

    def ensure(self, top: etree._Element, top_layout: Layout, layout: Layout) -> None:
        """Have ``layout`` be there below ``top``, with its defaults in use, or as a container without presence."""
        if (top, layout) in self._ensured:
            return
        self._ensured.add((top, layout))
        chain: list[Layout] = []
        step: Layout | None = layout
        while step is not None and step is not top_layout:
            chain.append(step)
            step = step.parent
        if step is None:
            raise ValueError(f"{layout!r} is not below {top_layout!r}")
        self._descend(top, chain, len(chain) - 1)

    def is_in_use(self, parent: etree._Element, layout: Layout) -> bool:
        """Whether ``layout``, of which there is nothing under ``parent``, is there in effect."""
        return self._is_chosen(parent, layout) and self.conditions_hold(parent, layout.node, layout)

    def conditions_hold(
        self, parent: etree._Element, node: SchemaNode, layout: Layout, element: etree._Element | None = None
    ) -> bool:
        """Whether every ``when`` of ``node``, below ``parent``, is true; without ``element`` a dummy stands for it.

        ``node`` is that of ``layout`` or a choice around it.
        """
        checks = self._whens.get(node)
        if not checks:
            return True
        if (parent, layout) in self._evaluating:
            # RFC 7950 7.21.5 forbids conditions that hang on each other; such a node is not there.
            return False
        self._evaluating.add((parent, layout))
        try:
            return all(self._holds(check, parent, layout, element) for check in checks)
        finally:
            self._evaluating.discard((parent, layout))

    def add(self, parent: etree._Element, layout: Layout, text: str | None = None) -> etree._Element:
        """Put an instance into the tree until this is closed."""
        element = etree.SubElement(parent, layout.tag)
        element.text = text
        self._added.append((parent, element, layout))
        return element

    @property
    def added(self) -> Sequence[tuple[etree._Element, etree._Element, Layout]]:
        """What was put into the tree, with its parents, each before what is below it."""
        return self._added

    def drop_empty(self) -> None:
        """Take the containers out again that were put into the tree and have nothing in them."""
        kept = []
        for parent, element, layout in reversed(self._added):
            if layout.node.has_text or next(iter(element), None) is not None:
                kept.append((parent, element, layout))
            else:
                parent.remove(element)
        self._added = kept[::-1]

    def keep(self) -> list[tuple[etree._Element, etree._Element, Layout]]:
        """Leave what was put into the tree in it; return it with its parents, each before what is below it."""
        added, self._added = self._added, []
        return added

    def _holds(self, check: WhenCheck, parent: etree._Element, layout: Layout, element: etree._Element | None) -> bool:
        if check.on_parent:
            return check.condition.holds(parent, self)
        if element is not None:
            return check.condition.holds(element, self)
        dummy = etree.SubElement(parent, layout.tag)
        try:
            return check.condition.holds(dummy, self)
        finally:
            parent.remove(dummy)

    def _descend(self, element: etree._Element, chain: list[Layout], depth: int) -> None:
        layout = chain[depth]
        if depth == 0:
            self._complete(element, layout)
        elif layout.is_list:
            for entry in element.iterchildren(layout.tag):
                self._descend(entry, chain, depth - 1)
        else:
            child = self._complete(element, layout)
            if child is not None:
                self._descend(child, chain, depth - 1)

    def _complete(self, parent: etree._Element, layout: Layout) -> etree._Element | None:
        """The (first) instance of ``layout`` under ``parent``, put there if it is there in effect."""
        found = next(parent.iterchildren(layout.tag), None)
        if found is not None or not (layout.node.defaults or layout.is_structural):
            return found
        if not self.is_in_use(parent, layout):
            return None
        if layout.is_structural:
            return self.add(parent, layout)
        added = [self.add(parent, layout, default or None) for default in layout.node.defaults]
        return added[0]

    def _is_chosen(self, parent: etree._Element, layout: Layout) -> bool:
        """RFC 7950 7.6.1: a node of a case needs another node of it, or the default case and nothing of the others."""
        for choice, case in layout.cases:
            if has_any(parent, case):
                return True
            if choice.default_case is not case or has_any(parent, choice):
                return False
        return True


def has_any(parent: etree._Element, structure: SchemaNode) -> bool:
    """Whether ``parent`` has a node of a case, or of any case of a choice."""
    tags = tuple(structure.data_children)
    return bool(tags) and next(parent.iterchildren(*tags), None) is not None
