"""Data with defaults in it, or without: the retrieval modes of RFC 6243, the basic mode being ``explicit``.

A datastore holds what was set, whether or not it equals a default (RFC 6243 2.3). The other modes are made of a copy.
A default that is in use can hang on conditions and on cases (RFC 7950 7.6.1), so all of a copy is completed before
anything is selected from it; but where a filter looks at entries that it names by their keys and at nothing else,
only these are completed, in their place. State is reported as it is: a state leaf that is absent has no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache

from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.layout import Layout, is_empty
from rkmp.datastore.marks import DEFAULT, DEFAULTS_NAMESPACE
from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.validation.accessible_tree import AccessibleTree
from rkmp.datastore.validation.constraints import constraints_of
from rkmp.datastore.xpath_filter import Copies

__all__ = ["BASIC_MODE", "DEFAULTS_NAMESPACE", "Defaults", "DefaultsMode", "defaults_of"]


class DefaultsMode(Enum):
    """``with-defaults-mode`` of RFC 6243 section 5."""

    REPORT_ALL = "report-all"
    REPORT_ALL_TAGGED = "report-all-tagged"
    TRIM = "trim"
    EXPLICIT = "explicit"


BASIC_MODE = DefaultsMode.EXPLICIT
PREFIX = "wd"
"""What the attribute's namespace is bound to."""

_Found = tuple["etree._Element", SchemaNode, "etree._Element"]
"""A parent, its node, and a leaf of it that has its default."""


class Defaults:
    """The defaults of one schema, to be put into copies of its trees and to be taken out of them."""

    def __init__(self, schema: Schema) -> None:
        self._constraints = constraints_of(schema)
        self._layouts = [
            layout
            for layout in self._constraints.layouts.root.descendants()
            if layout.node.defaults and not layout.is_secret and not layout.node.is_key
        ]
        # The children of a node that have defaults, and those with such nodes further down; state as well.
        self._plain: dict[SchemaNode, tuple[str, ...]] = {}
        self._leading: dict[SchemaNode, tuple[str, ...]] = {}
        self._root = schema.root
        self._survey(schema.root)

    def apply(self, tree: etree._Element, mode: DefaultsMode) -> None:
        """Make of ``tree``, a copy that nobody else looks at, what ``mode`` reports."""
        match mode:
            case DefaultsMode.REPORT_ALL:
                self.complete(tree)
            case DefaultsMode.REPORT_ALL_TAGGED:
                # RFC 6243 2.3, 3.4: default data is what was not set.
                for leaf in self.complete(tree):
                    leaf.set(DEFAULT, "true")
            case DefaultsMode.TRIM:
                self._trim(tree)
            case DefaultsMode.EXPLICIT:
                pass

    def of_entries(self, tree: DataTree, entries: Sequence[etree._Element], mode: DefaultsMode) -> etree._Element:
        """Copies of list entries as ``mode`` reports them, with what is above them.

        The whole tree decides what is in use, and only what is in the entries is completed.
        """
        schema = self._constraints.layouts.schema
        bound = {PREFIX: DEFAULTS_NAMESPACE} if mode is DefaultsMode.REPORT_ALL_TAGGED else {}
        accessible = AccessibleTree(tree, self._constraints.whens)
        with accessible:
            if mode in (DefaultsMode.REPORT_ALL, DefaultsMode.REPORT_ALL_TAGGED):
                for entry in entries:
                    top = tree.layouts.of_element(entry)
                    for layout in self._layouts_below(top):
                        accessible.ensure(entry, top, layout)
                accessible.drop_empty()
            if mode is DefaultsMode.REPORT_ALL_TAGGED:
                for _, element, layout in accessible.added:
                    if layout.node.has_text:
                        element.set(DEFAULT, "true")
            copies = Copies(schema, tree.root, nsmap=bound).of(entries)
        if mode is DefaultsMode.TRIM:
            self._trim(copies)
        return copies

    def _layouts_below(self, top: Layout) -> Iterator[Layout]:
        inside = set(top.descendants())
        return (layout for layout in self._layouts if layout in inside)

    def complete(self, tree: etree._Element) -> list[etree._Element]:
        """Put every default that is in use into ``tree``, with the containers around it; return the leaves."""
        root = self._constraints.layouts.root
        accessible = AccessibleTree(DataTree(self._constraints.layouts, tree), self._constraints.whens)
        with accessible:
            for layout in self._layouts:
                accessible.ensure(tree, root, layout)
            added = accessible.keep()
        leaves = []
        for parent, element, layout in reversed(added):
            if layout.node.has_text:
                leaves.append(element)
            elif is_empty(element):
                # RFC 7950 7.5.1: there is nothing to report of a container that exists for its content.
                parent.remove(element)
        leaves.reverse()
        return leaves

    def tag_defaults(self, tree: etree._Element) -> None:
        """Mark every leaf of ``tree`` that has its default, whoever gave it that value (RFC 8526 3.1.1.2)."""
        for _, _, leaf in self._at_default(tree, self._root):
            leaf.set(DEFAULT, "true")

    def _trim(self, tree: etree._Element) -> None:
        found = self._at_default(tree, self._root)
        for parent, _, leaf in found:
            parent.remove(leaf)
        for parent, node, _ in found:
            _drop_empty(parent, node)

    def _at_default(self, element: etree._Element, node: SchemaNode) -> list[_Found]:
        found: list[_Found] = []
        for tag in self._plain.get(node, ()):
            leaves = list(element.iterchildren(tag))
            if leaves and tuple(leaf.text or "" for leaf in leaves) == node.data_children[tag].defaults:
                found += [(element, node, leaf) for leaf in leaves]
        for tag in self._leading.get(node, ()):
            for child in element.iterchildren(tag):
                found += self._at_default(child, node.data_children[tag])
        return found

    def _survey(self, node: SchemaNode) -> bool:
        children = node.data_children.values()
        plain = tuple(child.tag for child in children if child.defaults and not child.is_key)
        leading = tuple(child.tag for child in children if self._survey(child))
        if plain:
            self._plain[node] = plain
        if leading:
            self._leading[node] = leading
        return bool(plain or leading)


def _drop_empty(element: etree._Element, node: SchemaNode) -> None:
    """Take a container without presence away that has lost its content, and those around it."""
    at: SchemaNode | None = node
    while at is not None and at.kind is NodeKind.CONTAINER and not at.presence and is_empty(element):
        parent = element.getparent()
        if parent is None:
            return
        parent.remove(element)
        element, at = parent, at.data_parent


@lru_cache(8)
def defaults_of(schema: Schema) -> Defaults:
    """The defaults of a schema, surveyed when they are first asked for."""
    return Defaults(schema)
