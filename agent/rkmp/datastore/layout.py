"""What a walk over configuration asks of each schema node, computed once per schema.

Adds to ``SchemaNode`` what belongs to trees in memory and on disk: the order of siblings, names in the schema's own
prefixes, how a value is checked, which cases exclude which nodes, what gets a row of its own and what is sealed.
State data has no layout: it is not part of any configuration (RFC 7950 7.21.1).

Siblings are kept in one order, whatever order they came in: keys, other nodes with one instance, leaf-lists, lists.
So the few nodes that describe a parent come before its many entries and are found without walking over those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from rkmp.datastore.schema.nodes import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.types import (
    IdentityrefType,
    InstanceIdentifierType,
    StringType,
    ValueType,
    effective_type,
    member_types,
)
from rkmp.errors import SchemaError

Key = str | tuple[str, ...]
"""What tells an entry from its siblings: the value of a leaf-list entry or of a single key, or those of all keys."""

Checker = Callable[[str, "etree._Element"], str]
"""Takes the text of a leaf and its element; returns the canonical text or raises InvalidValue."""

_REMEMBERED_VALUES = 4096
"""Checked values that a type remembers: names, enumerations and numbers come again and again in large lists."""


@dataclass(slots=True, eq=False, repr=False)
class Layout:
    """One config node (or the root) as trees hold it.

    ``name`` is the qualified name in the schema's prefixes. ``children`` holds the config data nodes by tag,
    ``rank`` is this node's place among them. ``check`` is None for a leaf that takes any text, ``known`` holds
    canonical texts by texts that have been checked before. ``cases`` are the
    (choice, case) pairs between this node and its data parent, innermost first. ``is_sealed`` marks the topmost node
    under nacm:default-deny-all, ``is_secret`` every node from there down,
    ``is_plain_leaf`` a leaf or leaf-list that is not sealed by itself. ``has_row`` marks a list whose entries are
    stored one a row, ``has_rows_below`` a node that can hold such entries.
    """

    node: SchemaNode
    name: str
    parent: Layout | None
    rank: int = 0
    # Any: lxml types the tag of an element loosely.
    children: dict[Any, Layout] = field(default_factory=dict)
    check: Checker | None = None
    known: dict[str, str] = field(default_factory=dict)
    cases: tuple[tuple[SchemaNode, SchemaNode], ...] = ()
    is_secret: bool = False
    is_sealed: bool = False
    has_row: bool = False
    has_rows_below: bool = False
    has_entries: bool = False
    has_cases: bool = False
    is_plain_leaf: bool = False
    is_leaf: bool = field(init=False)
    is_leaf_list: bool = field(init=False)
    is_list: bool = field(init=False)
    is_entry: bool = field(init=False)
    is_container: bool = field(init=False)
    is_opaque: bool = field(init=False)
    is_structural: bool = field(init=False)
    keys: tuple[str, ...] = field(init=False)
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        kind = self.node.kind
        self.is_leaf = kind is NodeKind.LEAF
        self.is_leaf_list = kind is NodeKind.LEAF_LIST
        self.is_list = kind is NodeKind.LIST
        self.is_entry = self.is_leaf_list or self.is_list
        self.is_container = kind is NodeKind.CONTAINER
        self.is_opaque = kind in (NodeKind.ANYDATA, NodeKind.ANYXML)
        # RFC 7950 7.5.1: a container without presence exists for its content alone.
        self.is_structural = self.is_container and not self.node.presence
        self.keys = self.node.keys
        self.tag = self.node.tag

    def __repr__(self) -> str:
        return f"<layout of {self.node!r}>"

    @property
    def is_in_one_place(self) -> bool:
        """Whether all instances are under one element: there is no list above."""
        above = self.parent
        while above is not None and not above.is_list:
            above = above.parent
        return above is None

    def descendants(self) -> Iterator[Layout]:
        """Every layout below this one, a parent before its children."""
        for child in self.children.values():
            yield child
            yield from child.descendants()

    def key_of(self, entry: etree._Element) -> Key:
        """The key of an entry that has all its keys, with canonical values."""
        if self.is_leaf_list:
            return entry.text or ""
        if len(self.keys) == 1:
            # The key is the first child of an entry in a tree; in a payload it can be anywhere.
            return next(entry.iterchildren(self.keys[0])).text or ""
        return tuple(next(entry.iterchildren(key)).text or "" for key in self.keys)


@dataclass(slots=True, eq=False)
class Layouts:
    """The layouts of a schema: ``root`` stands for the ``config`` element."""

    schema: Schema
    root: Layout = field(init=False)
    _of_node: dict[SchemaNode, Layout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = Layout(self.schema.root, self.schema.root.name, None)
        self._of_node[self.schema.root] = self.root
        self._add_children(self.root)

    def of_node(self, node: SchemaNode) -> Layout | None:
        """The layout of a config data node; None for state, choices, cases and what belongs to operations."""
        return self._of_node.get(node)

    def of_element(self, element: etree._Element) -> Layout:
        """The layout of an element inside a tree; KeyError when the schema has none."""
        tags = [str(element.tag)]
        tags += [str(ancestor.tag) for ancestor in element.iterancestors()]
        tags.pop()
        layout = self.root
        for tag in reversed(tags):
            layout = layout.children[tag]
        return layout

    def _add_children(self, parent: Layout) -> None:
        nodes = [node for node in parent.node.data_children.values() if node.config]
        for node in nodes:
            if parent is self.root and node.is_entry and node.default_deny_all:
                # Its rows would be found by what is secret in it.
                raise SchemaError([(node.module, 0, f"nacm:default-deny-all on the top-level {node!r} is not handled")])
        layouts = [self._layout(node, parent) for node in nodes]
        for rank, layout in enumerate(sorted(layouts, key=_sibling_order)):
            layout.rank = rank
            parent.children[layout.tag] = layout
        for layout in layouts:
            self._add_children(layout)
        parent.has_entries = any(layout.is_entry for layout in layouts)
        parent.has_cases = any(layout.cases for layout in layouts)
        parent.has_rows_below = any(layout.has_row or layout.has_rows_below for layout in layouts)

    def _layout(self, node: SchemaNode, parent: Layout) -> Layout:
        name = f"{self.schema.prefix_of(node.namespace)}:{node.name}"
        layout = Layout(node, name, parent)
        layout.is_secret = parent.is_secret or node.default_deny_all
        layout.is_sealed = layout.is_secret and not parent.is_secret
        layout.is_plain_leaf = node.has_text and not layout.is_sealed
        # What is sealed is sealed whole: a row of its own would show its keys.
        layout.has_row = layout.is_list and not layout.is_secret
        layout.cases = tuple(_cases(node))
        if node.type is not None:
            layout.check = _checker(node.type, layout.known, remember=not layout.is_secret)
        self._of_node[node] = layout
        return layout


def is_empty(element: etree._Element) -> bool:
    """Whether an element has no children; ``len`` would count all of them."""
    return next(iter(element), None) is None


def _sibling_order(layout: Layout) -> tuple[int, int]:
    parent = layout.parent
    if parent is not None and layout.tag in parent.keys:
        return 0, parent.keys.index(layout.tag)
    if not layout.is_entry:
        return 1, 0
    if layout.is_leaf_list:
        return 2, 0
    return (4 if layout.has_row else 3), 0


def _cases(node: SchemaNode) -> Iterator[tuple[SchemaNode, SchemaNode]]:
    case = node.case
    while case is not None and case.parent is not None:
        yield case.parent, case
        # A choice directly in a case (RFC 7950 7.9.2); the node's data parent is above both.
        above = case.parent.parent
        case = above if above is not None and above.kind is NodeKind.CASE else None


def needs_namespaces(value_type: ValueType) -> bool:
    """Whether the meaning of a value depends on the prefixes in scope (RFC 7950 9.10.3, 9.13.2)."""
    return any(
        isinstance(effective, IdentityrefType | InstanceIdentifierType)
        for member in member_types(value_type)
        for effective in member_types(effective_type(member))
    )


def _checker(value_type: ValueType, known: dict[str, str], *, remember: bool) -> Checker | None:
    """The check of a type; with ``remember`` it keeps what it has checked in ``known``, which secrets must not be."""
    if isinstance(value_type, StringType) and not value_type.lengths and not value_type.patterns:
        return None
    if needs_namespaces(value_type):
        return lambda text, element: value_type.check(text, element.nsmap)
    no_namespaces: Mapping[str | None, str] = {}
    if not remember:
        return lambda text, _: value_type.check(text, no_namespaces)

    def check(text: str, _: etree._Element) -> str:
        canonical = value_type.check(text, no_namespaces)
        if len(known) < _REMEMBERED_VALUES:
            known[text] = canonical
        return canonical

    return check
