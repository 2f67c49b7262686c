"""edit-config in the plainest way that its RFCs allow: the model that the datastores' trees are compared with.

Works on nested Python values, without indexes, journals or normal forms: a node is a dictionary of its children by
name. Written from RFC 6241 7.2 and RFC 7950 7.5 to 7.11, for the modules of the tests only.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.datastore.schema.nodes import NETCONF_BASE
from tests.datastore.servers import YANG, plain

OPERATION = f"{{{NETCONF_BASE}}}operation"


class Refused(Exception):
    """The edit is an error with this tag."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


@dataclass
class Node:
    """A container, an entry or the root. ``children`` holds a Node, a text, or a list of entries, by tag."""

    children: dict[str, Any] = field(default_factory=dict)


def canonical(node: SchemaNode, element: etree._Element) -> str:
    assert node.type is not None
    return node.type.check(element.text or "", element.nsmap)


def key_of(node: SchemaNode, element: etree._Element) -> Any:
    if node.kind is NodeKind.LEAF_LIST:
        return canonical(node, element)
    return tuple(canonical(node.data_children[key], element.find(key)) for key in node.keys)  # type: ignore[arg-type]


class NaiveDatastore:
    """One datastore."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.root = Node()

    def edit(self, config: etree._Element, default_operation: str) -> None:
        """Apply an edit; raises Refused and is then unchanged."""
        root = copy.deepcopy(self.root)
        if default_operation == "replace":
            root = Node()
            default_operation = "merge"
        self._children(root, self.schema.root, config, default_operation)
        _prune(root, self.schema.root)
        self.root = root

    def _children(self, at: Node, node: SchemaNode, source: etree._Element, inherited: str) -> None:
        for element in source:
            child = node.data_children[str(element.tag)]
            if child.is_key:
                continue
            operation = element.get(OPERATION, inherited)
            if child.is_entry:
                self._entry(at, child, element, operation)
            else:
                self._single(at, child, element, operation)

    def _single(self, at: Node, node: SchemaNode, element: etree._Element, operation: str) -> None:
        exists = node.tag in at.children
        if operation in ("delete", "remove"):
            if not exists and operation == "delete":
                raise Refused("data-missing")
            at.children.pop(node.tag, None)
            return
        if operation == "create" and exists:
            raise Refused("data-exists")
        is_plain_container = node.kind is NodeKind.CONTAINER and not node.presence
        if operation == "none":
            if not exists and not is_plain_container:
                raise Refused("data-missing")
            if node.kind is NodeKind.CONTAINER:
                inside = at.children.get(node.tag, Node())
                self._children(inside, node, element, operation)
                _prune(inside, node)
                if inside.children and not exists:
                    self._leave_other_cases(at, node)
                    at.children[node.tag] = inside
            return
        if node.kind is NodeKind.LEAF:
            value: Any = canonical(node, element)
        elif node.kind is NodeKind.CONTAINER:
            value = Node() if operation == "replace" or not exists else at.children[node.tag]
            self._children(value, node, element, "merge" if operation == "replace" else operation)
            _prune(value, node)
            if is_plain_container and not value.children and not exists:
                return
        else:
            value = plain(element)
        if not exists:
            self._leave_other_cases(at, node)
        at.children[node.tag] = value

    def _entry(self, at: Node, node: SchemaNode, element: etree._Element, operation: str) -> None:
        entries: list[tuple[Any, Node]] = at.children.get(node.tag, [])
        key = key_of(node, element)
        found = next((index for index, (other, _) in enumerate(entries) if other == key), None)
        if operation in ("delete", "remove"):
            if found is None:
                if operation == "delete":
                    raise Refused("data-missing")
                return
            del entries[found]
            if not entries:
                del at.children[node.tag]
            return
        if operation == "none":
            if found is None:
                raise Refused("data-missing")
            self._children(entries[found][1], node, element, operation)
            return
        if found is not None and operation == "create":
            raise Refused("data-exists")
        entry = entries[found][1] if found is not None and operation != "replace" else Node()
        self._children(entry, node, element, "merge" if operation == "replace" else operation)
        if found is None:
            self._leave_other_cases(at, node)
            entries = at.children.setdefault(node.tag, entries)
            entries.append((key, entry))
        else:
            entries[found] = (key, entry)
        self._insert(entries, key, node, element, is_new=found is None)

    def _insert(
        self, entries: list[tuple[Any, Node]], key: Any, node: SchemaNode, element: etree._Element, *, is_new: bool
    ) -> None:
        where = element.get(f"{{{YANG}}}insert")
        if where is None:
            return
        own = next(entry for entry in entries if entry[0] == key)
        if where in ("before", "after"):
            if node.kind is NodeKind.LEAF_LIST:
                anchor: Any = element.get(f"{{{YANG}}}value")
            else:
                predicate = element.get(f"{{{YANG}}}key", "")
                leaf = node.data_children[node.keys[0]]
                assert leaf.type is not None
                anchor = (leaf.type.check(predicate.split("'")[1], {}),)
            if anchor not in [other for other, _ in entries] or (is_new and anchor == key):
                raise Refused("bad-attribute")
            if anchor == key:
                return
            entries.remove(own)
            entries.insert([other for other, _ in entries].index(anchor) + (where == "after"), own)
        else:
            entries.remove(own)
            entries.insert(0 if where == "first" else len(entries), own)

    def _leave_other_cases(self, at: Node, node: SchemaNode) -> None:
        case = node.case
        while case is not None:
            assert case.parent is not None
            for other in case.parent.children:
                if other is not case:
                    for tag in other.data_children:
                        at.children.pop(tag, None)
            above = case.parent.parent
            case = above if above is not None and above.kind is NodeKind.CASE else None


def _prune(at: Node, node: SchemaNode) -> None:
    """RFC 7950 7.5.1: an empty container without presence is the same as none."""
    for tag, value in list(at.children.items()):
        child = node.data_children[tag]
        if child.kind is NodeKind.CONTAINER:
            _prune(value, child)
            if not child.presence and not value.children:
                del at.children[tag]
        elif child.kind is NodeKind.LIST:
            for _, entry in value:
                _prune(entry, child)


def comparable(at: Node, node: SchemaNode) -> Any:
    """A naive tree as sorted nested values; entries keep their order where their user gives it."""
    found = []
    for tag, value in at.children.items():
        child = node.data_children[tag]
        if child.is_entry:
            if value:
                entries = [(key, comparable(entry, child)) for key, entry in value]
                found.append((tag, entries if child.ordered_by_user else sorted(entries, key=repr)))
        else:
            found.append((tag, comparable(value, child) if isinstance(value, Node) else value))
    return sorted(found, key=repr)


def naive_view(element: etree._Element, node: SchemaNode) -> Any:
    """A datastore's tree in the same form."""
    found: dict[str, Any] = {}
    for child_element in element:
        tag = str(child_element.tag)
        if tag in node.keys:
            continue
        child = node.data_children[tag]
        if child.is_entry:
            inside = [] if child.kind is NodeKind.LEAF_LIST else naive_view(child_element, child)
            found.setdefault(tag, []).append((key_of(child, child_element), inside))
        elif child.kind is NodeKind.CONTAINER:
            found[tag] = naive_view(child_element, child)
        elif child.kind is NodeKind.LEAF:
            found[tag] = child_element.text or ""
        else:
            found[tag] = plain(child_element)
    return sorted(
        (
            (
                tag,
                value
                if not node.data_children[tag].is_entry or node.data_children[tag].ordered_by_user
                else sorted(value, key=repr),
            )
            for tag, value in found.items()
        ),
        key=repr,
    )
